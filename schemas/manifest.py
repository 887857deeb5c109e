"""The manifest of a bundle, format 1.0: what the pairs mean, and who made them from what."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, JsonValue, StringConstraints, field_validator
from rosetta.schemas.record import Count, NonNegative, Positive, Record, Sha256, Shape, Share, SpaceId, Text

FORMAT: Literal["rosetta-bundle"] = "rosetta-bundle"
FORMAT_VERSION = "1.0"
LARGEST_FLOAT = 3.4e38  # of 32 bits

Dtype = Literal["f4", "f8", "u1", "i4", "i8"]
ArrayPath = Annotated[str, StringConstraints(pattern=r"^(/[A-Za-z0-9_.-]+){2,3}$")]
OriginName = Literal["observed", "averaged", "mixed", "decoded", "moments", "public"]


class ArrayEntry(Record):
    """One array of the file: how it is stored and the digest of its values."""

    dtype: Dtype
    shape: Shape
    sha256: Sha256


class LatentSpace(Record):
    """The coordinate system that `/pairs/latents` is written in."""

    id: SpaceId  # made once, inherited by every descendant
    name: Text | None = None
    n_dims: Positive
    statistic: Literal["posterior_mean"]
    prior: Literal["standard_normal"]


class InputDescription(Record):
    """What one input is: the preprocessed item that an encoder sees."""

    modality: Text | None = None
    shape: Shape
    dtype: Dtype
    stored_range: tuple[float, float] | None = None  # what 0 and 255 stand for, where inputs are stored in 8 bits
    value_range: tuple[float, float]
    units: Text | None = None
    axis_names: tuple[Text, ...] | None = None
    feature_names: tuple[Text, ...] | None = None

    @field_validator("value_range")
    @classmethod
    def _is_ordered(cls, value: tuple[float, float]) -> tuple[float, float]:
        if value[0] > value[1]:
            raise ValueError(f"the range starts at {value[0]:g}, above its end at {value[1]:g}")
        return value

    @field_validator("stored_range")
    @classmethod
    def _has_width(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not -LARGEST_FLOAT <= value[0] < value[1] <= LARGEST_FLOAT:
            raise ValueError(f"{value[0]:g} to {value[1]:g} is no range of 32-bit floats")
        return value


class PreprocessingStep(Record):
    """One declared step from a raw item to an input; its arrays stand under `/preprocessing`."""

    name: Text
    parameters: dict[Text, JsonValue] = {}
    arrays: dict[Text, ArrayPath] = {}


class OriginEntry(Record):
    """Where a stretch of pairs comes from; the stretches follow each other in row order."""

    origin: OriginName
    n_pairs: Positive


class Content(Record):
    """What the pairs mean. `content_id` is a digest of this part alone."""

    arrays: dict[ArrayPath, ArrayEntry]
    space: LatentSpace
    input: InputDescription
    preprocessing: tuple[PreprocessingStep, ...] = ()
    origins: Annotated[tuple[OriginEntry, ...], Field(min_length=1)]


class Creator(Record):
    """A person or group that made the bundle."""

    name: Text
    orcid: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{4}-[0-9]{4}-[0-9]{3}[0-9X]$")] | None = None
    affiliation: Text | None = None


class ModelDescription(Record):
    """The model that gave the latents. No weights, only their digest."""

    architecture: Text
    framework: Text
    objective: Text
    n_parameters: Count
    weights_sha256: Sha256
    training: dict[Text, JsonValue] = {}
    held_out_elbo: float | None = None


class DataDescription(Record):
    """The sender's data in words and counts; never a path."""

    description: Text | None = None
    n_items: Count | None = None  # rounded, or not told


class Coverage(Record):
    """How well the anchors cover the sender's latents.

    `quantisation_error` and `largest_gap` are the root-mean-square and the largest distance from an item's
    latent to its nearest anchor, both as a share of the latents' total standard deviation; `largest_share`
    is the largest share of items nearest to one anchor; `silhouette` is the mean silhouette of the items,
    grouped by nearest anchor (absent where it is not defined). Figures may be rounded.
    """

    quantisation_error: NonNegative
    largest_gap: NonNegative | None = None  # one item decides it, so it is told by open bundles only
    largest_share: Share
    silhouette: Annotated[float, Field(ge=-1, le=1)] | None = None


class Selection(Record):
    """How the pairs were chosen or made."""

    method: Text
    seed: Count | None = None  # of older bundles: whoever has it can repeat their draws, so new ones do not tell it
    settings: dict[Text, JsonValue] = {}
    coverage: Coverage | None = None  # absent under differential privacy, whose guarantee it would break


class Parent(Record):
    """A bundle that this one descends from."""

    content_id: Sha256
    relation: Literal["anchored_to", "merged_from", "revised_from"]


class Provenance(Record):
    """Who made the bundle, how, and from what. It does not enter `content_id`."""

    created: Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]
    title: Text
    description: Text | None = None
    creators: Annotated[tuple[Creator, ...], Field(min_length=1)]
    license: Text
    citation: Text | None = None
    terms_of_use: Text | None = None
    model: ModelDescription
    data: DataDescription
    selection: Selection
    parents: tuple[Parent, ...] = ()
    generation: Count = 0
    software: dict[Text, Text]
    disclosure_audit: dict[Text, JsonValue] | None = None


class Manifest(Record):
    """The whole manifest, stored at `/manifest` as RFC 8785 canonical JSON."""

    format: Literal["rosetta-bundle"]
    format_version: Annotated[str, StringConstraints(pattern=r"^1\.(0|[1-9][0-9]{0,2})$")]
    content_id: Sha256
    content: Content
    provenance: Provenance
    requires: tuple[Text, ...] = ()
    extensions: dict[Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]+(\.[a-z0-9-]+)+$")], JsonValue] = {}
