"""Digests: what tells whether files are still the same."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Collection
from pathlib import Path

from data.runtime.walk import walk


def digest_file(path: Path) -> str:
    """SHA-256 of a file in hexadecimal, "" if it cannot be read."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""


def digest_files(folder: Path, suffixes: Collection[str]) -> str:
    """SHA-256 of the names and bytes of all files that can be reached below a folder, hidden and linked ones too.

    Of a link to a folder that is seen anyway only its target counts.

    Args:
        folder: where to look.
        suffixes: endings, in small letters, of the files that count.
    """
    digest = hashlib.sha256()
    found = walk(folder, hidden=True)
    for path in found.files:
        if path.suffix.lower() in suffixes:
            digest.update(f"{path.relative_to(folder).as_posix()!r} {digest_file(path)}\n".encode())
    for link in found.repeated:
        target = os.path.relpath(link.resolve(), folder.resolve())
        digest.update(f"{link.relative_to(folder).as_posix()!r} -> {target!r}\n".encode())
    return digest.hexdigest()
