"""Reports as a user sees them: made by the command, looked at in a browser."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from data import open_benchmark
from tests.trainer.report.conftest import NASTY, Command, make_run
from trainer import runs
from trainer.baselines import make_baseline
from trainer.encoder import make_encoder
from trainer.report import Request, write_report

Look = Callable[..., Any]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of one's own, and the current one."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of a run with a name of trouble, to look at."""
    folder = tmp_path_factory.mktemp("demo")
    return write(folder / "page.html", make_run(folder, 'q"<i>'))


def write(path: Path, *made: runs.Run) -> Path:
    write_report(path, Request(made))
    return path


def test_a_user_makes_a_report_and_reads_it(here: Path, command: Command, look: Look) -> None:
    make_run(here, "demo")
    done = command("report", "--run", "demo")
    assert done.returncode == 0, done.stderr
    page = look(Path("work/reports/demo.html"))
    assert page.title() == "demo · report"
    done = command("eval", "--run", "demo")
    printed = dict(re.findall(r"^(\S+, multi-shot) +([\d.]+)", done.stdout, re.MULTILINE))
    assert set(printed) == {"standard, multi-shot", "clothing-change, multi-shot", "same-clothing, multi-shot"}
    for row in page.locator("#figures table tbody tr").all():
        assert row.locator("td").first.inner_text() == printed[row.locator("th").inner_text()]
    assert page.locator("#figures svg.chart, #training svg.chart").count() == 6
    assert page.locator("#redrawn li").count() == 12
    assert page.locator("circle").count() == 20
    assert page.locator("main").get_by_text("What is missing").count() == 0


def test_clusters_that_follow_cameras_are_seen_to(demo: Path, look: Look) -> None:
    page = look(demo)
    rows = {
        row.locator("th").inner_text(): row.inner_text().split() for row in page.locator(".agreement tbody tr").all()
    }
    assert list(rows) == ["person", "clothes", "camera"]
    assert rows["camera"][1:4] == ["1.00", "1.00", "100"]
    assert float(rows["person"][1]) < 0.1
    page.get_by_label("camera", exact=True).check()
    fills = page.locator("circle").evaluate_all("all => all.map(each => [each.dataset.camera, each.style.fill])")
    assert len({tuple(each) for each in fills}) == 2
    assert "yard" in page.locator("[data-legend]").inner_text()
    page.get_by_label("cluster", exact=True).check()
    noise = page.locator('circle[data-cluster="-1"]')
    assert noise.evaluate("point => point.style.fill") == "var(--line)"


def test_rankings_are_filtered_by_keyboard(demo: Path, look: Look) -> None:
    page = look(demo)
    shown = page.locator(".strip:visible")
    first = shown.count()
    assert {each.get_attribute("data-setting") for each in shown.all()} == {"clothing-change"}
    page.get_by_role("combobox", name="Setting").focus()
    page.keyboard.press("ArrowDown")
    assert {each.get_attribute("data-setting") for each in shown.all()} == {"same-clothing"}
    page.get_by_role("combobox", name="Person").focus()
    page.keyboard.type("anna")
    assert {each.get_attribute("data-person") for each in shown.all()} == {"anna"}
    assert 0 < shown.count() < first
    assert page.locator("#shown").inner_text() == f"{shown.count()} of {page.locator('.strip').count()} shown"


def test_a_strip_says_what_is_right_wrong_and_left_out_by_more_than_colour(demo: Path, look: Look) -> None:
    page = look(demo)
    page.get_by_role("combobox", name="Setting").select_option("clothing-change")
    page.get_by_role("combobox", name="Person").select_option("anna")
    strip = page.locator(".strip:visible").first
    signs = {kind: strip.locator(f".{kind} .sign").all_inner_texts() for kind in ("right", "wrong", "out")}
    # Of anna's four photos two are by the query's camera, and one is in the query's clothes.
    assert [len(signs[kind]) for kind in ("right", "wrong", "out")] == [1, 8, 3]
    places = [int(sign.split()[1]) for sign in (*signs["right"], *signs["wrong"])]
    assert sorted(places) == list(range(1, 10))
    assert {sign.split()[0] for sign in signs["right"]} == {"\N{CHECK MARK}"}
    assert {sign.split()[0] for sign in signs["wrong"]} == {"\N{BALLOT X}"}
    assert set(signs["out"]) == {"\N{EN DASH}"}
    assert strip.locator(".query .labels").inner_text().split("\n") == ["cam door & <b>hall</b>", "clo anna-old"]


@pytest.mark.parametrize(("width", "dark"), [(1200, False), (390, True)])
def test_nasty_names_are_shown_and_the_page_fits(demo: Path, look: Look, width: int, dark: bool) -> None:
    page = look(demo, width, dark)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.locator("h1").inner_text() == 'q"<i>'
    assert page.locator("main img, main i:not(.legend i), main script").count() == 0
    assert NASTY in page.get_by_role("combobox", name="Person").locator("option").all_inner_texts()
    page.get_by_role("combobox", name="Person").select_option(NASTY)
    assert page.locator(".strip:visible h3").first.inner_text() == "query/new\\nline.png"
    bright = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (max(map(int, re.findall(r"\d+", bright))) < 64) == dark
    drawn = page.locator("svg.photo").first.evaluate("photo => photo.querySelector('use').getBBox().width")
    assert drawn == 56


def test_several_runs_are_compared_query_by_query(here: Path, command: Command, look: Look) -> None:
    make_run(here, "first")
    make_run(here, "second", seed=1)
    done = command("compare", "--runs", "first,second")
    assert done.returncode == 0, done.stderr
    page = look(Path("work/reports/first-second.html"))
    figures = page.locator("#figures tbody tr:not(.protocol)")
    assert figures.count() == 2 * page.locator("#figures tr.protocol").count() == 6
    first, second = (figures.nth(n).locator("td").all_inner_texts() for n in (0, 1))
    difference = float(second[4].split()[0])
    assert difference == pytest.approx(float(second[0]) - float(first[0]), abs=0.11)
    better, worse = map(int, second[6].split("/"))
    assert 0 < better + worse <= 5
    page.locator("#queries summary").click()
    rows = [row.split("\t") for row in page.locator("#queries tbody tr").all_inner_texts()]
    assert len(rows) == 15
    for row in rows:
        assert float(row[-1]) == pytest.approx(float(row[-2]) - float(row[-3]), abs=0.11)
    assert {"gained", "lost", "random"} >= set(
        page.get_by_role("combobox", name="Queries").locator("option").all_inner_texts()[1:]
    )
    assert page.locator(".strip").first.locator(".shots").count() == 2
    assert "seed" in page.locator("#settings tbody").inner_text()


@pytest.mark.parametrize("names", ["first", "first,first", ","])
def test_a_comparison_needs_two_runs(here: Path, command: Command, names: str) -> None:
    make_run(here, "first")
    done = command("compare", "--runs", names)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "two or more different runs" in done.stderr


def test_without_labels_the_page_says_so_and_shows_the_rest(tmp_path: Path, look: Look) -> None:
    page = look(write(tmp_path / "page.html", make_run(tmp_path, "mine", dataset="folder")))
    assert "nothing was ranked" in page.locator(".notes").inner_text()
    assert "not known" in page.locator("#clusters").inner_text()
    assert page.locator('input[name="colouring"]').evaluate_all("all => all.map(each => each.value)") == ["cluster"]
    assert page.locator("#redrawn li").count() == 12
    assert page.locator("#clusters .shots li").count() > 8


def test_what_is_gone_is_said_and_kept_numbers_are_shown(here: Path, command: Command, look: Look) -> None:
    run = make_run(here, "demo")
    assert command("eval", "--run", "demo").returncode == 0
    kept = {row["protocol"]: row["value"] for row in json.loads((run.folder / "results.json").read_text())}
    shutil.rmtree(here / "photos")
    page = look(write(here / "data.html", run))
    assert "Without its data set" in page.locator(".notes").inner_text()
    assert set(page.locator("#figures tbody th").all_inner_texts()) == set(kept)
    assert page.locator("#figures svg.chart").count() == 1
    assert page.locator("#redrawn li").count() == 12
    shutil.rmtree(run.sync)
    page = look(write(here / "shards.html", run))
    assert "Without its shards" in page.locator(".notes").inner_text()
    assert page.locator("#training svg.chart").count() == 5
    assert page.locator("#redrawn, #map").count() == 0


def test_a_baseline_which_has_no_shards_stands_beside_a_run(tmp_path: Path, look: Look) -> None:
    ours = make_run(tmp_path, "ours")
    config = make_baseline("twin", "walkers", {"height": 32, "width": 16, "epochs": 1})
    theirs = runs.Run(tmp_path / "work" / "runs" / "theirs")
    runs.start_baseline(theirs, config, open_benchmark("csv", tmp_path / "photos"), torch.device("cpu"))
    theirs.save({"encoder": make_encoder(config, "none").state_dict(), "epoch": 1}, 1, 0)
    page = look(write(tmp_path / "page.html", ours, theirs))
    assert page.locator("#figures tr.protocol").count() == 3
    assert page.locator("#queries tbody tr").count() == 15
    assert "No clustering is kept" in page.locator("#clusters").inner_text()
    assert page.locator(".map").count() == 1
    assert page.locator(".notes").count() == 0


def test_a_photo_that_cannot_be_read_costs_the_ranking_alone(tmp_path: Path, look: Look) -> None:
    run = make_run(tmp_path, "demo")
    next((tmp_path / "photos" / "gallery").iterdir()).write_bytes(b"")
    page = look(write(tmp_path / "page.html", run))
    assert "the file is empty" in page.locator(".notes").inner_text()
    assert page.locator("#training svg.chart").count() == 5


def test_a_report_changes_nothing_in_the_run(tmp_path: Path) -> None:
    run = make_run(tmp_path, "demo")
    before = {path: path.read_bytes() for path in run.folder.rglob("*")}
    first = write(tmp_path / "page.html", run).read_bytes()
    assert {path: path.read_bytes() for path in run.folder.rglob("*")} == before
    assert b"data:image/jpeg" in first
