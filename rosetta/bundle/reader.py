"""From a file to arrays and manifest bytes: read once, looked at before HDF5 sees it, walked by another process.

HDF5 never runs in this process on a stranger's file. A confined child walks it by an allow-list and says where
the arrays lie; they are then cut out of the bytes that were read at first.
"""

from __future__ import annotations

import mmap
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rosetta.arrays import Array
from rosetta.bundle import layout
from rosetta.bundle.sandbox.extents import Extent, check_extents
from rosetta.bundle.sandbox.parent import walk_apart
from rosetta.bundle.sandbox.snapshot import LARGE, first_bytes, opened, snapshot
from rosetta.bundle.sandbox.superblock import HEAD, check_superblock


@dataclass(frozen=True)
class RawBundle:
    """A file of the closed form, its meaning not yet looked at."""

    size: int
    attributes: Mapping[str, str]
    manifest: bytes | None  # None: the file has no /manifest
    arrays: Mapping[str, Array]
    isolation: Mapping[str, str] | None = None  # what confined the process that walked it; None: it was not a file


def read_raw(path: Path) -> RawBundle:
    """Read the file at `path`.

    Raises
    ------
    SourceError
        If it cannot be read at all.
    UnsafeFileError
        If it is not of the form that the format allows (rules RZ-S…).
    SandboxError
        If this system cannot start the process that walks it.
    """
    with opened(path) as source:
        _glance(source)
        with snapshot(source) as copy:
            data = copy.data
            start = check_superblock(bytes(data[:HEAD]), len(data))
            walked = walk_apart(copy.descriptor)
    extents = check_extents((Extent(*each) for each in walked.extents), range(start, len(data)))
    arrays = {e.path: _cut(data, e) for e in extents if e.path != layout.MANIFEST}
    manifest = next((e for e in extents if e.path == layout.MANIFEST), None)
    text = data[manifest.offset : manifest.offset + manifest.n_bytes].rstrip(b"\0") if manifest else None
    return RawBundle(len(data), walked.attributes, text, arrays, walked.isolation)


def _glance(source: int) -> None:
    """Refuse at once what is no bundle, before a copy of it takes memory; what is not refused is looked at again."""
    head, size = first_bytes(source, HEAD)
    check_superblock(head, size)
    if size >= LARGE:
        walk_apart(source)


def _cut(data: bytes | mmap.mmap, extent: Extent) -> Array:
    dtype = np.dtype("<" + extent.dtype)
    values = np.frombuffer(data, dtype=dtype, count=extent.n_bytes // dtype.itemsize, offset=extent.offset)
    values = values.reshape(extent.shape)
    values = values if values.flags.aligned else values.copy()
    values.flags.writeable = False
    return values
