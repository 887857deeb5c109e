"""NumPy's .npy: one array, mapped into memory."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from rosetta.arrays import Array
from rosetta.errors import SourceError
from rosetta.sources import sources


@sources.register(".npy")
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
