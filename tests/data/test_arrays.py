"""Whatever has happened to the bytes of a file of arrays, it gives what was written, or one kind of error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from data.arrays import read_arrays

ARRAYS = {
    "names": np.array([b"a.jpg", b"folder/b.jpg"]),
    "pixels": np.arange(96, dtype=np.uint8).reshape(4, 8, 3),
    "means": np.linspace(0, 1, 24, dtype=np.float32).reshape(3, 8),
    "reasons": np.array(["well seen", "größe"]),
    "taken": np.int64(1_600_000_000_000_000_000),
}


def equal(found: dict[str, np.ndarray]) -> bool:
    """Whether all is there that was written; a name that was changed makes an array be missing."""
    return all(
        name in found and np.array_equal(found[name], array) and found[name].dtype == np.asarray(array).dtype
        for name, array in ARRAYS.items()
    )


@pytest.mark.parametrize("bits", [0x01, 0xFF])
def test_no_flipped_byte_changes_an_array(tmp_path: Path, bits: int) -> None:
    path = tmp_path / "arrays.npz"
    np.savez(path, **ARRAYS)
    written = path.read_bytes()
    assert equal(read_arrays(path))
    refused = 0
    for position in range(len(written)):
        torn = bytearray(written)
        torn[position] ^= bits
        path.write_bytes(torn)
        try:
            found = read_arrays(path)
        except ValueError:
            refused += 1
        else:
            missing = ARRAYS.keys() - found.keys()
            assert equal(found) or missing, f"byte {position}"
    # The rest lie in the headers of the archive: times, permissions, names.
    assert refused > 0.7 * len(written)


def test_what_cannot_be_read_is_an_error_of_the_system(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read_arrays(tmp_path / "nothing.npz")
    with pytest.raises(IsADirectoryError):
        read_arrays(tmp_path)
