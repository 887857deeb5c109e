"""From a file to arrays and manifest bytes: read once, looked at before HDF5 sees it, walked by an allow-list.

The walk runs libhdf5 inside this process, on the bytes in memory; the arrays are then cut out of the same
bytes at the offsets that the walk found.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from rosetta.arrays import Array
from rosetta.bundle import layout
from rosetta.bundle.superblock import check_superblock
from rosetta.bundle.walk import Extent, walk
from rosetta.errors import SourceError, UnsafeFileError


@dataclass(frozen=True)
class RawBundle:
    """A file of the closed form, its meaning not yet looked at."""

    size: int
    attributes: Mapping[str, str]
    manifest: bytes | None  # None: the file has no /manifest
    arrays: Mapping[str, Array]


def read_raw(path: Path) -> RawBundle:
    """Read the file at `path`.

    Raises
    ------
    SourceError
        If it cannot be read at all.
    UnsafeFileError
        If it is not of the form that the format allows (rules RZ-S…).
    """
    return parse(_read_bytes(path))


def parse(data: bytes) -> RawBundle:
    """Read a file's bytes.

    Raises
    ------
    UnsafeFileError
        If they are not of the form that the format allows (rules RZ-S…).
    """
    start = check_superblock(data)
    try:
        file = h5py.h5f.open_file_image(data, h5py.h5f.ACC_RDONLY)
        try:
            attributes, extents = walk(file, start, len(data))
        finally:
            file.close()
    except (OSError, RuntimeError, KeyError, ValueError, OverflowError, MemoryError) as error:
        raise UnsafeFileError("RZ-S005", "/", f"its HDF5 structure is damaged ({error})") from error
    arrays = {e.path: _cut(data, e) for e in extents if e.path != layout.MANIFEST}
    manifest = next((e for e in extents if e.path == layout.MANIFEST), None)
    text = data[manifest.offset : manifest.offset + manifest.n_bytes].rstrip(b"\0") if manifest else None
    return RawBundle(len(data), attributes, text, arrays)


def _read_bytes(path: Path) -> bytes:
    if path.is_dir():
        raise SourceError(f"{path} is a folder, but a bundle is a file")
    if not path.exists():
        raise SourceError(f"there is no bundle {path}: check the path, or the folder that you are in")
    if not path.is_file():
        raise SourceError(f"{path} is no regular file, but a bundle is one")
    try:
        with path.open("rb") as file:
            data = file.read(layout.MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SourceError(f"{path} could not be read ({error.strerror})") from error
    if len(data) > layout.MAX_FILE_BYTES:
        raise UnsafeFileError("RZ-S006", "/", f"the file is larger than {layout.MAX_FILE_BYTES} bytes")
    return data


def _cut(data: bytes, extent: Extent) -> Array:
    count = int(np.prod(extent.shape, dtype=np.int64))
    values = np.frombuffer(data, dtype=extent.dtype, count=count, offset=extent.offset).reshape(extent.shape)
    values = values if values.flags.aligned else values.copy()
    values.flags.writeable = False
    return values
