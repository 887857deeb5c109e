"""A run folder's documents: `config.json` rebuilds the model, `run.json` says what happened."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from rosetta.schemas.manifest import PreprocessingStep
from rosetta.schemas.record import Count, NonNegative, Positive, Record, Sha256, Shape, SpaceId, Text
from rosetta.schemas.signature import SignedBy

PositiveFloat = Annotated[float, Field(gt=0)]


class TrainSettings(Record):
    """Everything that a training can be told, with its defaults: the options of `rosetta train`."""

    architecture: Text = "dense"
    latent_dim: Annotated[int, Field(ge=1, le=65_536)] | None = None  # None: the bundle's, or 8 without one
    hidden: Annotated[tuple[Annotated[int, Field(ge=1, le=1_000_000)], ...], Field(strict=False, min_length=1)] = (
        512,
        256,
    )
    epochs: Positive = 100
    batch_size: Positive = 128
    lr: PositiveFloat = 1e-3
    beta: NonNegative = 1.0
    likelihood: Text = "gaussian"
    precision: PositiveFloat = 10.0
    preprocess: Text | None = None  # None: the bundle's steps; without one, scale(0, 255) for uint8, else nothing
    anchor_weight: Literal["auto"] | NonNegative = "auto"
    anchor_tolerance: PositiveFloat = 0.05
    anchor_decoder_weight: NonNegative = 0.0
    anchors_per_step: Positive = 256
    validation: Annotated[float, Field(ge=0, lt=1)] = 0.1
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"


class RunConfig(Record):
    """What rebuilds the model and prepares its inputs."""

    schema_version: Literal["1.0"] = "1.0"
    input_shape: Shape
    latent_dim: Positive
    value_range: tuple[float, float]
    feature_names: tuple[Text, ...] | None = None
    preprocessing: tuple[PreprocessingStep, ...] = ()
    settings: TrainSettings


class AnchorSource(Record):
    """A bundle that a run was anchored to."""

    content_id: Sha256
    n_pairs: Positive  # anchor pairs; the bundle's check pairs never enter a training
    signed_by: tuple[SignedBy, ...] = ()  # whose signature was checked; nobody's unless one was required


class FinalFigures(Record):
    """Means over the held-out items (over all items if none were held out), in nats an item.

    `elbo` = −(`reconstruction` + `kl`) whatever β the training used. `reconstruction` is the expected
    negative log-likelihood, constants included. `anchor_rms` is the root-mean-square distance between the
    anchors' stored and new latents as a share of the stored latents' total standard deviation, the unit
    of the anchor tolerance; null without anchors.
    """

    elbo: float
    reconstruction: float
    kl: float
    anchor_rms: NonNegative | None = None


class DataSummary(Record):
    """The data in counts; no path, no name."""

    n_items: Positive
    n_validation: Count
    dtype: Text
    shape: Shape


class RunRecord(Record):
    """What happened in a training."""

    schema_version: Literal["1.0"] = "1.0"
    created: Text
    objective: Literal["vae", "r-vae"]
    space_id: SpaceId
    space_name: Text | None = None
    generation: Count = 0  # 0 for a space's first model, one more for each anchored descendant
    anchors: tuple[AnchorSource, ...] = ()
    data: DataSummary
    n_parameters: Positive
    weights_sha256: Sha256
    epochs: Positive
    rows_per_s: NonNegative
    elapsed_s: NonNegative
    final_anchor_weight: NonNegative | None = None
    final: FinalFigures
    software: dict[Text, Text]
