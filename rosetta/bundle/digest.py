"""Digests of arrays, of the content and of the manifest (spec §6)."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import rfc8785

from rosetta.arrays import Array


def dtype_code(dtype: np.dtype[Any]) -> str:
    """Return the format's two-letter code of a dtype, such as ``f4``."""
    return f"{dtype.kind}{dtype.itemsize}"


def array_digest(array: Array) -> str:
    """Return the sha256 of an array's dtype, shape and values, whatever file or byte order it came in.

    Examples
    --------
    >>> array_digest(np.zeros((2, 3), dtype="<f4"))[:16]
    'f67f5176843049a3'
    >>> array_digest(np.zeros((2, 3), dtype=">f4"))[:16]
    'f67f5176843049a3'
    """
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    shape: Sequence[int] = array.shape
    header = rfc8785.dumps({"dtype": dtype_code(array.dtype), "shape": list(shape)})
    digest = hashlib.sha256(b"rosetta-array-v1\n" + header + b"\n")
    digest.update(little.reshape(-1).view(np.uint8).data)
    return digest.hexdigest()


def content_digest(content: Any) -> str:
    """Return the content id: the sha256 of the manifest's ``content`` as canonical JSON."""
    return hashlib.sha256(b"rosetta-content-v1\n" + rfc8785.dumps(content)).hexdigest()


def manifest_digest(manifest: bytes) -> str:
    """Return the bundle id: the plain sha256 of the manifest's bytes."""
    return hashlib.sha256(manifest).hexdigest()
