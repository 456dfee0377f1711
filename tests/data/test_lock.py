"""The lock of a folder, on file systems with and without locks."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from data.lock import is_locked, locked
from data.runtime.errors import RunError

ROOT = Path(__file__).parents[2]

HOLD = """
import sys, time
from pathlib import Path
from data.lock import locked
with locked(Path(sys.argv[1]), "training"):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_lock_ends_with_its_process_however_that_ends(tmp_path: Path) -> None:
    (tmp_path / ".half.h5.part").write_bytes(b"half")
    assert not is_locked(tmp_path)
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert is_locked(tmp_path)
        with pytest.raises(RunError, match="another training is at work on it: wait"), locked(tmp_path, "training"):
            pass
        other.kill()
    assert not is_locked(tmp_path)
    with locked(tmp_path, "training"):
        assert [path.name for path in tmp_path.iterdir()] == [".lock"]
        (tmp_path / ".other.h5.part").write_bytes(b"of a worker on another machine")
    assert [path.name for path in tmp_path.iterdir()] == [".lock"]


@pytest.fixture(params=["ENOLCK", "ENOSYS", "EOPNOTSUPP"])
def no_locks(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system without locks."""
    number = getattr(errno, request.param)

    def refuse(*_arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.usefixtures("no_locks")
def test_without_locks_a_sync_goes_on_and_keeps_others_out(tmp_path: Path) -> None:
    with locked(tmp_path, "sync"):
        with pytest.raises(RunError, match="another sync is at work on it: wait"), locked(tmp_path, "sync"):
            pass
        assert (tmp_path / ".holder").is_file()
        assert is_locked(tmp_path)
    assert not is_locked(tmp_path)
    with locked(tmp_path, "sync"):
        pass
    assert not (tmp_path / ".holder").exists()


@pytest.mark.usefixtures("no_locks")
def test_without_locks_what_a_dead_process_left_is_taken_away(tmp_path: Path) -> None:
    gone = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, text=True)
    (tmp_path / ".holder").write_text(f"{gone.stdout.strip()} {socket.gethostname()}")
    assert not is_locked(tmp_path)
    with locked(tmp_path, "sync"):
        assert (tmp_path / ".holder").read_text().startswith(f"{os.getpid()} ")
    (tmp_path / ".holder").write_text("7 elsewhere")
    assert is_locked(tmp_path)
    with pytest.raises(RunError, match=r"process 7 on elsewhere\): .* remove .*holder"), locked(tmp_path, "sync"):
        pass
