"""Numbers that do not stay in memory: a file of our own, written and read some rows at a time."""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np

from rosetta.arrays import Array, Floats
from rosetta.errors import OutputError, SourceError

NEAR = 256  # rows that are read along rather than left out, where a stretch of wanted ones has a gap


class Spill:
    """A float32 array on disk, shape (n_rows, n_dims): a `rosetta.arrays.LazyArray` that can be written to.

    It is read and not mapped, so that what has been read does not stay in memory.

    Parameters
    ----------
    path : path
        The file; it is made, and keeps what it holds if it is there already.
    shape : (int, int)
        Of the whole array.
    """

    ndim = 2

    def __init__(self, path: Path, shape: tuple[int, int]) -> None:
        self.path = path
        self.shape = shape
        try:
            self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            os.truncate(self._descriptor, 4 * math.prod(shape))
        except OSError as error:
            raise OutputError(f"{path} could not be written ({error.strerror}): free some space") from error

    def __len__(self) -> int:
        return self.shape[0]

    def write(self, start: int, block: Floats) -> None:
        """Put rows, shape (n, n_dims), where row number `start` is the first."""
        data = np.ascontiguousarray(block, dtype=np.float32).reshape(-1).view(np.uint8).data
        offset = 4 * self.shape[1] * start
        try:
            while data:
                n_written = os.pwrite(self._descriptor, data, offset)
                data, offset = data[n_written:], offset + n_written
        except OSError as error:
            raise OutputError(f"{self.path} could not be written ({error.strerror}): free some space") from error

    def sync(self) -> None:
        """See to it that what was written outlives the machine's next second."""
        os.fsync(self._descriptor)

    def __getitem__(self, rows: slice | Array) -> Array:
        """Return the rows of a slice of step 1, or of row numbers in any order, float32."""
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            return self._read(start, max(start, stop))
        wanted, place = np.unique(np.asarray(rows), return_inverse=True)
        if not len(wanted):
            return np.empty((0, self.shape[1]), dtype=np.float32)
        found = np.empty((len(wanted), self.shape[1]), dtype=np.float32)
        ends = [*(np.flatnonzero(np.diff(wanted) > NEAR) + 1), len(wanted)]
        start = 0
        for end in ends:
            first = int(wanted[start])
            found[start:end] = self._read(first, int(wanted[end - 1]) + 1)[wanted[start:end] - first]
            start = end
        return found[place]

    def _read(self, start: int, stop: int) -> Array:
        block = np.empty((stop - start, self.shape[1]), dtype=np.float32)
        view, offset = block.reshape(-1).view(np.uint8).data, 4 * self.shape[1] * start
        while view:
            n_read = os.preadv(self._descriptor, [view], offset)
            if not n_read:
                raise SourceError(f"{self.path} became shorter while it was used: repeat the command")
            view, offset = view[n_read:], offset + n_read
        return block

    def close(self) -> None:
        """Give the file back; it stays where it is."""
        os.close(self._descriptor)
