"""The parts of a report, by the numbers that they must give."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from data.benchmark import SHOTS, Benchmark, Setting, named
from data.page import make_page
from data.record import ImageRecord
from tests.trainer.ranking.small import BENCHMARK, noisy_features
from trainer.ranking import MATCH, OTHER, REMOVED, encode_labels, evaluate_benchmark, rank_benchmark, verdicts
from trainer.report.charts import Line, draw
from trainer.report.clusters import agreements
from trainer.report.maps import lay_out
from trainer.report.paired import comparable, pair
from trainer.report.pictures import Pictures
from trainer.report.rankings import Rankings
from trainer.report.strips import make_strips


def rankings(benchmark: Benchmark, noise: int = 0) -> Rankings:
    records = list({r.path: r for s in benchmark.settings.values() for r in (*s.query, *s.gallery)}.values())
    features = noisy_features(records) + np.random.default_rng(noise).normal(0, 0.1 * noise, (len(records), 8))
    features = (features / np.linalg.norm(features, axis=1, keepdims=True)).astype(np.float32)
    rows = {record.path: row for row, record in enumerate(records)}
    ranked = rank_benchmark(benchmark, lambda wanted: features[[rows[record.path] for record in wanted]])
    return Rankings(ranked, features, rows)


def test_numbers_of_queries_have_the_numbers_of_protocols_as_their_means() -> None:
    ranked = rank_benchmark(BENCHMARK, noisy_features)
    assert tuple(each.result for each in ranked) == evaluate_benchmark(BENCHMARK, noisy_features)
    for each in ranked:
        assert 100 * each.ap[each.used].mean() == pytest.approx(each.result["mAP"].value)
        assert 100 * each.hit[each.used].mean() == pytest.approx(each.result["R1"].value)
        assert 100 * each.cmc[4] == pytest.approx(each.result["R5"].value)
        assert each.cmc[-1] == pytest.approx(1)


@pytest.mark.parametrize("setting", ["standard", "clothing-change", "same-clothing"])
def test_verdicts_are_those_of_the_rules(setting: str) -> None:
    random = np.random.default_rng(1)
    query, gallery = (
        [
            ImageRecord(Path(f"{side}{i}"), *(str(value) for value in random.integers(0, (4, 2, 2))))
            for i in range(count)
        ]
        for side, count in (("q", 7), ("g", 60))
    )
    found = verdicts(*encode_labels(query, gallery), setting)
    for row, q in enumerate(query):
        for column, g in enumerate(gallery):
            removed = q.camera == g.camera
            removed |= setting == "clothing-change" and q.clothes == g.clothes
            removed |= setting == "same-clothing" and q.clothes != g.clothes
            expected = OTHER if q.person != g.person else REMOVED if removed else MATCH
            assert found[row, column] == expected


def test_a_difference_has_the_standard_error_of_its_mean() -> None:
    first, other = (rankings(BENCHMARK, noise).ranked[1] for noise in (0, 5))
    paired = pair(first, other)
    difference = 100 * (other.ap - first.ap)
    assert paired.mean_ap == pytest.approx(other.result["mAP"].value - first.result["mAP"].value)
    assert paired.mean_ap_error == pytest.approx(difference.std(ddof=1) / np.sqrt(12))
    assert (paired.better, paired.worse) == ((difference > 0).sum(), (difference < 0).sum())
    same = pair(first, first)
    assert (same.rank1, same.mean_ap_error, same.better, same.worse) == (0, 0, 0, 0)


def test_only_the_same_galleries_are_compared() -> None:
    ranked = rankings(BENCHMARK).ranked
    assert comparable(ranked[0], ranked[0])
    assert not comparable(ranked[0], ranked[1])
    setting = BENCHMARK.settings["clothing-change"]
    fewer = named(Setting(setting.name, setting.query[1:], setting.gallery, SHOTS))
    assert not comparable(ranked[1], rankings(Benchmark("small", Path("/data"), [], fewer)).ranked[1])


def test_strips_are_of_the_best_the_worst_and_as_many_people_as_can_be() -> None:
    found = rankings(BENCHMARK)
    strips = [strip for strip in make_strips(Path("/data"), ["run"], [found], Pictures()) if strip.setting[0] == "c"]
    scores = np.sort(100 * found.ranked[1].ap)
    aps = {kind: [strip.rows[0].ap for strip in strips if strip.kind == kind] for kind in ("best", "worst", "random")}
    assert aps["best"] == pytest.approx(scores[::-1][: len(aps["best"])])
    assert aps["worst"] == pytest.approx(scores[: len(aps["worst"])])
    assert len(aps["random"]) == 12
    assert len({strip.person for strip in [s for s in strips if s.kind == "random"][:6]}) == 6
    [record.path for record in BENCHMARK.settings["clothing-change"].query]
    for strip in strips:
        places = [shot.place for shot in strip.rows[0].shots if shot.place]
        assert places == list(range(1, 11))
        first = next((shot.place for shot in strip.rows[0].shots if shot.verdict == "right"), 11)
        number = [record.path for record in BENCHMARK.settings["clothing-change"].query].index(
            Path("/data", strip.query.name)
        )
        assert min(found.ranked[1].scores[0].first[number], 11) == first


def test_clusters_agree_with_what_they_are_made_of() -> None:
    records = [ImageRecord(Path(str(i)), str(i % 5), str(i % 2), None if i % 3 else "red") for i in range(60)]
    labels = np.arange(60) % 2
    labels[:4] = -1
    found = {each.trait: each for each in agreements(labels, records)}
    assert (found["camera"].ami, found["camera"].ari, found["camera"].purity) == pytest.approx((1, 1, 1))
    assert (found["camera"].values, found["camera"].photos) == (2, 56)
    assert abs(found["person"].ami) < 0.1
    assert 0.2 < found["person"].chance < 0.5
    assert found["clothes"].photos == 18
    assert agreements(np.full(60, -1), records) == []


@pytest.mark.parametrize("count", [3, 19, 40])
def test_photos_that_are_alike_lie_together(count: int) -> None:
    features = np.repeat(np.eye(2, 8), count, axis=0) + np.random.default_rng(0).normal(0, 0.01, (2 * count, 8))
    places, method = lay_out(features)
    assert places.min() >= 0
    assert places.max() <= 400
    assert ("t-SNE" in method) == (2 * count >= 20)
    centres = places[:count].mean(0), places[count:].mean(0)
    spread = max(np.linalg.norm(places[:count] - centres[0], axis=1).max(), 1)
    assert np.linalg.norm(centres[0] - centres[1]) > spread
    np.testing.assert_array_equal(places, lay_out(features)[0])


def test_charts_take_the_colours_of_the_page_and_share_no_names() -> None:
    lines = [Line("a <b> $x$", [1, 2, 3], [1.0, 2.0, 3.0]), Line("_b", [1, 2, 3], [3.0, 2.0, 1.0], 1, 1)]
    charts = [draw("title", lines, "across", "up") for _ in range(2)]
    names = [set(re.findall(r'id="([^"]+)"', chart.svg)) for chart in charts]
    assert names[0]
    assert not names[0] & names[1]
    for chart, own in zip(charts, names, strict=True):
        assert set(re.findall(r'(?:href="#|url\(#)([^")]+)', chart.svg)) <= own
        assert not re.search(r"#[0-9a-f]{6}", chart.svg)
        assert {"var(--series-0)", "var(--series-1)", "var(--muted)"} <= set(re.findall(r"var\([^)]+\)", chart.svg))
        assert "<b>" not in chart.svg
        assert "a &lt;b" not in chart.svg


def test_a_page_escapes_whatever_is_put_in(tmp_path: Path) -> None:
    (tmp_path / "own.html").write_text(
        '{% extends "base.html" %}{% block title %}{{ name }}{% endblock %}'
        '{% block main %}<p title="{{ name }}">{{ name }}</p>{% endblock %}'
    )
    page = make_page(tmp_path / "own.html", name='</title><script>alert("1")</script>\n\u202e\udcff')
    assert "<script" not in page
    assert page.count("&lt;script&gt;alert(&#34;1&#34;)&lt;/script&gt;\\n\\u202e\\udcff") == 3
