"""Photos whose people nobody knows go the whole way: redrawn, trained on, and told what measuring would need."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from data.annotation import FOLDER
from data.walkers.dataset import Recipe, write_walkers

pytestmark = pytest.mark.slow

RECIPE = Recipe(train_people=6, val_people=1, test_people=1, train_photos=2, test_photos=1, height=64, width=32)
SHORT = ["--epochs", "1", "--iterations", "2", "--batch-clusters", "3", "--batch-photos", "2", "--k1", "8"]
WEIGHTS = Path(__file__).parents[2] / "pipeline" / "pise" / "walkers.safetensors"


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Thirty-six photos of six people with their annotations, and nothing that says who is who."""
    write_walkers(tmp_path / "walkers", RECIPE, jobs=1)
    root = tmp_path / "photos"
    shutil.move(tmp_path / "walkers" / "rgb" / "train", root / "rgb" / "train")
    shutil.move(tmp_path / "walkers" / FOLDER, root / FOLDER)
    return root


@pytest.mark.parametrize(("dataset", "options"), [("folder", ()), ("csv", ("--weights", str(WEIGHTS)))])
def test_unlabelled_photos_go_the_whole_way(
    tmp_path: Path, photos: Path, dataset: str, options: tuple[str, ...]
) -> None:
    if dataset == "csv":
        names = [path.relative_to(photos).as_posix() for path in sorted((photos / "rgb").rglob("*.jpg"))]
        (photos / "list.csv").write_text("\n".join(["path", *names]))
    root = ["--dataset", dataset, "--data-root", str(photos)]
    done = run(tmp_path, "data", "check", *root)
    assert "no query and gallery" in done.stdout, done.stderr
    done = run(tmp_path, "pipeline", "sync", *root, *options, "--size", "64x32", "--jobs", "1")
    assert "36 photos redrawn" in done.stdout + done.stderr
    done = run(tmp_path, "trainer", "train", "--run", "mine", "--preset", "walkers", *SHORT)
    assert done.returncode == 0, done.stderr
    assert "who is in 36 of 36 photos is not known" in done.stdout + done.stderr
    epoch = json.loads((tmp_path / "work" / "runs" / "mine" / "metrics.jsonl").read_text().splitlines()[0])
    assert not {"ARI", "NMI", "purity"} & set(epoch)
    done = run(tmp_path, "trainer", "eval", "--run", "mine")
    assert done.returncode == 2
    assert f"error: {dataset} has no test settings" in done.stderr
    assert "with their people in a CSV" in done.stderr
    assert "Traceback" not in done.stderr
