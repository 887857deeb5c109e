"""The study of origins: its settings, the documents that it keeps, and its report."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AliasChoices, Field
from rosetta.schemas.audit import DisclosureAudit, Verdict
from rosetta.schemas.manifest import OriginName
from rosetta.schemas.record import Count, NonNegative, Positive, Record, Sha256, Shape, Text
from rosetta.schemas.run import PositiveFloat, Sizes

Draw = Literal["moments", "mixture", "jitter", "centroids", "boundary"]
NAME = r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}"
StudyName = Annotated[str, Field(pattern=f"^{NAME}$")]


class StudyCell(Record):
    """One cell of the grid: the points of a bundle, and how tightly receivers are anchored to them."""

    origin: OriginName | Literal["none"]
    points: Count = 0
    draw: Draw | None = None  # of decoded points; None: the usual one
    residuals: bool = False  # whether decoded points get what the decoder leaves out, drawn from its moments
    mix: Annotated[int, Field(ge=2)] | None = None  # items in a mixed point; None: the usual number
    tolerance: PositiveFloat = 0.03
    decoder_weight: NonNegative = 0.0
    free_dims: Count = 0  # latent dimensions of the receiver's own, beside the space's


class StudyTraining(Record):
    """How the models of one data set are trained; None is chosen by the size and number of the items."""

    latent_dim: Positive | None = None
    hidden: Sizes | None = None
    epochs: Positive | None = None  # of the sender
    receiver_epochs: Positive | None = None
    batch_size: Positive | None = None
    replicates: Positive | None = None  # None: the study's


class StudySettings(Record):
    """`study.toml`."""

    schema_version: Literal["1.0"] = "1.0"
    replicates: Positive | None = None  # None: 10, or 2 of a quick study
    cells: Annotated[tuple[StudyCell, ...], Field(strict=False, min_length=1)] | None = None  # in order; None: all
    data: dict[StudyName, StudyTraining] = {}


class StudyData(Record):
    """`data.json`: what the cells of one data set have in common. A study goes on only where nothing of it changed."""

    schema_version: Literal["1.0"] = "1.0"
    name: StudyName
    sha256: Sha256  # of all arrays
    shape: Shape
    n_sender: Positive
    n_sender_held_out: Positive
    n_receiver: Positive
    n_receiver_held_out: Positive
    n_public: Count
    training: StudyTraining
    replicates: Positive


class BundleFigures(Record):
    """`bundles/NAME.json`: it says that the bundle beside it is whole."""

    n_bytes: Positive
    audit: DisclosureAudit | None


class CellResult(Record):
    """`cells/NAME.json`: what was measured of the receivers, one value for each.

    `fvu` and `fvu_mapped` are the fractions of the variance of the sender's held-out latents that a receiver's encoder
    leaves unexplained, as they are and after a linear map. Reconstructions are squared errors an item, summed over its
    numbers, of held-out items: the receiver's own, and the sender's. `anchor_rms` is in the unit of the tolerance.
    """

    schema_version: Literal["1.0"] = "1.0"
    cell: StudyCell
    impossible: Text | None = None  # why there are no such points, or no such training
    fvu: tuple[NonNegative, ...] = Field((), validation_alias=AliasChoices("fvu", "unmapped"))  # as earlier files say
    fvu_mapped: tuple[NonNegative, ...] = Field((), validation_alias=AliasChoices("fvu_mapped", "mapped"))
    reconstruction: tuple[NonNegative, ...] = ()
    sender_reconstruction: tuple[NonNegative, ...] = ()
    anchor_rms: tuple[NonNegative, ...] = ()
    n_bytes: Positive | None = None
    audit: DisclosureAudit | None = None
    elapsed_s: NonNegative


class Over(Record):
    """A figure over replicates."""

    median: float
    low: float  # the first and the last quartile
    high: float


class StudyRow(Record):
    """One row of the table.

    `change` is what the anchors cost: the receiver's reconstruction error held against the median without anchors, as
    a share of that. `is_target_met` is null where it cannot be known yet.
    """

    data: StudyName
    name: Text
    cell: StudyCell
    n_replicates: Count
    impossible: Text | None = None
    fvu: Over | None = None
    fvu_mapped: Over | None = None
    reconstruction: Over | None = None
    change: float | None = None
    sender_reconstruction: Over | None = None
    nearest_ratio_min: NonNegative | None = None
    nearest_ratio_median: NonNegative | None = None
    verdict: Verdict | None = None
    members: Positive | None = None
    n_bytes: Positive | None = None
    is_target_met: bool | None = None


class StudyReport(Record):
    """`rosetta study origins`."""

    folder: str
    n_cells: Positive
    data: tuple[StudyData, ...]
    rows: tuple[StudyRow, ...]
    table: str
    picture: str
    notes: tuple[Text, ...] = ()  # what the user should know, as it goes to stderr
