"""The sender's model and data, for the rules that only the sender can check."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from os import PathLike
from typing import Any

from rosetta.arrays import Array, Floats
from rosetta.bundle import Bundle
from rosetta.errors import IncompatibleError
from rosetta.inputs.matching import Features
from rosetta.inputs.prepare import expected_in, match_inputs
from rosetta.rules.engine import Evidence


def evidence_of(
    model: str | PathLike[str] | None,
    data: Any,
    *,
    features: Features = None,
    allow_code: str | None = None,
    allow_pickle: bool = False,
) -> Evidence:
    """Return what rules ask of a model and of data, either of which may be absent."""
    evidence = Evidence()
    if data is not None:
        evidence = replace(evidence, given=evidence.given | {"data"}, items=_items_of(data, features))
    if model is None:
        return evidence
    from rosetta.inputs.models import open_model

    opened = open_model(model, device="cpu", allow_code=allow_code, allow_pickle=allow_pickle)

    def encode(inputs: Array) -> Floats:
        """Return posterior means, or raise IncompatibleError if the model takes inputs of another shape."""
        if opened.input_shape is not None and inputs.shape[1:] != opened.input_shape:
            raise IncompatibleError(
                f"the bundle cannot be held against the model: its inputs have shape {inputs.shape[1:]}, the model "
                f"takes {opened.input_shape}"
            )
        return opened.encode(inputs)[0][:, : opened.space_dims]

    return replace(
        evidence,
        given=evidence.given | {"model"},
        encode=encode,
        weights_sha256=opened.weights_sha256,
    )


def _items_of(data: Any, features: Features) -> Callable[[Bundle], Array]:
    """Return what gives the data's items, preprocessed as a bundle says."""

    def items(bundle: Bundle) -> Array:
        """Return the items."""
        return match_inputs(data, expected_in(bundle), features=features).inputs

    return items
