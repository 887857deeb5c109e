"""What a data steward allows to leave the building."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from rosetta.schemas.manifest import OriginName
from rosetta.schemas.record import Count, NonNegative, Positive, Record, Share, Text


class Policy(Record):
    """`policy.toml`: every clause that is given must hold, else nothing is written."""

    schema_version: Literal["1.0"] = "1.0"
    origins: Annotated[tuple[OriginName, ...], Field(strict=False, min_length=1)] | None = None  # those allowed
    min_members: Positive | None = None  # items behind a point that is made of items
    min_nearest_ratio: NonNegative | None = None  # of any point to any item, in typical distances
    max_membership_advantage: Share | None = None  # upper end of the interval of every membership test
    max_epsilon: Annotated[float, Field(gt=0)] | None = None  # differential privacy is required
    require_terms: bool = False
    terms: Text | None = None  # these terms, word for word
    licenses: Annotated[tuple[Text, ...], Field(strict=False, min_length=1)] | None = None  # SPDX expressions
    excluded_rows: Annotated[tuple[Count, ...], Field(strict=False)] = ()  # items that no point may be made from
