"""The whole way through the commands a user types: walkers, sync, preview, train, eval, and a trainer that is blind."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from data import open_benchmark
from data.runtime.errors import InputError
from data.shards import SyncStore, newest_store
from data.walkers.dataset import Recipe, write_walkers

pytestmark = pytest.mark.slow

SMALL = Recipe(train_people=6, val_people=2, test_people=4, train_photos=4, test_photos=2)
SHORT = ["--epochs", "2", "--iterations", "3", "--batch-clusters", "3", "--batch-photos", "2", "--k1", "8"]


def run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", *words], cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("study")
    write_walkers(folder / "work" / "datasets" / "walkers", SMALL, jobs=1)
    for words in (
        ["pipeline", "sync", "--dataset", "walkers", "--jobs", "1"],
        ["trainer", "train", "--run", "first", *SHORT],
        ["trainer", "eval"],
    ):
        done = run(folder, *words)
        assert done.returncode == 0, done.stderr
    return folder


def test_sync_fills_a_store_with_the_built_in_generator(folder: Path) -> None:
    store = SyncStore(newest_store(folder / "work" / "sync"))
    assert len(store) == 6 * 3 * 4
    assert store.group(0).shape == (5, 64, 32, 3)
    assert all(store.redrawn(row) for row in range(len(store)))


def test_results_name_their_protocol(folder: Path) -> None:
    rows = json.loads((folder / "work" / "runs" / "first" / "results.json").read_text())
    protocols = {(row["setting"], row["shots"]) for row in rows}
    settings = ("clothing-change", "same-clothing")
    assert protocols == {(setting, shots) for setting in settings for shots in ("single-shot", "multi-shot")}
    assert {"R1", "mAP", "mINP"} <= {row["metric"] for row in rows}
    assert all(0 <= row["value"] <= 100 for row in rows)
    assert all(row["chance"] > 0 for row in rows if row["metric"] == "R1")


def test_a_second_time_nothing_is_done_again(folder: Path) -> None:
    assert "nothing to do" in run(folder, "pipeline", "sync").stdout
    assert "is finished" in run(folder, "trainer", "train", "--run", "first").stdout


def test_training_does_not_see_who_is_who(folder: Path) -> None:
    """The people's folders are renamed, so that no label can be read; the learnt weights stay the same bits."""
    done = run(folder, "trainer", "train", "--run", "sighted", "--no-camera-means", *SHORT)
    assert done.returncode == 0, done.stderr
    data_root = folder / "work" / "datasets" / "walkers"
    train = data_root / "rgb" / "train"
    people = sorted(train.iterdir())
    hidden = [person.rename(person.with_name(f"{person.name}.was")) for person in people]
    renamed = [person.rename(train / f"{900 + number}") for number, person in enumerate(reversed(hidden))]
    done = run(folder, "trainer", "train", "--run", "blind", "--no-camera-means", *SHORT)
    for person, was in zip(reversed(renamed), people, strict=True):
        person.rename(was)
    assert done.returncode == 0, done.stderr
    assert_same_weights(folder, "sighted", "blind")


def test_training_with_cameras_does_not_see_who_is_who_either(folder: Path) -> None:
    """Two lists of the same photos name other people in other clothes by the same cameras; the weights are the same."""
    root = folder / "work" / "datasets" / "walkers"
    photos = open_benchmark("walkers", root).train
    labels = [(photo.person, photo.clothes) for photo in photos]
    shuffled = [labels[number] for number in np.random.default_rng(0).permutation(len(labels))]
    assert sum(one != other for one, other in zip(labels, shuffled, strict=True)) > len(labels) / 2
    for name, named in (("right", labels), ("wrong", shuffled)):
        seen = [f"{photo.path.relative_to(root)},{photo.camera}" for photo in photos]
        rows = [f"{where},{person},{clothes}" for where, (person, clothes) in zip(seen, named, strict=True)]
        place = root / f"{name}.csv"
        place.write_text("\n".join(["path,camera,person,clothes", *rows]) + "\n")
        for words in (
            ["pipeline", "sync", "--dataset", "csv", "--data-root", str(place), "--jobs", "1"],
            ["trainer", "train", "--dataset", "csv", "--preset", "walkers", "--run", name, *SHORT],
        ):
            done = run(folder, *words)
            assert done.returncode == 0, done.stderr
    assert "not known" not in done.stdout
    assert_same_weights(folder, "right", "wrong")


def assert_same_weights(folder: Path, *names: str) -> None:
    newest = [max((folder / "work" / "runs" / name).glob("checkpoint-*.pt")) for name in names]
    first, second = (torch.load(path, weights_only=True)["encoder"] for path in newest)
    assert all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pipeline", "sync", "--dataset", "prcc", "--data-root", "nowhere"], "nowhere"),
        (["pipeline", "sync", "--dataset", "walkers", "--weights", "nowhere.pth"], "nowhere.pth"),
        (["trainer", "eval", "--run", "nobody"], "nobody"),
        (["trainer", "train", "--sync", "nowhere"], "nowhere"),
        (["data", "check", "--dataset", "prcc", "--data-root", "nowhere"], "nowhere"),
    ],
)
def test_a_users_mistake_is_one_line_that_names_it(folder: Path, words: list[str], said: str) -> None:
    done = run(folder, *words)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_an_empty_folder_of_shards_says_what_to_make(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="make sync"):
        newest_store(tmp_path)
