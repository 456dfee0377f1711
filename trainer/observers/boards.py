"""Boards where measures and pictures of a training are looked at: TensorBoard and wandb."""

from __future__ import annotations

import dataclasses
from typing import Any, Protocol

import numpy as np
from PIL import Image

from data.runtime.errors import InputError
from data.shards import SyncStore
from data.sheet import contact_sheet
from trainer.config import Config
from trainer.runs import Run


class Board(Protocol):
    """A place where measures and pictures are looked at."""

    def show(self, measures: dict[str, float], labels: np.ndarray) -> None:
        """Show an epoch's measures and pictures of its clusters."""


class TensorBoard:
    """Scalars and pictures of clusters for TensorBoard, in the run's folder; InputError where it is not installed."""

    def __init__(self, run: Run, store: SyncStore) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError("--tensorboard needs it installed: pip install tensorboard") from error
        self._make, self._run, self._store = SummaryWriter, run, store
        self._writer: Any = None

    def show(self, measures: dict[str, float], labels: np.ndarray) -> None:
        """Write the measures, and a sheet of photos with their redrawn images, a row a cluster."""
        epoch = int(measures["epoch"])
        if self._writer is None:  # What a killed run had written of this epoch and later is hidden.
            self._writer = self._make(str(self._run.folder / "tensorboard"), purge_step=epoch)
        for name, value in measures.items():
            if name != "epoch":
                self._writer.add_scalar(name.replace(" ", "/"), value, epoch)
        picture = np.asarray(cluster_sheet(self._store, labels))
        self._writer.add_image("cluster sheet", picture, epoch, dataformats="HWC")
        self._writer.flush()


class WandB:
    """Measures and pictures for wandb, one wandb run a run, whatever the number of resumptions.

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
        run.folder.mkdir(parents=True, exist_ok=True)
        try:
            self._run = wandb.init(dir=str(run.folder), id=name, name=run.name, resume="allow", config=settings)
        except wandb.Error as error:
            raise InputError(
                f"wandb cannot be used ({' '.join(str(error).split())}): run `wandb login`, or set WANDB_MODE=offline"
            ) from error

    def show(self, measures: dict[str, float], labels: np.ndarray) -> None:
        """Send the measures, and a sheet of photos with their redrawn images, a row a cluster."""
        picture = self._wandb.Image(cluster_sheet(self._store, labels))
        self._run.log({**measures, "cluster sheet": picture}, step=int(measures["epoch"]))


def cluster_sheet(store: SyncStore, labels: np.ndarray, rows: int = 8, photos: int = 4) -> Image.Image:
    """Lay out clusters, a row each: the cluster's first photos, each with its redrawn images."""
    shown = range(min(rows, labels.max(initial=-1) + 1))
    members = [np.flatnonzero(labels == cluster)[:photos] for cluster in shown]
    if not members:
        return contact_sheet([np.full((1, *store.size, 3), 255, np.uint8)])
    return contact_sheet([store.groups(some).reshape(-1, *store.size, 3) for some in members])
