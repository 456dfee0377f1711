"""What became of each photo: redrawn, kept as it is, left out, or still to be done, and why."""

from __future__ import annotations

import contextlib
import csv
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from data.runtime.errors import InputError
from data.runtime.files import replacing
from data.runtime.tables import format_table, printable
from data.shards import Manifest, all_stores, open_shard, read_manifest, read_photos
from pipeline.sync import plan

DONE, NO_PERSON, NO_ANNOTATION = "done", "no person", "annotation missing"
UNREADABLE, FAILED, WAITING = "unreadable", "failed", "not made yet"
STATES = (DONE, NO_PERSON, NO_ANNOTATION, UNREADABLE, FAILED, WAITING)
"""Of the first three a store has groups; in those of the second and third, versions are copies of the photo."""

_SHOWN = 10


@dataclass(frozen=True, slots=True)
class PhotoState:
    """What became of one photo, and of all its versions alike.

    Attributes:
        name: its path below the data set's root.
        state: one of STATES.
        reason: why it is not done, where that is known.
        templates: number of the template that each version wears; empty where there are no versions.
    """

    name: str
    state: str
    reason: str = ""
    templates: tuple[int, ...] = ()

    @property
    def why(self) -> str:
        """The reason, with the photo's name."""
        return self.reason if self.name in self.reason else f"{self.name}: {self.reason}"


@dataclass(frozen=True)
class Report:
    """What became of a store's photos.

    Attributes:
        folder: of the store.
        manifest: its manifest.
        counts: how many photos are in each state.
        reasons: the first photos of which a reason is known.
        explained: how many those are in all.
    """

    folder: Path
    manifest: Manifest
    counts: Counter[str]
    reasons: tuple[PhotoState, ...]
    explained: int

    def __str__(self) -> str:
        counts = self.counts
        rows = [
            [state, f"{counts[state]:,}", f"{counts[state] * self.manifest.versions:,}"]
            for state in STATES
            if counts[state]
        ]
        table = format_table(["state", "photos", "versions"], rows)
        named = [f"{photo.state}: {printable(photo.why)}" for photo in self.reasons]
        if self.explained > len(named):
            named.append(f"and {self.explained - len(named):,} more: --output FILE.csv lists them all")
        finished = self.manifest.finished
        whole = f"finished {finished}" if finished else "unfinished: the `make sync` that began it goes on"
        return "\n".join([f"{self.folder}: {whole}", table, *named])


def report(folder: Path, output: Path | None = None) -> Report:
    """Say what became of the photos of a store.

    Args:
        folder: the store, finished or not.
        output: a CSV file to be written, whole or not at all, with a row for each photo and version.

    Raises:
        InputError: the folder is no store.
    """
    manifest, counts, reasons, explained = read_manifest(folder), Counter[str](), list[PhotoState](), 0
    with _rows(output, manifest.versions) as write:
        for photo in photo_states(folder):
            counts[photo.state] += 1
            write(photo)
            if photo.reason:
                explained += 1
                if len(reasons) < _SHOWN:
                    reasons.append(photo)
    return Report(folder, manifest, counts, tuple(reasons), explained)


@contextlib.contextmanager
def _rows(path: Path | None, versions: int) -> Iterator[Callable[[PhotoState], None]]:
    """Give what writes a photo's rows into a CSV file, or does nothing without one."""
    if path is None:
        yield lambda photo: None
        return
    with replacing(path) as temporary, temporary.open("w", encoding="utf-8", errors="surrogateescape", newline="") as f:
        rows = csv.writer(f)
        rows.writerow(["path", "version", "template", "state", "reason"])

        def write(photo: PhotoState) -> None:
            for number, template in enumerate(photo.templates or ("",) * versions, 1):
                rows.writerow([photo.name, number, template, photo.state, photo.reason])

        yield write


def photo_states(folder: Path) -> Iterator[PhotoState]:
    """Say what became of each photo of the store in `folder`, finished or not, in the order of the plan.

    Raises:
        InputError: the folder is no store.
    """
    manifest, record = read_manifest(folder), read_photos(folder)
    faults = {fault.name: fault.reason for fault in manifest.faults}
    if record:
        pieces = [record.part(slice(at, at + plan.SHARD)) for at in range(0, len(record), plan.SHARD)]
        parts = ((plan.shard_name(number), piece.sources) for number, piece in enumerate(pieces))
    else:
        parts = ((shard.name, ()) for shard in manifest.shards)
    for shard, photos in parts:
        if not (folder / shard).exists():
            state = FAILED if shard in faults else WAITING
            yield from (PhotoState(name, state, faults.get(shard, "")) for name in photos)
            continue
        try:
            yield from _states(folder / shard, manifest, photos)
        except InputError as error:
            yield from (PhotoState(name, WAITING, str(error)) for name in photos)


def _states(path: Path, manifest: Manifest, photos: Sequence[str]) -> Iterator[PhotoState]:
    """Say what became of a whole shard's photos, in the order of `photos`, or in the shard's if there are none."""
    shard = open_shard(path, manifest.key)
    shard.file.close()
    unreadable, unpainted, lacking = dict(shard.failures), dict(shard.unpainted), dict(shard.unannotated)
    rows = {name: row for row, name in enumerate(shard.sources)}
    for name in photos or [*shard.sources, *unreadable, *unpainted]:
        if name in unreadable:
            yield PhotoState(name, UNREADABLE, unreadable[name])
            continue
        if name in unpainted:
            yield PhotoState(name, FAILED, unpainted[name])
            continue
        row = rows[name]
        templates = tuple(shard.templates[row].tolist())
        if shard.redrawn[row]:
            yield PhotoState(name, DONE, "", templates)
        elif name in lacking:
            yield PhotoState(name, NO_ANNOTATION, lacking[name], templates)
        else:
            yield PhotoState(name, NO_PERSON, "", templates)


def last_store(stores: Path, dataset: str | None = None) -> Path:
    """Find the store that was changed or asked for last, of this data set if given, finished or not.

    Raises:
        InputError: there is none.
    """
    found = all_stores(stores, dataset)
    if not found:
        of = f"of {dataset} " if dataset else ""
        raise InputError(f"{stores}: no sync {of}there, not even a begun one: begin one with `make sync`")
    return found[0][0]
