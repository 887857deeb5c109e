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
LARGE = 2**24  # from this size on, a second copy costs more than it is worth
HAS_SEALS = hasattr(os, "memfd_create")


@dataclass(frozen=True)
class Snapshot:
    """Bytes in memory that nobody writes to any more, and a descriptor through which a child reads the same bytes."""

    data: bytes | mmap.mmap
    descriptor: int


@contextlib.contextmanager
def opened(path: Path) -> Iterator[int]:
    """Yield a descriptor of the regular file at `path`.

    Raises
    ------
    UnreadableError
        If there is no such file or it cannot be opened.
    """
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


def first_bytes(source: int, n_bytes: int) -> tuple[bytes, int]:
    """Return the first bytes of an open file and its size; RZ-S006 if that is more than a bundle may have."""
    size = os.fstat(source).st_size
    if size > layout.MAX_FILE_BYTES:
        raise UnsafeFileError("RZ-S006", "/", f"the file is larger than {layout.MAX_FILE_BYTES} bytes")
    with _readable():
        return os.pread(source, n_bytes, 0), size


@contextlib.contextmanager
def snapshot(source: int) -> Iterator[Snapshot]:
    """Yield the bytes of an open file; the snapshot's descriptor closes at the end, the bytes stay.

    Raises
    ------
    UnreadableError
        If the file cannot be read.
    SourceError
        If there is no room for a copy of it.
    UnsafeFileError
        RZ-S006 if it has become larger than a bundle may be.
    """
    with _anonymous() as (target, reading):
        size = 0
        while block := _read(source):
            size += len(block)
            if size > layout.MAX_FILE_BYTES:
                raise UnsafeFileError("RZ-S006", "/", f"the file is larger than {layout.MAX_FILE_BYTES} bytes")
            _write(target, block)
        yield _sealed(reading, size)


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


@contextlib.contextmanager
def _readable() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise UnreadableError(f"the file could not be read ({error.strerror})") from error


def _read(source: int) -> bytes:
    with _readable():
        return os.read(source, BLOCK)


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
    if size < LARGE:  # a mapping would hold a descriptor for as long as an array of the bundle lives
        return Snapshot(os.pread(reading, size, 0), reading)
    return Snapshot(mmap.mmap(reading, size, access=mmap.ACCESS_READ), reading)
