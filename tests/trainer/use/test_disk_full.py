"""A disk that fills up while an encoder's files are written: the system's error, and what was there stays."""

from __future__ import annotations

import errno
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from trainer import runs
from trainer.encoder import Encoder
from trainer.use import export_encoder, write_features


@pytest.fixture
def full(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk that has a file of each kind, and no room."""
    folder = tmp_path / "full"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], check=True)
    try:
        for name in ("f.h5", "f.npz", "encoder.safetensors", "encoder.pt"):
            (folder / name).write_bytes(b"earlier")
        with pytest.raises(OSError, match="No space left"):
            (folder / "fill").write_bytes(bytes(1 << 17))
        yield folder
    finally:
        subprocess.run(["umount", folder], check=True)


def written(encoder: Encoder, gallery: Path, path: Path) -> None:
    """Write the file of this name."""
    kinds = {".pt": "torchscript", ".safetensors": "safetensors"}
    if path.suffix in kinds:
        export_encoder(path, encoder, kinds[path.suffix], {})
    else:
        write_features(path, encoder, gallery)


@pytest.mark.parametrize("name", ["f.h5", "f.npz", "encoder.safetensors", "encoder.pt"])
def test_a_full_disk_is_said_as_such(full: Path, gallery: Path, run: runs.Run, name: str) -> None:
    encoder = Encoder.load(str(run.folder))
    with pytest.raises(OSError, match="No space left") as caught:
        written(encoder, gallery, full / name)
    assert caught.value.errno == errno.ENOSPC
    assert (full / name).read_bytes() == b"earlier"
    assert sorted(path.name for path in full.iterdir()) == [
        "encoder.pt",
        "encoder.safetensors",
        "f.h5",
        "f.npz",
        "fill",
    ]
