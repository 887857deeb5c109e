"""A Dask cluster's workers, for commands that have much to do."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

CONNECT_S = 10.0


@contextmanager
def dask_executor(address: str | None) -> Iterator[Executor | None]:
    """Yield the executor of the cluster whose scheduler is at `address`; none without an address.

    Raises
    ------
    MissingExtraError
        If Dask is not installed.
    WorkerError
        If there is no scheduler, or no worker.
    """
    if address is None:
        yield None
        return
    from rosetta.errors import MissingExtraError, WorkerError

    try:
        from distributed import Client
    except ImportError as error:
        raise MissingExtraError("dask", "distributed", "--dask") from error
    try:
        client = Client(address, timeout=CONNECT_S, set_as_default=False)  # type: ignore[no-untyped-call]
    except (OSError, ValueError, TimeoutError) as error:
        raise WorkerError(
            f"no Dask scheduler answers at {address} ({error}): start one, or check the address"
        ) from error
    with client:
        if not client.scheduler_info()["workers"]:
            raise WorkerError(f"the Dask scheduler at {address} has no workers: start some")
        with client.get_executor(pure=False) as executor:  # type: ignore[no-untyped-call]
            yield executor
