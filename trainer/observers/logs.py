"""Logs of a run: a line an epoch, a progress bar on a terminal, metrics.jsonl; TensorBoard and wandb where asked."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Any, Protocol

import click
import numpy as np
from torch import nn
from tqdm import tqdm

from data.runtime.errors import InputError
from data.shards import SyncStore
from trainer.config import Config
from trainer.observers.judge import Judge
from trainer.runs import Run, write_lines


class RunLog:
    """The observer of a training: prints, writes metrics.jsonl, feeds the boards, and lets the judge, if any, rate."""

    def __init__(self, run: Run, config: Config, judge: Judge | None, boards: Sequence[Board] = ()) -> None:
        self.run, self.config, self.judge, self.boards = run, config, judge, boards
        self._bar: tqdm[Any] | None = None

    def say(self, line: str) -> None:
        """Print a line."""
        click.echo(line)

    def step(self, done: int, of: int, epoch: int) -> None:
        """Move the progress bar, on a terminal."""
        if not sys.stderr.isatty():
            return
        if self._bar is None:
            self._bar = tqdm(total=of, initial=done - 1, desc=f"epoch {epoch}", unit="step", leave=False)
        self._bar.update(done - self._bar.n)
        if done == of:
            self._bar.close()
            self._bar = None

    def clusters(self, labels: np.ndarray) -> dict[str, float]:
        """What the judge says of pseudo labels."""
        return self.judge.clusters(labels) if self.judge else {}

    def validate(self, encoder: nn.Module) -> dict[str, float]:
        """What the judge says of an encoder."""
        return self.judge.validate(encoder) if self.judge else {}

    def epoch(self, history: list[dict[str, float]], labels: np.ndarray) -> None:
        """Write the figures of all epochs so far, print the last one's, and show its clusters on the boards."""
        write_lines(self.run.folder / "metrics.jsonl", [json.dumps(figures) for figures in history])
        for board in self.boards:
            board.show(history[-1], labels)
        click.echo(epoch_line(history[-1], self.config))


class Silence:
    """The observer of the other processes where several train together: one of them speaks for all."""

    def say(self, line: str) -> None:
        """Say nothing."""

    def step(self, done: int, of: int, epoch: int) -> None:
        """Show nothing."""

    def clusters(self, labels: np.ndarray) -> dict[str, float]:
        """Rate nothing."""
        return {}

    def validate(self, encoder: nn.Module) -> dict[str, float]:
        """Rate nothing."""
        return {}

    def epoch(self, history: list[dict[str, float]], labels: np.ndarray) -> None:
        """Write nothing."""


class Board(Protocol):
    """A place where figures and pictures are looked at."""

    def show(self, figures: dict[str, float], labels: np.ndarray) -> None:
        """Show an epoch's figures and pictures of its clusters."""


class TensorBoard:
    """Scalars and pictures of clusters for TensorBoard, in the run's folder; InputError where it is not installed."""

    def __init__(self, run: Run, store: SyncStore) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError("--tensorboard needs it installed: pip install tensorboard") from error
        self._make, self._run, self._store = SummaryWriter, run, store
        self._writer: Any = None

    def show(self, figures: dict[str, float], labels: np.ndarray) -> None:
        """Write the figures, and a sheet of photos with their redrawn images, a row a cluster."""
        epoch = int(figures["epoch"])
        if self._writer is None:  # What a killed run had written of this epoch and later is hidden.
            self._writer = self._make(str(self._run.folder / "tensorboard"), purge_step=epoch)
        for name, value in figures.items():
            if name != "epoch":
                self._writer.add_scalar(name.replace(" ", "/"), value, epoch)
        self._writer.add_image("cluster sheet", sheet(self._store, labels), epoch, dataformats="HWC")
        self._writer.flush()


class WandB:
    """Figures and pictures for wandb, one wandb run a run, whatever the number of resumptions.

    InputError where it is not installed, or where nobody has logged in.
    """

    def __init__(self, run: Run, store: SyncStore, config: Config) -> None:
        try:
            import wandb
        except ImportError as error:
            raise InputError("--wandb needs it installed: pip install wandb") from error
        self._wandb, self._store = wandb, store
        name = f"{run.name}-{config.digest}"
        settings = dataclasses.asdict(config)
        try:
            self._run = wandb.init(dir=str(run.folder), id=name, name=run.name, resume="allow", config=settings)
        except wandb.Error as error:
            raise InputError(
                f"wandb cannot be used ({' '.join(str(error).split())}): run `wandb login`, or set WANDB_MODE=offline"
            ) from error

    def show(self, figures: dict[str, float], labels: np.ndarray) -> None:
        """Send the figures, and a sheet of photos with their redrawn images, a row a cluster."""
        picture = self._wandb.Image(sheet(self._store, labels))
        self._run.log({**figures, "cluster sheet": picture}, step=int(figures["epoch"]))


def sheet(store: SyncStore, labels: np.ndarray, rows: int = 8, photos: int = 4) -> np.ndarray:
    """A picture, uint8 (H, W, 3), of clusters: a row each, its first photos, each with its redrawn images."""
    members = [np.flatnonzero(labels == cluster)[:photos] for cluster in range(min(rows, labels.max(initial=-1) + 1))]
    height, width = store.size
    across = (1 + store.versions) * width
    picture = np.full((max(len(members), 1) * height, photos * across, 3), 255, np.uint8)
    for row, photos_of in enumerate(members):
        groups = store.groups(photos_of).transpose(2, 0, 1, 3, 4).reshape(height, -1, 3)
        picture[row * height : (row + 1) * height, : groups.shape[1]] = groups
    return picture


def epoch_line(figures: dict[str, float], config: Config) -> str:
    """An epoch in a line: loss and its parts, clusters, their quality where labels are known, and times."""
    parts = [
        f"epoch {figures['epoch']:.0f}/{config.epochs}",
        f"loss {figures['loss']:.3f} (L_q {figures['L_q']:.3f}, L_s {figures['L_s']:.3f})",
        f"{figures['clusters']:.0f} clusters, {figures['outliers']:.0f} outliers, largest {figures['largest']:.0f},"
        f" eps {figures['eps']:g}",
    ]
    if "ARI" in figures:
        parts.append(f"ARI {figures['ARI']:.2f}, NMI {figures['NMI']:.2f}, purity {figures['purity']:.2f}")
    if "score" in figures:
        parts.append(f"validation mAP {figures['score']:.1f}")
    data, step = 1000 * figures["data_seconds"], 1000 * figures["step_seconds"]
    parts.append(f"clustering {figures['cluster_seconds']:.1f} s, step {step:.0f} ms of which data {data:.0f} ms")
    return "  |  ".join(parts)
