"""Shards: HDF5 files of groups, a group being a photo and its redrawn versions.

A store is a folder of `shard-00000.h5 ...` and a `manifest.json`, whose `finished` is the time when the last shard was
made, null before.
Photos are numbered through all shards in their order. A shard holds

    images         uint8 (n, 1+S, H, W, 3)  the photo first; one chunk a group, so that a group is one read
    masks          uint8 (n, M, H, W)       how much of a pixel is the person, 0 to 255; 255 throughout where that is
                                            not known, so that nothing passes for background. M is 1 where all versions
                                            keep the photo's outline, else 1+S
    source/path    string (n,)              the photo's path inside the data set's root, with /
    source/sha256  string (n,)              of the photo's file
    source/annotation  string (n,)          digest of its annotation files; "" where there are none
    template       int32 (n, S)             which template each version wears
    redrawn        bool (n,)                False: no person was found, the group is 1+S copies of the photo
    moved          float32 (n, 2)           how far the redrawn clothes, and all the rest, are from the photo's: mean
                                            absolute difference in grey levels (0 to 255); NaN where not redrawn
    failed/path, failed/reason              photos that could not be read; they are in no group
    agreement      float32 (n,)             how well pose and parsing agree, 0 to 1; NaN where nothing is known of it
    unannotated/path, unannotated/reason    photos whose annotation is missing or cannot be used; not redrawn
    unpainted/path, unpainted/reason        photos that the painter failed on; they are in no group

each with HDF5's Fletcher-32 checksum, and attributes that say what made it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from data.shards.seal import Seal

FORMAT = 2
"""Version of the format; part of every key."""


@dataclass(frozen=True)
class ShardStatus:
    """What became of a shard.

    Attributes:
        name: its file's.
        photos: how many groups are in it.
        without_person: names of the photos in which no person was found.
        failures: (name, reason) of each photo that could not be read.
        unannotated: (name, reason) of each photo whose annotation is missing or cannot be used.
        unpainted: (name, reason) of each photo that the painter failed on; these too are in no group.
        agreement: mean agreement of pose and parsing, 0 to 1, None if nothing is known of it.
        measured: in how many photos it was measured.
        transparent: how many photos had transparent pixels, which were laid on white.
        seal: of its file, None of a shard that is being written, and in older manifests.
    """

    name: str
    photos: int
    without_person: tuple[str, ...] = ()
    failures: tuple[tuple[str, str], ...] = ()
    unannotated: tuple[tuple[str, str], ...] = ()
    unpainted: tuple[tuple[str, str], ...] = ()
    agreement: float | None = None
    measured: int = 0
    transparent: int = 0
    seal: Seal | None = None

    @property
    def redrawn(self) -> int:
        """Groups that were redrawn."""
        return self.photos - len(self.without_person) - len(self.unannotated)

    @property
    def with_failures(self) -> bool:
        """Whether some photo could not be read or redrawn, or has no annotation that can be used."""
        return bool(self.failures or self.unannotated or self.unpainted)

    @property
    def tried(self) -> int:
        """Photos that it was made of: its groups, and those that are in none."""
        return self.photos + len(self.failures) + len(self.unpainted)

    def sealed(self, path: Path) -> ShardStatus:
        """Give it with the seal of the shard's file, which is whole and at `path`."""
        return replace(self, seal=Seal.of(path))


def shard_status(
    name: str,
    sources: Sequence[str],
    redrawn: npt.NDArray[np.bool_],
    failures: Sequence[tuple[str, str]],
    unannotated: Sequence[tuple[str, str]],
    unpainted: Sequence[tuple[str, str]],
    agreement: npt.NDArray[np.float32],
    transparent: int,
) -> ShardStatus:
    """Give the status of a shard of these columns."""
    lacking = {source for source, _ in unannotated}
    alone = tuple(s for s, found in zip(sources, redrawn, strict=True) if not found and s not in lacking)
    known = agreement[~np.isnan(agreement)]
    mean = round(float(known.mean()), 4) if len(known) else None
    return ShardStatus(
        name,
        len(sources),
        alone,
        tuple(failures),
        tuple(unannotated),
        tuple(unpainted),
        mean,
        len(known),
        transparent,
    )
