from __future__ import annotations

import hashlib
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from data.benchmark import Benchmark, Setting, named
from data.record import ImageRecord
from data.runtime.errors import InputError
from trainer.ranking.draws import draw_galleries, load_draws, save_draws

ROOT = Path("root of the data")
GALLERY = tuple(ImageRecord(ROOT / f"A/{p}/{i}.jpg", p, "A", p) for p in ("c", "a", "b") for i in range(5))
QUERY = (ImageRecord(ROOT / "C/a/1.jpg", "a", "C", "a2"),)
SETTING = Setting("clothing-change", QUERY, GALLERY, ("single-shot", "multi-shot"), draws=10)
BENCHMARK = Benchmark("mine", ROOT, [], named(SETTING))


def photos(setting: Setting) -> list[list[Path]]:
    return [[setting.gallery[i].path for i in draw] for draw in draw_galleries(setting)]


def test_each_draw_holds_one_photo_of_each_person() -> None:
    drawn = [[SETTING.gallery[i] for i in draw] for draw in draw_galleries(SETTING)]
    assert len(drawn) == 10
    assert all([record.person for record in records] == ["a", "b", "c"] for records in drawn)
    assert len({tuple(records) for records in drawn}) > 1


def test_the_order_of_listing_does_not_matter() -> None:
    assert photos(SETTING) == photos(replace(SETTING, gallery=GALLERY[::-1]))


def test_the_same_photos_elsewhere_give_the_same_draws() -> None:
    moved = tuple(replace(r, path=Path("/other disk") / r.path.relative_to(ROOT)) for r in GALLERY)
    assert draw_galleries(replace(SETTING, gallery=moved)) == draw_galleries(SETTING)


def test_every_photo_is_as_likely() -> None:
    counts = Counter(i for draw in draw_galleries(replace(SETTING, draws=2000)) for i in draw)
    # 400 expected of each, standard deviation 18.
    assert len(counts) == len(GALLERY)
    assert min(counts.values()) > 400 - 5 * 18
    assert max(counts.values()) < 400 + 5 * 18


def test_draws_are_the_same_in_every_version() -> None:
    assert draw_galleries(SETTING)[:2] == ((9, 13, 2), (6, 12, 2))


def test_saved_draws_load_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "draws.json"
    save_draws(path, BENCHMARK)
    loaded = load_draws(path, BENCHMARK)
    assert loaded.galleries == {"clothing-change": draw_galleries(SETTING)}
    assert loaded.source == f"draws.json, {hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"


def test_a_benchmark_without_single_shot_settings_has_no_draws(tmp_path: Path) -> None:
    settings = {name: replace(setting, shots=("multi-shot",)) for name, setting in BENCHMARK.settings.items()}
    benchmark = replace(BENCHMARK, settings=settings)
    with pytest.raises(InputError, match="mine has no single-shot settings"):
        save_draws(tmp_path / "draws.json", benchmark)
    assert list(tmp_path.iterdir()) == []
    save_draws(tmp_path / "draws.json", BENCHMARK)
    with pytest.raises(InputError, match="no draws for a setting of mine under 'clothing-change'"):
        load_draws(tmp_path / "draws.json", benchmark)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("not json", "not a file of single-shot draws"),
        ("[1, 2]", "not a file of single-shot draws"),
        (json.dumps({"standard": [["A/a/0.jpg"]]}), "no draws for a setting of mine under 'standard'"),
        (json.dumps({"clothing-change": []}), "no draws for a setting"),
        ("{}", "no draws in it"),
        (json.dumps({"clothing-change": [["A/a/99.jpg"]]}), "A/a/99.jpg is not in the clothing-change gallery"),
        (json.dumps({"clothing-change": [["A/a/0.jpg", "A/a/1.jpg"]]}), "two photos of one person"),
    ],
)
def test_draws_that_do_not_fit_are_refused(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "draws.json").write_text(content)
    with pytest.raises(InputError, match=message):
        load_draws(tmp_path / "draws.json", BENCHMARK)
    with pytest.raises(InputError, match=r"nowhere\.json"):
        load_draws(tmp_path / "nowhere.json", BENCHMARK)
