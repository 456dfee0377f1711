"""What every command shares: devices, signals, tables, logs, progress, files and places."""

from __future__ import annotations

import os
import re
import signal
from pathlib import Path

import pytest

from data.runtime.devices import choose_device
from data.runtime.errors import InputError
from data.runtime.files import replacing
from data.runtime.logs import get_logger, log_to_console, log_to_folder
from data.runtime.places import DATASETS, dataset_root
from data.runtime.progress import progress
from data.runtime.signals import deferred_interrupts
from data.runtime.tables import format_table


@pytest.mark.parametrize(
    ("name", "gpus", "rank", "device"),
    [
        ("", 0, 0, "cpu"),
        ("", 2, 1, "cuda:1"),
        ("cpu", 2, 0, "cpu"),
        ("cuda", 2, 1, "cuda:1"),
        ("cuda:1", 2, 0, "cuda:1"),
    ],
)
def test_a_device_is_chosen(name: str, gpus: int, rank: int, device: str) -> None:
    assert choose_device(name, gpus, rank) == device


@pytest.mark.parametrize(
    ("name", "gpus", "rank", "fault"),
    [
        ("tpu", 1, 0, "unknown"),
        ("cuda:x", 1, 0, "unknown"),
        ("cuda", 0, 0, "not there"),
        ("cuda:3", 2, 0, "not there"),
        ("", 2, 2, "not there"),
    ],
)
def test_a_device_that_cannot_be(name: str, gpus: int, rank: int, fault: str) -> None:
    with pytest.raises(InputError, match=fault):
        choose_device(name, gpus, rank)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_waits_and_a_second_one_acts() -> None:
    before = signal.getsignal(signal.SIGINT)
    with deferred_interrupts() as interrupted:
        assert not interrupted()
        os.kill(os.getpid(), signal.SIGINT)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


def test_columns_of_a_table_align() -> None:
    table = format_table(["", "R1", "mAP"], [["standard", "9.5", "10.25"], ["x", "100.0", "7"]])
    assert table.splitlines() == [
        "             R1    mAP",
        "standard    9.5  10.25",
        "x         100.0      7",
    ]


def test_a_run_log_says_when(tmp_path: Path) -> None:
    log_to_console()
    for number in range(2):
        with log_to_folder(tmp_path):
            get_logger("test").info("news %s", number)
    get_logger("test").info("later")
    lines = (tmp_path / "run.log").read_text().splitlines()
    assert [re.sub(r"^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} ", "", line) for line in lines] == [
        "INFO news 0",
        "INFO news 1",
    ]
    assert all(line.startswith("20") for line in lines)


def test_progress_is_plain_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("data.runtime.progress._SECONDS_BETWEEN_LINES", 0.0)
    log_to_console()
    with progress("reading", 2000) as read:
        read.advance(500)
    shown = capsys.readouterr()
    assert re.fullmatch(r"reading: 500 of 2,000 photos, [\d.]+ a second, \d+ s left\n", shown.out)
    assert shown.err == ""


def test_a_folder_is_whole_or_absent(tmp_path: Path) -> None:
    with replacing(tmp_path / "whole", flushed=False) as building:
        building.mkdir()
        (building / "file").write_text("all of it")

    def fail() -> None:
        with replacing(tmp_path / "absent", flushed=False) as building:
            building.mkdir()
            (building / "file").write_text("half of it")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [entry.name for entry in tmp_path.iterdir()] == ["whole"]


def test_a_data_set_has_its_place() -> None:
    assert dataset_root("prcc") == DATASETS / "prcc"
    assert dataset_root("prcc", Path("elsewhere")) == Path("elsewhere")
