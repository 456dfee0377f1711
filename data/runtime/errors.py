"""What may go wrong, as one line: a user's mistake (exit status 2) or a fault while running (exit status 1)."""

from __future__ import annotations


class InputError(Exception):
    """The user gave something that cannot be used: the message names it, says what is wrong and what to do."""


class RunError(Exception):
    """Something failed at run time: the message says what, and how to go on."""


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM, with a message that says what was saved and how to go on."""
