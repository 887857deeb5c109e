"""How well scores tell members from outsiders: AUC and true positives at few false ones, with intervals."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.stats import beta, betabinom, binom, norm, rankdata

from rosetta.disclosure.search import Doubles
from rosetta.schemas.separation import Separation

LEAST_EACH = 20  # units on a side: of fewer, no figure tells anything
LEAST_AT_1_PERCENT = 100  # outsiders: of fewer, not one may lie above the threshold
LEAST_AT_0_1_PERCENT = 1000
N_NODES = 64  # of the integral over where the threshold lies
N_HALVINGS = 24


@dataclass(frozen=True)
class Share:
    """A share with its 95 % interval, and the probability of as much or more by chance."""

    value: float
    low: float
    high: float
    p_value: float


def auc(members: Doubles, others: Doubles, *, level: float = 0.95) -> Share:
    """Return how often a member scores higher than an outsider; ties count half.

    Parameters
    ----------
    members, others : float array, shape (n_members,) and (n_others,)
        Higher is "member". Each number stands for one unit, an item or a group, independent of the others.
    level : float
        How often the interval is to hold the true value.

    Notes
    -----
    The interval is the score interval with the variance of Hanley and McNeil (Newcombe, Statistics in Medicine 25,
    2006, method 5). At 0.5 this variance is that of the rank-sum test, so that between alike items the interval holds
    0.5 exactly as often as the test's normal approximation says, and it has a width where the samples do not overlap.
    """
    n_in, n_out = len(members), len(others)
    ranks = rankdata(np.concatenate([members, others]))
    value = float((ranks[:n_in].sum() - n_in * (n_in + 1) / 2) / (n_in * n_out))
    z = float(norm.ppf(0.5 + level / 2))

    def beyond(true: float) -> bool:
        return abs(value - true) > z * math.sqrt(_variance(true, n_in, n_out))

    low = _edge(beyond, value, 0.0) if value > 0 else 0.0
    high = _edge(beyond, value, 1.0) if value < 1 else 1.0
    return Share(value, low, high, chance_of(value, n_in, n_out))


def chance_of(area: float, n_in: int, n_out: int) -> float:
    """Return the probability of as high an AUC between alike units."""
    return float(norm.sf((area - 0.5) / math.sqrt(_variance(0.5, n_in, n_out))))


def caught(members: Doubles, others: Doubles, rng: np.random.Generator, *, false_positives: float) -> Share:
    """Return the share of members above the threshold that as few outsiders as `false_positives` exceed.

    Parameters
    ----------
    members, others : float array, shape (n_members,) and (n_others,)
        Higher is "member".
    rng : numpy.random.Generator
        Breaks ties.
    false_positives : float
        The share of outsiders that may be taken for members, such as 0.01.

    Notes
    -----
    The threshold is an outsider's score. The share of all outsiders above it is unknown and has a beta distribution,
    whatever their scores are distributed like; between alike items, the number of members above it is beta-binomial,
    exactly. The interval inverts this test (mid-p), with odds of a member above the threshold that are a constant
    times those of an outsider.
    """
    n_in, n_out = len(members), len(others)
    ties = rng.permutation(n_in + n_out)
    order = np.lexsort([ties, np.concatenate([members, others])])
    is_member = order < n_in
    n_above = max(round(false_positives * (n_out + 1)) - 1, 0)  # outsiders above the threshold
    place = np.flatnonzero(~is_member)[::-1][n_above]
    n_caught = int(is_member[place:].sum())
    shape = (n_above + 1, n_out - n_above)
    nodes = beta.ppf((np.arange(N_NODES) + 0.5) / N_NODES, *shape)

    def tails(true: float) -> tuple[float, float]:
        odds = _odds(true) / _odds(false_positives)
        chances = odds * nodes / (1 - nodes + odds * nodes)
        half = float(binom.pmf(n_caught, n_in, chances).mean()) / 2
        above = float(binom.sf(n_caught, n_in, chances).mean()) + half
        return above, 1 - above

    value = n_caught / n_in
    middle = min(max(value, 1e-9), 1 - 1e-9)
    low = 0.0 if n_caught == 0 else _edge(lambda true: tails(true)[0] < 0.025, middle, 1e-12)
    high = 1.0 if n_caught == n_in else _edge(lambda true: tails(true)[1] < 0.025, middle, 1 - 1e-12)
    by_chance = float(betabinom.sf(n_caught - 1, n_in, *shape))
    return Share(value, min(low, value), max(high, value), by_chance)


def separation(members: Doubles, others: Doubles, rng: np.random.Generator) -> Separation:
    """Return both figures of scores, shape (n_members,) and (n_others,): higher is "member"."""
    area = auc(members, others)
    few = caught(members, others, rng, false_positives=0.01) if len(others) >= LEAST_AT_1_PERCENT else None
    return Separation(
        n_members=len(members),
        n_others=len(others),
        auc=area.value,
        auc_low=area.low,
        auc_high=area.high,
        caught=None if few is None else few.value,
        caught_low=None if few is None else few.low,
        caught_high=None if few is None else few.high,
    )


def _variance(true: float, n_in: int, n_out: int) -> float:
    mean = (n_in + n_out) / 2 - 1
    apart = 1 + mean * (1 - true) / (2 - true) + mean * true / (1 + true)
    return true * (1 - true) * apart / (n_in * n_out)


def _odds(share: float) -> float:
    return share / (1 - share)


def _edge(is_beyond: Callable[[float], bool], inside: float, outside: float) -> float:
    """Return where, from a value inside an interval to one outside, the interval ends."""
    if not is_beyond(outside) and not 0 < outside < 1:
        return outside
    for _ in range(N_HALVINGS):
        middle = (inside + outside) / 2
        inside, outside = (inside, middle) if is_beyond(middle) else (middle, outside)
    return (inside + outside) / 2
