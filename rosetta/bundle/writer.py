"""From arrays and a manifest to a file: the same content gives the same bytes (spec §3)."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from rosetta.arrays import Array
from rosetta.bundle import layout
from rosetta.bundle.bundle import Bundle
from rosetta.bundle.digest import array_digest, content_digest, dtype_code
from rosetta.bundle.manifest import as_json, canonical
from rosetta.bundle.reader import read_raw
from rosetta.errors import BundleError
from rosetta.files import atomic_file
from rosetta.schemas.manifest import (
    FORMAT,
    FORMAT_VERSION,
    ArrayEntry,
    Content,
    InputDescription,
    LatentSpace,
    Manifest,
    OriginEntry,
    PreprocessingStep,
    Provenance,
)


def describe_array(path: str, array: Array) -> ArrayEntry:
    """Return the entry of an array in the manifest; RZ-V110 if its place allows no such array."""
    code = dtype_code(array.dtype)
    if code not in layout.allowed_dtypes(path) or not array.size:
        allowed = ", ".join(sorted(layout.allowed_dtypes(path)))
        raise BundleError("RZ-V110", path, f"{code} of shape {array.shape}; expected {allowed}, and not empty")
    return ArrayEntry(dtype=code, shape=array.shape, sha256=array_digest(array))  # type: ignore[arg-type]


def make_manifest(
    arrays: Mapping[str, Array],
    *,
    space: LatentSpace,
    input: InputDescription,
    preprocessing: tuple[PreprocessingStep, ...],
    origins: tuple[OriginEntry, ...],
    provenance: Provenance,
) -> Manifest:
    """Return the manifest of `arrays` (path → array), with every digest computed."""
    content = Content(
        arrays={path: describe_array(path, array) for path, array in arrays.items()},
        space=space,
        input=input,
        preprocessing=preprocessing,
        origins=origins,
    )
    return Manifest(
        format=FORMAT,
        format_version=FORMAT_VERSION,
        content_id=content_digest(as_json(content)),
        content=content,
        provenance=provenance,
    )


def write_bundle(path: Path, manifest: Manifest, arrays: Mapping[str, Array], *, force: bool = False) -> bytes:
    """Write a bundle as `write_document` does, and return the manifest's bytes."""
    text = canonical(manifest)
    write_document(path, text, manifest.format_version, arrays, force=force)
    return text


def write_document(path: Path, text: bytes, version: str, arrays: Mapping[str, Array], *, force: bool) -> None:
    """Write a bundle with the manifest `text` atomically, over one that is there only with `force`.

    Raises
    ------
    BundleError
        If a reader would refuse the file, with the rule that it breaks: an array is not the one that the
        manifest describes, say. Nothing is written then.
    OutputError
        If the file cannot be written.
    """
    content = _hdf5(text, version, arrays)
    with atomic_file(path, force=force) as temporary:
        temporary.write_bytes(content)
        Bundle.from_raw(read_raw(temporary))


def _hdf5(text: bytes, version: str, arrays: Mapping[str, Array]) -> bytes:
    """Return the file's bytes, made in memory: libhdf5 does not survive a disk that is full."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=layout.LIBVER) as file:
        for key, value in ((layout.FORMAT_ATTRIBUTE, FORMAT), (layout.VERSION_ATTRIBUTE, version)):
            file.attrs.create(key, np.bytes_(value.encode("ascii")))
        dtype = h5py.string_dtype("utf-8", len(text))
        file.create_dataset(layout.MANIFEST, data=np.array(text, dtype=dtype), dtype=dtype, track_times=False)
        for name in sorted(arrays):
            array = arrays[name]
            file.create_dataset(name, data=array.astype(array.dtype.newbyteorder("<")), track_times=False)
    return buffer.getvalue()
