"""Labels have one door: what learns without them imports nothing of what learns from them, early or late."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.system.test_floors import FILES, ROOT, house, module_of

DOOR = "trainer.supervised"
COMMAND = "trainer.commands.baseline"


def test_only_the_command_of_baselines_imports_what_learns_from_labels() -> None:
    graph = house()
    assert len([module for module in graph if module.startswith(DOOR)]) > 5
    outside = {module for module in graph if not module.startswith(DOOR)}
    through = {module for module in outside if any(other.startswith(DOOR) for other in graph[module])}
    assert through == {COMMAND}


def test_no_file_outside_names_it_for_a_late_import() -> None:
    named = {
        module_of(file)
        for file in FILES
        if DOOR in file.read_text(encoding="utf-8") and not module_of(file).startswith(DOOR)
    }
    assert named == {COMMAND}


def test_training_without_labels_loads_nothing_of_it() -> None:
    """Also after every module that training, evaluation and use may load late."""
    modules = [module_of(file).removesuffix(".__init__") for file in FILES if file.is_relative_to(ROOT / "trainer")]
    free = [module for module in modules if not module.startswith(DOOR) and not module.endswith("__main__")]
    code = f"import importlib, sys\nfor name in {free}: importlib.import_module(name)\n"
    code += f"sys.exit(any(name.startswith({DOOR!r}) for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=Path(ROOT), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
