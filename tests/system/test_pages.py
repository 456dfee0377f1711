"""The pages tell the truth: their code runs, and the commands, options, files and error lines that they show exist."""

from __future__ import annotations

import ast
import importlib
import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import click
import h5py
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from PIL import Image

import data
from data.shards import newest_store
from data.walkers.dataset import Recipe, write_walkers

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
DOCS = sorted((ROOT / "docs").glob("*.md"))
PAGES = [README, *DOCS, ROOT / "pipeline/pise/walkers.md"]
PACKAGES = ("data", "pipeline", "trainer")

PEOPLE = Recipe(train_people=3, val_people=1, test_people=2, train_photos=2, test_photos=1, height=64, width=32)
SHORT = ["--epochs", "1", "--iterations", "2", "--batch-clusters", "2", "--batch-photos", "2", "--k1", "6"]
EXAMPLES = {"data/readers/mine.py"}
"""Files that a page tells the reader to write."""


class Block(NamedTuple):
    """A fenced block of a page."""

    page: Path
    language: str
    text: str


def named(pages: list[Path]) -> list[object]:
    return [pytest.param(page, id=page.relative_to(ROOT).as_posix()) for page in pages]


@cache
def blocks(page: Path) -> list[Block]:
    found = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [Block(page, language, text) for language, text in found]


@cache
def prose(page: Path) -> str:
    """The page without its fenced blocks, its lines joined."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"[ \n]+", " ", text)


def inline_code(page: Path) -> list[str]:
    return re.findall(r"(?<!`)`([^`]+)`(?!`)", prose(page))


def commands(page: Path, program: str) -> list[list[str]]:
    """The words of each command of this program that a page shows, in a block of shell or in a sentence."""
    lines = [line for block in blocks(page) if not block.language for line in block.text.splitlines()]
    shown = [line for line in [*lines, *inline_code(page)] if line.startswith(f"{program} ") and "..." not in line]
    return [shlex.split(line, comments=True)[1:] for line in shown]


def anchors(page: Path) -> set[str]:
    """The names that GitHub gives a page's headings."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@cache
def options_of(module: str, command: str) -> set[str]:
    """Every option of `python -m module command`; of a bench, whatever its file calls so."""
    if module.startswith("tests.bench."):
        return set(re.findall(r'"(--[a-z-]+)"', (ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")))
    group = importlib.import_module(f"{module}.__main__").main
    assert command in group.commands, f"python -m {module} {command}"
    parameters = [*group.params, *group.commands[command].params]
    own = {name for each in parameters if isinstance(each, click.Option) for name in [*each.opts, *each.secondary_opts]}
    return own | {"--help"}


def check_python(words: list[str]) -> None:
    """Check the words behind `python` of a command that runs one of our modules."""
    module = words[words.index("-m") + 1]
    if module == "trainer.distributed.launch":
        return check_python(["-m", *words[words.index("--") + 1 :]])
    rest = words[words.index(module) + 1 :]
    command = "" if module.startswith("tests.bench.") else next(word for word in rest if not word.startswith("--"))
    unknown = {word.split("=")[0] for word in rest if word.startswith("--")} - options_of(module, command)
    assert not unknown, f"python -m {module} {command} does not know {unknown}"
    return None


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder where a small study was done, and the current one: walkers, a store, a run, and a few other pictures."""
    folder = tmp_path_factory.mktemp("workspace")
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        write_walkers(Path("work/datasets/walkers"), PEOPLE, jobs=1)
        for part in ("train", "query", "gallery"):
            for person in (1, 2):
                path = Path(f"work/datasets/mine/{part}/{person:04d}_c{1 + (part == 'gallery')}_001.png")
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(np.full((16, 8, 3), 90 * person, np.uint8)).save(path)
        run("pipeline", "sync", "--dataset", "walkers", "--jobs", "1", "--device", "cpu")
        run("trainer", "train", "--run", "demo", "--device", "cpu", *SHORT)
        yield folder
    torch.set_num_threads(threads)


def run(module: str, *words: str) -> None:
    result = CliRunner().invoke(importlib.import_module(f"{module}.__main__").main, words)
    assert result.exit_code == 0, result.output


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").split()) <= 1000


def test_the_readme_lists_every_data_set() -> None:
    rows = re.findall(r"^\| (`.*?) \|", README.read_text(encoding="utf-8").partition("## Data sets")[2], re.MULTILINE)
    assert sorted(name for row in rows for name in re.findall(r"`([a-z0-9-]+)`", row)) == data.names()


def test_every_page_is_reached_from_the_readme() -> None:
    linked = set(re.findall(r"\]\((docs/[\w-]+\.md)", README.read_text(encoding="utf-8")))
    assert linked == {page.relative_to(ROOT).as_posix() for page in DOCS}


@pytest.mark.parametrize("page", named(PAGES))
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if target.startswith(("http://", "https://")):
            continue
        file, _, anchor = target.partition("#")
        linked = (page.parent / file).resolve() if file else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


@pytest.mark.parametrize("page", named(PAGES))
def test_files_and_names_in_them_exist(page: Path) -> None:
    paths = [code for code in inline_code(page) if re.fullmatch(rf"(?:{'|'.join(PACKAGES)}|tests|docs)/[\w/.-]*", code)]
    assert [path for path in paths if path not in EXAMPLES and not (ROOT / path).exists()] == []
    for name, file in re.findall(r"`(\w+)` in `([\w/]+\.py)`", prose(page)):
        assert re.search(rf"\b{name}\b", (ROOT / file).read_text(encoding="utf-8")), f"{name} in {file}"


@pytest.mark.parametrize("page", named(PAGES))
def test_make_knows_its_commands(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    variables = set(re.findall(r"^#: ([A-Z_]+)", makefile, re.MULTILINE))
    targets = set(re.findall(r"^([a-z-]+):.* ## ", makefile, re.MULTILINE))
    for words in commands(page, "make"):
        assert {word.partition("=")[0] for word in words if "=" in word.split()[0]} <= variables, words
        assert {word for word in words if "=" not in word.split()[0]} <= targets, words
        done = subprocess.run(["make", "-n", "-C", str(ROOT), *words], capture_output=True, text=True, check=True)
        for line in done.stdout.replace("\\\n", " ").splitlines():
            if any(f"-m {package}" in line for package in (*PACKAGES, "tests.bench")):
                check_python(shlex.split(line))


@pytest.mark.parametrize("page", named(PAGES))
def test_commands_know_their_options(page: Path) -> None:
    for words in commands(page, "python"):
        check_python(words)
    everywhere = {
        option
        for package in PACKAGES
        for command in importlib.import_module(f"{package}.__main__").main.commands
        for option in options_of(package, command)
    }
    shown = {code.split()[0] for code in inline_code(page) if code.startswith("--")}
    assert shown - {"--"} <= everywhere  # Two hyphens alone only end the options.


@pytest.mark.parametrize("page", named([page for page in PAGES if any(b.language == "python" for b in blocks(page))]))
def test_code_runs(page: Path, workspace: Path) -> None:
    assert Path.cwd() == workspace
    namespace: dict[str, object] = {"__name__": page.stem}
    for block in blocks(page):
        if block.language == "python":
            exec(compile(block.text, str(page), "exec"), namespace)


def test_the_page_on_shards_names_all_that_is_in_a_store(workspace: Path) -> None:
    folder = newest_store(workspace / "work" / "sync", "walkers")
    datasets: set[str] = set()
    with h5py.File(folder / "shard-00000.h5", "r", locking=False) as shard:
        shard.visititems(lambda name, item: datasets.add(name) if isinstance(item, h5py.Dataset) else None)
        attributes = set(shard.attrs)
    assert first_column("dataset") == datasets
    assert first_column("attribute of the file") == attributes
    assert first_column("key") == set(json.loads((folder / "manifest.json").read_text()))


def first_column(title: str) -> set[str]:
    """The names in the first column of the table with this title on the page on shards."""
    table = (ROOT / "docs/shards.md").read_text(encoding="utf-8").partition(f"| {title} |")[2].partition("\n\n")[0]
    return {
        name for row in re.findall(r"^\| (`[^|]*) \|", table, re.MULTILINE) for name in row.strip("`").split("`, `")
    }


def messages() -> Iterator[tuple[str, tuple[str, ...]]]:
    """Of each error line in the code: where it is, and its parts between the values that are put in."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for p in PACKAGES for path in (ROOT / p).rglob("*.py")}
    functions = {
        node.name: node for tree in trees.values() for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)
    }
    for path, tree in sorted(trees.items()):
        raising = {"InputError", "NoAnnotation", "RunError", "Interrupted", "_stop", "fail"}
        if path.parent.name == "readers":
            raising.add("ValueError")  # is shown behind the file and its row
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or not node.args or called(node) not in raising:
                continue
            said = node.args[0]
            helper = functions.get(called(said)) if isinstance(said, ast.Call) else None
            texts = [n.value for n in ast.walk(helper) if isinstance(n, ast.Return) and n.value] if helper else [said]
            for text in texts:
                parts = tuple(fixed(text))
                if sum(map(len, parts)) >= 8:
                    yield f"{path.relative_to(ROOT)}:{node.lineno}", parts


def called(node: ast.Call) -> str:
    return node.func.id if isinstance(node.func, ast.Name) else getattr(node.func, "attr", "")


def fixed(node: ast.expr) -> Iterator[str]:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value.replace("`", "").removeprefix("error: ").strip()
    elif isinstance(node, ast.JoinedStr):
        for value in node.values:
            yield from fixed(value)
    elif isinstance(node, ast.BinOp | ast.BoolOp | ast.Tuple):
        for part in ast.iter_child_nodes(node):
            yield from fixed(part) if isinstance(part, ast.expr) else ()


def test_every_error_line_has_an_entry_and_no_entry_is_out_of_date() -> None:
    page = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8").replace("`", "")
    entries = re.findall(r"^\| (?!line \|)(.*?) \| .+ \|$", page, re.MULTILINE)
    patterns = {f"{where}: {' … '.join(parts)}": ".*".join(map(re.escape, parts)) for where, parts in messages()}
    assert len(patterns) > 100
    missing = [said for said, it in patterns.items() if not any(re.search(it, entry) for entry in entries)]
    assert missing == [], "docs/troubleshooting.md lacks them"
    known = [*patterns.values(), "has nothing to contrast"]  # That one is put together before it is raised.
    gone = [entry for entry in entries if not any(re.search(it, entry) for it in known)]
    assert gone == [], "docs/troubleshooting.md explains what is no longer said"
