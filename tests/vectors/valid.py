"""Bundles that every reader accepts: each has one thing that a reader could get wrong."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from rosetta.schemas.manifest import Creator, OriginEntry, Parent, PreprocessingStep

from rosetta.bundle import layout
from tests import builders
from tests.vectors.small import N_PAIRS, Document, Write, describe, document, pairs, space, vector

UNICODE = (
    "é e\u0301 ∂ 漢字 \U0001f9ec \U0001d518 שלום مرحبا \u202eright to left\u202c \u200b\u2028\ufeff "
    '"}],{\\"content_id\\": \t\n\u0007\u007f </script> ${x} %s \ufb33\U0001f600'
)
EXTENSION = "/ext/org.example.vector/x"


def _optional() -> dict[str, Any]:
    values = pairs()
    latents = values[layout.LATENTS].astype(np.float64)
    return {
        **values,
        layout.LATENTS_SD: np.abs(values[layout.LATENTS]) / 8,
        layout.WEIGHTS: np.arange(N_PAIRS) / np.arange(N_PAIRS).sum(),
        layout.SPACE_MEAN: latents.mean(axis=0),
        layout.SPACE_COVARIANCE: np.cov(latents, rowvar=False),
    }


def _odd_numbers() -> dict[str, Any]:
    """Numbers that a reader must not round or normalise: −0, the smallest and the largest there are."""
    values = pairs(inputs=np.linspace(0, 1, 4 * N_PAIRS).reshape(N_PAIRS, 4), latents=np.float64)
    values[layout.INPUTS][0] = [-0.0, 5e-324, 2.2250738585072014e-308, 1 / 3]
    values[layout.LATENTS][0] = [-0.0, 0.1, 1e-300]
    return dict(values) | {layout.LATENTS_SD: np.full((N_PAIRS, 3), np.finfo(np.float64).max)}


def _standardized(shape: tuple[int, ...], mean: str, sd: str) -> Write:
    paths = {"mean": mean, "sd": sd}
    values = {**pairs(shape), mean: np.full(shape, 127.5), sd: np.arange(1.0, 1 + np.prod(shape)).reshape(shape)}
    return vector(values, preprocessing=(PreprocessingStep(name="standardize", arrays=paths),))


def _images_to_numbers() -> Write:
    """Steps that change shapes: what stands before the last of them has another shape than the inputs."""
    mean, sd = "/preprocessing/3.mean", "/preprocessing/3.sd"
    steps = (
        PreprocessingStep(name="channels_last"),
        PreprocessingStep(name="resize", parameters={"height": 2, "width": 2}),
        PreprocessingStep(name="grey"),
        PreprocessingStep(name="standardize", arrays={"mean": mean, "sd": sd}),
        PreprocessingStep(name="flatten"),
        PreprocessingStep(name="clip", parameters={"low": -2, "high": 2.5}),
        PreprocessingStep(name="scale", parameters={"low": -2, "high": 2.5}),
    )
    return vector({**pairs(), mean: np.full((2, 2), 127.5), sd: np.arange(1.0, 5).reshape(2, 2)}, preprocessing=steps)


def _counts() -> Write:
    """Steps for counts, of which none is tried on inputs: these may be negative, as no counts are."""
    values = pairs(inputs=np.linspace(-1, 1, 4 * N_PAIRS).reshape(N_PAIRS, 4))
    names = ({"name": "normalize_total", "parameters": {"target": 1e4}}, {"name": "log1p"})
    steps = tuple(PreprocessingStep(**each) for each in names)
    return vector(values, preprocessing=steps, input=describe(values, (-1, 1)))


def _integers(dtype: type) -> Write:
    values = pairs(inputs=np.arange(4 * N_PAIRS, dtype=dtype).reshape(N_PAIRS, 4))
    values[layout.INPUTS][0, :2] = np.iinfo(dtype).min, np.iinfo(dtype).max
    return vector(values, input=describe(values, (-1e21, 1e21)))


def _levels() -> dict[str, Any]:
    """Inputs in 8 bits that stand for other numbers, the ends among them."""
    return dict(pairs(inputs=np.linspace(255, 0, 4 * N_PAIRS).astype(np.uint8).reshape(N_PAIRS, 4)))


def _interleaved() -> Write:
    roles = np.array([1, 0, 1] * 4, dtype=np.uint8)
    return vector({**pairs(), layout.ROLES: roles})


def _one_pair() -> Write:
    values = {name: array[:1] for name, array in pairs((1,), n_dims=1).items()}
    return vector(values)


def _numbers(manifest: Document) -> None:
    """Numbers and keys whose canonical form is easily missed, where the schema allows any."""
    manifest["provenance"]["model"]["training"] = {
        "numbers": [1e-7, 1e-6, 1e21, 1.5e300, 5e-324, 1.7976931348623157e308, 0.1, 1 / 3, 2**53 - 1, 1 - 2**53, 0],
        "keys": {"10": 1, "9": 2, "\ufb33": 3, "\U0001f600": 4, "a": 5, "A": 6, "__proto__": 7, "é": 8},
        "empty": [{}, [], "", {"a b": [[]]}],
        "truth": [True, False],
    }
    manifest["content"]["input"]["value_range"] = [-1e-7, 1e21]
    nested: Any = []
    for _ in range(28):
        nested = [nested]  # with the document, its provenance and the audit 32 deep
    manifest["provenance"]["disclosure_audit"] = {"depth": nested}


def _without_defaults(manifest: Document) -> None:
    for holder, key in (
        (manifest, "requires"),
        (manifest, "extensions"),
        (manifest["content"], "preprocessing"),
        (manifest["provenance"], "parents"),
        (manifest["provenance"], "generation"),
        (manifest["provenance"]["model"], "training"),
        (manifest["provenance"]["selection"], "settings"),
    ):
        del holder[key]


def _packed(path: Path, *, libver: tuple[str, str] = layout.LIBVER, padding: int = 0) -> None:
    """The minimal bundle, put into its file in another way: the content id stays."""
    values = pairs()
    manifest = builders.text_of(document(values))
    with h5py.File(path, "w", libver=libver) as file:
        for name in sorted(values, reverse=True):
            file.create_dataset(name, data=values[name], track_times=False)
        dtype = h5py.string_dtype("utf-8", len(manifest) + padding)
        file.create_dataset(layout.MANIFEST, data=np.array(manifest, dtype=dtype), dtype=dtype, track_times=False)
        for key, text in ((layout.VERSION_ATTRIBUTE, b"1.0"), (layout.FORMAT_ATTRIBUTE, b"rosetta-bundle")):
            file.attrs.create(key, np.bytes_(text))


def _attributes(path: Path) -> None:
    """The minimal bundle, its attributes padded in the other two ways that HDF5 has, beside a group that is empty."""
    vector()(path)
    with h5py.File(path, "a", libver=layout.LIBVER) as file:
        file.create_group("ext")
        for key, text, padding in (
            (layout.FORMAT_ATTRIBUTE, b"rosetta-bundle  ", h5py.h5t.STR_SPACEPAD),
            (layout.VERSION_ATTRIBUTE, b"1.0\0", h5py.h5t.STR_NULLTERM),
        ):
            del file.attrs[key]
            kind = h5py.h5t.C_S1.copy()
            kind.set_size(len(text))
            kind.set_strpad(padding)
            place = h5py.h5a.create(file.id, key.encode(), kind, h5py.h5s.create(h5py.h5s.SCALAR))
            place.write(np.frombuffer(text, dtype=f"S{len(text)}"), mtype=kind)


def _image() -> dict[str, Any]:
    return dict(pairs(inputs=np.arange(N_PAIRS * 2 * 3 * 4, dtype=np.uint8).reshape(N_PAIRS, 2, 3, 4)))


def _extended(manifest: Document) -> None:
    manifest["extensions"] = {"org.example.vector": {"any": ["JSON", {"at": "all"}]}}


# name → what writes the file
VALID: dict[str, Write] = {
    "minimal": vector(),
    "optional-arrays": vector(_optional()),
    "inputs-u1": vector(pairs(inputs=np.arange(4 * N_PAIRS, dtype=np.uint8).reshape(N_PAIRS, 4) * 5)),
    "inputs-stored-range": vector(_levels(), input=describe(_levels(), (-1, 2.5), stored_range=(-1, 2.5))),
    "inputs-i4": _integers(np.int32),
    "inputs-i8": _integers(np.int64),
    "inputs-f8": vector(_odd_numbers()),
    "inputs-image": vector(
        _image(), input=describe(_image(), (0, 255), modality="image", axis_names=("row", "column", "channel"))
    ),
    "inputs-scalar": _standardized((), "/preprocessing/0.mean", "/preprocessing/0.sd"),
    "standardize": _standardized((4,), "/preprocessing/A-mean_.1", "/preprocessing/sd"),
    "steps-for-images": _images_to_numbers(),
    "steps-for-counts": _counts(),
    "feature-names": vector(input=describe(pairs(), (0, 1), feature_names=("b", "a", "B", UNICODE), units="µm")),
    "unicode": vector(
        space=space(name=UNICODE),
        input=describe(pairs(), (0, 1), modality=UNICODE, units=UNICODE),
        title=UNICODE,
        description=UNICODE,
        creators=(Creator(name=UNICODE, affiliation=UNICODE),),
        citation=UNICODE,
        terms_of_use=UNICODE,
        software={UNICODE: UNICODE},
    ),
    "numbers": vector(edit=_numbers),
    "defaults-left-out": vector(edit=_without_defaults),
    "extension": vector({**pairs(), EXTENSION: np.arange(6, dtype=np.int64).reshape(2, 3)}, _extended),
    "origins": vector(
        origins=(
            OriginEntry(origin="observed", n_pairs=1),
            OriginEntry(origin="decoded", n_pairs=N_PAIRS - 3),
            OriginEntry(origin="observed", n_pairs=2),
        )
    ),
    "interleaved-roles": _interleaved(),
    "one-pair": _one_pair(),
    "generation": vector(
        generation=2,
        parents=(
            Parent(content_id="1" * 64, relation="anchored_to"),
            Parent(content_id="2" * 64, relation="merged_from"),
            Parent(content_id="3" * 64, relation="revised_from"),
        ),
    ),
    "minor-1.1": vector(edit=lambda manifest: manifest.update(format_version="1.1"), version="1.1"),
    "warnings": vector(citation=None, terms_of_use=None),
    "packed-attributes": _attributes,
    "packed-padded": partial(_packed, padding=37),
    "packed-superblock-2": partial(_packed, libver=("v108", "v108")),
    "packed-superblock-3": partial(_packed, libver=("v110", "v110")),
}

# whose values stand beside them as JSON
WITH_VALUES = ("minimal", "inputs-image", "inputs-scalar", "one-pair")
