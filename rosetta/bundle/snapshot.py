"""A file's bytes, read once and out of anybody's reach: what is checked is what is used."""

from __future__ import annotations

import contextlib
import fcntl
import mmap
import os
import stat
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rosetta.bundle import layout
from rosetta.errors import SourceError, UnreadableError, UnsafeFileError

BLOCK = 2**20
HAS_SEALS = hasattr(os, "memfd_create")


@dataclass(frozen=True)
class Snapshot:
    """Bytes in memory that nobody writes to any more, and a descriptor through which a child reads the same bytes."""

    data: bytes | mmap.mmap
    descriptor: int


@contextlib.contextmanager
def snapshot(path: Path) -> Iterator[Snapshot]:
    """Yield the bytes of the regular file at `path`; its descriptor closes at the end, the bytes stay.

    Raises
    ------
    UnreadableError
        If there is no such file or it cannot be read.
    SourceError
        If there is no room for a copy of it.
    UnsafeFileError
        RZ-S006 if it is larger than a bundle may be.
    """
    with _opened(path) as source, _anonymous() as (target, reading):
        size, largest = 0, layout.MAX_FILE_BYTES
        while size <= largest and os.fstat(source).st_size <= largest and (block := _read(source, path)):
            size += len(block)
            _write(target, block)
        if size > largest or os.fstat(source).st_size > largest:
            raise UnsafeFileError("RZ-S006", "/", f"the file is larger than {largest} bytes")
        yield _sealed(reading, size)


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[int]:
    try:
        # not blocking: opening a pipe that nobody writes to would never return
        source = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise UnreadableError(f"there is no bundle {path}: check the path, or the folder that you are in") from error
    except (OSError, ValueError) as error:
        raise UnreadableError(f"{path} could not be read ({getattr(error, 'strerror', None) or error})") from error
    try:
        mode = os.fstat(source).st_mode
        if stat.S_ISDIR(mode):
            raise UnreadableError(f"{path} is a folder, but a bundle is a file")
        if not stat.S_ISREG(mode):
            raise UnreadableError(f"{path} is no regular file, but a bundle is one")
        yield source
    finally:
        os.close(source)


@contextlib.contextmanager
def _anonymous() -> Iterator[tuple[int, int]]:
    """Yield two descriptors, to write and to read, of a file without a name: on Linux in memory."""
    if HAS_SEALS:
        writing = reading = os.memfd_create("bundle", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    else:
        writing, name = tempfile.mkstemp()
        reading = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
        Path(name).unlink()
    try:
        yield writing, reading
    finally:
        for descriptor in {writing, reading}:
            os.close(descriptor)


def _read(source: int, path: Path) -> bytes:
    try:
        return os.read(source, BLOCK)
    except OSError as error:
        raise UnreadableError(f"{path} could not be read ({error.strerror})") from error


def _write(target: int, data: bytes) -> None:
    rest = memoryview(data)
    try:
        while rest:
            rest = rest[os.write(target, rest) :]
    except OSError as error:
        raise SourceError(
            f"a bundle is copied before it is looked at, and the system has no room for that ({error.strerror})"
        ) from error


def _sealed(reading: int, size: int) -> Snapshot:
    if HAS_SEALS:
        seals = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL
        fcntl.fcntl(reading, fcntl.F_ADD_SEALS, seals)
    # an empty file cannot be mapped
    return Snapshot(mmap.mmap(reading, size, access=mmap.ACCESS_READ) if size else b"", reading)
