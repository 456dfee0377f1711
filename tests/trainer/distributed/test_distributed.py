"""Two real processes, joined by gloo, against one."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from data.runtime.errors import InputError
from data.shards import SyncStore
from trainer import distributed, runs
from trainer.config import Config
from trainer.distributed import SyncedBatchNorm
from trainer.loop import Trainer
from trainer.observers import Silence

ROOT = Path(__file__).parents[3]

# Each process trains, and writes what it ended with.
PROGRAM = """
import sys
from pathlib import Path
import torch
from data.shards import SyncStore
from trainer import distributed, runs
from trainer.loop import Trainer
from trainer.observers import Silence

class Keeper(Silence):
    def epoch(self, history, labels):
        state = trainer.state
        kept.update(labels=torch.from_numpy(state.labels), memories=[m.features.clone() for m in state.memories],
                    encoder=state.encoder.state_dict(), loss=[record["loss"] for record in history])

kept = {}
torch.set_num_threads(1)
folder, out = Path(sys.argv[1]), Path(sys.argv[2])
device = torch.device("cpu")
with distributed.process_group(device):
    run = runs.Run(folder)
    trainer = Trainer(run.config, SyncStore(run.sync), run, device, Keeper())
    trainer.run()
    torch.save(kept, out / f"rank-{distributed.rank()}.pt")
"""


def environments(processes: int) -> list[dict[str, str]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    shared = {**os.environ, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "WORLD_SIZE": str(processes)}
    shared |= {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    return [{**shared, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(processes)]


def together(arguments: list[str], processes: int, cwd: Path, status: int = 0) -> list[str]:
    """Run the same command in each process, all of which must end with this exit status; what they printed."""
    started = [
        subprocess.Popen(
            [sys.executable, *arguments], env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for env in environments(processes)
    ]
    outputs = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [status] * processes, outputs
    return outputs


@pytest.mark.slow
def test_two_processes_learn_what_one_does(store: SyncStore, tiny: Callable[..., Config], tmp_path: Path) -> None:
    config = tiny(sync_bn=True, batch_clusters=4, lr=1e-4)
    ends = {}
    for processes in (1, 2):
        run = runs.start(tmp_path / f"run-{processes}", config, store.path, store.manifest, torch.device("cpu"))
        together(["-c", PROGRAM, str(run.folder), str(tmp_path)], processes, ROOT)
        ends[processes] = [torch.load(tmp_path / f"rank-{rank}.pt", weights_only=True) for rank in range(processes)]
        assert runs.Run(run.folder).load()[0] is not None
    [one], [first, second] = ends[1], ends[2]
    assert torch.equal(first["labels"], second["labels"])
    assert first["loss"] == second["loss"]
    for ours, theirs in zip(first["memories"], second["memories"], strict=True):
        assert torch.equal(ours, theirs)
    for name, value in first["encoder"].items():
        assert torch.equal(value, second["encoder"][name]), name

    assert torch.equal(first["labels"], one["labels"])
    assert first["loss"] == pytest.approx(one["loss"], rel=1e-3)
    for ours, theirs in zip(first["memories"], one["memories"], strict=True):
        assert torch.allclose(ours, theirs, atol=2e-3)
    for name, value in first["encoder"].items():
        assert torch.allclose(value.float(), one["encoder"][name].float(), atol=2e-3), name


@pytest.mark.slow
def test_the_command_in_two_processes(store: SyncStore, tiny_arguments: list[str], tmp_path: Path) -> None:
    arguments = ["-m", "trainer", "train", "--sync", str(store.path), "--run", "two", "--preset", "walkers"]
    first, second = together([*arguments, *tiny_arguments, "--device", "cpu"], 2, tmp_path)
    assert "epoch 2/2" in first
    assert second == ""
    again, _ = together([*arguments, *tiny_arguments, "--device", "cpu"], 2, tmp_path)
    assert "is finished" in again


# Collectives may take 8 seconds, rank 0 clusters for 15 and validates for 10.
SLOW = """
import sys, time
from datetime import timedelta
import torch.distributed as dist
from trainer import loop
from trainer.observers import Judge
from trainer.__main__ import main

make_group, cluster = dist.init_process_group, loop.pseudo_labels
dist.init_process_group = lambda *args, **kw: make_group(*args, **{**kw, "timeout": timedelta(seconds=8)})
loop.pseudo_labels = lambda *args: (time.sleep(15), cluster(*args))[1]
Judge.validate = lambda self, encoder: time.sleep(10) or {}
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_others_wait_for_rank_0_beyond_the_time_limit_of_collectives(
    store: SyncStore, tiny_arguments: list[str], tmp_path: Path
) -> None:
    arguments = ["train", "--sync", str(store.path), "--preset", "walkers", *tiny_arguments, "--epochs", "1"]
    first, second = together(["-c", SLOW, *arguments, "--validate-every", "1", "--device", "cpu"], 2, tmp_path)
    assert "epoch 1/1" in first
    assert second == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("wrong", "status", "said"),
    [
        (["--eps", "0.02", "--min-samples", "20"], 1, "gives no cluster"),  # found by rank 0 alone
        (["--versions", "9"], 2, "shards hold 2"),
        (["--batch-clusters", "3"], 2, "multiple of the 2 processes"),
        (["--backbone-weights", "mistyped.pth"], 2, "no such file of backbone weights"),
        (["--device", "cuda:7"], 2, "cuda:7 is not there"),  # found before the processes have met
        (["--epoch", "3"], 2, "No such option"),
    ],
)
def test_an_error_is_one_line(
    store: SyncStore, tiny_arguments: list[str], tmp_path: Path, wrong: list[str], status: int, said: str
) -> None:
    arguments = ["-m", "trainer", "train", "--sync", str(store.path), *tiny_arguments, "--device", "cpu", *wrong]
    outputs = together([*arguments, "--preset", "walkers"], 2, tmp_path, status)
    begun = ("run ", "backbone ", "clustering ")  # what rank 0 says of a start that goes well
    usage = ("Usage: ", "Try ") if said == "No such option" else ()
    lines = [line for output in outputs for line in output.splitlines() if line]
    [line] = [line for line in lines if not line.startswith((*begun, *usage))]
    assert line.lower().startswith("error: ")
    assert said in line


def make(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """Run the Makefile's own line, with this interpreter and without setting anything up."""
    skipped = ["-o", "setup", "-o", f"{cwd}/.venv/.installed", f"VENV={cwd}/.venv", f"PY={sys.executable}"]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "NUMBA_NUM_THREADS": "1"}
    command = ["make", "-f", str(ROOT / "Makefile"), *skipped, *words]
    return subprocess.run(command, env=env, cwd=cwd, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_make_trains_in_two_processes(store: SyncStore, tiny_arguments: list[str], tmp_path: Path) -> None:
    assert store.path.is_relative_to(tmp_path / "work")
    words = ["train", "GPUS=2", "DATASET=walkers", "RUN=mine", "DEVICE=cpu", "SEED=1"]
    done = make(*words, f"ARGS={' '.join(tiny_arguments)}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "run mine is finished" in done.stdout
    assert done.stderr == ""
    failed = make(*words, f"ARGS={' '.join(tiny_arguments)} --lr 0.5", cwd=tmp_path)
    assert failed.returncode != 0
    assert len(failed.stderr.splitlines()) == 2, failed.stderr
    [line, of_make] = failed.stderr.splitlines()
    assert line.startswith("error: run mine was started with lr")
    assert re.match(r"make(\[\d+\])?: \*\*\*", of_make)
    assert of_make.endswith("Error 2")


def test_synced_norm_alone_is_batch_norm() -> None:
    torch.manual_seed(0)
    x = torch.randn(6, 3, 4, 2)
    ours, theirs = SyncedBatchNorm(3), torch.nn.BatchNorm2d(3)
    assert torch.equal(ours(x), theirs(x))
    torch.testing.assert_close(ours.running_var, theirs.running_var, atol=0, rtol=0)


def test_clusters_must_divide(
    monkeypatch: pytest.MonkeyPatch, store: SyncStore, tiny: Callable[..., Config], tmp_path: Path
) -> None:
    monkeypatch.setattr(distributed, "world_size", lambda: 3)
    with pytest.raises(InputError, match="multiple of the 3 processes"):
        Trainer(tiny(), store, runs.Run(tmp_path), torch.device("cpu"), Silence())
