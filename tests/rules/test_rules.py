"""Every rule of the catalogue lets the valid bundle pass and finds the file that breaks it."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from rosetta.schemas.manifest import InputDescription, LatentSpace, OriginEntry, Parent, PreprocessingStep
from rosetta.schemas.reports import ValidationReport

from rosetta.bundle import layout
from rosetta.bundle.manifest import as_json, canonical
from rosetta.bundle.reader import read_raw
from rosetta.errors import IncompatibleError, SourceError
from rosetta.rules import Rule, catalogue
from rosetta.rules.engine import declare
from rosetta.verbs.validate import open_valid, validate
from tests import builders

EXTRA = "/preprocessing/0.extra"
SIZE_LIMIT = 2**20  # lowered for all triggers, so that a small file can be above it
MINOR = {"format_version": "1.1"}

Trigger = Callable[[Path], object]
TRIGGERS: dict[str, Trigger] = {}  # rule → writes a file that breaks just this rule
COMPANIONS = {"RZ-W209": {"RZ-W203"}}  # rules that cannot be broken without others
RULES = {rule.id: rule for rule in catalogue()}


def breaks(rule: str) -> Callable[[Trigger], Trigger]:
    """Return a decorator that enters a trigger into the table."""

    def enter(trigger: Trigger) -> Trigger:
        assert rule not in TRIGGERS
        TRIGGERS[rule] = trigger
        return trigger

    return enter


def _bytes(rule: str, change: Callable[[bytes], bytes]) -> None:
    """Enter a trigger that changes the bytes of the valid bundle."""
    breaks(rule)(lambda path: path.write_bytes(change(builders.write(path).read_bytes())))


def _hdf5(rule: str, change: Callable[[h5py.File], object]) -> None:
    """Enter a trigger that changes the valid bundle with h5py."""

    def trigger(path: Path) -> None:
        with h5py.File(builders.write(path), "a", libver=layout.LIBVER) as file:
            change(file)

    breaks(rule)(trigger)


def _arrays(rule: str, change: Callable[[dict[str, Any]], Mapping[str, Any]], **manifest: Any) -> None:
    """Enter a trigger that writes other arrays, with the manifest that describes them."""
    breaks(rule)(lambda path: builders.write(path, {**builders.arrays(), **change(builders.arrays())}, **manifest))


def _provenance(rule: str, **changes: Any) -> None:
    """Enter a trigger that writes the valid arrays with another manifest."""
    breaks(rule)(lambda path: builders.write(path, **changes))


def _document(rule: str, change: Callable[[dict[str, Any]], object], *, version: str = "1.0") -> None:
    """Enter a trigger that edits the manifest's JSON in place; its content id is computed anew."""

    def trigger(path: Path) -> None:
        values = builders.arrays()
        document = as_json(builders.manifest(values))
        change(document)
        builders.write_raw(path, values, builders.text_of(document), version=version)

    breaks(rule)(trigger)


def _text(rule: str, change: Callable[[bytes], bytes | None]) -> None:
    """Enter a trigger that writes other bytes than the manifest's."""
    values = builders.arrays()
    breaks(rule)(lambda path: builders.write_raw(path, values, change(canonical(builders.manifest(values)))))


def _replaced(path: Path, old: bytes, new: bytes) -> None:
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))


def _moved(path: Path, place: Callable[[h5py.File], int]) -> None:
    """Let the layout message of the latents point to another place of the file."""
    with h5py.File(builders.write(path)) as file:
        latents, to = file[layout.LATENTS].id, place(file)
        offset, n_bytes = latents.get_offset(), latents.get_storage_size()
    _replaced(path, struct.pack("<BBQQ", 3, 1, offset, n_bytes), struct.pack("<BBQQ", 3, 1, to, n_bytes))


_bytes("RZ-S001", lambda data: b"PK\x03\x04".ljust(512, b"\0") + data)
_bytes("RZ-S002", lambda data: data + b"more")
_bytes("RZ-S003", lambda data: data[:8] + b"\1" + data[9:])
_bytes("RZ-S004", lambda data: data[:48] + bytes(8) + data[56:])
_bytes("RZ-S005", lambda data: data.replace(b"SNOD", b"XNOD", 1))
_bytes("RZ-S006", lambda data: data.ljust(SIZE_LIMIT + 1, b"\0"))
_hdf5("RZ-S010", lambda file: file.update({EXTRA: h5py.SoftLink(layout.LATENTS)}))
_hdf5("RZ-S011", lambda file: file.update({EXTRA: file[layout.LATENTS]}))
_hdf5("RZ-S012", lambda file: file.update({"/pairs/extra": 1.0}))
_hdf5("RZ-S014", lambda file: [file.create_group(f"/ext/org.example{n}") for n in range(layout.MAX_OBJECTS + 1)])
_hdf5("RZ-S020", lambda file: file.create_dataset(EXTRA, data=np.zeros(8), chunks=(4,)))
_hdf5("RZ-S021", lambda file: file.create_dataset(EXTRA, data=np.zeros(8, dtype=">f4")))
_hdf5("RZ-S022", lambda file: file.update({EXTRA: h5py.Empty("<f4")}))
_hdf5("RZ-S023", lambda file: file.create_dataset(EXTRA, (8,), "<f4"))
_hdf5("RZ-S030", lambda file: file["pairs"].attrs.update({"units": 1}))
breaks("RZ-S024")(lambda path: _moved(path, lambda file: 8))
breaks("RZ-S025")(lambda path: _moved(path, lambda file: file[layout.LATENTS_SD].id.get_offset() + 4))


@breaks("RZ-S013")
def _one_name_twice(path: Path) -> None:
    with h5py.File(builders.write(path), "a", libver=layout.LIBVER) as file:
        file.update({"/preprocessing/mean_1": 1.0, "/preprocessing/mean_2": 2.0})
    _replaced(path, b"mean_2", b"mean_1")


breaks("RZ-V101")(lambda path: builders.write_raw(path, builders.arrays(), b"{}", version="2.0"))
_text("RZ-V102", lambda text: None)
_text("RZ-V103", lambda text: b"[" + text + b"]")
_text("RZ-V104", lambda text: text[:-1] + b',"format":"rosetta-bundle"}')
_text("RZ-V105", lambda text: text + b"\n")
_document("RZ-V106", lambda document: document.update(extra=1))
_document("RZ-V107", lambda document: document.update(MINOR))
_document("RZ-V108", lambda document: document["content"]["arrays"].pop(layout.WEIGHTS))
_document("RZ-V111", lambda document: document["content"]["arrays"][layout.LATENTS].update(sha256="0" * 64))
_document("RZ-V124", lambda document: document.update(requires=["time travel"]))
_text("RZ-V112", lambda text: text.replace(b'"quantisation', b'"quantisation').replace(b'"n_dims":3', b'"n_dims":4'))
TRIGGERS["RZ-V112"] = lambda path: builders.write_raw(
    path, builders.arrays(), builders.text_of(_with_another_content_id(), content_id=False)
)


def _with_another_content_id() -> dict[str, Any]:
    return as_json(builders.manifest(builders.arrays())) | {"content_id": "0" * 64}


@breaks("RZ-V109")
def _without_weights(path: Path) -> None:
    values = builders.arrays()
    text = canonical(builders.manifest(values))
    del values[layout.WEIGHTS]
    builders.write_raw(path, values, text)


def _with(array: np.ndarray, at: object, value: float) -> np.ndarray:
    changed = array.copy()
    changed[at] = value
    return changed


def _flat_dimension(values: dict[str, Any]) -> dict[str, Any]:
    latents = _with(values[layout.LATENTS], np.s_[:, 1], 0.5).astype(np.float32)
    return {
        layout.LATENTS: latents,
        layout.SPACE_MEAN: latents.mean(axis=0, dtype=np.float64),
        layout.SPACE_COVARIANCE: np.cov(latents.astype(np.float64), rowvar=False),
    }


def _repeated_input(values: dict[str, Any]) -> dict[str, Any]:
    return {layout.INPUTS: _with(values[layout.INPUTS], 3, values[layout.INPUTS][2])}


def _roles(n_anchors: int) -> np.ndarray:
    return np.array([layout.ANCHOR] * n_anchors + [layout.CHECK] * (20 - n_anchors), dtype=np.uint8)


_DESCRIBED = {"shape": builders.SHAPE, "dtype": "f4", "value_range": (0.0, 1.0)}
_SPACE = {"id": builders.SPACE, "statistic": "posterior_mean", "prior": "standard_normal"}

_arrays("RZ-V110", lambda values: {layout.WEIGHTS: values[layout.WEIGHTS].astype(np.float32)})
_arrays("RZ-V113", lambda values: {layout.LATENTS: _with(values[layout.LATENTS], (4, 1), np.nan)})
_provenance("RZ-V114", origins=(OriginEntry(origin="observed", n_pairs=21),))
_provenance("RZ-V115", space=LatentSpace(n_dims=builders.N_DIMS + 1, **_SPACE))
_arrays("RZ-V116", lambda values: {layout.WEIGHTS: values[layout.WEIGHTS] * 2})
_arrays("RZ-V117", lambda values: {layout.ROLES: _with(values[layout.ROLES], 5, 2)})
_arrays("RZ-V118", lambda values: {layout.INPUTS: _with(values[layout.INPUTS], (7, 0, 0), 1.5)})
_provenance("RZ-V119", preprocessing=(PreprocessingStep(name="bleach"),))
_provenance("RZ-V120", license="free for all")
_provenance("RZ-V121", generation=1)
_arrays("RZ-V122", lambda values: {layout.LATENTS_SD: -values[layout.LATENTS_SD]})
_arrays("RZ-V123", lambda values: {layout.SPACE_COVARIANCE: _with(values[layout.SPACE_COVARIANCE], (0, 1), 9)})
_provenance("RZ-V126", input=InputDescription(**_DESCRIBED, axis_names=("height",)))
_arrays("RZ-V127", lambda values: {EXTRA: np.zeros(3)})
_provenance("RZ-W202", citation=None)
_provenance("RZ-W203", terms_of_use=None, origins=(OriginEntry(origin="decoded", n_pairs=20),))
_arrays("RZ-W204", _repeated_input)
_arrays("RZ-W205", _flat_dimension)
_provenance("RZ-W206", description="Ask alice@example.org")
_arrays("RZ-W207", lambda values: {layout.ROLES: _roles(builders.N_DIMS)})
_arrays("RZ-W208", lambda values: {layout.ROLES: _roles(20)})
_provenance("RZ-W209", terms_of_use=None)
_arrays("RZ-W210", lambda values: {layout.SPACE_MEAN: values[layout.SPACE_MEAN] + 100})
_document("RZ-W211", lambda document: document.update(MINOR), version="1.1")
_document("RZ-W212", lambda document: document.update(extensions={"org.example": {"x": 1}}))
for _information in ("RZ-I301", "RZ-I302", "RZ-I303"):
    breaks(_information)(builders.write)
