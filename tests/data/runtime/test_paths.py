"""Many paths in one array are what a list of them is, in whatever letters their names are."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from data.runtime.walk import Paths, encoded, order, walk

ROOT = Path("photos of mine")
ODD = (
    b"plain.jpg",
    b"two words\n.jpg",
    "größe/衣 𐐷.jpg".encode(),
    b"not-utf8-\xff.jpg",
    b"\x80/\xe9",
    "\ue000/é".encode(),
)

# Whatever bytes a file system takes.
PARTS = st.one_of(
    st.sampled_from([b"a", b"b", b"a ", b"a\x01", b"\x80", b"\xff", "é".encode(), "\ue000".encode(), "𐐷".encode()]),
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1).map(str.encode),
    st.binary(min_size=1, max_size=4).filter(lambda part: not set(b"/\0") & set(part)),
).filter(lambda part: part not in (b".", b".."))
NAMES = st.lists(
    st.lists(PARTS, min_size=1, max_size=3).map(lambda parts: os.fsdecode(b"/".join(parts))), max_size=20, unique=True
)


@settings(deadline=None)
@given(NAMES, st.slices(20))
def test_paths_are_those_of_a_list(names: list[str], rows: slice) -> None:
    paths, expected = Paths(ROOT, encoded(names)), [ROOT / name for name in names]
    assert (len(paths), list(paths), list(reversed(paths))) == (len(expected), expected, expected[::-1])
    assert list(paths[rows]) == expected[rows]
    assert [paths[row - len(names)] for row in range(len(names))] == expected
    assert list(pickle.loads(pickle.dumps(paths))) == expected


@settings(deadline=None)
@given(NAMES)
def test_order_is_that_of_text_and_of_parts(names: list[str]) -> None:
    assert [names[row] for row in order(encoded(names))] == sorted(names)
    by_parts = [names[row] for row in order(encoded(names), by_parts=True)]
    assert by_parts == sorted(names, key=lambda name: Path(name).parts)


def test_a_slice_takes_with_it_only_its_own_names() -> None:
    paths = Paths(ROOT, encoded(f"{row:06d}.jpg" for row in range(5000)))
    assert len(pickle.dumps(paths[:10])) < len(pickle.dumps(paths)) / 50
    some = paths.only(np.arange(5000) % 2500 == 7)
    assert list(some) == [ROOT / "000007.jpg", ROOT / "002507.jpg"]
    with pytest.raises(IndexError):
        some[2]


def test_files_are_walked_in_the_order_of_their_parts_whatever_their_names(tmp_path: Path) -> None:
    for name in ODD:
        file = tmp_path / os.fsdecode(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    expected = sorted((tmp_path / os.fsdecode(name) for name in ODD), key=lambda path: path.parts)
    assert list(walk(tmp_path).files) == expected
    assert all(path.is_file() for path in walk(tmp_path).files)
