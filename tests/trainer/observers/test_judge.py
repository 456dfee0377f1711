from __future__ import annotations

import dataclasses
import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from data import open_benchmark
from data.shards import SyncStore
from data.sheet import contact_sheet
from trainer.config import Config
from trainer.encoder import make_encoder
from trainer.observers import Judge, epoch_line, label_quality, people_of, validation_problems
from trainer.observers.boards import cluster_sheet


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """Give the warnings so far."""
    monkeypatch.setattr(logging.getLogger("sync-person-cloud"), "propagate", True)
    return lambda: [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_quality_by_hand() -> None:
    people = np.array([0, 0, 0, 1, 1, 2])
    assert label_quality(people, people) == pytest.approx({"ARI": 1, "NMI": 1, "purity": 1})
    assert label_quality(np.zeros(6, np.int64), people) == pytest.approx({"ARI": 0, "NMI": 0, "purity": 0.5})
    mixed = label_quality(np.array([0, 0, 1, 1, 1, -1]), people)
    assert mixed["purity"] == pytest.approx(0.8)  # 2 of 2 and 2 of 3; the outlier counts nowhere.
    assert mixed["ARI"] == pytest.approx((2 - 4 * 4 / 10) / (4 - 4 * 4 / 10))  # Hubert and Arabie 1985: pairs
    assert label_quality(np.full(6, -1), people) == {"ARI": 0, "NMI": 0, "purity": 0}


def test_clusters_that_go_with_cameras_are_said(store: SyncStore) -> None:
    cameras = np.arange(36) % 3
    judge = Judge(open_benchmark("walkers", store.manifest.root), None, cameras=cameras)
    assert judge.clusters(cameras) == {"cameras AMI": pytest.approx(1.0)}
    independent = np.arange(36) // 3 % 4
    assert judge.clusters(independent)["cameras AMI"] < 0.05
    assert judge.clusters(np.full(36, -1)) == {"cameras AMI": 0.0}
    record = {"epoch": 1.0, "loss": 1.0, "L_q": 1.0, "L_s": 0.0, "clusters": 3.0, "outliers": 0.0, "largest": 12.0}
    record |= {"eps": 0.5, "data_seconds": 0.0, "step_seconds": 0.0, "cluster_seconds": 0.0}
    assert "clusters go with cameras, AMI 0.40" in epoch_line(record | {"cameras AMI": 0.4}, Config())
    assert "cameras" not in epoch_line(record | {"cameras AMI": 0.04}, Config())


def test_people_are_those_of_the_folders(store: SyncStore, tmp_path: Path) -> None:
    benchmark = open_benchmark("walkers", store.manifest.root)
    people = people_of(benchmark, store)
    assert people is not None
    assert people.tolist() == [person for person in range(6) for _ in range(6)]
    gone = sorted((tmp_path / "dataset" / "rgb" / "train" / "001").iterdir())[0]
    gone.unlink()
    left = people_of(open_benchmark("walkers", store.manifest.root), store)
    assert left is not None
    assert left.tolist() == [-1, *people.tolist()[1:]]
    assert label_quality(people, left) == pytest.approx({"ARI": 1, "NMI": 1, "purity": 1})
    unlabelled = [dataclasses.replace(record, person=None) for record in benchmark.train]
    assert people_of(dataclasses.replace(benchmark, train=unlabelled), store) is None


def test_validation_looks_at_no_test_photo(store: SyncStore, tiny: Callable[..., Config], tmp_path: Path) -> None:
    benchmark = open_benchmark("walkers", store.manifest.root)
    for photo in (tmp_path / "dataset" / "rgb" / "test").rglob("*.jpg"):
        photo.write_bytes(b"")
    encoder = make_encoder(tiny())
    judge = Judge(benchmark, np.zeros(36, np.int64))
    figures = judge.validate(encoder)
    assert figures["score"] == figures["validation clothing-change single-shot mAP"] or (
        figures["score"] == figures["validation clothing-change multi-shot mAP"]
    )
    assert 0 < figures["score"] <= 100
    unlabelled = Judge(benchmark, None)
    assert unlabelled.clusters(np.zeros(36, np.int64)) == {}
    assert unlabelled.validate(encoder) == figures


def test_sheet_is_a_row_a_cluster(store: SyncStore) -> None:
    labels = np.full(36, -1)
    labels[[3, 8]], labels[[20, 21, 22, 23, 24]] = 0, 1
    shown = [[store.group(photo) for photo in photos] for photos in ([3, 8], [20, 21, 22, 23])]
    expected = contact_sheet([[picture for group in groups for picture in group] for groups in shown])
    assert np.array_equal(np.asarray(cluster_sheet(store, labels)), np.asarray(expected))
    none = np.asarray(cluster_sheet(store, np.full(36, -1)))
    assert (none == 255).all()


def test_epoch_line_without_labels(tiny: Callable[..., Config]) -> None:
    names = ("loss", "L_q", "L_s", "eps", "cluster_seconds", "data_seconds", "step_seconds")
    figures = {"epoch": 1, "clusters": 3, "outliers": 4, "largest": 5, **dict.fromkeys(names, 0.25)}
    line = epoch_line(figures, tiny())
    assert "ARI" not in line
    assert "3 clusters, 4 outliers, largest 5, eps 0.25" in line
    assert "step 250 ms of which data 250 ms" in line


def test_a_damaged_validation_photo_costs_itself_alone(
    store: SyncStore, tiny: Callable[..., Config], tmp_path: Path, said: Callable[[], list[str]]
) -> None:
    encoder = make_encoder(tiny())
    benchmark = open_benchmark("walkers", store.manifest.root)
    whole = Judge(benchmark, None).validate(encoder)
    damaged, gone = sorted((tmp_path / "dataset" / "rgb" / "val").rglob("C_*.jpg"))[:2]
    damaged.write_bytes(damaged.read_bytes()[:200])
    gone.unlink()
    judge = Judge(benchmark, None)
    first, second = judge.validate(encoder), judge.validate(encoder)
    assert first == second
    assert first.keys() == whole.keys()
    [line] = said()
    assert line.startswith("validation goes on without 2 photos that cannot be read, such as ")
    assert str(damaged) in line or str(gone) in line


def test_validation_photos_that_are_all_gone_end_validation_alone(
    store: SyncStore, tiny: Callable[..., Config], tmp_path: Path, said: Callable[[], list[str]]
) -> None:
    judge = Judge(open_benchmark("walkers", store.manifest.root), None)
    shutil.rmtree(tmp_path / "dataset" / "rgb" / "val")
    assert judge.validate(make_encoder(tiny())) == judge.validate(make_encoder(tiny())) == {}
    [line] = said()
    assert line.startswith("validation is left out for 16 photos that cannot be read")


def test_validation_people_of_one_camera_are_named(
    store: SyncStore, tiny: Callable[..., Config], said: Callable[[], list[str]]
) -> None:
    benchmark = open_benchmark("walkers", store.manifest.root)
    assert validation_problems(Judge(benchmark, None)) == []
    one = {
        name: dataclasses.replace(
            setting,
            query=tuple(dataclasses.replace(record, camera="A") for record in setting.query),
        )
        for name, setting in benchmark.validation.items()
    }
    some = dataclasses.replace(benchmark, validation=benchmark.validation | {"clothing-change": one["clothing-change"]})
    lines = validation_problems(Judge(some, None))
    assert lines
    assert all(line.startswith("validation, clothing-change, ") and "one camera (A)" in line for line in lines)
    measured = Judge(some, None).validate(make_encoder(tiny()))
    assert {name.split()[1] for name in measured if name != "score"} == {"same-clothing"}
    nothing = Judge(dataclasses.replace(benchmark, validation=one), None)
    assert nothing.validate(make_encoder(tiny())) == nothing.validate(make_encoder(tiny())) == {}
    [line] = said()
    assert line.startswith("validation is left out: walkers, validation: no query has a match")


def test_nobody_to_validate_by_is_said() -> None:
    [line] = validation_problems(None)
    assert line.startswith("--validate-every finds no validation people")
