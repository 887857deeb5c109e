"""Likelihood-ratio attacks: an item's score held against its scores where it was, and was not, among the items."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from rosetta.arrays import Floats
from rosetta.metrics import Doubles

Flags = npt.NDArray[np.bool_]

LEAST_SPREAD = 1e-9


def online(target: Floats, scores: Floats, is_in: Flags) -> Doubles:
    """Return the log-likelihood ratio of "was among the items" to "was not", float64, shape (n_items,).

    Parameters
    ----------
    target : float array, shape (n_items,)
        The score of each item that is to be judged.
    scores : float array, shape (n_shadows, n_items)
        The same score from senders of whom it is known what they had.
    is_in : bool array, shape (n_shadows, n_items)
        Whether they had the item. Each shadow has some items and lacks others.

    Notes
    -----
    Carlini et al., Membership Inference Attacks From First Principles (2022), algorithm 1: a normal distribution of an
    item's scores with it, one without it. Both variances are those of all items together, as they advise for few
    shadows; that of an item's mean comes on top. Where no shadow had an item, or all had it, the missing mean is the
    other one moved by what lies between the two over all items.
    """
    known, lacked = _known(scores, is_in), _known(scores, ~is_in)
    gap = float(np.nanmean(known.means - lacked.means))
    inside = known.filled(lacked.means + gap)
    outside = lacked.filled(known.means - gap)
    return np.asarray(inside.log_density(target) - outside.log_density(target))


def offline(target: Floats, scores: Floats, is_in: Flags) -> Doubles:
    """Return how far an item's score lies above those of senders without it, in standard deviations.

    As `online`; only shadows that lack an item count, as for an attacker who cannot train on it (equation 4).
    """
    outside = _known(scores, ~is_in)
    outside = outside.filled(np.full(len(target), np.nanmean(outside.means)))
    return np.asarray((target - outside.means) / np.sqrt(outside.variances))


def each_as_target(scores: Floats, is_in: Flags) -> tuple[Doubles, Doubles]:
    """Return the ratios of members and of others where each shadow in turn is judged by the other ones.

    Each of shape (n, ), over all shadows: what an attacker would find out about a sender of this kind.
    """
    n_shadows = len(scores)
    members, others = [], []
    for number in range(n_shadows):
        rest = np.arange(n_shadows) != number
        ratios = online(scores[number], scores[rest], is_in[rest])
        members.append(ratios[is_in[number]])
        others.append(ratios[~is_in[number]])
    return np.concatenate(members), np.concatenate(others)


class _Normal(NamedTuple):
    """What is known of each item's scores from some of the shadows: a normal distribution of the next one."""

    means: Doubles  # shape (n_items,); NaN where no shadow counts
    variance: float  # about an item's own mean, over all items
    n_each: Doubles  # shadows that count, shape (n_items,)

    @property
    def variances(self) -> Doubles:
        """Variances of the next score: that of the mean, of few shadows, comes on top."""
        return np.asarray(self.variance * (1 + 1 / np.maximum(self.n_each, 1)))

    def filled(self, means: Doubles) -> _Normal:
        """Return it with other means where there are none."""
        return self._replace(means=np.where(self.n_each > 0, self.means, means))

    def log_density(self, scores: Floats) -> Doubles:
        """Return the logarithm of the density at each item's score, but for how well the item's mean is known.

        Where each item is in as many shadows as it is not, how often it is in the others tells where it is: a constant
        that depends on it would give away what is to be found out.
        """
        return np.asarray(-((scores - self.means) ** 2) / (2 * self.variances) - np.log(self.variance) / 2)


def _known(scores: Floats, counts: Flags) -> _Normal:
    n_each = counts.sum(axis=0).astype(np.float64)
    sums = np.where(counts, scores, 0.0).sum(axis=0, dtype=np.float64)
    means = np.where(n_each > 0, sums / np.maximum(n_each, 1), np.nan)
    return _Normal(means, _variance(scores, means, counts), n_each)


def _variance(scores: Floats, means: Doubles, counts: Flags) -> float:
    """Return the variance about each item's own mean, over all items: a degree of freedom is lost for each mean."""
    n_each = counts.sum(axis=0)
    n_free = int(np.maximum(n_each - 1, 0).sum())
    squares = np.where(counts & (n_each > 1), (scores - means) ** 2, 0.0).sum(dtype=np.float64)
    if not n_free:  # one shadow of a kind: nothing is known but how items differ
        return max(float(np.nanvar(np.where(counts, scores, np.nan))), LEAST_SPREAD)
    return max(float(squares / n_free), LEAST_SPREAD)
