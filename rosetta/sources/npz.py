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
    if not zipfile.is_zipfile(path):
        raise SourceError(f"{path} is not a whole .npz archive: it is no ZIP file, or cut short")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return np.asarray(archive[choose_name(path, name, list(archive.files))])
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise SourceError(
            f"{path}::{name or ''} is not a whole array of numbers. Pickled objects are never read: "
            "save numbers with numpy.savez_compressed"
        ) from error
