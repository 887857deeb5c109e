"""The bundle that the vectors vary: 4 anchors and 8 checks, 3 dimensions, inputs of 4 numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from rosetta.schemas.manifest import InputDescription, LatentSpace

from rosetta.bundle import layout
from rosetta.bundle.manifest import as_json
from tests import builders

N_ANCHORS, N_CHECKS = 4, 8
N_PAIRS = N_ANCHORS + N_CHECKS

Write = Callable[[Path], object]
Values = Mapping[str, Any]
Document = dict[str, Any]


def pairs(shape: tuple[int, ...] = (4,), *, n_dims: int = 3, inputs: Any = None, latents: type = np.float32) -> Values:
    """The arrays that every bundle has; `inputs` replaces numbers from 0 to 1."""
    rng = np.random.default_rng(0)
    given = rng.random((N_PAIRS, *shape), dtype=np.float32)
    return {
        layout.INPUTS: given if inputs is None else inputs,
        layout.LATENTS: rng.normal(size=(N_PAIRS, n_dims)).astype(latents),
        layout.ROLES: np.repeat(np.array([0, 1], dtype=np.uint8), (N_ANCHORS, N_CHECKS)),
    }


def document(values: Values, **changes: Any) -> Document:
    """The manifest of the arrays as a JSON object; changes are those of `builders.manifest`."""
    latents, inputs = values[layout.LATENTS], values[layout.INPUTS]
    known = {
        "space": space(latents.shape[1]),
        "input": describe(values, (0, 255) if inputs.dtype == np.uint8 else (0, 1)),
        "title": "A test vector",
    }
    return as_json(builders.manifest(values, **(known | changes)))


def space(n_dims: int = 3, **changes: Any) -> LatentSpace:
    """The latent space of the vectors."""
    known = {"id": builders.SPACE, "n_dims": n_dims, "statistic": "posterior_mean", "prior": "standard_normal"}
    return LatentSpace(**known | changes)


def describe(values: Values, value_range: tuple[float, float], **changes: Any) -> InputDescription:
    """What the inputs say of themselves."""
    inputs = values[layout.INPUTS]
    dtype = f"{inputs.dtype.kind}{inputs.dtype.itemsize}"
    return InputDescription(**{"shape": inputs.shape[1:], "dtype": dtype, "value_range": value_range} | changes)


def vector(
    values: Values | None = None,
    edit: Callable[[Document], object] = lambda document: None,
    *,
    version: str = "1.0",
    content_id: bool = True,
    **changes: Any,
) -> Write:
    """Write arrays and the manifest that describes them, edited in place; its content id is computed anew."""
    values = pairs() if values is None else values

    def write(path: Path) -> None:
        changed = document(values, **changes)
        edit(changed)
        builders.write_raw(path, values, builders.text_of(changed, content_id=content_id), version=version)

    return write


def text(change: Callable[[bytes], bytes], **changes: Any) -> Write:
    """Write other bytes than those of the manifest."""
    values = pairs()
    return lambda path: builders.write_raw(path, values, change(builders.text_of(document(values, **changes))))


def replaced(old: str, new: str, **changes: Any) -> Write:
    """Write a manifest in which a text that stands there once is another."""

    def change(manifest: bytes) -> bytes:
        assert manifest.count(old.encode()) == 1, old
        return manifest.replace(old.encode(), new.encode("utf-8", "surrogatepass"))

    return text(change, **changes)


def hdf5(change: Callable[[h5py.File], object]) -> Write:
    """Write the bundle and change its file with h5py."""

    def write(path: Path) -> None:
        vector()(path)
        with h5py.File(path, "a", libver=layout.LIBVER) as file:
            change(file)

    return write
