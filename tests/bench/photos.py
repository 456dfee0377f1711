"""Bench of plain photos, end to end: annotated, parsed, redrawn and written into a shard, by one process."""

from __future__ import annotations

import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import numpy as np
import numpy.typing as npt
import torch

from data.photo import Photo
from data.runtime.allocator import give_freed_memory_back, keep_freed_memory
from data.runtime.tables import format_table
from data.shards import record_photos
from data.walkers.plain import write_plain
from pipeline.annotate.annotator import KeptAnnotations
from pipeline.annotate.blazepose import BlazePose, Sighting
from pipeline.annotate.parser import BuiltInAnnotator, Parser
from pipeline.compose import PEOPLE_WEIGHTS
from pipeline.outfits.choice import TemplateChoice
from pipeline.paint import MixedPainter, Painter, PisePainter, RecolourPainter, Redrawn
from pipeline.sync.worker import Task, make_shard
from tests.bench.sync import status_kib

PAINTERS = ("recolour", "pise", "mixed")
_SIZE = (256, 128)


class Clock:
    """Processor seconds of named stages; each stage runs in one thread at a time."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Count what the thread does meanwhile as a stage."""
        began = time.thread_time()
        yield
        self.seconds[stage] += time.thread_time() - began


class TimedPose(BlazePose):
    """BlazePose beside a clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def see(self, pixels: npt.NDArray[np.uint8]) -> Sighting | None:
        """Look at a photo."""
        with self.clock("pose"):
            return super().see(pixels)


class TimedParser(Parser):
    """The built-in parser beside a clock."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.clock = clock

    def __call__(
        self, photos: Sequence[npt.NDArray[np.uint8]], people: Sequence[Sighting]
    ) -> list[npt.NDArray[np.uint8]]:
        """Parse photos."""
        with self.clock("parsing"):
            return super().__call__(photos, people)


class TimedPainter:
    """A painter beside a clock."""

    def __init__(self, painter: Painter, clock: Clock) -> None:
        self.painter, self.clock = painter, clock
        self.versions, self.size, self.device = painter.versions, painter.size, painter.device
        self.recipe, self.origin = {"painter": "timed"}, painter.origin

    def prepare(self, folder: Path, photos: Sequence[Path]) -> None:
        """Let the painter prepare."""
        self.painter.prepare(folder, photos)

    def sketch(self, photos: Sequence[Photo]) -> Any:
        """Let the painter sketch."""
        return self.painter.sketch(photos)

    def paint(self, sketch: Any) -> Redrawn:
        """Let the painter paint."""
        with self.clock("painting"):
            return self.painter.paint(sketch)


@dataclass(frozen=True)
class Timing:
    """How long a painter's shard took.

    Attributes:
        painter: its name.
        rate: photos a second, end to end, by the clock on the wall.
        work: processor's seconds a photo, which other programs hardly change.
        shares: of the processor's seconds, by stage; the rest is reading, resizing and writing.
        busy: processor's seconds a second: on a machine that is idle otherwise more than 1, as stages overlap.
        peak_mib: most memory of the process above what it had in use before, with models already loaded.
    """

    painter: str
    rate: float
    work: float
    shares: dict[str, float]
    busy: float
    peak_mib: float


def measure(name: str, root: Path, folder: Path) -> Timing:
    """Redraw the photos in `root / "timed"` in four versions into a shard in `folder`, and time it.

    Colours and templates are taken from those in `root / "others"`.
    """
    clock = Clock()
    painter = TimedPainter(_painter(name, root, folder, clock), clock)
    photos, others = (sorted((root / part).rglob("*.jpg")) for part in ("timed", "others"))
    painter.prepare(folder, others)
    painter.paint(painter.sketch([Photo.read(others[0], root)]))
    clock.seconds.clear()
    task = Task(folder / "shard-00000.h5", root, record_photos(photos, root), painter, "bench")
    give_freed_memory_back()
    Path("/proc/self/clear_refs").write_text("5")
    resident = status_kib("VmRSS")
    wall, work = time.perf_counter(), time.process_time()
    make_shard(task)
    wall, work = time.perf_counter() - wall, time.process_time() - work
    shares = {stage: clock.seconds[stage] / work for stage in ("pose", "parsing", "painting")}
    shares["rest"] = 1 - sum(shares.values())
    return Timing(
        name, len(photos) / wall, work / len(photos), shares, work / wall, (status_kib("VmHWM") - resident) / 1024
    )


def _painter(name: str, root: Path, folder: Path, clock: Clock) -> Painter:
    annotator = KeptAnnotations(BuiltInAnnotator(TimedPose(clock), TimedParser(clock)), folder / "annotations")
    painted = {"recolour": 0, "pise": 4, "mixed": 2}[name]
    if not painted:
        return RecolourPainter(root, annotator, 4, _SIZE)
    pise = PisePainter(PEOPLE_WEIGHTS, root, annotator, TemplateChoice(painted, as_seen=True), painted, _SIZE)
    return MixedPainter(pise, RecolourPainter(root, annotator, 4 - painted, _SIZE)) if name == "mixed" else pise


@click.command()
@click.option("--photos", default=96, show_default=True, type=click.IntRange(24), help="To render, about.")
@click.option("--painter", multiple=True, default=PAINTERS, show_default=True, type=click.Choice(PAINTERS))
def main(photos: int, painter: Sequence[str]) -> None:
    """Say how many photos of 256x128 a process redraws a second, and what the time goes into. Needs Linux."""
    torch.set_num_threads(1)
    keep_freed_memory()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary, "photos")
        write_plain(root / "others", seed=1000)
        count = sum(write_plain(root / "timed" / f"{seed}", seed) for seed in range(-(-photos // 24)))
        timings = []
        for name in painter:
            folder = Path(temporary, name)
            folder.mkdir()
            timings.append(measure(name, root, folder))
    click.echo(f"{count} photos of 256x128, 4 versions each, one process, torch on 1 thread, pose and parsing built in")
    header = [
        "painter",
        "photos/s",
        "CPU s/photo",
        "pose",
        "parsing",
        "painting",
        "rest",
        "processors busy",
        "peak MiB",
    ]
    click.echo(format_table(header, [_row(timing) for timing in timings]))


def _row(timing: Timing) -> list[str]:
    shares = [f"{share:.0%}" for share in timing.shares.values()]
    return [
        timing.painter,
        f"{timing.rate:.1f}",
        f"{timing.work:.3f}",
        *shares,
        f"{timing.busy:.2f}",
        f"{timing.peak_mib:.0f}",
    ]


if __name__ == "__main__":
    main()
