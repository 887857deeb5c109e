"""Small bundles made by hand, without a model: what they say is valid until a test changes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import rfc8785
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from rosetta.schemas.manifest import (
    Coverage,
    Creator,
    DataDescription,
    InputDescription,
    LatentSpace,
    Manifest,
    ModelDescription,
    OriginEntry,
    PreprocessingStep,
    Provenance,
    Selection,
)

from rosetta.bundle import Bundle, layout
from rosetta.bundle.digest import content_digest
from rosetta.bundle.manifest import as_json
from rosetta.bundle.signature.envelope import signature_path
from rosetta.bundle.signature.private_key import public_half
from rosetta.bundle.signature.signing import make_statement, sign_statement, write_signature
from rosetta.bundle.signature.trust import trust_block
from rosetta.bundle.writer import make_manifest, write_bundle

SPACE = "space-" + "0123456789abcdef" * 2
N_ANCHORS, N_CHECKS, N_DIMS, SHAPE = 12, 8, 3, (4, 5)


def arrays(seed: int = 0) -> dict[str, Any]:
    """The arrays of a valid bundle: 12 anchors, 8 checks, 3 dimensions, inputs of 4 × 5."""
    rng = np.random.default_rng(seed)
    n_pairs = N_ANCHORS + N_CHECKS
    latents = rng.normal(size=(n_pairs, N_DIMS)).astype(np.float32)
    return {
        layout.INPUTS: rng.random((n_pairs, *SHAPE), dtype=np.float32),
        layout.LATENTS: latents,
        layout.LATENTS_SD: rng.random((n_pairs, N_DIMS), dtype=np.float32),
        layout.WEIGHTS: np.full(n_pairs, 1 / n_pairs),
        layout.ROLES: np.array([0] * N_ANCHORS + [1] * N_CHECKS, dtype=np.uint8),
        layout.SPACE_MEAN: latents.mean(axis=0, dtype=np.float64),
        layout.SPACE_COVARIANCE: np.cov(latents.astype(np.float64), rowvar=False),
    }


def provenance(**changes: Any) -> Provenance:
    """The provenance of a bundle that no rule complains about."""
    fields: dict[str, Any] = {
        "created": "2026-01-02T03:04:05Z",
        "title": "A bundle",
        "creators": (Creator(name="Alice"),),
        "license": "CC-BY-4.0",
        "citation": "Alice (2026)",
        "terms_of_use": "Be kind.",
        "model": ModelDescription(
            architecture="dense", framework="torch", objective="vae", n_parameters=10, weights_sha256="0" * 64
        ),
        "data": DataDescription(n_items=100),
        "selection": Selection(
            method="kmeans",
            coverage=Coverage(quantisation_error=0.1, largest_gap=0.5, largest_share=0.2, silhouette=0.3),
        ),
        "software": {"rosetta": "0.1.0"},
    }
    return Provenance(**(fields | changes))


def manifest(values: Mapping[str, Any], **changes: Any) -> Manifest:
    """The manifest of `values`; changes replace arguments of `make_manifest` or fields of the provenance."""
    arguments: dict[str, Any] = {
        "space": LatentSpace(id=SPACE, n_dims=N_DIMS, statistic="posterior_mean", prior="standard_normal"),
        "input": InputDescription(shape=values[layout.INPUTS].shape[1:], dtype="f4", value_range=(0.0, 1.0)),
        "preprocessing": (PreprocessingStep(name="scale", parameters={"low": 0, "high": 255}),),
        "origins": (OriginEntry(origin="observed", n_pairs=len(values[layout.INPUTS])),),
    }
    known = {key: changes.pop(key) for key in list(changes) if key in arguments}
    return make_manifest(values, **(arguments | known), provenance=provenance(**changes))


def write(path: Path, values: Mapping[str, Any] | None = None, **changes: Any) -> Path:
    """Write a bundle with the project's own writer, and return its path."""
    values = arrays() if values is None else values
    write_bundle(path, manifest(values, **changes), values, force=True)
    return path


def write_raw(
    path: Path,
    values: Mapping[str, Any],
    text: bytes | None,
    *,
    version: str = "1.0",
    name: str = "rosetta-bundle",
) -> Path:
    """Write a file of the closed form with any manifest bytes at all, which the project's writer would refuse."""
    with h5py.File(path, "w", libver=layout.LIBVER) as file:
        file.attrs.create("format", np.bytes_(name.encode()))
        file.attrs.create("format_version", np.bytes_(version.encode()))
        if text is not None:
            dtype = h5py.string_dtype("utf-8", len(text))
            file.create_dataset(layout.MANIFEST, data=np.array(text, dtype=dtype), dtype=dtype, track_times=False)
        for key, array in values.items():
            file.create_dataset(key, data=array, track_times=False)
    return path


def text_of(document: Manifest | dict[str, Any], *, content_id: bool = True) -> bytes:
    """The canonical bytes of a manifest or of a changed JSON object, its content id computed anew."""
    value = as_json(document) if isinstance(document, Manifest) else document
    if content_id:
        value = {**value, "content_id": content_digest(value["content"])}
    return rfc8785.dumps(value)


def key(number: int = 1) -> Ed25519PrivateKey:
    """One of several private keys, always the same."""
    return Ed25519PrivateKey.from_private_bytes(bytes([number] * 32))


def sign(path: Path, number: int = 1) -> Path:
    """Write a bundle if there is none, sign it with a key, and return its path."""
    if not path.exists():
        write(path)
    statement = make_statement(
        Bundle.open(path), name=path.name, signed="2026-01-02T03:04:05Z", software={"rosetta": "0.1.0"}
    )
    write_signature(signature_path(path), sign_statement(statement, key(number)), force=True)
    return path


def trust(path: Path, number: int = 1) -> Path:
    """Write a trust file that pins a key to the name Alice, and return its path."""
    path.write_text(trust_block(public_half(key(number), "Alice")))
    return path
