"""The mean of few items is nearer to each of them than the population's is (Homer et al., 2008)."""

from __future__ import annotations

import numpy as np

from rosetta.disclosure.attacks import Case, Scores, attack
from rosetta.disclosure.search import Doubles, Singles

LEAST_VARIANCE = 1e-3  # of a number, as a share of the mean variance: what hardly varies would drown all else


@attack(
    "mean of the points, calibrated",
    knows="bundle and like items",
    says="how much nearer an item lies to the mean of the inputs than to that of like items",
)
def mean_of_points(case: Case) -> Scores | None:
    """Score by the squared distance from the mean of like items less that from the mean of the published inputs.

    Each number counts by its variance among the inputs: the logarithm of a ratio of likelihoods, if items are normal.
    """
    fits = case.fits
    if fits is None:
        return None
    mean, variance = case.components.mean, case.inputs.var(axis=0, dtype=np.float64)
    scale = np.maximum(variance, max(LEAST_VARIANCE * float(variance.mean()), 1e-30))

    def nearer(rows: Singles, reference: Singles) -> Doubles:
        gap = (mean - reference).astype(np.float64) / scale
        return np.asarray((2.0 * rows - mean - reference) @ gap)

    members, others = np.full(len(case.members.inputs), np.nan), np.full(len(case.others.inputs), np.nan)
    for fit in fits:
        members[fit.members] = nearer(case.members.inputs[fit.members], fit.reference.mean)
        others[fit.others] = nearer(case.others.inputs[fit.others], fit.reference.mean)
    return Scores(members, others)
