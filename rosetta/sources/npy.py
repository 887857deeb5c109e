"""NumPy's .npy: one array, mapped into memory, or read some rows at a time."""

from __future__ import annotations

import math
import os
import weakref
from pathlib import Path
from typing import Any

import numpy as np

from rosetta.arrays import Array
from rosetta.errors import SourceError
from rosetta.sources import Rows, SourceKind, gone, sources

LARGEST_READ = 1 << 30  # bytes; the system reads less than 2 GiB at once


def read(path: Path, name: str | None) -> Array:
    """Map the array; the file has one only, so a name is refused, as are pickled objects."""
    if name is not None:
        raise SourceError(f"{path} holds one array without a name: leave '::{name}' out")
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)  # type: ignore[no-any-return]
    except (ValueError, EOFError) as error:
        raise SourceError(
            f"{path} is not a whole .npy array of numbers. Pickled objects are never read: save numbers with numpy.save"
        ) from error


def rows(path: Path, name: str | None, skip_bad: bool = False) -> Rows:
    """Open the array to read its rows.

    They are read and not mapped: where a mapped file is cut short, the system ends the process.
    """
    header: Any = read(path, name)  # a map that nobody looks into: no byte of the numbers is read
    shape, dtype = header.shape, header.dtype
    if not shape or not header.size:
        return Rows(shape, dtype, 1, lambda start, stop: np.empty((stop - start, *shape[1:]), dtype))
    if not header.flags.c_contiguous:  # column by column: a row is spread over the whole file
        return Rows(shape, dtype, len(header), lambda start, stop: np.load(path, allow_pickle=False)[start:stop])
    file = _File(path)
    n_bytes, first = math.prod(shape[1:]) * dtype.itemsize, header.offset

    def read_rows(start: int, stop: int) -> Array:
        block = np.empty((stop - start, *shape[1:]), dtype)
        try:
            is_whole = file.read_into(block.reshape(-1).view(np.uint8).data, first + start * n_bytes)
        except OSError as error:
            raise gone(path, start, stop, why=error.strerror or str(error)) from error
        if not is_whole:
            raise gone(path, start, stop, why="it is shorter than it was")
        return block

    return Rows(shape, dtype, 1, read_rows, file.close)


class _File:
    """An open file, closed when it is forgotten."""

    def __init__(self, path: Path) -> None:
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.close = weakref.finalize(self, os.close, self.descriptor)

    def read_into(self, view: memoryview, offset: int) -> bool:
        """Fill `view` with the bytes from `offset` on, and return whether there are so many."""
        while view:
            n_read = os.preadv(self.descriptor, [view[:LARGEST_READ]], offset)
            if n_read == 0:
                return False
            view, offset = view[n_read:], offset + n_read
        return True


sources.register(".npy")(SourceKind(rows, read))
