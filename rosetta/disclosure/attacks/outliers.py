"""Rare items are learned by heart first: what the pairs teach reproduces them better than equally rare outsiders."""

from __future__ import annotations

import numpy as np

from rosetta.disclosure.attacks import Case, Scores, Side, attack
from rosetta.disclosure.nearest import least_distances
from rosetta.disclosure.search import Doubles

RARE = 0.05  # the share of items, farthest from all others
LEAST = 20  # that are looked at on each side, however few 5 % are


@attack(
    "rare items",
    knows="bundle",
    says="how well a model trained from the pairs reproduces the rarest 5 % of the items, for how rare they are",
)
def outliers(case: Case) -> Scores | None:
    """Score the rarest members and outsiders by the error of reconstruction, in their distances from all others."""
    n_each = min(len(case.members.inputs), len(case.others.inputs))
    if n_each < 2 * LEAST:
        return None
    members, others = case.stolen_errors
    return Scores(_rarest(case.members, members, n_each), _rarest(case.others, others, n_each))


def _rarest(side: Side, errors: Doubles, n_each: int) -> Doubles:
    """Return scores of the rarest of the first rows of a side, as many of both sides; NaN for the rest."""
    apart = least_distances(side.inputs[:n_each], side.inputs[:n_each], among_themselves=True)
    rarest = np.argsort(-apart, kind="stable")[: max(round(RARE * n_each), LEAST)]
    scores = np.full(len(side.inputs), np.nan)
    scores[rarest] = 2 * np.log(apart[rarest] + 1e-15) - errors[rarest]
    return scores
