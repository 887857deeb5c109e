"""What a distillation can be told."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field
from rosetta.schemas.record import Count, Positive, Record, Text


class DistillSettings(Record):
    """The options of `rosetta distill`: how many pairs of what kind, and the words that go into the manifest."""

    license: Text  # an SPDX expression
    title: Text
    creators: Annotated[tuple[Text, ...], Field(strict=False, min_length=1)]  # NAME[; orcid=…][; affiliation=…]
    pairs: Positive = 64  # anchor pairs
    checks: Count = 32  # check pairs, beside the anchors
    origin: Text = "observed"
    select: Text | None = None  # None: k-means for observed points
    terms: Text | None = None
    description: Text | None = None
    citation: Text | None = None
    data_description: Text | None = None
    space_name: Text | None = None
    modality: Text | None = None
    units: Text | None = None
    axes: Annotated[tuple[Text, ...], Field(strict=False)] | None = None
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
