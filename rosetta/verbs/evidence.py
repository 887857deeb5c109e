"""The sender's model and data, for the rules that only the sender can check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from os import PathLike
from pathlib import Path

from rosetta.arrays import Array, Floats
from rosetta.bundle import Bundle
from rosetta.errors import IncompatibleError
from rosetta.rules.engine import Evidence
from rosetta.sources import read_items
from rosetta.verbs.prepare import Features, expected_in, match_inputs


def evidence_of(
    model: str | PathLike[str] | None,
    data: str | Array | None,
    *,
    features: Features = None,
    allow_code: str | None = None,
) -> Evidence:
    """Return what rules ask of a run and of data, either of which may be absent."""
    evidence = Evidence()
    if data is not None:
        evidence = replace(evidence, given=evidence.given | {"data"}, items=_items_of(data, features))
    if model is None:
        return evidence
    from rosetta.models.checkpoint import load_run, weights_digest
    from rosetta.models.vae import encode_array

    run = load_run(Path(model), code=allow_code)

    def encode(inputs: Array) -> Floats:
        """Return posterior means, or raise IncompatibleError if the model takes inputs of another shape."""
        if inputs.shape[1:] != run.config.input_shape:
            raise IncompatibleError(
                f"the bundle cannot be held against the model: its inputs have shape {inputs.shape[1:]}, the model "
                f"takes {run.config.input_shape}"
            )
        return encode_array(run.model, inputs)[0][:, : run.space_dims]

    return replace(
        evidence,
        given=evidence.given | {"model"},
        encode=encode,
        weights_sha256=weights_digest(run.model),
    )


def _items_of(data: str | Array, features: Features) -> Callable[[Bundle], Array]:
    """Return what gives the data's items, preprocessed as a bundle says."""
    raw = read_items(data)

    def items(bundle: Bundle) -> Array:
        """Return the items."""
        return match_inputs(raw, expected_in(bundle), features=features).inputs

    return items
