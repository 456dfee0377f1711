"""The preview: contact sheets of a store, with statistics, on one HTML page."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from data.page import make_page, write_page
from data.runtime.files import replacing
from data.runtime.logs import get_logger
from data.runtime.progress import progress
from data.shards import SyncStore
from data.sheet import contact_sheet
from pipeline.outfits import templates

FOLDER = "preview"
PAGE = "index.html"

_log = get_logger(__name__)

_TEMPLATE = Path(__file__).with_name("preview.html")
_STYLE = ".sheet { display: block; max-width: none; } @media (min-width: 60rem) { .sheet { max-width: 100%; } }"


@dataclass(frozen=True)
class Statistics:
    """What is known of a shard.

    Attributes:
        name: of its file.
        photos: how many it has.
        alone: the names of those without a person.
        clothing: mean difference of the versions from their photos inside the clothes, in grey levels.
        rest: the same outside the clothes.
    """

    name: str
    photos: int
    alone: tuple[str, ...]
    clothing: float
    rest: float


@dataclass(frozen=True)
class _Part:
    """A shard on the page: what is known of it, the file of its sheet, and the photos there by number."""

    shard: Statistics
    words: str
    file: str
    sources: dict[int, str]


def write_preview(store: SyncStore, rows: int = 6, seed: int = 0) -> Path:
    """Write a contact sheet of a few photos from each shard, and a page that shows all, into the store's `preview`.

    On a sheet each row is a photo and its versions, under a strip of the templates where the store has some. Where the
    store cannot be written, a new temporary folder takes the page.

    Args:
        store: what to show.
        rows: photos of each shard.
        seed: of their draw.

    Returns:
        The path of the page.
    """
    folder = _writable(store.path / FOLDER)
    strip = _strip(store)
    parts = []
    with progress("preview", len(store.shards), "shards", delay=2) as bar:
        for name, photos in store.shards:
            if photos:
                drawn = np.sort(np.random.default_rng(seed).permutation(photos)[:rows])
                file = f"{Path(name).stem}.png"
                with replacing(folder / file) as temporary:
                    _sheet(store, drawn, strip).save(temporary, format="PNG")
                sources = {int(number): store.source(number) for number in drawn}
                shard = measure(store, name, photos)
                parts.append(_Part(shard, in_words(shard), file, sources))
            bar.advance()
    write_page(folder / PAGE, _page(store, parts))
    return folder / PAGE


def measure(store: SyncStore, name: str, photos: range) -> Statistics:
    """Give the statistics of one shard, from the numbers that the sync kept."""
    redrawn = np.array([store.redrawn(number) for number in photos])
    moved = np.stack([store.moved(number) for number in photos])[redrawn]
    clothing, rest = (float(np.nanmean(column)) if np.isfinite(column).any() else float("nan") for column in moved.T)
    lacking = {source for source, _ in store.manifest.unannotated}
    unchanged = (store.source(number) for number, found in zip(photos, redrawn, strict=True) if not found)
    alone = tuple(source for source in unchanged if source not in lacking)
    return Statistics(name, len(photos), alone, clothing, rest)


def in_words(shard: Statistics) -> str:
    """Say the statistics in a line."""
    return (
        f"{shard.name}: {shard.photos} photos, {len(shard.alone) / shard.photos:.1%} without a person; "
        f"clothes moved by {shard.clothing:.1f} grey levels of 255, the rest by {shard.rest:.1f}"
    )


def _sheet(store: SyncStore, drawn: npt.NDArray[np.int64], strip: list[list[npt.NDArray[np.uint8]]]) -> Image.Image:
    """Photos with their versions, under the strip of templates."""
    labels = [*(["templates"] * len(strip)), *map(str, drawn)]
    titles = ["photo", *(f"version {number + 1}" for number in range(store.versions))]
    return contact_sheet([*strip, *store.groups(drawn)], labels, titles)


def _writable(folder: Path) -> Path:
    """Make the folder, or a temporary one if nothing can be written there."""
    try:
        folder.mkdir(exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        elsewhere = Path(tempfile.mkdtemp(prefix="preview-"))
        _log.warning(f"{folder}: cannot be written ({error.strerror}), so the page goes to {elsewhere}")
        return elsewhere


def _strip(store: SyncStore) -> list[list[npt.NDArray[np.uint8]]]:
    """A row with the templates, its first place empty so that each stands over its version; none if there are none."""
    if not (store.path / templates.FILE).is_file():
        return []
    pictures = templates.load(store.path).pictures
    return [[np.full_like(pictures[0], 255), *pictures]]


def _page(store: SyncStore, parts: list[_Part]) -> str:
    manifest = store.manifest
    without = len(manifest.without_person)
    height, width = store.size
    summary = (
        f"{len(store):,} photos of {height}x{width} pixels, each in {store.versions} versions; {without:,} without a "
        f"person (their versions are copies); {len(manifest.failures):,} could not be read."
    )
    if manifest.agreement is not None:
        summary += f" Pose and parsing agree to {manifest.agreement:.0%} (right ones to more than 90%)."
    if manifest.unpainted:
        summary += f" {len(manifest.unpainted):,} could not be redrawn."
    if manifest.unannotated:
        summary += f" {len(manifest.unannotated):,} have no annotation that can be used."
    return make_page(
        _TEMPLATE,
        style=_STYLE,
        title=f"{manifest.dataset}-{manifest.key}",
        summary=summary,
        unannotated=manifest.unannotated,
        failures=manifest.failures,
        unpainted=manifest.unpainted,
        parts=parts,
    )
