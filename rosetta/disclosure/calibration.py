"""What like items have in common: how an item would be scored by somebody who had never seen the bundle."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rosetta.disclosure.components import Components, components_of
from rosetta.disclosure.search import Singles

LEAST_REFERENCE = 20  # outsiders that a reference is fitted to
PART = 4  # of the rows that are scored, a reference is fitted to no more than this part

Codes = npt.NDArray[np.intp]
Flags = npt.NDArray[np.bool_]


class Fit(NamedTuple):
    """A reference, and who is scored by it."""

    reference: Components
    members: Flags  # shape (n_members,)
    others: Flags  # none of those that it was fitted to, shape (n_others,)


def cross_fitted(
    inputs: Singles, owners: Codes, member_owners: Codes, *, n_rows: int, n_components: int, rng: np.random.Generator
) -> tuple[Fit, Fit] | None:
    """Return principal components of each half of the outsiders, by which the other half and half of the members go.

    None with fewer than forty owners of outsiders. No owner is on both sides.

    Parameters
    ----------
    inputs : float32 array, shape (n_others, n_numbers)
        The outsiders.
    owners, member_owners : int array, shape (n_others,) and (n_members,)
        Whose each outsider and each member is.
    n_rows : int
        How many rows are scored at most: a reference is fitted to a quarter of so many.
    """
    units = np.unique(owners)
    if len(units) < 2 * LEAST_REFERENCE:
        return None
    own = np.unique(member_owners)
    is_first = np.isin(owners, rng.permutation(units)[: len(units) // 2])
    is_chosen = np.isin(member_owners, rng.permutation(own)[: len(own) // 2])

    def fit(fitted: Flags, scored: Flags) -> Fit:
        rows = inputs[np.flatnonzero(fitted)[: n_rows // PART]]
        return Fit(components_of(rows, n_components, rng), scored, ~fitted)

    return fit(is_first, is_chosen), fit(~is_first, ~is_chosen)
