"""HDF5: a dataset in a file, named by its path."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np

from rosetta.arrays import Array
from rosetta.errors import SourceError
from rosetta.sources import choose_name, sources


@sources.register(".h5")
@sources.register(".hdf5")
def read(path: Path, name: str | None) -> Array:
    """Read the dataset at `name`, a path inside the file such as ``group/data``."""
    try:
        with h5py.File(path, "r") as file:
            known: list[str] = []
            file.visititems(lambda key, node: known.append(key) if isinstance(node, h5py.Dataset) else None)
            dataset = file[choose_name(path, name.strip("/") if name else None, known)]
            if dataset.shape is None:
                raise SourceError(f"{path}::{name} is an empty dataset without a shape")
            if h5py.check_string_dtype(dataset.dtype) is not None:
                return np.array([s.decode() for s in np.atleast_1d(dataset[()]).ravel()]).reshape(dataset.shape)
            return np.asarray(dataset[()])
    except (OSError, RuntimeError, KeyError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} could not be read as HDF5 ({error})") from error
