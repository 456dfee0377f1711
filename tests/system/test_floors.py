"""The house's floors: data below, pipeline and trainer above it, side by side and strangers to each other."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def imported(package: str) -> dict[str, set[str]]:
    """For each file of a package, the top-level packages that it imports anywhere."""
    found = {}
    for file in sorted((ROOT / package).rglob("*.py")):
        names: set[str] = set()
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names.update(alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{file} imports relatively"
                names.add(str(node.module).split(".")[0])
        found[str(file.relative_to(ROOT))] = names
    return found


@pytest.mark.parametrize(
    ("package", "strangers"),
    [("data", {"pipeline", "trainer", "torch"}), ("pipeline", {"trainer"}), ("trainer", {"pipeline"})],
)
def test_no_file_reaches_where_it_must_not(package: str, strangers: set[str]) -> None:
    files = imported(package)
    assert len(files) > 5
    assert {file: names & strangers for file, names in files.items() if names & strangers} == {}


def test_the_trainer_runs_without_the_generator_being_loaded() -> None:
    code = (
        "import sys, trainer.__main__, trainer.loop\n"
        "loaded = [name for name in sys.modules if name.split('.')[0] == 'pipeline']\n"
        "sys.exit(f'loaded: {loaded}' if loaded else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
