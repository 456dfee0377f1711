"""Command line of the trainer: train on shards, evaluate a run, use its encoder, compare runs."""

from __future__ import annotations

import logging
import os
from typing import Any

import click

from data.runtime.allocator import keep_freed_memory
from data.runtime.console import OneLineGroup
from data.runtime.logs import log_to_console
from trainer.commands import COMMANDS


class _OneVoice(click.Group):
    """Of torchrun's processes, which all read the same command line, only the first that fails says why."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the chosen command."""
        if "RANK" not in os.environ:
            return super().invoke(ctx)
        from trainer.distributed import one_voice

        if os.environ["RANK"] != "0":
            log_to_console(logging.ERROR)
        with one_voice():
            return super().invoke(ctx)


class _Group(OneLineGroup, _OneVoice):
    """Both: one line, from one process."""


@click.group(cls=_Group)
def main() -> None:
    """Learn features of people from synchronised groups of images, without labels."""
    keep_freed_memory()


for command in COMMANDS:
    main.add_command(command)


if __name__ == "__main__":
    main()
