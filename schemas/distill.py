"""What a distillation can be told."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from rosetta.schemas.option import option
from rosetta.schemas.record import Count, Positive, PrivacyLevel, Record, Text

MOST_POINTS = 65_536
POINTS, PRIVACY, WORDS = "Points", "What they reveal", "Words"


def _listed(value: object) -> object:
    return (value,) if isinstance(value, str) else value


class DistillSettings(Record):
    """How many pairs of what kind, how much they reveal, and the words that go into the manifest."""

    license: Text = option(..., "Licence of the bundle, such as CC-BY-4.0.", WORDS, metavar="SPDX")
    title: Text = option(..., "Title of the bundle.", WORDS)
    creators: Annotated[tuple[Text, ...], Field(strict=False, min_length=1)] = option(
        ...,
        "'NAME[; orcid=…][; affiliation=…]'; may be repeated.",
        WORDS,
        metavar="NAME",
        name="creator",
        repeats=True,
    )
    origin: Annotated[tuple[Text, ...], BeforeValidator(_listed), Field(strict=False, min_length=1)] | None = option(
        None,
        "Where points come from: decoded, averaged, mixed, moments, public, or observed (items of DATA). May be "
        "repeated, each with N anchors of it.",
        POINTS,
        shown="decoded; moments without a decoder",
        metavar="NAME[=N]",
        repeats=True,
    )
    # of the origins without a number
    pairs: Annotated[int, Field(ge=1, le=MOST_POINTS)] | Literal["auto"] | None = option(
        None,
        "Anchor pairs, to train with; auto doubles observed ones until the coverage hardly improves.",
        POINTS,
        shown="64 observed, averaged or public, 4096 others",
        metavar="N|auto",
    )
    # beside the anchors, divided among the origins as these are
    checks: Count = option(32, "Check pairs of the same kinds, held out for the proof.", POINTS)
    observed_checks: Count = option(0, "Items of DATA, as further check pairs.", POINTS)
    select: Text | None = option(
        None,
        "How observed or public points are chosen: kmeans, minibatch-kmeans, agglomerative, gmm, k-medoids, farthest, "
        "herding or random.",
        POINTS,
        shown="kmeans",
    )
    stratify: Text | None = option(
        None,
        "Choose observed points from each group alike, so that the rare are there: a column of DATA, a file of labels, "
        "or layers of density.",
        POINTS,
        metavar="COLUMN|density",
    )
    members: Annotated[int, Field(ge=2)] = option(10, "Items behind an averaged point, at least.", POINTS)
    mix: Annotated[int, Field(ge=2, le=1000)] = option(3, "Items in a mixed point.", POINTS)
    draw: Text = option(
        "moments",
        "How latents of decoded points are drawn: moments, mixture, jitter, centroids or boundary.",
        POINTS,
    )
    residuals: bool = option(
        True,
        "Add to decoded points a share of what the decoder leaves out of items, drawn from its moments.",
        POINTS,
    )
    # unrelated latents are 1.4 apart
    reencoding_limit: Annotated[float, Field(gt=0)] = option(
        1.5,
        "Decoded points that the encoder puts farther from where they were drawn are dropped; in total standard "
        "deviations of the space.",
        POINTS,
    )
    store: Literal["auto", "uint8", "float32"] = option(
        "auto", "How inputs are stored; auto takes 8 bits where they hold DATA's own values.", POINTS
    )
    privacy: PrivacyLevel = option(
        "standard",
        "How much the file says beside its points, and which points are refused; open: items may be known.",
        PRIVACY,
    )
    reproducible: bool = option(
        False,
        "Draw from `seed` instead of the system's secret randomness: for tests, since a seed can be guessed.",
        PRIVACY,
        is_flag=True,
    )
    # the unit that is protected
    groups: Text | None = option(
        None,
        "Whose each item is, where somebody has several: a column of DATA, or a source such as file.npz::donor.",
        PRIVACY,
        metavar="COLUMN",
    )
    audit_held_out: bool = option(
        False,
        "Keep what MODEL's training held out (`validation` of train) out of the points, and test membership with it.",
        PRIVACY,
        is_flag=True,
    )
    dp_epsilon: Annotated[float, Field(gt=0)] | None = option(
        None,
        "Differential privacy of averaged or moments points, all together; labels are not covered.",
        PRIVACY,
    )
    dp_delta: Annotated[float, Field(gt=0, lt=1)] | None = option(None, "Its delta, well below 1 / items.", PRIVACY)
    dp_norm: Annotated[float, Field(gt=0)] | None = option(
        None,
        "Largest distance of an item from the mean that counts; to be chosen without looking at DATA.",
        PRIVACY,
        shown="half the range's diagonal",
    )
    terms: Text | None = option(None, "Terms of use beside the licence.", WORDS)
    description: Text | None = option(None, "What the latent space is.", WORDS)
    citation: Text | None = option(None, "How to cite the bundle.", WORDS)
    data_description: Text | None = option(None, "What the data is, without paths.", WORDS)
    space_name: Text | None = option(None, "Name of the latent space.", WORDS)
    modality: Text | None = option(None, "What an input is, such as image or spectrogram.", WORDS)
    units: Text | None = option(None, "Units of an input's numbers.", WORDS)
    axes: Annotated[tuple[Text, ...], Field(strict=False)] | None = option(
        None, "Names of an input's axes.", WORDS, metavar="NAME,NAME,…"
    )
    seed: Annotated[int, Field(ge=0, lt=2**32)] = option(
        0, "Seed of the audit's attacks; of the draws only with `reproducible`."
    )


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
