"""What HDF5 writes into, where the disk takes no more."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from data.shards.sink import Sink, writing_hdf5

ROOT = Path(__file__).parents[3]
# In a process of its own, which HDF5 may end. A limit on a file's size is met as a full disk is: by a write that fails.
PROGRAM = """
import errno, resource, signal, sys
from pathlib import Path
import h5py
import numpy as np
from data.shards.sink import writing_hdf5

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
names = [f"n{number}".encode() * (number % 50) for number in range(400)]
told = 0
for limit in range(0, 100_000, 1_000):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
    try:
        with writing_hdf5(Path(sys.argv[1], str(limit))) as (file, sink):
            file["features"] = np.random.default_rng(0).random((60, 60), np.float32)
            file.create_dataset("names", data=names, dtype=h5py.string_dtype())
            file.flush()
            for number in range(20):
                file.create_dataset(f"more/{number}", data=names, dtype=h5py.string_dtype())
                file.flush()
                assert file["names"][399] == names[399]
                file.attrs[str(number)] = "x" * 100
    except OSError as error:
        told += error.errno == errno.EFBIG
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
print(told)
"""


def test_what_did_not_reach_the_disk_can_be_read_back_and_the_error_comes_in_the_end(tmp_path: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "100\n"), done.stderr


def test_where_nothing_fails_it_is_a_file(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    with writing_hdf5(path) as (file, _):
        file["numbers"] = np.arange(1000)
        assert file["numbers"][999] == 999
    with h5py.File(path) as file:
        assert file["numbers"][:].tolist() == list(range(1000))


def test_an_old_file_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "old").write_bytes(b"old")
    with pytest.raises(FileExistsError):
        Sink(tmp_path / "old")
    assert (tmp_path / "old").read_bytes() == b"old"
