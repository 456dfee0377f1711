"""Groups: which photos make the batches of an epoch, and reading them with their redrawn images."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from data.runtime.errors import InputError, RunError
from data.shards import SyncStore

_AHEAD = 4
"""Batches that each reading process keeps ready."""


def plan_epoch(
    labels: np.ndarray, clusters: int, photos: int, iterations: int, random: np.random.Generator
) -> np.ndarray:
    """Choose the photos of every batch of an epoch.

    Each batch draws its clusters without repetition, and the photos of a cluster likewise; only where there are too few
    does each come in full before any is repeated.

    Args:
        labels: int64 (N,), -1 for photos that are left out, else 0..C-1 with no cluster empty, C at least 1.
        clusters: how many a batch holds.
        photos: how many of each cluster.
        iterations: batches of the epoch.
        random: the source of every draw.

    Returns:
        int64 (iterations, clusters, photos), indices into labels.
    """
    members = np.argsort(labels, kind="stable")[np.count_nonzero(labels < 0) :]
    counts = np.bincount(labels[labels >= 0])
    orders = random.random((iterations, len(counts))).argsort(axis=1)
    chosen = orders[:, np.arange(clusters) % len(counts)]

    # Floyd's sampling without replacement, one vectorised round for each photo of a cluster.
    size = counts[chosen]
    picks = np.empty((*chosen.shape, photos), dtype=np.int64)
    for k in range(photos):
        last = np.maximum(size - photos, 0) + k
        pick = random.integers(0, np.minimum(last + 1, size))
        taken = (picks[..., :k] == pick[..., None]).any(axis=-1)
        picks[..., k] = np.where(taken & (last < size), last, pick)
    picks = random.permuted(picks, axis=-1)
    first = counts.cumsum() - counts
    return members[first[chosen][..., None] + picks]


class Groups(NamedTuple):
    """A batch: photos and their redrawn images, uint8 (n, images, H, W, 3), and the masks, uint8 (n, M, H, W)."""

    images: Tensor
    masks: Tensor | None


def read_groups(
    store: SyncStore, batches: np.ndarray | list[np.ndarray], images: int, workers: int = 0, pin: bool = False
) -> Iterator[Tensor]:
    """Yield each batch of photo indices (n,) as uint8 (n, images, H, W, 3): the photo, then its redrawn images.

    Args:
        store: the shards.
        batches: indices of photos, (steps, n).
        images: how many of a group's 1 + S are taken, the first ones.
        workers: processes that read ahead; 0 reads in this one.
        pin: whether the batches lie in memory that a GPU can fetch from while it computes.

    Raises:
        RunError: a shard cannot be read any more, or a reading process died.
    """
    return (batch.images for batch in read_with_masks(store, batches, images, workers, pin, masked=False))


def read_with_masks(
    store: SyncStore,
    batches: np.ndarray | list[np.ndarray],
    images: int,
    workers: int = 0,
    pin: bool = False,
    masked: bool = True,
) -> Iterator[Groups]:
    """Yield as `read_groups` does, with the masks of those images, M being 1 or `images`; None if not `masked`."""
    for batch in read_ahead(_Reader(store, batches, images, masked), workers, pin):
        if isinstance(batch, Exception):
            raise RunError(str(batch))
        yield batch


def read_ahead(reader: Dataset[Any], workers: int, pin: bool) -> Iterator[Any]:
    """Yield what a reader of batches gives, one item a batch, read by processes that Ctrl-C leaves to their work.

    Args:
        reader: gives a batch, or the error that kept it from it: torch would wrap what it raised in its own traceback.
        workers: processes that read ahead; 0 reads in this one.
        pin: whether the batches lie in memory that a GPU can fetch from while it computes.

    Raises:
        RunError: a reading process died.
    """
    loader: DataLoader[Any] = DataLoader(
        reader,
        batch_size=None,
        num_workers=workers,
        pin_memory=pin,
        prefetch_factor=_AHEAD if workers else None,
        worker_init_fn=_ignore_interrupt,
    )
    try:
        yield from loader
    except (RuntimeError, EOFError, ConnectionError) as error:
        if isinstance(error, RuntimeError) and not reader_died(error):
            raise
        raise RunError(died_line(error)) from error


def reader_died(error: RuntimeError) -> bool:
    """Say whether this is torch's error for a reading process that died; it may be raised at any line."""
    return "DataLoader worker" in str(error)


def died_line(error: Exception) -> str:
    """Give what to tell the user when a reading process has died."""
    reason = " ".join(str(error).split()) or "it was killed; is there enough memory?"
    return f"a process that reads ahead died: {reason} (fewer: --workers)"


def _ignore_interrupt(_worker: int) -> None:
    """Ctrl-C reaches every process of a terminal, but only the one that trains shall act on it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


class _Reader(Dataset[Any]):
    """One item a batch."""

    def __init__(self, store: SyncStore, batches: np.ndarray | list[np.ndarray], images: int, masked: bool) -> None:
        self.store, self.batches, self.images, self.masked = store, batches, images, masked

    def __len__(self) -> int:
        return len(self.batches)

    def __getitem__(self, index: int) -> Groups | Exception:
        if index >= len(self):
            raise IndexError(index)
        try:
            groups = self.store.groups(self.batches[index])[:, : self.images]
            masks = self.store.masks(self.batches[index])[:, : self.images] if self.masked else None
        except (InputError, RunError) as error:
            return error
        return Groups(_tensor(groups), None if masks is None else _tensor(masks))


def _tensor(pixels: np.ndarray) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(pixels))
