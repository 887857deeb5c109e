"""The sender's model and data, for the rules that only the sender can check."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from rosetta import preprocessing
from rosetta.arrays import Array, Floats
from rosetta.bundle import Bundle
from rosetta.errors import UsageError
from rosetta.rules.engine import Sender
from rosetta.sources import read_items
from rosetta.verbs.prepare import Expected, Features, match_inputs


def sender_of(model: str | PathLike[str] | None, data: str | Array | None, *, features: Features = None) -> Sender:
    """Return what rules ask of a run and of data, either of which may be absent."""
    raw = None if data is None else read_items(data)
    given = {name for name, value in (("model", model), ("data", data)) if value is not None}

    def items(bundle: Bundle) -> Array:
        if raw is None:
            raise UsageError("there is no data to hold the bundle against: pass --data")
        content = bundle.manifest.content
        steps = preprocessing.from_records(content.preprocessing, bundle.arrays)
        names, bounds = content.input.feature_names, content.input.value_range
        expected = Expected("the bundle", content.input.shape, steps, names, bounds)
        return match_inputs(raw, expected, features=features).inputs

    if model is None:
        return Sender(frozenset(given), items)
    from rosetta.models.checkpoint import load_run, weights_digest
    from rosetta.models.vae import encode_array

    run = load_run(Path(model))

    def encode(inputs: Array) -> Floats:
        return encode_array(run.model, inputs)[0]

    return Sender(frozenset(given), items, encode, weights_digest(run.model))
