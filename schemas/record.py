"""The base of all records, and the small types that they share."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints


class Record(BaseModel):
    """A frozen, strict document: an unknown key, a wrong type or a number that is not finite is an error."""

    model_config = ConfigDict(
        frozen=True, strict=True, extra="forbid", allow_inf_nan=False, protected_namespaces=(), defer_build=True
    )


Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
SpaceId = Annotated[str, StringConstraints(pattern=r"^space-[0-9a-f]{32}$")]
Text = Annotated[str, StringConstraints(min_length=1, max_length=100_000)]
Count = Annotated[int, Field(ge=0, le=2**53 - 1)]
Positive = Annotated[int, Field(ge=1, le=2**53 - 1)]
NonNegative = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]
Shape = tuple[Positive, ...]
PrivacyLevel = Literal["strict", "standard", "open"]  # the most careful first
