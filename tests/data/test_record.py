"""Photos of which only the files are known: a list of records, but for its memory."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from data.record import ImageRecord, Unlabelled, paths_of
from data.runtime.walk import Paths, encoded

PATHS = Paths(Path("photos"), encoded(["b/größe.jpg", "a.jpg", "c\udcff.jpg"]))
RECORDS = [ImageRecord(path) for path in PATHS]


def test_they_are_the_records_of_a_list() -> None:
    photos = Unlabelled(PATHS)
    assert (len(photos), list(photos), photos[-1]) == (3, RECORDS, RECORDS[-1])
    assert list(photos[1:]) == RECORDS[1:]
    assert list(photos[::-1]) == RECORDS[::-1]
    assert RECORDS[2] in photos
    with pytest.raises(IndexError):
        photos[3]
    assert list(pickle.loads(pickle.dumps(photos))) == RECORDS


def test_they_equal_a_list_of_the_same_records_and_no_other() -> None:
    photos = Unlabelled(PATHS)
    assert photos == RECORDS
    assert photos == Unlabelled(PATHS[:])
    assert photos[:0] == []
    for other in (RECORDS[:2], RECORDS[::-1], [ImageRecord(record.path, "anna") for record in RECORDS], tuple(RECORDS)):
        assert photos != other


def test_paths_are_those_of_the_records_labelled_or_not() -> None:
    assert list(paths_of(Unlabelled(PATHS))) == paths_of(RECORDS) == list(PATHS)
