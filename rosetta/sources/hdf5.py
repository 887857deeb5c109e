"""HDF5: a dataset in a file, named by its path."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from rosetta.arrays import Array
from rosetta.errors import SourceError
from rosetta.sources import Rows, SourceKind, choose_name, gone, sources


def read(path: Path, name: str | None) -> Array:
    """Read the dataset at `name`, a path inside the file such as ``group/data``."""
    with _errors_of(path), h5py.File(path, "r") as file:
        dataset = _dataset(file, path, name)
        if h5py.check_string_dtype(dataset.dtype) is not None:
            return np.array([s.decode() for s in np.atleast_1d(dataset[()]).ravel()]).reshape(dataset.shape)
        return np.asarray(dataset[()])


def rows(path: Path, name: str | None, skip_bad: bool = False) -> Rows:
    """Open the dataset to read its rows; those of one chunk are stored together."""
    with _errors_of(path):
        file = h5py.File(path, "r")
        try:
            dataset = _dataset(file, path, name)
            descriptor = file.id.get_vfd_handle()
            n_bytes = os.fstat(descriptor).st_size
        except BaseException:
            file.close()
            raise

    def read_rows(start: int, stop: int) -> Array:
        try:
            block = np.asarray(dataset[start:stop])
        except (OSError, RuntimeError, ValueError) as error:
            raise gone(path, start, stop, why=str(error)) from error
        if os.fstat(descriptor).st_size < n_bytes:  # HDF5 takes what is missing for zeros
            raise gone(path, start, stop, why="it is shorter than it was")
        return block

    piece = dataset.chunks[0] if dataset.chunks else 1
    return Rows(dataset.shape, dataset.dtype, piece, read_rows, file.close)


def _dataset(file: Any, path: Path, name: str | None) -> Any:
    known: list[str] = []
    file.visititems(lambda key, node: known.append(key) if isinstance(node, h5py.Dataset) else None)
    dataset = file[choose_name(path, name.strip("/") if name else None, known)]
    if dataset.shape is None:
        raise SourceError(f"{path}::{name} is an empty dataset without a shape")
    return dataset


@contextmanager
def _errors_of(path: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, RuntimeError, KeyError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} could not be read as HDF5 ({error})") from error


for ending in (".h5", ".hdf5"):
    sources.register(ending)(SourceKind(rows, read))
