from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

from data.shards import read_manifest, write_manifest
from trainer.__main__ import main

ROOT = Path(__file__).parents[2]
MakeStore = Callable[..., Any]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path / "work"


def run(*arguments: object) -> Result:
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_train_then_eval(make_store: MakeStore, work: Path, tiny_arguments: list[str]) -> None:
    make_store()
    done = run("train", *tiny_arguments, "--seed", 3, "--device", "cpu", "--validate-every", 1)
    assert done.exit_code == 0, done.output
    lines = [line for line in done.output.splitlines() if line.startswith("epoch")]
    assert len(lines) == 2
    for said in ("loss", "L_q", "L_s", "clusters", "outliers", "largest", "eps 0.6", "ARI", "purity", "data", "step"):
        assert said in lines[0]
    [folder] = (work / "runs").iterdir()
    metrics = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert [figures["epoch"] for figures in metrics] == [1, 2]
    assert lines[1] in (folder / "run.log").read_text()
    assert {"loss", "ARI", "NMI", "purity", "gradient_norm", "validation clothing-change single-shot mAP"} <= set(
        metrics[0]
    )

    again = run("train", *tiny_arguments, "--seed", 3, "--device", "cpu", "--validate-every", 1)
    assert again.exit_code == 0
    assert "is finished" in again.output

    ranked = run("eval", "--device", "cpu")
    assert ranked.exit_code == 0, ranked.output
    for said in ("clothing-change, single-shot", "clothing-change, multi-shot", "same-clothing", "mINP", "chance"):
        assert said in ranked.output
    first = json.loads((folder / "results.json").read_text())
    assert run("eval", "--flip", "--checkpoint", "best").exit_code == 0
    both = json.loads((folder / "results.json").read_text())
    assert len(both) == 2 * len(first)
    assert both[: len(first)] == first


def test_eval_reads_the_folder_that_the_shards_were_asked_for_in_last(
    make_store: MakeStore, work: Path, tiny_arguments: list[str]
) -> None:
    store = make_store()
    assert run("train", "--run", "one", *tiny_arguments, "--device", "cpu").exit_code == 0
    first, moved = work.parent / "dataset", work.parent / "moved"
    assert f"walkers in {first}\n" in run("eval").output
    first.rename(moved)
    gone = run("eval")
    assert (gone.exit_code, f"{first} is not a folder" in gone.output) == (2, True)
    assert f"walkers in {moved}\n" in run("eval", "--data-root", moved).output
    write_manifest(store, dataclasses.replace(read_manifest(store), root=str(moved)))
    assert f"walkers in {moved}\n" in run("eval").output
    assert json.loads((work / "runs" / "one" / "run.json").read_text())["root"] == str(first)
    assert run("train", "--run", "one", *tiny_arguments, "--device", "cpu").exit_code == 0
    assert json.loads((work / "runs" / "one" / "run.json").read_text())["root"] == str(moved)
    shutil.rmtree(store)
    assert f"walkers in {moved}\n" in run("eval").output


def test_training_and_eval_read_the_list_that_was_chosen(
    make_store: MakeStore, work: Path, tiny_arguments: list[str]
) -> None:
    store = make_store(dataset="csv")
    root = work.parent / "dataset"
    test = sorted(root.glob("rgb/test/[AB]/*/*.jpg"))
    lists = [root / "fold0.txt", root / "other.csv"]
    for list_file, people in zip(lists, (4, 2), strict=True):
        rows = ["path,person,camera,split"]
        rows += [f"{path.relative_to(root)},{path.parent.name},," for path in sorted(root.glob("rgb/train/*/*"))]
        for path in test:
            camera, person = path.parts[-3], path.parts[-2]
            if int(person) < 11 + people:
                split = "query" if camera == "B" else "gallery"
                rows.append(f"{path.relative_to(root)},{person},{camera},{split}")
        list_file.write_text("\n".join(rows))
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in lists]
    chosen = [
        dataclasses.replace(read_manifest(store), list_file=str(path), list_sha256=digest)
        for path, digest in zip(lists, digests, strict=True)
    ]
    write_manifest(store, chosen[0])
    assert run("train", "--run", "one", "--preset", "walkers", *tiny_arguments, "--device", "cpu").exit_code == 0
    facts = json.loads((work / "runs" / "one" / "run.json").read_text())
    assert (facts["list"], facts["list_sha256"]) == (str(lists[0]), digests[0])
    results = work / "runs" / "one" / "results.json"
    galleries = []
    for manifest in chosen:
        write_manifest(store, manifest)
        results.unlink(missing_ok=True)
        ranked = run("eval")
        assert f"csv in {manifest.list_file}\n" in ranked.output
        galleries.append(json.loads(results.read_text())[0]["gallery"])
    assert galleries[0] == 2 * galleries[1]


def test_rows_say_which_encoder_ranked_which_photos(
    make_store: MakeStore, work: Path, tiny_arguments: list[str]
) -> None:
    """Rows of one name, "csv": of other test photos, other training photos, the best encoder, a moved folder."""
    store, root = make_store(dataset="csv"), work.parent / "dataset"
    train, test = sorted(root.glob("rgb/train/*/*")), sorted(root.glob("rgb/test/[AB]/*/*.jpg"))

    def list_photos(name: str, training: list[Path], ranked: list[Path]) -> Path:
        rows = ["path,person,camera,split", *(f"{path.relative_to(root)},,,train" for path in training)]
        for path in ranked:
            side = "query" if path.parts[-3] == "B" else "gallery"
            split = f"validation-{side}" if path.parts[-2] == "014" else side
            rows.append(f"{path.relative_to(root)},{path.parts[-2]},{path.parts[-3]},{split}")
        (root / name).write_text("\n".join(rows))
        return root / name

    own = list_photos("own.csv", train, test)
    other_test = list_photos("other-test.csv", train[::-1], [path for path in test if path.parts[-2] != "011"])
    other_train = list_photos("other-train.csv", train[:-1], test)
    digest = hashlib.sha256(own.read_bytes()).hexdigest()
    write_manifest(store, dataclasses.replace(read_manifest(store), list_file=str(own)))
    arguments = [*tiny_arguments, "--validate-every", "1", "--device", "cpu"]
    assert run("train", "--run", "one", "--preset", "walkers", *arguments).exit_code == 0
    folder = work / "runs" / "one"

    def rank(*arguments: object) -> tuple[str, list[dict[str, Any]]]:
        ranked = run("eval", *arguments)
        assert ranked.exit_code == 0, ranked.output
        return ranked.output, json.loads((folder / "results.json").read_text())

    said, first = rank()
    assert f"csv in {own} (SHA-256 {digest[:8]}), test; last encoder, 2 epochs (" in said
    assert {(row["root"], row["checkpoint"], row["epoch"]) for row in first} == {(str(root), "last", 2)}
    assert {(row["list_file"], row["list_sha256"], row["cross_benchmark"]) for row in first} == {
        (str(own), digest, False)
    }
    assert rank()[1] == first
    said, rows = rank("--dataset", "csv", "--data-root", other_test)
    assert "cross-benchmark" not in said
    assert rows[: len(first)] == first
    assert len(rows) == 2 * len(first)
    said, rows = rank("--dataset", "csv", "--data-root", other_train)
    assert f"cross-benchmark: the encoder was trained on csv in {own}" in said
    assert [row["cross_benchmark"] for row in rows[:: len(first)]] == [False, False, True]
    rows = rank("--checkpoint", "best")[1]
    assert [row["checkpoint"] for row in rows[:: len(first)]] == ["last", "last", "last", "best"]
    moved = root.rename(root.with_name("moved"))
    said, rows = rank("--data-root", moved / "own.csv")
    assert "cross-benchmark" not in said
    assert len(rows) == 5 * len(first)
    kept = (folder / "results.json").read_text()
    (folder / "results.json").write_text(kept[:-40])
    torn = run("eval", "--data-root", moved / "own.csv")
    assert torn.exit_code == 2
    assert "standard, multi-shot" in torn.stdout
    assert torn.stderr.startswith(f"error: {folder.relative_to(work.parent) / 'results.json'}: not a file of results")
    (folder / "results.json").write_text(kept)
    # A run of an earlier version does not know its photos: names decide.
    facts = json.loads((folder / "run.json").read_text())
    (folder / "run.json").write_text(json.dumps({k: fact for k, fact in facts.items() if k != "training_photos"}))
    assert "cross-benchmark" not in rank("--data-root", moved / "other-train.csv")[0]


def test_the_same_training_photos_under_another_name_are_the_same_benchmark(
    make_store: MakeStore, work: Path, tiny_arguments: list[str]
) -> None:
    make_store()
    assert run("train", "--run", "one", *tiny_arguments, "--epochs", 1, "--device", "cpu").exit_code == 0
    elsewhere = ("eval", "--dataset", "prcc", "--data-root", work.parent / "dataset")
    ranked = run(*elsewhere)
    assert (ranked.exit_code, "cross-benchmark" in ranked.output) == (0, False), ranked.output
    photo = next((work.parent / "dataset" / "rgb" / "train").rglob("*.jpg"))
    photo.write_bytes(photo.read_bytes() + b"0")
    assert "cross-benchmark: the encoder was trained on walkers in" in run(*elsewhere).output


def test_what_cannot_be_validated_or_ranked_is_said_and_costs_nothing_else(
    make_store: MakeStore, work: Path, tiny_arguments: list[str]
) -> None:
    """A CSV of one camera: as validation people, as nobody to validate by, as the test; and a damaged photo."""
    store = make_store(dataset="csv")
    root = work.parent / "dataset"
    training = [f"{path.relative_to(root)},,,train" for path in sorted(root.glob("rgb/train/*/*"))]

    def list_photos(split: str, cameras: dict[str, str]) -> None:
        rows = ["path,person,camera,split", *training]
        for path in sorted(root.glob("rgb/test/[AB]/*/*.jpg")):
            side = "query" if path.parts[-3] == "B" else "gallery"
            rows.append(f"{path.relative_to(root)},{path.parts[-2]},{cameras[path.parts[-3]]},{split}{side}")
        (root / "photos.csv").write_text("\n".join(rows))

    def train(name: str) -> str:
        arguments = [*tiny_arguments, "--epochs", "1", "--validate-every", "1", "--device", "cpu"]
        done = run("train", "--run", name, "--preset", "walkers", *arguments)
        assert done.exit_code == 0, done.output
        assert (work / "runs" / name / "metrics.jsonl").read_text().count("\n") == 1
        return (work / "runs" / name / "run.log").read_text()

    write_manifest(store, dataclasses.replace(read_manifest(store), list_file=str(root / "photos.csv")))
    list_photos("", {"A": "1", "B": "1"})
    assert "--validate-every finds no validation people" in train("nobody").partition("epoch 1/1")[0]
    best = run("eval", "--run", "nobody", "--checkpoint", "best")
    assert (best.exit_code, best.output.count("\n")) == (2, 1), best.output
    assert "nothing was validated" in best.output
    ranked = run("eval", "--run", "nobody")
    assert ranked.exit_code == 2
    [line] = ranked.stderr.splitlines()
    assert line.startswith("error: csv, test: no query has a match")
    assert "one camera (1)" in line

    list_photos("validation-", {"A": "1", "B": "1"})
    beginning, _, end = train("one-camera").partition("epoch 1/1")
    assert "validation, standard, multi-shot is left out: no query has a match" in beginning
    assert "one camera (1)" in beginning
    assert "validation mAP" not in end

    list_photos("validation-", {"A": "1", "B": "2"})
    (root / "rgb/test/B/011/cropped_rgb002.jpg").write_bytes(b"no picture")
    said = train("damaged")
    assert said.count("validation goes on without 1 photos that cannot be read") == 1
    assert "validation mAP" in said
    assert (work / "runs" / "damaged" / "best.pt").exists()


def test_config_json_makes_the_same_run_again(make_store: MakeStore, work: Path, tiny_arguments: list[str]) -> None:
    make_store()
    assert run("train", "--run", "one", *tiny_arguments, "--device", "cpu").exit_code == 0
    made = run("train", "--run", "two", "--config", "work/runs/one/config.json", "--device", "cpu")
    assert made.exit_code == 0, made.output
    newest = [max((work / "runs" / name).glob("checkpoint-*.pt")) for name in ("one", "two")]
    one, two = (torch.load(path, weights_only=True)["encoder"] for path in newest)
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_one_line_for_each_mistake(make_store: MakeStore, work: Path, tiny_arguments: list[str]) -> None:
    nothing = run("train")
    assert (nothing.exit_code, "make sync" in nothing.output) == (2, True)
    assert run("eval").exit_code == 2
    make_store()
    for arguments, said in (
        (["train", "--eps", "2"], "eps is 2"),
        (["train", "--backbone", "resnet51"], "not known"),
        (["train", "--device", "tpu"], "cpu, cuda"),
        (["train", "--sampling", "hard"], "'none', 'average', 'hardest', 'both'"),
        (["train", "--dataset", "prcc"], "of prcc"),
        (["train", "--config", "nowhere.json"], "no such file"),
        (["eval", "--run", "nobody"], "there is no run nobody"),
    ):
        result = run(*arguments, *(tiny_arguments if arguments[1:] == ["--backbone", "resnet51"] else []))
        assert result.exit_code == 2, result.output
        assert said in result.output
        assert len(result.output.strip().splitlines()) <= (4 if "--sampling" in arguments else 2)
    assert run("train", "--run", "one", *tiny_arguments, "--device", "cpu").exit_code == 0
    other = run("train", "--run", "one", *tiny_arguments, "--lr", "0.5")
    assert (other.exit_code, "was started with lr" in other.output) == (2, True)


def test_a_failed_start_leaves_the_name_free(
    make_store: MakeStore, work: Path, tiny_arguments: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    make_store()
    tiny = [*tiny_arguments, "--epochs", 1, "--iterations", 1, "--device", "cpu", "--run", "mine"]
    (work / "damaged.pth").write_bytes(b"")
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    for wrong, said in (
        (["--versions", 9], "shards hold 2"),
        (["--backbone-weights", work / "mistyped.pth"], "no such file of backbone weights"),
        (["--backbone-weights", work / "damaged.pth"], "no state dict can be read"),
        (["--backbone-weights", "imagenet"], "no ImageNet weights"),
        (["--tensorboard"], "pip install tensorboard"),
    ):
        failed = run("train", *tiny, *wrong)
        assert (failed.exit_code, said in failed.output) == (2, True), failed.output
        assert not (work / "runs").exists()
        assert "there is no run with a checkpoint" in run("eval").output
    assert run("train", *tiny).exit_code == 0


def test_a_first_epoch_that_fails_leaves_the_name_free(
    make_store: MakeStore, work: Path, tiny_arguments: list[str]
) -> None:
    make_store()
    assert run("train", *tiny_arguments, "--device", "cpu", "--run", "good").exit_code == 0
    failed = run("train", *tiny_arguments, "--device", "cpu", "--run", "mine", "--eps", 0.02, "--min-samples", 20)
    assert (failed.exit_code, "gives no cluster" in failed.output) == (1, True), failed.output
    assert "run good, last encoder" in run("eval", "--device", "cpu").output
    assert run("train", *tiny_arguments, "--device", "cpu", "--run", "mine").exit_code == 0
    assert "run mine, last encoder" in run("eval", "--device", "cpu").output


def test_a_checkpoint_is_what_another_training_starts_from(
    make_store: MakeStore, work: Path, tiny_arguments: list[str]
) -> None:
    make_store()
    train = ["train", *tiny_arguments, "--device", "cpu", "--epochs", 1, "--iterations", 1]
    assert run(*train, "--run", "one", "--lr", 0.01).exit_code == 0
    [checkpoint] = (work / "runs/one").glob("checkpoint-*.pt")
    make_store(name="walkers-other")
    more = run(*train, "--run", "two", "--lr", 0, "--backbone-weights", checkpoint)
    assert (more.exit_code, f"weights from {checkpoint}" in more.output) == (0, True), more.output
    [other] = (work / "runs/two").glob("checkpoint-*.pt")
    one, two = (torch.load(path, weights_only=True)["encoder"] for path in (checkpoint, other))
    for name, value in one.items():
        if name.startswith("body.") and "running" not in name and "num_batches" not in name:
            assert torch.equal(value, two[name]), name


def test_damaged_checkpoints_are_said_and_trained_again(
    make_store: MakeStore, work: Path, tiny_arguments: list[str]
) -> None:
    make_store()
    train = ["train", *tiny_arguments, "--device", "cpu", "--run", "mine"]
    assert run(*train, "--validate-every", 1).exit_code == 0
    one, two = sorted((work / "runs/mine").glob("checkpoint-*.pt"))

    two.write_bytes(two.read_bytes()[:1000])
    earlier = run("eval", "--device", "cpu")
    assert "checkpoint-00002-0000000.pt is damaged" in earlier.output
    assert "after 1 of 2 epochs" in earlier.output
    rest = run(*train, "--validate-every", 1)
    assert (rest.exit_code, "going on after 1 epochs" in rest.output) == (0, True), rest.output

    for path in (one, two):
        path.write_bytes(b"")
    neither = run("eval", "--device", "cpu")
    [line] = [line for line in neither.output.splitlines() if not line.startswith("walkers in")]
    assert neither.exit_code == 2
    for said in (one.name, two.name, "is damaged", "from the start (make train RUN=mine)", "best encoder"):
        assert said in line
    assert run("eval", "--device", "cpu", "--checkpoint", "best").exit_code == 0
    anew = run("train", "--run", "mine", "--device", "cpu")
    assert anew.exit_code == 0, anew.output
    assert f"{two.name} is damaged (File is not a zip file): training from the start" in anew.output
    assert "epoch 1/2" in anew.output
    assert "is finished" in run("train", "--run", "mine", "--device", "cpu").output

    (work / "runs/mine/best.pt").write_bytes(b"")
    best = run("eval", "--device", "cpu", "--checkpoint", "best")
    assert "best.pt is damaged (File is not a zip file): take the last encoder of run mine" in best.output


def test_tensorboard_gets_scalars_and_a_picture(make_store: MakeStore, work: Path, tiny_arguments: list[str]) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    make_store()
    assert run("train", "--run", "one", "--tensorboard", *tiny_arguments, "--device", "cpu").exit_code == 0
    events = EventAccumulator(str(work / "runs" / "one" / "tensorboard"))
    events.Reload()
    metrics = [json.loads(line) for line in (work / "runs" / "one" / "metrics.jsonl").read_text().splitlines()]
    assert [event.value for event in events.Scalars("loss")] == pytest.approx([m["loss"] for m in metrics], rel=1e-6)
    assert len(events.Images("cluster sheet")) == 2


def test_wandb_gets_figures_and_pictures_offline(make_store: MakeStore, work: Path, tiny_arguments: list[str]) -> None:
    make_store()
    done = train_with_wandb(tiny_arguments, work, WANDB_MODE="offline")
    assert done.returncode == 0, done.stderr
    [kept] = (work / "runs" / "one" / "wandb").glob("offline-run-*/run-one-*.wandb")
    assert b"gradient_norm" in kept.read_bytes()
    assert len(list(kept.parent.glob("files/media/images/*.png"))) == 2


def test_wandb_without_a_login_is_one_line(make_store: MakeStore, work: Path, tiny_arguments: list[str]) -> None:
    make_store()
    done = train_with_wandb(tiny_arguments, work)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: wandb cannot be used")
    assert "WANDB_MODE=offline" in done.stderr.splitlines()[-1]


def train_with_wandb(arguments: list[str], work: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """Train in a process of its own, since wandb writes its last at the end of one, by somebody who has no account."""
    command = [sys.executable, "-m", "trainer", "train", "--run", "one", "--wandb", *arguments, "--device", "cpu"]
    env = {name: value for name, value in os.environ.items() if not name.startswith("WANDB")}
    env |= {"PYTHONPATH": str(ROOT), "HOME": str(work.parent), "NETRC": str(work.parent / "none"), **variables}
    return subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_compiled_encoder_learns_what_a_plain_one_does(
    make_store: MakeStore, work: Path, tiny_arguments: list[str]
) -> None:
    make_store()
    for name, more in (("plain", "--no-compile"), ("compiled", "--compile")):
        done = run("train", "--run", name, *tiny_arguments, "--epochs", 1, "--device", "cpu", more)
        assert done.exit_code == 0, done.output
    ends = [json.loads((work / "runs" / name / "metrics.jsonl").read_text()) for name in ("plain", "compiled")]
    assert ends[0]["clusters"] == ends[1]["clusters"]
    assert ends[0]["loss"] == pytest.approx(ends[1]["loss"], rel=1e-3)
    assert run("eval", "--run", "compiled", "--device", "cpu").exit_code == 0


@pytest.mark.slow
def test_a_machine_that_cannot_compile_says_so_in_a_line(
    make_store: MakeStore, work: Path, tiny_arguments: list[str]
) -> None:
    make_store()
    command = [sys.executable, "-m", "trainer", "train", "--compile", *tiny_arguments, "--device", "cpu"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "CXX": "/nonexistent", "TORCHINDUCTOR_FORCE_DISABLE_CACHES": "1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 2, done.stderr
    assert done.stderr.splitlines()[-1].startswith("error: this machine cannot compile the encoder")
    assert done.stderr.splitlines()[-1].endswith("leave out --compile")


@pytest.mark.slow
def test_killed_in_mid_epoch_ends_as_if_it_had_not_been(
    make_store: MakeStore, work: Path, tiny_arguments: list[str]
) -> None:
    """SIGKILL, and SIGTERM after it, in a real process; then the same command to its end."""
    make_store()
    command = [sys.executable, "-m", "trainer", "train", *tiny_arguments, "--epochs", "4", "--iterations", "60"]
    command += ["--device", "cpu", "--run"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}
    whole = subprocess.run([*command, "whole"], env=env, capture_output=True, text=True, check=False)
    assert whole.returncode == 0, whole.stderr
    for number, status in ((signal.SIGKILL, -9), (signal.SIGTERM, 130)):
        process = subprocess.Popen(
            [*command, "cut"], env=env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("epoch"):
                break
        time.sleep(0.2)
        process.send_signal(number)
        output = process.communicate(timeout=120)[0]
        assert process.returncode == status, output
    rest = subprocess.run([*command, "cut"], env=env, capture_output=True, text=True, check=False)
    assert rest.returncode == 0, rest.stderr
    assert "going on after" in rest.stdout
    ends = [
        torch.load(max((work / "runs" / name).glob("checkpoint-*.pt")), weights_only=True) for name in ("whole", "cut")
    ]
    for key in ("epoch", "best"):
        assert ends[0][key] == ends[1][key]
    assert all(torch.equal(ends[0]["encoder"][name], ends[1]["encoder"][name]) for name in ends[0]["encoder"])
    histories = [[figures["loss"] for figures in end["history"]] for end in ends]
    assert histories[0] == histories[1]
    assert len(histories[0]) == 4
