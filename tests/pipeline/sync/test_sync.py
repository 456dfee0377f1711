from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import shutil
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

import data
from data.annotation import CLOTHING_REGIONS, Region, read_annotation
from data.photo import Photo, read_photo
from data.runtime.errors import InputError, RunError
from data.shards import SyncStore, newest_store, read_manifest
from pipeline.__main__ import main
from pipeline.paint.painter import Painter, Redrawn
from pipeline.sync import Plan, plan_sync, run_sync, worker

Sync = Callable[..., Result]


def photos_of(walkers: Path) -> list[Path]:
    return [record.path for record in data.open_benchmark("walkers", walkers).train]


def planned(walkers: Path, painter: Painter) -> Plan:
    return plan_sync(data.open_benchmark("walkers", walkers), painter, Path("work/sync"))


@dataclasses.dataclass
class Inverter:
    """A painter that inverts the colours; it counts its calls and fails in those of `failing`."""

    failing: tuple[int, ...] = ()
    versions: int = 2
    size: tuple[int, int] = (64, 32)
    device: str = "cpu"
    origin: str = "nowhere"
    calls: int = 0

    @property
    def recipe(self) -> Mapping[str, Any]:
        return {"painter": "inverter"}

    def prepare(self, folder: Path, photos: Sequence[Path]) -> None:
        assert folder.is_dir()
        assert all(photo.is_file() for photo in photos)

    def sketch(self, photos: Sequence[Photo]) -> Sequence[Photo]:
        return photos

    def paint(self, sketch: Sequence[Photo]) -> Redrawn:
        self.calls += 1
        if self.calls in self.failing:
            raise MemoryError("no more of it")
        images = np.stack([255 - photo.pixels for photo in sketch])[:, None].repeat(self.versions, 1)
        count = len(sketch)
        clothing = np.zeros((count, *self.size), np.bool_)
        clothing[:, :32] = True
        unknown = np.full(count, np.nan, np.float32)
        return Redrawn(
            images, np.ones(count, np.bool_), np.zeros((count, self.versions), np.int32), clothing, unknown, {}
        )


def test_every_photo_is_in_the_store_beside_its_versions(command: Sync, walkers: Path) -> None:
    result = command()
    assert result.exit_code == 0, result.output
    assert "18 photos redrawn (3 of 3 shards made now)" in result.output
    store = SyncStore(newest_store(Path("work/sync")))
    assert (len(store), store.versions, store.size) == (18, 4, (64, 32))
    for index, photo in enumerate(photos_of(walkers)):
        assert walkers / store.source(index) == photo
        group = store.group(index)
        np.testing.assert_array_equal(group[0], read_photo(photo, store.size))
        assert all((group[0] != version).any() for version in group[1:])
        clothing = np.isin(read_annotation(walkers, photo).resize(*store.size).parsing, CLOTHING_REGIONS)
        change = np.abs(group[1:].astype(int) - group[0]).mean((0, 3))
        np.testing.assert_allclose(store.moved(index), [change[clothing].mean(), change[~clothing].mean()], rtol=1e-5)
        person = read_annotation(walkers, photo).resize(*store.size).parsing != Region.BACKGROUND
        masks = store.masks([index])[0]
        assert ((masks[0] > 127) == person).mean() > 0.99
        assert all(((mask > 127) == person)[:20].mean() > 0.99 for mask in masks), "heads stay where they are"
    manifest = store.manifest
    assert (manifest.dataset, manifest.photos, manifest.failures) == ("walkers", 18, ())
    assert Path(manifest.root) == walkers.absolute()


def test_the_second_time_nothing_is_done(command: Sync) -> None:
    command()
    folder = newest_store(Path("work/sync"))
    before = {path.name: path.stat().st_mtime_ns for path in folder.glob("shard-*")}
    result = command()
    assert result.exit_code == 0
    assert "complete already, nothing to do" in result.output
    assert {path.name: path.stat().st_mtime_ns for path in folder.glob("shard-*")} == before


def test_a_missing_and_a_damaged_shard_are_made_again_and_no_other(command: Sync) -> None:
    command()
    folder = newest_store(Path("work/sync"))
    before = SyncStore(folder).groups(range(18))
    whole = (folder / "shard-00000.h5").stat().st_mtime_ns
    (folder / "shard-00001.h5").write_bytes(b"torn")
    (folder / "shard-00002.h5").unlink()
    result = command()
    assert "2 of 3 shards made now" in result.output
    assert (folder / "shard-00000.h5").stat().st_mtime_ns == whole
    np.testing.assert_array_equal(SyncStore(folder).groups(range(18)), before)


@pytest.mark.parametrize("at_once", [1, 5, 18, 1024])
def test_the_key_is_the_digest_of_one_text(walkers: Path, monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    monkeypatch.setattr("pipeline.sync.plan._AT_ONCE", at_once)
    painter = Inverter()
    plan = planned(walkers, painter)
    photos = [(str(p.relative_to(walkers)), hashlib.sha256(p.read_bytes()).hexdigest()) for p in photos_of(walkers)]
    decisive = {"format": 2, "shard": 256, "photos": photos, "size": [64, 32], "versions": 2, "recipe": painter.recipe}
    assert plan.key == hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]


def test_the_root_asked_for_last_is_the_stores(command: Sync, walkers: Path) -> None:
    assert command().exit_code == 0
    shutil.copytree(walkers, "other")
    again = command("--data-root", "other")
    assert "complete already" in again.output
    folder = newest_store(Path("work/sync"))
    assert SyncStore(folder).manifest.root == str(Path("other").absolute())
    assert CliRunner().invoke(main, ["verify"]).exit_code == 0
    shutil.rmtree(walkers)
    Path("other").rename("moved")
    gone = CliRunner().invoke(main, ["verify"])
    assert (gone.exit_code, "other/rgb" in gone.output) == (2, True)
    assert "complete already" in command("--data-root", "moved").output
    assert CliRunner().invoke(main, ["verify"]).exit_code == 0
    assert CliRunner().invoke(main, ["preview"]).exit_code == 0


def test_the_list_asked_for_last_is_the_stores(walkers: Path) -> None:
    train, rest = photos_of(walkers)[:12], photos_of(walkers)[12:]
    lists = [walkers / "fold0.txt", walkers / "fold1.csv"]
    for list_file, names in zip(lists, (("anna", "bert"), ("bert", "anna")), strict=True):
        rows = ["path,person,camera,split", *(f"{path.relative_to(walkers)},,," for path in train)]
        for number, path in enumerate(rest):
            side = ("query", "gallery")[number % 2]
            rows.append(f"{path.relative_to(walkers)},{names[number // 3]},{side},{side}")
        list_file.write_text("\n".join(rows))
    stores = Path("work/sync")
    for list_file in [*lists, lists[0]]:
        run_sync(plan_sync(data.open_benchmark("csv", list_file), Inverter(), stores))
        manifest = read_manifest(newest_store(stores))
        assert manifest.list_file == str(list_file.absolute())
        assert manifest.list_sha256 == hashlib.sha256(list_file.read_bytes()).hexdigest()
        assert data.open_benchmark("csv", manifest.place).settings["standard"].query[0].person is not None
    assert len(list(stores.iterdir())) == 1


def test_the_rest_of_the_person_can_be_kept(command: Sync, walkers: Path) -> None:
    assert command("--keep-person").exit_code == 0
    store = SyncStore(newest_store(Path("work/sync")))
    assert max(store.moved(index)[1] for index in range(18)) < 10 < min(store.moved(index)[0] for index in range(18))
    parsing = read_annotation(walkers, photos_of(walkers)[0]).resize(64, 32).parsing
    group = store.group(0)
    np.testing.assert_array_equal(group[:, :2], group[:1, :2].repeat(5, 0))
    assert not np.isin(parsing[:2], CLOTHING_REGIONS).any()


def test_a_bank_deals_each_photo_its_own_templates(command: Sync) -> None:
    assert command("--bank", "9", "--versions", "3").exit_code == 0
    store = SyncStore(newest_store(Path("work/sync")))
    hands = {tuple(store.templates(index)) for index in range(18)}
    assert len(hands) > 10
    result = command("--bank", "3")
    assert (result.exit_code, "3 templates are too few for S=4" in result.output) == (2, True)


def test_photos_that_cannot_be_read_are_listed_and_left_out(command: Sync, walkers: Path) -> None:
    torn, empty = photos_of(walkers)[2], photos_of(walkers)[9]
    torn.write_bytes(torn.read_bytes()[:300])
    empty.write_bytes(b"")
    result = command()
    assert result.exit_code == 0, result.output
    assert "2 photos could not be read" in result.output
    store = SyncStore(newest_store(Path("work/sync")))
    assert len(store) == 16
    failures = store.manifest.failures
    assert [walkers / name for name, _ in failures] == [torn, empty]
    assert "empty" in failures[1][1]
    sources = {walkers / store.source(index) for index in range(16)}
    assert sources == set(photos_of(walkers)) - {torn, empty}
    assert "complete already" in command().output


def test_no_usable_photo_at_all_is_fatal(walkers: Path) -> None:
    class Blind(Inverter):
        def paint(self, sketch: Sequence[Photo]) -> Redrawn:
            seen = super().paint(sketch)
            return dataclasses.replace(seen, found=np.zeros(len(sketch), np.bool_))

    with pytest.raises(InputError, match="in none of the 18 photos"):
        run_sync(planned(walkers, Blind()))
    for photo in photos_of(walkers):
        photo.write_bytes(b"")
    job = planned(walkers, Inverter())
    with pytest.raises(InputError, match="none of the 18 photos can be read"):
        run_sync(job)
    with pytest.raises(InputError, match="not finished"):
        SyncStore(job.folder)


def test_the_next_batch_is_sketched_and_the_last_one_written_while_one_is_painted(
    walkers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "_BATCH", 6)
    first = photos_of(walkers)[0]
    sketched, written = threading.Semaphore(0), threading.Semaphore(0)
    write = worker._write

    def note(*batch: Any) -> None:
        write(*batch)
        written.release()

    monkeypatch.setattr(worker, "_write", note)

    class Patient(Inverter):
        def sketch(self, photos: Sequence[Photo]) -> Sequence[Photo]:
            if photos[0].path != first:
                sketched.release()
            return photos

        def paint(self, sketch: Sequence[Photo]) -> Redrawn:
            redrawn = super().paint(sketch)
            assert self.calls == 3 or sketched.acquire(timeout=60)  # of the next batch
            assert self.calls == 1 or written.acquire(timeout=60)  # of the last one
            return redrawn

    manifest, _ = run_sync(planned(walkers, Patient()))
    assert manifest.photos == 18
    group = SyncStore(newest_store(Path("work/sync"))).group(17)
    np.testing.assert_array_equal(group[1:], (255 - group[:1]).repeat(2, 0))


def test_a_shard_that_failed_gets_a_second_chance(walkers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sync.plan.SHARD", 8)
    painter = Inverter(failing=(2,))
    manifest, made = run_sync(planned(walkers, painter))
    assert (made, manifest.photos, painter.calls) == (3, 18, 4)
    store = SyncStore(newest_store(Path("work/sync")))
    group = store.group(12)
    np.testing.assert_array_equal(group[1:], (255 - group[:1]).repeat(2, 0))


def test_a_shard_that_fails_twice_stops_the_run_and_the_others_stay(
    walkers: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipeline.sync.plan.SHARD", 8)
    job = planned(walkers, Inverter(failing=(2, 4)))
    with pytest.raises(RunError, match=r"1 of 3 shards failed, shard-00001\.h5 with: MemoryError: no more of it"):
        run_sync(job)
    assert sorted(path.name for path in job.folder.glob("*.h5")) == ["shard-00000.h5", "shard-00002.h5"]
    again = planned(walkers, Inverter())
    assert run_sync(again)[1] == 1


def test_an_interrupt_says_what_is_whole(walkers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.sync.plan.SHARD", 8)

    class Stopped(Inverter):
        def paint(self, sketch: Sequence[Photo]) -> Redrawn:
            if self.calls == 2:
                raise KeyboardInterrupt
            return super().paint(sketch)

    with pytest.raises(KeyboardInterrupt, match="2 of 3 shards are whole; repeat"):
        run_sync(planned(walkers, Stopped()))
    assert not list(Path("work/sync").rglob("*.part"))


def test_a_photo_that_changes_under_the_run_stops_it(walkers: Path) -> None:
    job = planned(walkers, Inverter())
    photos_of(walkers)[7].write_bytes(photos_of(walkers)[8].read_bytes())
    with pytest.raises(RunError, match="changed"):
        run_sync(job)


def test_two_runs_on_one_folder_exclude_each_other(walkers: Path) -> None:
    job = planned(walkers, Inverter())

    class Second(Inverter):
        def prepare(self, folder: Path, photos: Sequence[Path]) -> None:
            with pytest.raises(RunError, match="another sync is at work"):
                run_sync(job)

    manifest, made = run_sync(dataclasses.replace(job, painter=Second()))
    assert (made, manifest.photos) == (1, 18)
    assert run_sync(job)[1] == 0


def test_a_disk_too_small_is_told_before_the_work(walkers: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(".")._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    painter = Inverter()
    with pytest.raises(RunError, match=r"the shards need 0\.0 GB, but 0\.0 GB are free"):
        run_sync(planned(walkers, painter))
    assert painter.calls == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--data-root", "nowhere"), "nowhere is not a folder"),
        (("--weights", "absent.pth"), "absent.pth: no such file"),
        (("--size", "60x30"), "60x30: both sides must be multiples of 16"),
        (("--size", "big"), "'big' is no size"),
        (("--canvas", "100x100"), "multiples of 16"),
        (("--templates", "absent"), "absent: no such folder"),
        (("--regions", "3,9"), "--regions 3,9: give labels"),
        (("--regions", "0"), "3 upper clothes"),
        (("--device", "abacus"), "'abacus' is unknown"),
        (("--device", "cuda:99"), "GPUs"),
        (("--versions", "19"), "19 templates are wanted"),
        (("--painter", "recolour", "--bank", "9"), "recolouring has no generator for --weights, --bank"),
    ],
)
def test_bad_options_end_in_one_line(command: Sync, options: tuple[str, ...], words: str) -> None:
    result = command(*options)
    assert result.exit_code == 2, result.output
    assert words in result.output
    assert "Traceback" not in result.output
    if "Usage" not in result.output:
        assert [line.startswith("error: ") for line in result.output.splitlines()].count(True) == 1


def test_templates_are_those_the_sync_takes(command: Sync) -> None:
    result = command(name="templates")
    assert result.exit_code == 0, result.output
    shown = result.output.splitlines()
    sheet = Path(shown[-1].removeprefix("contact sheet: "))
    assert sheet.is_file()
    with pytest.raises(InputError, match="no finished sync"):
        newest_store(Path("work/sync"))
    saved = (sheet.parent / "templates.npz").read_bytes()
    command()
    assert newest_store(Path("work/sync")) == sheet.parent
    assert (sheet.parent / "templates.npz").read_bytes() == saved
    assert len(shown) == 5


def test_verify_names_what_is_damaged(command: Sync, walkers: Path) -> None:
    command()
    folder = newest_store(Path("work/sync"))
    run = CliRunner()
    assert run.invoke(main, ["verify"]).output == f"{folder}: all shards are whole\n"
    photo = photos_of(walkers)[0]
    kept = photo.read_bytes()
    photo.write_bytes(kept + b"\0")
    result = run.invoke(main, ["verify", str(folder)])
    assert (result.exit_code, str(photo) in result.output, "changed" in result.output) == (2, True, True)
    assert run.invoke(main, ["verify", str(folder), "--no-photos"]).exit_code == 0
    photo.write_bytes(kept)
    torn = bytearray((folder / "shard-00001.h5").read_bytes())
    torn[len(torn) // 2] ^= 1
    (folder / "shard-00001.h5").write_bytes(torn)
    result = run.invoke(main, ["verify"])
    assert result.exit_code == 2
    assert "shard-00001.h5: this shard is damaged" in result.output
    assert "1 of its shards" in result.output


def test_the_manifest_is_plain_json(command: Sync) -> None:
    command()
    manifest = json.loads((newest_store(Path("work/sync")) / "manifest.json").read_text())
    wanted = {"format", "key", "dataset", "root", "photos", "versions", "size", "finished", "failures", "recipe"}
    assert wanted <= set(manifest)
    assert manifest["recipe"]["canvas"] == [64, 32, None]


def test_what_a_sync_says_is_kept_in_its_folder(command: Sync) -> None:
    said = command().output.splitlines()
    log = (newest_store(Path("work/sync")) / "run.log").read_text().splitlines()
    assert [line.split(" INFO ")[1] for line in log] == said
    assert "18 photos in 4 versions, 3 shards" in said[0]
    announced = re.search(r"^3 shards to make take (\S+) GB at most$", "\n".join(said), re.MULTILINE)
    assert announced
    taken = sum(file.stat().st_size for file in newest_store(Path("work/sync")).iterdir())
    assert taken <= float(announced[1]) * 1e9 < 2 * taken


def test_a_list_without_training_photos_is_refused_before_anything_is_written(walkers: Path) -> None:
    rows = [f"{path.relative_to(walkers)},a,door,query" for path in photos_of(walkers)[:2]]
    rows += [f"{path.relative_to(walkers)},a,hall,gallery" for path in photos_of(walkers)[2:4]]
    (walkers / "photos.csv").write_text("\n".join(["path,person,camera,split", *rows]))
    result = CliRunner().invoke(main, ["sync", "--dataset", "csv", "--data-root", str(walkers / "photos.csv")])
    assert (result.exit_code, "no training photos" in result.output) == (2, True), result.output
    assert not Path("work/sync").exists()
