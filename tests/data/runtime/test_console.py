"""The click group: how much is shown, and how commands end."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from data.runtime.console import OneLineGroup
from data.runtime.errors import InputError, RunError
from data.runtime.logs import get_logger


@click.group(cls=OneLineGroup)
def main() -> None:
    """A program."""


@main.command()
def speak() -> None:
    """Say something of each kind."""
    log = get_logger(__name__)
    log.debug("a detail")
    log.info("some news")
    log.warning("a doubt")
    click.echo("the result")


@main.command()
@click.argument("fault")
def fail(fault: str) -> None:
    """Fail."""
    raise {"input": InputError, "run": RunError, "interrupt": KeyboardInterrupt}[fault]("two\nlines")


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ([], "some news\nthe result\n"),
        (["--quiet"], "the result\n"),
        (["--verbose"], "a detail\nsome news\nthe result\n"),
    ],
)
def test_quiet_and_verbose(options: list[str], shown: str) -> None:
    result = CliRunner().invoke(main, [*options, "speak"])
    assert (result.exit_code, result.stdout, result.stderr) == (0, shown, "warning: a doubt\n")


@pytest.mark.parametrize(
    ("fault", "status", "line"),
    [("input", 2, "error: two lines\n"), ("run", 1, "error: two lines\n"), ("interrupt", 130, "two lines\n")],
)
def test_a_fault_is_one_line(fault: str, status: int, line: str) -> None:
    result = CliRunner().invoke(main, ["fail", fault])
    assert (result.exit_code, result.stdout, result.stderr) == (status, "", line)
