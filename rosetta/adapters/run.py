"""Our own run folders."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np

from rosetta import preprocessing
from rosetta.adapters import Adapted, Adapter, Loading, SpaceOf, Training, adapters
from rosetta.adapters.layers import layers_of
from rosetta.arrays import Array, Floats
from rosetta.files import RUN_MARK, RUNS_MARK
from rosetta.models.checkpoint import Checkpoint, load_run
from rosetta.models.vae import decode_array, encode_array
from rosetta.schemas.manifest import ModelDescription, Parent


def adapt_run(checkpoint: Checkpoint, loading: Loading) -> Adapted:
    """Return a run as a model like any other.

    Raises
    ------
    PreprocessingError
        If its preprocessing cannot be rebuilt.
    """
    config, record, model = checkpoint.config, checkpoint.record, checkpoint.model

    def encode(inputs: Array) -> tuple[Floats, Floats | None]:
        return encode_array(model, inputs, device=loading.device)

    def decode(latents: Floats) -> Floats:
        return decode_array(model, np.asarray(latents), device=loading.device)

    return Adapted(
        kind="the run",
        encode=encode,
        describe=partial(_describe, checkpoint),
        weights_sha256=record.weights_sha256,
        decode=decode,
        input_shape=config.input_shape,
        steps=preprocessing.from_records(config.preprocessing, checkpoint.step_arrays),
        feature_names=config.feature_names,
        value_range=config.value_range,
        likelihood=config.settings.likelihood,
        space_dims=checkpoint.space_dims,
        space=SpaceOf(
            id=record.space_id,
            name=record.space_name,
            generation=record.generation,
            parents=tuple(Parent(content_id=each.content_id, relation="anchored_to") for each in record.anchors),
        ),
        n_left_out=record.data.n_excluded,
        training=Training(config, record),
        layers=layers_of(model, lambda block: decode(encode(block)[0]), kind="the run"),
    )


def _describe(checkpoint: Checkpoint, n_dims: int) -> ModelDescription:
    """Return what is told of the model; the held-out ELBO was measured on items, and is not told where they hide."""
    settings, record = checkpoint.config.settings, checkpoint.record
    return ModelDescription(
        architecture=settings.architecture,
        framework="torch",
        objective=record.objective,
        n_parameters=record.n_parameters,
        weights_sha256=record.weights_sha256,
        training=settings.model_dump(mode="json", exclude_none=True, exclude={"device", "architecture"}),
        held_out_elbo=record.final.elbo if record.data.n_validation else None,
    )


def _knows(model: str) -> bool:
    return any((Path(model) / name).is_file() for name in (RUN_MARK, RUNS_MARK))


def _open(model: str, loading: Loading) -> Adapted:
    return adapt_run(load_run(Path(model), code=loading.allow_code), loading)


adapters.register("run")(Adapter(_knows, _open, "a run folder, as `rosetta train -o` leaves it"))
