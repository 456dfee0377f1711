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

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from data.runtime.errors import InputError
from data.runtime.files import write_json
from data.shards.seal import Seal

FORMAT = 2
"""Version of the format; part of every key."""

MANIFEST = "manifest.json"


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


@dataclass(frozen=True)
class ShardFault:
    """Name of a shard that could not be made, and why."""

    name: str
    reason: str


@dataclass(frozen=True)
class Manifest:
    """What a store holds.

    Attributes:
        key: digest of all that decides a pixel.
        dataset: name of the data set.
        root: the data set's folder, as the sync asked for last had it.
        versions: S, the redrawn versions of each photo.
        size: height and width of the pictures.
        shards: all of them, or those that are whole so far.
        finished: time of the last shard, ISO 8601 in UTC; None while shards are missing.
        recipe: all that decides a pixel besides the photos and the size, as the painter says it.
        list_file: the data set's list, where one was chosen, as the sync asked for last had it.
        list_sha256: SHA-256 of its content then.
        annotation: where annotation files are, as the sync asked for last had them; empty where models did it all.
        faults: the shards that could not be made when that was tried last; none in a finished store.
        photos_per_second: how fast the sync was that made shards last; None where that is not known.
    """

    key: str
    dataset: str
    root: str
    versions: int
    size: tuple[int, int]
    shards: tuple[ShardStatus, ...]
    finished: str | None
    recipe: Mapping[str, Any]
    list_file: str | None = None
    list_sha256: str | None = None
    annotation: Mapping[str, str] = field(default_factory=dict)
    faults: tuple[ShardFault, ...] = ()
    photos_per_second: float | None = None

    @property
    def place(self) -> Path:
        """Where the data set is read: its list if one was chosen, else its folder; `data.open_benchmark` takes it."""
        return Path(self.list_file or self.root)

    @property
    def photos(self) -> int:
        """Groups in all shards."""
        return sum(shard.photos for shard in self.shards)

    @property
    def redrawn(self) -> int:
        """Groups in which a person was found."""
        return sum(shard.redrawn for shard in self.shards)

    @property
    def without_person(self) -> tuple[str, ...]:
        """Names of the photos in which no person was found."""
        return tuple(name for shard in self.shards for name in shard.without_person)

    @property
    def failures(self) -> tuple[tuple[str, str], ...]:
        """(name, reason) of each photo that could not be read."""
        return tuple(failure for shard in self.shards for failure in shard.failures)

    @property
    def unannotated(self) -> tuple[tuple[str, str], ...]:
        """(name, reason) of each photo whose annotation is missing or cannot be used."""
        return tuple(lacking for shard in self.shards for lacking in shard.unannotated)

    @property
    def unpainted(self) -> tuple[tuple[str, str], ...]:
        """(name, reason) of each photo that the painter failed on."""
        return tuple(unpainted for shard in self.shards for unpainted in shard.unpainted)

    @property
    def transparent(self) -> int:
        """How many photos had transparent pixels."""
        return sum(shard.transparent for shard in self.shards)

    @property
    def agreement(self) -> float | None:
        """Mean agreement of pose and parsing over all photos in which it was measured, 0 to 1, or None."""
        measured = sum(shard.measured for shard in self.shards)
        if not measured:
            return None
        return round(sum((shard.agreement or 0.0) * shard.measured for shard in self.shards) / measured, 4)


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of the store in `folder`, whole or not at all."""
    content = {
        "format": FORMAT,
        "finished": manifest.finished,
        "key": manifest.key,
        "dataset": manifest.dataset,
        "root": manifest.root,
        "list": manifest.list_file,
        "list_sha256": manifest.list_sha256,
        "annotation": manifest.annotation,
        "photos": manifest.photos,
        "redrawn": manifest.redrawn,
        "versions": manifest.versions,
        "size": manifest.size,
        "recipe": manifest.recipe,
        "without_person": manifest.without_person,
        "failures": [{"path": name, "reason": reason} for name, reason in manifest.failures],
        "unannotated": [{"path": name, "reason": reason} for name, reason in manifest.unannotated],
        "unpainted": [{"path": name, "reason": reason} for name, reason in manifest.unpainted],
        "agreement": manifest.agreement,
        "transparent": manifest.transparent,
        "faults": [asdict(fault) for fault in manifest.faults],
        "photos_per_second": manifest.photos_per_second,
        "shards": [asdict(shard) for shard in manifest.shards],
    }
    write_json(folder / MANIFEST, content)


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a store, finished or not.

    Raises:
        InputError: there is none, it is damaged, or its format is unknown.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise InputError(f"{path}: format {content['format']}, but this program reads {FORMAT}: repeat `make sync`")
        height, width = content["size"]
        recipe = content.get("recipe", {})
        if not isinstance(recipe, dict):
            raise TypeError("its recipe is none")
        return Manifest(
            key=content["key"],
            dataset=content["dataset"],
            root=content["root"],
            versions=int(content["versions"]),
            size=(int(height), int(width)),
            shards=tuple(_shard(entry) for entry in content["shards"]),
            finished=content["finished"],
            recipe=recipe,
            list_file=content.get("list"),
            list_sha256=content.get("list_sha256"),
            annotation=dict(content.get("annotation", {})),
            faults=tuple(ShardFault(**fault) for fault in content.get("faults", ())),
            photos_per_second=content.get("photos_per_second"),
        )
    except FileNotFoundError:
        raise InputError(f"{folder}: no {MANIFEST}, so this is no sync folder: make one with `make sync`") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{path}: damaged ({error}): remove it and repeat `make sync`") from error


def _shard(entry: Mapping[str, Any]) -> ShardStatus:
    """A shard's entry; older manifests did not say as much of each."""
    seal = entry.get("seal")
    return ShardStatus(
        entry["name"],
        int(entry["photos"]),
        tuple(entry.get("without_person", ())),
        tuple((name, reason) for name, reason in entry.get("failures", ())),
        tuple((name, reason) for name, reason in entry.get("unannotated", ())),
        tuple((name, reason) for name, reason in entry.get("unpainted", ())),
        entry.get("agreement"),
        int(entry.get("measured", 0)),
        int(entry.get("transparent", 0)),
        Seal(**seal) if seal else None,
    )
