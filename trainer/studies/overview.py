"""Overview: all runs in a table, by what they differ in, and those that came to nothing."""

from __future__ import annotations

import dataclasses
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from data.lock import FILES, is_locked, locked
from data.runtime.errors import InputError, RunError
from data.runtime.logs import get_logger
from data.runtime.tables import format_table, printable
from trainer.ranking.results import read_results
from trainer.runs import Run

_MEGABYTE = 1e6

_log = get_logger(__name__)


@dataclass(frozen=True)
class Entry:
    """A run, as the table shows it.

    Attributes:
        name: the run's.
        dataset: name of its data set.
        settings: all of them.
        epochs: how many whole ones its newest checkpoint has.
        rank1: per cent in the first protocol of its results; None where it was not evaluated.
        started: when, ISO 8601 in UTC.
    """

    name: str
    dataset: str
    settings: dict[str, Any]
    epochs: int
    rank1: float | None
    started: str


@dataclass(frozen=True)
class Leftover:
    """A folder of a run that came to nothing: why, and how large it is in bytes."""

    folder: Path
    reason: str
    size: int


def entries(runs: Path) -> list[Entry]:
    """Read all runs in a folder, by data set and start; one that cannot be read is left out with a warning."""
    found = []
    for path in sorted(runs.glob("*/config.json")):
        try:
            found.append(_entry(Run(path.parent)))
        except InputError as error:
            _log.warning(f"left out: {error}")
    return sorted(found, key=lambda entry: (entry.dataset, entry.started, entry.name))


def format_entries(shown: Sequence[Entry]) -> str:
    """Lay runs out for people, a line a run, with the settings in which those of one data set differ."""
    values: dict[tuple[str, str], set[Any]] = defaultdict(set)
    for entry in shown:
        for name, value in entry.settings.items():
            values[entry.dataset, name].add(value)
    rows = []
    for entry in shown:
        # Whether a run is of a baseline shows wherever it stands.
        differing = {name for name in entry.settings if len(values[entry.dataset, name]) > 1} | {"method"}
        own = [f"{name} {value}" for name, value in entry.settings.items() if name in differing - {"epochs"}]
        rank1 = "" if entry.rank1 is None else f"{entry.rank1:.1f}"
        when = datetime.fromisoformat(entry.started).astimezone().strftime("%Y-%m-%d %H:%M")
        epochs = f"{entry.epochs} of {entry.settings['epochs']}"
        rows.append((printable(entry.name), entry.dataset, epochs, rank1, when, ", ".join(own)))
    return format_table(("run", "data set", "epochs", "R1", "started", "settings that differ"), rows)


def leftovers(runs: Path) -> list[Leftover]:
    """Find the runs that are unfinished or empty, but for those in training, which hold their folder's lock."""
    found = []
    for folder in sorted(path for path in runs.glob("*") if path.is_dir() and not path.is_symlink()):
        reason = _reason(folder)
        if reason and is_locked(folder):
            _log.info(f"{folder}: kept, it is in training")
        elif reason:
            found.append(Leftover(folder, reason, sum(path.stat().st_size for path in _files(folder))))
    return found


def format_leftovers(found: Sequence[Leftover]) -> str:
    """Lay out what is to be removed, and why."""
    rows = [(printable(str(each.folder)), f"{each.size / _MEGABYTE:,.1f} MB", each.reason) for each in found]
    return format_table(("folder", "size", "why"), rows)


def remove(found: Sequence[Leftover]) -> int:
    """Remove these folders with all that is in them, and give how many; one that is now in training is kept."""
    removed = 0
    for each in found:
        try:
            with locked(each.folder, "training"):
                shutil.rmtree(each.folder)
            removed += 1
        except RunError as error:
            _log.warning(f"kept: {error}")
    return removed


def _entry(run: Run) -> Entry:
    facts = run.facts
    return Entry(
        run.name, facts["dataset"], dataclasses.asdict(run.config), _epochs(run), _rank1(run), facts["started"]
    )


def _rank1(run: Run) -> float | None:
    path = run.folder / "results.json"
    try:
        results = read_results(path) if path.exists() else ()
    except InputError as error:
        _log.warning(str(error))
        return None
    return results[0]["R1"].value if results else None


def _epochs(run: Run) -> int:
    """How many whole epochs the newest checkpoint has, as its name says."""
    newest = run.checkpoints()[:1]
    return int(newest[0].name.split("-")[1]) if newest else 0


def _reason(folder: Path) -> str:
    """Why a folder is a run that came to nothing; empty where it is none, or did not."""
    run = Run(folder)
    if not any(_files(folder)):
        return "is empty"
    if not (folder / "config.json").exists() or not (folder / "run.json").exists():
        return ""
    try:
        if run.facts.get("finished"):
            return ""
        return f"stopped after {_epochs(run)} of {run.config.epochs} epochs" if run.begun else "learned nothing"
    except InputError as error:
        _log.warning(f"kept: {error}")
        return ""


def _files(folder: Path) -> Iterator[Path]:
    """What lies in a folder beside its lock."""
    return (path for path in folder.rglob("*") if not path.is_dir() and path.name not in FILES)
