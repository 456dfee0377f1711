"""The manifest: what a store holds, and its own digest, so that a byte of it that has changed is found, too."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from data.runtime.errors import InputError
from data.runtime.files import write_json
from data.shards.format import FORMAT, ShardStatus
from data.shards.seal import Seal

MANIFEST = "manifest.json"

_DIGEST = "sha256"


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
    def left_out(self) -> tuple[str, ...]:
        """Names of the photos that are in no group, since they could not be read or redrawn."""
        return tuple(name for name, _ in (*self.failures, *self.unpainted))

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
    write_json(folder / MANIFEST, {**content, _DIGEST: _digest(content)})


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
        if content.get(_DIGEST, _digest(content)) != _digest(content):
            raise ValueError("it is not as it was written")
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


def _digest(content: Mapping[str, Any]) -> str:
    """SHA-256 of all that a manifest says, but for the digest; older ones have none."""
    told = {key: value for key, value in content.items() if key != _DIGEST}
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()
