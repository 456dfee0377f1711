"""The house's floors: data below, pipeline and trainer above it, side by side and strangers to each other."""

import ast
import graphlib
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FLOORS = ("data", "pipeline", "trainer")
FILES = sorted(file for floor in FLOORS for file in (ROOT / floor).rglob("*.py"))
FOLDERS = sorted({file.parent for file in FILES})
MOST_FILES = 14

Graph = Mapping[str, set[str]]


def module_of(file: Path) -> str:
    """The name of a file's module; a package's ends in __init__, as its file does."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts)


MODULES = {module_of(file) for file in FILES}


def imports(tree: ast.AST) -> Iterator[str]:
    """What a file imports anywhere, late too, with the names that it takes; but not what only types need."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{ast.unparse(node)} is relative"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from imports(node)


def house() -> Graph:
    """For each module of the house, those that it imports."""
    graph = {}
    for file in FILES:
        found = {located(name) for name in imports(ast.parse(file.read_text(encoding="utf-8")))}
        graph[module_of(file)] = {name for name in found if name}
    return graph


def located(name: str) -> str | None:
    """The module of the house that something imported is, or is in; None if it is not of the house."""
    while name:
        for module in (name, f"{name}.__init__"):
            if module in MODULES:
                return module
        name = name.rpartition(".")[0]
    return None


def circle(graph: Graph) -> list[str]:
    """The nodes of a circle, if there is one."""
    try:
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        return list(error.args[1])
    return []


def within(folder: Path, graph: Graph) -> Graph:
    """The same between what lies directly in a folder: its files, and each folder in it as one."""
    inside = ".".join(folder.relative_to(ROOT).parts) + "."
    entries: dict[str, set[str]] = {}
    for module, others in graph.items():
        if module.startswith(inside):
            entry = module.removeprefix(inside).split(".")[0]
            found = {other.removeprefix(inside).split(".")[0] for other in others if other.startswith(inside)}
            entries.setdefault(entry, set()).update(found - {entry})
    return entries


@pytest.mark.parametrize(
    ("package", "strangers"),
    [("data", {"pipeline", "trainer", "torch"}), ("pipeline", {"trainer"}), ("trainer", {"pipeline"})],
)
def test_no_file_reaches_where_it_must_not(package: str, strangers: set[str]) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    assert len(files) > 5
    trees = {str(file.relative_to(ROOT)): ast.parse(file.read_text(encoding="utf-8")) for file in files}
    found = {file: {name.split(".")[0] for name in _all_imports(tree)} & strangers for file, tree in trees.items()}
    assert {file: names for file, names in found.items() if names} == {}


def _all_imports(tree: ast.AST) -> Iterator[str]:
    """What a file imports, what only types need too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield str(node.module)


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert circle(house()) == []


@pytest.mark.parametrize("folder", [pytest.param(f, id=str(f.relative_to(ROOT))) for f in FOLDERS])
def test_imports_run_down_the_folders(folder: Path) -> None:
    assert circle(within(folder, house())) == []


def test_a_circle_would_be_found() -> None:
    graph = {"data.a": {"data.b.c"}, "data.b.c": set(), "data.b.d": {"data.a"}}
    assert circle(graph) == []
    assert set(circle(within(ROOT / "data", graph))) == {"a", "b"}
    assert set(imports(ast.parse("def f():\n  from x import y"))) == {"x.y"}
    assert located("data.shards.SyncStore") == "data.shards.__init__"
    assert located("data.photo.Photo") == "data.photo"
    assert located("numpy.typing") is None


@pytest.mark.parametrize("folder", [pytest.param(f, id=str(f.relative_to(ROOT))) for f in FOLDERS])
def test_a_room_says_what_it_is_for_and_is_not_crowded(folder: Path) -> None:
    assert ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8")))
    assert len(list(folder.glob("*.py"))) <= MOST_FILES


@pytest.mark.parametrize(
    ("code", "stranger"),
    [
        ("import trainer.__main__, trainer.loop", "pipeline"),
        ("import sys; sys.argv[1:] = ['--help']\nfrom data.__main__ import main; main(standalone_mode=False)", "torch"),
    ],
    ids=["the trainer and the generator", "the help on data and torch"],
)
def test_what_is_not_needed_is_not_loaded(code: str, stranger: str) -> None:
    code += f"\nimport sys\nsys.exit('loaded' if {stranger!r} in sys.modules else 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_help_of_the_pipeline_loads_no_torch() -> None:
    code = "import sys, pipeline.__main__; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0
