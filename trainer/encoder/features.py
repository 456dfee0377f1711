"""Features of whole sets of photos: for clustering from the shards, for ranking from the files."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from data.photo import read_photo
from data.runtime.errors import InputError
from data.shards import SyncStore
from trainer.batches.augment import normalise
from trainer.batches.groups import read_groups
from trainer.distributed import processes as distributed

BATCH = 128


def autocast(device: torch.device, precision: str) -> AbstractContextManager[None]:
    """The context in which the encoder runs at this precision (`float32` or `bfloat16`)."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def memory_format(channels_last: bool) -> torch.memory_format:
    """Torch's name for the layout of images."""
    return torch.channels_last if channels_last else torch.contiguous_format


@torch.no_grad()
def encode(
    encoder: nn.Module,
    batches: Iterable[Tensor],
    size: tuple[int, int],
    device: torch.device,
    precision: str = "float32",
    channels_last: bool = False,
    flip: bool = False,
) -> Tensor:
    """Features, float32 (N, d) on the device, of batches of uint8 images (n, H, W, 3), in evaluation mode.

    flip gives the mean feature of an image and its mirror image, of unit length.
    """
    encoder.eval()
    features = []
    for batch in batches:
        images = normalise(batch.to(device, non_blocking=True), size).contiguous(
            memory_format=memory_format(channels_last)
        )
        with autocast(device, precision):
            taken = encoder(images)
            features.append(F.normalize(taken + encoder(images.flip(-1))) if flip else taken)
    return torch.cat(features)


def encode_store(
    encoder: nn.Module,
    store: SyncStore,
    size: tuple[int, int],
    device: torch.device,
    precision: str = "float32",
    channels_last: bool = False,
    workers: int = 0,
) -> Tensor:
    """Features, float32 (N, d), of all photos of the store (not their redrawn images), in its order.

    Processes that train together encode a share each; all get the whole.
    """
    # Every process encodes as many photos, so that what is gathered has one shape; the surplus is cut off.
    share = -(-len(store) // distributed.world_size())
    mine = np.minimum(np.arange(share) + distributed.rank() * share, len(store) - 1)
    batches = [mine[start : start + BATCH] for start in range(0, share, BATCH)]
    photos = (groups[:, 0] for groups in read_groups(store, batches, 1, workers, pin=device.type == "cuda"))
    features = encode(encoder, photos, size, device, precision, channels_last)
    return distributed.gather(features)[: len(store)]


def encode_photos(
    encoder: nn.Module,
    paths: Sequence[Path],
    size: tuple[int, int],
    device: torch.device,
    precision: str = "float32",
    channels_last: bool = False,
    workers: int = 0,
    flip: bool = False,
) -> Tensor:
    """Features, float32 (N, d) on the device, of photo files, in the order given; InputError for one unreadable."""
    loader = DataLoader(_Photos(paths, size), batch_size=BATCH, num_workers=workers, collate_fn=_collate)
    return encode(encoder, map(_checked, loader), size, device, precision, channels_last, flip)


class _Photos(Dataset[np.ndarray | InputError]):
    def __init__(self, paths: Sequence[Path], size: tuple[int, int]) -> None:
        self.paths, self.size = paths, size

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> np.ndarray | InputError:
        try:
            return read_photo(self.paths[index], self.size)
        except InputError as error:
            return error


def _collate(photos: list[np.ndarray | InputError]) -> Tensor | InputError:
    pixels = []
    for photo in photos:
        if isinstance(photo, InputError):
            return photo
        pixels.append(photo)
    return torch.from_numpy(np.stack(pixels))


def _checked(batch: Tensor | InputError) -> Tensor:
    if isinstance(batch, InputError):
        raise batch
    return batch
