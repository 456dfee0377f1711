"""A Dask cluster, by the address of its scheduler: workers on other machines that see the same folders."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from data.runtime.errors import InputError

if TYPE_CHECKING:
    from dask.distributed import Client

_PATIENCE = 20
"""Seconds in which a scheduler must answer."""


@contextmanager
def connected(address: str) -> Iterator[Client]:
    """Give a client of the scheduler at an address, as in tcp://host:8786, for the time of the block.

    Raises:
        InputError: Dask is not installed, or no scheduler answers there.
    """
    try:
        from dask.distributed import Client
    except ImportError:
        raise InputError("CLUSTER needs Dask: pip install 'sync-person-cloud[cluster]'") from None
    try:
        client = Client(address, timeout=_PATIENCE)
    except (OSError, ValueError) as error:
        raise InputError(f"CLUSTER={address}: no Dask scheduler answers there ({error})") from error
    with client:
        yield client
