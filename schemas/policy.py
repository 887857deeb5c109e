"""What a data steward allows to leave the building."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from rosetta.schemas.manifest import OriginName
from rosetta.schemas.record import Count, NonNegative, Positive, PrivacyLevel, Record, Share, Text


class Policy(Record):
    """`policy.toml`: every clause that is given must hold, else nothing is written."""

    schema_version: Literal["1.0"] = "1.0"
    origins: Annotated[tuple[OriginName, ...], Field(strict=False, min_length=1)] | None = None  # those allowed
    min_members: Positive | None = None  # items behind a point that is made of items
    min_nearest_ratio: NonNegative | None = None  # smallest normalised distance to closest record (DCR)
    max_membership_advantage: Share | None = None  # upper end of the interval of every membership test
    max_auc: Annotated[float, Field(ge=0.5, le=1)] | None = None  # of the worst attack, lower end of its interval
    max_caught_at_1_percent: Share | None = None  # members found at 1 % false positives by the worst attack
    min_privacy: PrivacyLevel | None = None  # the least careful level that is allowed
    require_groups: bool | None = None  # the audit's unit must be the person, not the row
    allow_reproducible: bool | None = None  # draws that a seed repeats
    max_epsilon: Annotated[float, Field(gt=0)] | None = None  # differential privacy is required
    require_terms: bool = False
    terms: Text | None = None  # these terms, word for word
    licenses: Annotated[tuple[Text, ...], Field(strict=False, min_length=1)] | None = None  # SPDX expressions
    excluded_groups: Annotated[tuple[Text, ...], Field(strict=False)] = ()  # of `groups`, those that said no
    excluded_rows: Annotated[tuple[Count, ...], Field(strict=False)] = ()  # items that no point may be made from
