"""How well scores tell members from others, with intervals that hold for few of either."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from rosetta.arrays import Floats

Z = 1.959963984540054  # of a two-sided interval of 95 %
FALSE_POSITIVES = 0.01
LEAST_OTHERS = 100  # so that 1 % of them is one, and a rate of true positives at 1 % means something
N_BOOTSTRAP = 500


@dataclass(frozen=True)
class Separation:
    """What a threshold on a score can tell; an AUC of 0.5, and 1 % caught, are guessing."""

    n_members: int
    n_others: int
    auc: float  # share of the pairs of a member and another in which the member scores higher; ties count half
    auc_low: float
    auc_high: float
    caught: float | None = None  # share of members found at 1 % false positives; None with fewer than 100 others
    caught_low: float | None = None
    caught_high: float | None = None


def separation(members: Floats, others: Floats, rng: np.random.Generator) -> Separation:
    """Return how well a threshold on a score tells members from others, with 95 % intervals.

    Parameters
    ----------
    members, others : float array, shape (n_members,) and (n_others,)
        Scores: higher is "member". At least one of each.
    rng : numpy.random.Generator
        Resamples.

    Notes
    -----
    The interval of the AUC holds every A with |auc − A| ≤ z · sd(A), with the variance of Hanley & McNeil (1982).
    Newcombe (2006, method 5) found that it covers 95 % with few of either, and it does not shrink to nothing at an AUC
    of 1. That of the members caught is a bootstrap of both sides, so that the threshold is resampled too.
    """
    n_in, n_out = len(members), len(others)
    ranks = rankdata(np.concatenate([members, others]))[:n_in]
    auc = float((ranks.sum() - n_in * (n_in + 1) / 2) / (n_in * n_out))
    low, high = (_end(auc, n_in, n_out, bound) for bound in (0.0, 1.0))
    if n_out < LEAST_OTHERS:
        return Separation(n_in, n_out, auc, low, high)
    drawn = [
        _caught(rng.choice(members, n_in), rng.choice(others, n_out))
        for _ in range(N_BOOTSTRAP)
    ]  # fmt: skip
    caught_low, caught_high = np.percentile(drawn, [2.5, 97.5])
    return Separation(
        n_in, n_out, auc, low, high, _caught(members, others), float(caught_low), float(caught_high)
    )  # fmt: skip


def _caught(members: Floats, others: Floats) -> float:
    """Return the share of members above what 1 % of the others are above."""
    place = len(others) - 1 - int(FALSE_POSITIVES * len(others))
    return float((members > np.partition(others, place)[place]).mean())


def _end(auc: float, n_in: int, n_out: int, bound: float) -> float:
    """Return the end of the interval on the side of `bound`, by bisection: the distance grows faster than the sd."""
    near, far = auc, bound
    for _ in range(50):
        middle = (near + far) / 2
        if abs(auc - middle) <= Z * _sd(middle, n_in, n_out):
            near = middle
        else:
            far = middle
    return near


def _sd(auc: float, n_in: int, n_out: int) -> float:
    """Return the standard deviation of an AUC whose true value is this one, with the mean number for both sides."""
    n_more = (n_in + n_out) / 2 - 1
    spread = 1 + n_more * ((1 - auc) / (2 - auc) + auc / (1 + auc))
    return math.sqrt(max(auc * (1 - auc) * spread, 0.0) / (n_in * n_out))
