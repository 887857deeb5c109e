"""What a distillation can be told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from rosetta.schemas.record import Count, Positive, PrivacyLevel, Record, Text

MOST_POINTS = 65_536


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class DistillSettings(Record):
    """The options of `rosetta distill`: how many pairs of what kind, and the words that go into the manifest."""

    license: Text  # an SPDX expression
    title: Text
    creators: Annotated[tuple[Text, ...], Field(strict=False, min_length=1)]  # NAME[; orcid=…][; affiliation=…]
    # each NAME or NAME=N, with N anchor pairs; None: decoded, or moments if the model has no decoder
    origin: Annotated[tuple[Text, ...], BeforeValidator(_listed), Field(strict=False, min_length=1)] | None = None
    # anchor pairs of origins without a number; auto: of observed ones, as many as improve the coverage
    pairs: Annotated[int, Field(ge=1, le=MOST_POINTS)] | Literal["auto"] | None = None
    checks: Count = 32  # check pairs, beside the anchors, divided among the origins as these are
    observed_checks: Count = 0  # items of the data, as further check pairs
    select: Text | None = None  # None: k-means; for observed and public points
    stratify: Text | None = None  # a column or source of labels, or density: observed points from each stratum alike
    members: Annotated[int, Field(ge=2)] = 10  # items behind an averaged point, at least
    mix: Annotated[int, Field(ge=2, le=1000)] = 3  # items behind a mixed point
    draw: Text = "moments"  # of the latents of decoded points
    residuals: bool = True  # added to decoded points, drawn from the moments of what the decoder leaves out of items
    reencoding_limit: Annotated[float, Field(gt=0)] = 1.5  # in total sds; unrelated latents are 1.4 apart
    store: Literal["auto", "uint8", "float32"] = "auto"  # auto: 8 bits where they hold the data's own values
    privacy: PrivacyLevel = "standard"  # how much the file says beside its points, and which points are refused
    reproducible: bool = False  # draws from the seed, and not from the system's secret randomness
    groups: Text | None = None  # a column or source that says whose each item is: the unit that is protected
    audit_held_out: bool = False  # what the run held out of its training stays out of the points, for the audit
    dp_epsilon: Annotated[float, Field(gt=0)] | None = None  # of all origins together
    dp_delta: Annotated[float, Field(gt=0, lt=1)] | None = None
    dp_norm: Annotated[float, Field(gt=0)] | None = None  # distance that counts; None: half the range's diagonal
    terms: Text | None = None
    description: Text | None = None
    citation: Text | None = None
    data_description: Text | None = None
    space_name: Text | None = None
    modality: Text | None = None
    units: Text | None = None
    axes: Annotated[tuple[Text, ...], Field(strict=False)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0


class OriginCount(Record):
    """How many pairs of a bundle are of one origin."""

    origin: Text
    n_anchors: Count
    n_checks: Count


class PointFigures(Record):
    """What became of the points of one origin, as far as it applies.

    `members` is the smallest number of items behind a point, or of groups where `unit` says so; `crowds` whether items
    are behind one point only.
    `reencoding_rms` is the root-mean-square distance of a decoded point's latent from the drawn one, in the space's
    total standard deviation; `n_dropped_*` count the points that were dropped for it, and for outputs far outside of
    the declared range; `clipped_share` is the share of the outputs' numbers that were clipped to that range.
    """

    members: Positive | None = None
    unit: Literal["group"] | None = None  # what members counts; None: items
    mix: Positive | None = None
    draw: Text | None = None
    residuals: Literal[True] | None = None
    crowds: Literal["clusters", "neighbourhoods", "cells"] | None = None
    reencoding_rms: Annotated[float, Field(ge=0)] | None = None
    n_dropped_reencoding: Count | None = None
    n_dropped_range: Count | None = None
    clipped_share: Annotated[float, Field(ge=0, le=1)] | None = None


class Growth(Record):
    """A number of pairs that was tried, and how far items are from the nearest, RMS, in total standard deviations."""

    n_pairs: Positive
    quantisation_error: Annotated[float, Field(ge=0)]


class StratumCount(Record):
    """How many items a stratum has, and how many observed anchors are of it."""

    name: Text
    n_items: Count
    n_anchors: Count
