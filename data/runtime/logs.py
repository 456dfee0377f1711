"""Logging: what a command says goes to the terminal, and into a `run.log` beside what it makes."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tqdm import tqdm

LOG_FILE = "run.log"

_ROOT = "sync-person-cloud"


def get_logger(name: str) -> logging.Logger:
    """The logger of a module, below the program's own; libraries' loggers are left alone."""
    return logging.getLogger(f"{_ROOT}.{name}")


def log_to_console(level: int = logging.INFO) -> None:
    """Print messages from `level` on: warnings and errors on standard error, all others on standard output.

    A progress bar that stands on the terminal is moved out of the way. Calling it again changes the level.
    """
    logger = logging.getLogger(_ROOT)
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    for handler in [handler for handler in logger.handlers if isinstance(handler, _Console)]:
        logger.removeHandler(handler)
    logger.addHandler(_Console(level))


@contextmanager
def log_to_folder(folder: Path) -> Iterator[None]:
    """Append every message of the block, with the time, to `run.log` in a folder, if that can be written."""
    try:
        handler = _File(folder / LOG_FILE, encoding="utf-8", errors="backslashreplace")
    except OSError:
        yield
        return
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    logger = logging.getLogger(_ROOT)
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        handler.close()


class _File(logging.FileHandler):
    def handleError(self, record: logging.LogRecord) -> None:
        """Go on without: a full disk is said by whatever needs it."""


class _Console(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        """Print one message; warnings say that they are."""
        line = record.getMessage()
        if record.levelno >= logging.WARNING:
            line = f"{record.levelname.lower()}: {line}"
        tqdm.write(line, file=sys.stderr if record.levelno >= logging.WARNING else sys.stdout)
