"""NumPy's .npz: several named arrays in a ZIP file."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.lib import format as npy_format

from rosetta.arrays import Array
from rosetta.errors import SourceError
from rosetta.sources import Rows, SourceKind, choose_name, sources


def read(path: Path, name: str | None) -> Array:
    """Read the array called `name`; pickled objects are refused."""
    with _errors_of(path, name), path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
        return np.asarray(archive[choose_name(path, name, list(archive.files))])


def rows(path: Path, name: str | None, skip_bad: bool = False) -> Rows:
    """Read how large the array is; it may be compressed, and is read whole."""
    with _errors_of(path, name), zipfile.ZipFile(path) as archive:
        chosen = choose_name(path, name, [each.removesuffix(".npy") for each in archive.namelist()])
        member = f"{chosen}.npy" if f"{chosen}.npy" in archive.namelist() else chosen
        with archive.open(member) as file:
            version = npy_format.read_magic(file)
            header = npy_format.read_array_header_1_0 if version == (1, 0) else npy_format.read_array_header_2_0
            shape, _, dtype = header(file)
        if dtype.hasobject:
            raise ValueError("it holds objects")
    return Rows(shape, dtype, max(shape[0] if shape else 1, 1), lambda start, stop: read(path, name)[start:stop])


@contextmanager
def _errors_of(path: Path, name: str | None) -> Iterator[None]:
    if not zipfile.is_zipfile(path):
        raise SourceError(f"{path} is not a whole .npz archive: it is no ZIP file, or cut short")
    try:
        yield
    except (ValueError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError) as error:
        raise SourceError(
            f"{path}::{name or ''} is not a whole array of numbers. Pickled objects are never read: "
            "save numbers with numpy.savez_compressed"
        ) from error


sources.register(".npz")(SourceKind(rows, read))
