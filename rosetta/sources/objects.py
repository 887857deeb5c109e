"""Data in memory: NumPy arrays, SciPy's sparse ones, data frames, AnnData, torch tensors and Datasets."""

from __future__ import annotations

from typing import Any

import numpy as np

from rosetta.arrays import Array
from rosetta.errors import SourceError
from rosetta.sources.rows import Rows


def object_rows(data: Any) -> Rows:
    """Return the rows of an object in memory.

    Raises
    ------
    SourceError
        If it is of no kind that is known, or holds no array of numbers.
    """
    if isinstance(data, np.ma.MaskedArray):
        raise SourceError("the data is a masked array, whose mask would be lost: fill it first, with its .filled()")
    package = type(data).__module__.partition(".")[0]
    if package == "anndata":
        from rosetta.sources.anndata import anndata_rows

        return anndata_rows(data)
    if package == "pandas" and hasattr(data, "columns"):
        from rosetta.sources.tables import frame_rows

        return frame_rows(data)
    if package == "scipy" and hasattr(data, "tocsr"):
        matrix = data.tocsr()
        return Rows(matrix.shape, matrix.dtype, 1, lambda start, stop: matrix[start:stop].toarray())
    if hasattr(data, "__getitem__") and hasattr(data, "__len__") and _is_dataset(data):
        return _dataset_rows(data)
    return _array_rows(data)


def _is_dataset(data: Any) -> bool:
    """Whether somebody has loaded torch, and this is a Dataset of items by number."""
    import sys

    torch = sys.modules.get("torch")
    return torch is not None and isinstance(data, torch.utils.data.Dataset)


def _array_rows(data: Any) -> Rows:
    if type(data).__name__ == "IterableDataset" or (hasattr(data, "__iter__") and not hasattr(data, "__len__")):
        raise SourceError(
            f"the data, a {type(data).__name__}, can only be gone through once: its items must have numbers and a "
            "known length. Give a Dataset with __len__ and __getitem__, or save the items as a file"
        )
    try:
        array: Array = np.asarray(data.detach().cpu() if hasattr(data, "detach") else data)
    except (TypeError, ValueError, RuntimeError) as error:
        raise SourceError(f"the data, a {type(data).__name__}, is no array of numbers: {error}") from error
    return Rows(array.shape, array.dtype, 1, lambda start, stop: array[start:stop])


def _dataset_rows(dataset: Any) -> Rows:
    """Return the first part of each entry: what follows it, such as a label, is not data."""

    def item(number: int) -> Array:
        entry = dataset[number]
        first = entry[0] if isinstance(entry, tuple | list) else entry
        try:
            return np.asarray(first.detach().cpu() if hasattr(first, "detach") else first)
        except (TypeError, ValueError, RuntimeError) as error:
            raise SourceError(
                f"entry {number} of the {type(dataset).__name__} is no array of numbers: {error}"
            ) from error

    if not len(dataset):
        raise SourceError(f"the {type(dataset).__name__} is empty")
    first = item(0)
    if first.dtype.kind not in "fiub":
        raise SourceError(f"the entries of the {type(dataset).__name__} have dtype {first.dtype}, expected numbers")

    def read(start: int, stop: int) -> Array:
        block = np.empty((stop - start, *first.shape), dtype=first.dtype)
        for number in range(start, stop):
            found = item(number)
            if found.shape != first.shape:
                raise SourceError(
                    f"entry {number} of the {type(dataset).__name__} has shape {found.shape}, entry 0 has "
                    f"{first.shape}: all must have the same"
                )
            block[number - start] = found
        return block

    return Rows((len(dataset), *first.shape), first.dtype, 1, read)
