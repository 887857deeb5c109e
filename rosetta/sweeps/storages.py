"""A database that the processes of a sweep share, by Optuna: reached, quiet, and with one writer at a time."""

from __future__ import annotations

import random
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from rosetta.errors import MissingExtraError, OutputError, UsageError

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

LOCKED_S = 60  # how long a process waits for others that write to SQLite
ATTEMPTS = 6  # at making tables that another process is making too


@contextmanager
def connected(url: str, stale_s: int) -> Iterator[RDBStorage]:
    """Yield the storage at `url`; Optuna says nothing meanwhile.

    Raises
    ------
    MissingExtraError
        If Optuna is not installed.
    UsageError
        If `url` is none, or needs a driver that is not installed.
    OutputError
        If the storage cannot be reached.
    """
    optuna = _import_optuna()
    where = shown(url)
    loudness = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    storage = None
    try:
        storage = _connect(url, where, stale_s)
        yield storage
    except storage_errors() as error:
        reason = error.__cause__ or error
        raise OutputError(f"the storage {where} failed: {str(reason).splitlines()[0]}") from error
    finally:
        optuna.logging.set_verbosity(loudness)
        if storage is not None:
            storage.remove_session()
            storage.engine.dispose()


def _import_optuna() -> Any:
    try:
        import optuna
    except ModuleNotFoundError as error:
        raise MissingExtraError("optuna", "optuna", "a sweep of several processes (`storage`)") from error
    return optuna


def storage_errors() -> tuple[type[Exception], ...]:
    """Return what Optuna and the database raise when it does not answer."""
    from optuna.exceptions import StorageInternalError
    from sqlalchemy.exc import SQLAlchemyError

    return StorageInternalError, SQLAlchemyError


def shown(url: str) -> str:
    """Return the storage's address without its password, or raise UsageError."""
    from sqlalchemy.engine import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        address = make_url(url)
    except ArgumentError as error:
        raise UsageError(
            "`storage` is no address of a database; expected sqlite:///FILE.db or postgresql://USER@HOST/NAME"
        ) from error
    if address.get_backend_name() == "sqlite" and address.database in (None, "", ":memory:"):
        raise UsageError(
            f"`storage={url!r}` is in memory, where no other process sees it: name a file, sqlite:///FILE.db"
        )
    return address.render_as_string(hide_password=True)


def _connect(url: str, where: str, stale_s: int) -> RDBStorage:
    """Return the storage; processes that make its tables at the same time get in each other's way, and try again."""
    import sqlalchemy
    from optuna.storages import RDBStorage

    is_sqlite = url.startswith("sqlite")
    own: dict[str, Any] = {"pool_pre_ping": True}  # a connection may be cut in the hours between two models
    if is_sqlite:
        own = {"connect_args": {"timeout": LOCKED_S, "isolation_level": None}}
    for attempt in range(1, ATTEMPTS + 1):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                storage = RDBStorage(
                    url, engine_kwargs=dict(own), heartbeat_interval=max(1, stale_s // 3), grace_period=stale_s
                )
            break
        except ImportError as error:
            raise UsageError(f"the storage {where} needs a driver that is not installed: {error.__cause__}") from error
        except storage_errors():
            if attempt == ATTEMPTS:
                raise
            time.sleep(random.uniform(0.1, 0.3) * attempt)  # noqa: S311  no secret
    if is_sqlite:  # it knows no lock on a row: what is read and then written is one transaction from its start
        sqlalchemy.event.listen(
            storage.engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE")
        )
    return storage
