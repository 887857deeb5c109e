"""What a release has spent, and what its guarantee does not speak of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from rosetta.privacy.mechanism import described
from rosetta.schemas.audit import PrivacyAccount

LABELS = (
    "The latents are those of an encoder that was trained on the data, which the account does not cover unless the "
    "encoder itself was trained with differential privacy and that is added to it."
)
CELLS = "So is the division of items into cells, which is the encoder's."
GROUPS = "The guarantee is for a group with all its items, such as a person's; the number of groups is public."
CONSTANTS = (
    "Outside of the account are the constants of preprocessing, the declared range of values and the number of items, "
    "and any other release of the same data."
)


def account_of(
    origin: Literal["moments", "averaged"],
    *,
    epsilon: float,
    delta: float,
    norm_bound: float,
    noise_sds: Mapping[str, float],
    of_groups: bool,
) -> PrivacyAccount:
    """Return the account of a release: all of epsilon and delta is spent by it, for an item or for a group."""
    statement = [LABELS, CELLS, CONSTANTS] if origin == "averaged" else [LABELS, CONSTANTS]
    if of_groups:
        statement.insert(0, GROUPS)
    return PrivacyAccount(
        origin=origin,
        epsilon=epsilon,
        delta=delta,
        neighbours="replace one group" if of_groups else "replace one item",
        norm_bound=norm_bound,
        noise_sds=dict(noise_sds),
        mechanism=described(),
        statement=" ".join(statement),
    )
