from __future__ import annotations

import html.parser
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from data.runtime.errors import InputError
from data.runtime.tables import printable
from data.shards import Groups, Manifest, ShardStatus, SyncStore, write_manifest, writing_shard
from data.sheet import contact_sheet
from pipeline.__main__ import main
from pipeline.preview import in_words, measure, write_preview

SIZE = (32, 16)
NASTY = "<script>alert('1')</script>&\n\"衣\".jpg"


def make_store(folder: Path) -> SyncStore:
    """Two shards; in the first the third photo of four shows no person, the second is empty."""
    folder.mkdir(parents=True)
    groups = np.random.default_rng(0).integers(0, 256, (4, 3, *SIZE, 3), dtype=np.uint8)
    redrawn = np.array([True, True, False, True])
    moved = np.array([[10, 1], [20, np.nan], [np.nan, np.nan], [30, 3]], np.float32)
    sources = [f"{number} {NASTY}" for number in range(4)]
    with writing_shard(folder / "shard-00000.h5", 2, SIZE, "key", {}) as shard:
        shard.add(Groups(groups, sources, ["0" * 64] * 4, np.zeros((4, 2), np.int32), redrawn, moved))
    with writing_shard(folder / "shard-00001.h5", 2, SIZE, "key", {}):
        pass
    shards = (
        ShardStatus("shard-00000.h5", 4, (f"2 {NASTY}",), ((NASTY, f"{NASTY}: the file is empty"),)),
        ShardStatus("shard-00001.h5", 0),
    )
    write_manifest(folder, Manifest("key", "walkers", "nowhere", 2, SIZE, shards, "now", {}))
    return SyncStore(folder)


class Page(html.parser.HTMLParser):
    """Tags, the files of pictures and the text of list entries."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.pictures: list[str | None] = []
        self.entries: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.pictures += [value for name, value in attributes if name == "src"]
        if tag == "li":
            self.entries.append("")

    def handle_data(self, text: str) -> None:
        if self.tags[-1:] == ["li"]:
            self.entries[-1] += text


def test_statistics_are_those_of_the_photos_with_a_person(tmp_path: Path) -> None:
    store = make_store(tmp_path / "store")
    found = measure(store, "shard-00000.h5", range(4))
    assert (found.photos, found.alone, found.clothing, found.rest) == (4, (f"2 {NASTY}",), 20, 2)
    assert "4 photos, 25.0% without a person; clothes moved by 20.0 grey levels of 255, the rest by 2.0" in in_words(
        found
    )


def test_the_page_shows_each_shard_and_names_are_only_text(tmp_path: Path) -> None:
    page = write_preview(make_store(tmp_path / "store"), rows=3)
    read = Page(page.read_text(encoding="utf-8"))
    assert "script" not in read.tags
    assert read.pictures == ["shard-00000.png"]
    assert len(read.entries) == 5  # three on the sheet, one without a person, one unread
    assert all(printable(NASTY) in entry for entry in read.entries)
    with Image.open(page.parent / "shard-00000.png") as sheet:
        assert sheet.height > 3 * 128
        assert sheet.width > 3 * 64


def test_statistics_are_printed_and_the_last_store_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    store = make_store(Path("work/sync/walkers-key"))
    result = CliRunner().invoke(main, ["preview"])
    assert result.exit_code == 0, result.output
    assert result.output.splitlines() == [
        in_words(measure(store, "shard-00000.h5", range(4))),
        f"page: {store.path / 'preview' / 'index.html'}",
    ]
    result = CliRunner().invoke(main, ["preview", "--dataset", "prcc"])
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    (store.path / "shard-00000.h5").write_bytes(b"torn")
    result = CliRunner().invoke(main, ["preview"])
    assert (result.exit_code, result.output.count("\n")) == (2, 1)
    assert "shard-00000.h5: this shard is damaged" in result.output


def test_small_pictures_are_enlarged_by_a_whole_factor() -> None:
    picture = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    sheet = np.asarray(contact_sheet([[picture, picture], [picture]]))
    assert sheet.shape[0] > 2 * 128
    places = [index for index in range(sheet.shape[1]) if (sheet[10, index] != 255).any()]
    np.testing.assert_array_equal(sheet[4 : 4 + 128 : 32, places[0] : places[0] + 128 : 32], picture)


def test_a_folder_that_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(InputError):
        SyncStore(tmp_path)
    result = CliRunner().invoke(main, ["preview", str(tmp_path)])
    assert (result.exit_code, result.output.count("\n")) == (2, 1)


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (390, True)])
def test_a_visitor_sees_the_sheet_and_runs_no_script_of_a_name(
    tmp_path: Path, look: Callable[..., Any], width: int, dark: bool
) -> None:
    page = look(write_preview(make_store(tmp_path / "store"), rows=3), width, dark)
    assert page.locator("img").evaluate("image => image.naturalWidth") > 3 * 64
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    page.get_by_text("The photos on the sheet").click()
    assert "<script>alert('1')</script>" in page.locator("ol li").first.inner_text()
    red, green, blue = map(int, re.findall(r"\d+", page.evaluate("getComputedStyle(document.body).backgroundColor")))
    assert (max(red, green, blue) < 64) == dark
