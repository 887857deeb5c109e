"""NumPy's .npz: several named arrays in a ZIP file."""

from __future__ import annotations

import zipfile
import zlib
from pathlib import Path

import numpy as np

from rosetta.arrays import Array
from rosetta.errors import SourceError
from rosetta.sources import choose_name, sources


@sources.register(".npz")
def read(path: Path, name: str | None) -> Array:
    """Read the array called `name`; pickled objects are refused."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise SourceError(f"{path} is not a ZIP archive of arrays: if it is a .npy array, name it so")
            return np.asarray(archive[choose_name(path, name, list(archive.files))])
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise SourceError(
            f"{path} is not a plain .npz archive ({error}). Pickled objects are never read: "
            "save numbers with numpy.savez_compressed"
        ) from error
