"""Whatever a path below a folder leads to is digested, and nothing twice or forever."""

from __future__ import annotations

from pathlib import Path

from data.runtime.walk import digest_files


def test_a_file_behind_links_counts(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "annotation", tmp_path / "elsewhere" / "rgb"
    elsewhere.mkdir(parents=True)
    folder.mkdir()
    (elsewhere / "a.png").write_bytes(b"1")
    (folder / "rgb").symlink_to(elsewhere)
    (folder / "b.png").symlink_to(elsewhere / "a.png")
    before = digest_files(folder, [".png"])
    (elsewhere / "a.png").write_bytes(b"2")
    changed = digest_files(folder, [".png"])
    (folder / "b.png").unlink()
    assert len({before, changed, digest_files(folder, [".png"])}) == 3


def test_links_in_circles_and_to_nowhere_end(tmp_path: Path) -> None:
    (tmp_path / "one").mkdir()
    (tmp_path / "two").mkdir()
    (tmp_path / "one" / "up").symlink_to(tmp_path)
    (tmp_path / "lost.png").symlink_to(tmp_path / "nothing.png")
    (tmp_path / "again").symlink_to(tmp_path / "one")
    before = digest_files(tmp_path, [".png"])
    (tmp_path / "again").unlink()
    (tmp_path / "again").symlink_to(tmp_path / "two")
    assert digest_files(tmp_path, [".png"]) != before


def test_hidden_files_count_as_readers_open_them_by_name(tmp_path: Path) -> None:
    before = digest_files(tmp_path, [".png"])
    (tmp_path / ".photo.jpg.png").write_bytes(b"1")
    assert digest_files(tmp_path, [".png"]) != before
