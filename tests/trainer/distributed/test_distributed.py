"""Two real processes, joined by gloo, against one."""

from __future__ import annotations

import os
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


def together(arguments: list[str], processes: int, cwd: Path) -> list[str]:
    """Run the same command in each process; what they printed."""
    started = [
        subprocess.Popen(
            [sys.executable, *arguments], env=env, cwd=cwd, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for env in environments(processes)
    ]
    outputs = [process.communicate(timeout=300)[0] for process in started]
    assert [process.returncode for process in started] == [0] * processes, outputs
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
