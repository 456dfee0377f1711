"""The command line: a click group whose commands end in one line of plain words instead of a traceback."""

from __future__ import annotations

import errno
import logging
import signal
import warnings
from collections.abc import Callable
from types import FrameType
from typing import Any

import click

from data.runtime.errors import InputError, RunError
from data.runtime.logs import log_to_console

# Commands load joblib later. What it says then, `data.runtime.processes` says in one line.
warnings.filterwarnings("ignore", message=".*joblib will operate in serial mode")
# Said where an error, which has its own line, or an interrupt ends the work.
warnings.filterwarnings("ignore", message=".*tasks (which were still being processed|have been successfully executed)")


class OneLineGroup(click.Group):
    """A click group whose commands end in one line of plain words instead of a traceback.

    Exit status: 2 for usage and input, 1 for a fault at run time, 130 after an interrupt. SIGTERM is handled as Ctrl-C.
    The group takes `--quiet` and `--verbose` before the command; they set what the log shows on the terminal.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, level, text in (
            ("--quiet", logging.WARNING, "show only warnings, errors and the result"),
            ("--verbose", logging.DEBUG, "show details, too"),
        ):
            self.params.append(
                click.Option([name], is_flag=True, expose_value=False, is_eager=True, help=text, callback=_show(level))
            )

    def make_context(self, *args: Any, **kwargs: Any) -> click.Context:
        """Let the log speak on the terminal before options are read, which may change what it shows."""
        log_to_console()
        return super().make_context(*args, **kwargs)

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
                what = error.filename or f"what the system keeps beside files ({error.strerror})"
                _stop(f"error: no permission for {what}: change its rights or choose another folder", 1)
            raise
        except KeyboardInterrupt as interrupt:
            _stop(str(interrupt) or "interrupted: repeat the same command to go on", 130)
        finally:
            signal.signal(signal.SIGTERM, previous)


def _show(level: int) -> Callable[[click.Context, click.Parameter, bool], None]:
    def callback(_context: click.Context, _option: click.Parameter, given: bool) -> None:
        if given:
            log_to_console(level)

    return callback


def _terminate(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _stop(line: str, status: int) -> None:
    click.echo(" ".join(line.splitlines()), err=True)
    raise click.exceptions.Exit(status)
