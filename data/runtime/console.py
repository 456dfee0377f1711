"""The command line: a click group whose commands end in one line of plain words instead of a traceback."""

from __future__ import annotations

import errno
import signal
from types import FrameType
from typing import Any

import click

from data.runtime.errors import InputError, RunError


class OneLineGroup(click.Group):
    """A click group whose commands end in one line of plain words instead of a traceback.

    Exit status: 2 for usage and input, 1 for a fault at run time, 130 after an interrupt. SIGTERM is handled as Ctrl-C.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command; see the class for what becomes of its errors."""
        previous = signal.signal(signal.SIGTERM, _terminate)
        try:
            return super().invoke(ctx)
        except InputError as error:
            _stop(f"error: {error}", 2)
        except RunError as error:
            _stop(f"error: {error}", 1)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                _stop(f"error: the disk is full ({error.filename or 'while writing'}): free some space, then repeat", 1)
            if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
                _stop(f"error: no permission for {error.filename}: change its rights or choose another folder", 1)
            raise
        except KeyboardInterrupt as interrupt:
            _stop(str(interrupt) or "interrupted: repeat the same command to go on", 130)
        finally:
            signal.signal(signal.SIGTERM, previous)


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _stop(line: str, status: int) -> None:
    click.echo(" ".join(line.splitlines()), err=True)
    raise click.exceptions.Exit(status)
