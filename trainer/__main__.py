"""Command line of the trainer: train on shards, evaluate a run, use its encoder, compare runs."""

from __future__ import annotations

import click

from data.runtime.allocator import keep_freed_memory
from data.runtime.console import OneLineGroup
from trainer.commands import COMMANDS


@click.group(cls=OneLineGroup)
def main() -> None:
    """Learn features of people from synchronised groups of images, without labels."""
    keep_freed_memory()


for command in COMMANDS:
    main.add_command(command)


if __name__ == "__main__":
    main()
