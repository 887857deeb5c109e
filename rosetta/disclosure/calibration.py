"""What like items have in common: how an item would be scored by somebody who had never seen the bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import numpy.typing as npt

from rosetta.disclosure.components import Components, components_of

if TYPE_CHECKING:
    from rosetta.disclosure.attacks import Case

LEAST_REFERENCE = 20  # outsiders that a reference is fitted to
PART = 4  # of the rows that are scored, a reference is fitted to no more than this part

Flags = npt.NDArray[np.bool_]


class Fit(NamedTuple):
    """A reference, and who is scored by it."""

    reference: Components
    members: Flags  # shape (n_members,)
    others: Flags  # none of those that it was fitted to, shape (n_others,)


def cross_fitted(case: Case) -> tuple[Fit, Fit] | None:
    """Return principal components of each half of the outsiders, by which the other half and half of the members go.

    None with fewer than forty owners of outsiders. No owner is on both sides.
    """
    owners = np.unique(case.others.groups)
    if len(owners) < 2 * LEAST_REFERENCE:
        return None
    rng = case.rng(3)
    own = np.unique(case.members.groups)
    is_first = np.isin(case.others.groups, rng.permutation(owners)[: len(owners) // 2])
    is_chosen = np.isin(case.members.groups, rng.permutation(own)[: len(own) // 2])
    return (_fit(case, is_first, is_chosen), _fit(case, ~is_first, ~is_chosen))


def _fit(case: Case, fitted: Flags, scored: Flags) -> Fit:
    rows = case.others.inputs[np.flatnonzero(fitted)[: case.effort.n_rows // PART]]
    return Fit(components_of(rows, case.effort.n_components, case.rng(4)), scored, ~fitted)
