"""Where each array lies in a file, as the child tells it, and whether the parent believes it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

from rosetta.bundle import layout
from rosetta.errors import UnsafeFileError


@dataclass(frozen=True)
class Extent:
    """Where one dataset's bytes lie in the file."""

    path: str
    dtype: str  # a code of the format, or S and the length of the manifest
    shape: tuple[int, ...]
    offset: int

    @property
    def n_bytes(self) -> int:
        """Size of the values."""
        return math.prod(self.shape) * int(self.dtype[1:])


def check_extents(extents: Iterable[Extent], inside: range) -> list[Extent]:
    """Return the extents in the file's order, each inside the bytes that `inside` counts and in no other.

    Raises
    ------
    UnsafeFileError
        RZ-S012 for a place that the format does not know, RZ-S013 for a place that is named twice, RZ-S021 to
        RZ-S025 for a type, shape or address that it does not allow.
    """
    ordered = sorted(extents, key=lambda extent: extent.offset)
    if len({extent.path for extent in ordered}) != len(ordered):
        raise UnsafeFileError("RZ-S013", "/", "two arrays have the same name")
    for each in ordered:
        _check(each, inside)
    for before, after in pairwise(ordered):
        if before.offset + before.n_bytes > after.offset:
            raise UnsafeFileError("RZ-S025", after.path, f"its bytes overlap with those of {before.path}")
    return ordered


def _check(extent: Extent, inside: range) -> None:
    path, is_manifest = extent.path, extent.path == layout.MANIFEST
    if not is_manifest and not layout.is_array_path(path):
        raise UnsafeFileError("RZ-S012", path, "the format has no such object at this place")
    if extent.dtype not in layout.NUMBERS and not (is_manifest and extent.dtype.startswith("S")):
        raise UnsafeFileError("RZ-S021", path, f"stored as {extent.dtype}, which the format does not have")
    if len(extent.shape) > layout.MAX_RANK or any(n < 1 for n in extent.shape):
        raise UnsafeFileError("RZ-S022", path, f"its shape is {extent.shape}; a bundle has arrays with values")
    if is_manifest and (extent.shape != () or extent.n_bytes > layout.MAX_MANIFEST_BYTES):
        raise UnsafeFileError("RZ-S023", path, f"a manifest is one string of at most {layout.MAX_MANIFEST_BYTES} bytes")
    if extent.offset not in inside or extent.offset + extent.n_bytes > inside.stop:
        place = f"bytes {extent.offset} to {extent.offset + extent.n_bytes}"
        raise UnsafeFileError("RZ-S024", path, f"its {place} are not all data of the file")
