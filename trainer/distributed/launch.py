"""Start the processes of a training: torchrun with its options, without its report where one of them fails.

`python -m trainer.distributed.launch --standalone --nproc-per-node 2 -m -- trainer train ...`
"""

from __future__ import annotations

import logging
import os
import signal
import sys

import click
from torch.distributed.elastic.multiprocessing.api import SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.run import parse_args, run


def main() -> None:
    """Do as torchrun does, and end with the exit status of the process that failed first, which has said why."""
    logging.disable(logging.ERROR)
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # As torchrun sets it, with a banner.
    try:
        run(parse_args(sys.argv[1:]))
    except ChildFailedError as error:
        rank, failure = error.get_first_failure()
        if failure.exitcode < 0:
            name = signal.Signals(-failure.exitcode).name
            hint = "is memory short? " if name == "SIGKILL" else ""
            click.echo(f"error: process {rank} was ended by {name}: {hint}repeat the same command to go on", err=True)
        sys.exit(failure.exitcode if failure.exitcode > 0 else 1)
    except SignalException as error:
        sys.exit(128 + error.sigval)


if __name__ == "__main__":
    main()
