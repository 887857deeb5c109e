"""Whether latents agree with the stored ones as they are: null and retrieval."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rosetta.arrays import Floats
from rosetta.metrics import Doubles, check_paired
from rosetta.metrics.fvu import fvu

Metric = Callable[[Doubles, Doubles], float]

N_PERMUTATIONS = 2000


def permuted(
    metric: Metric,
    reference: Floats,
    other: Floats,
    rng: np.random.Generator,
    *,
    n_permutations: int = N_PERMUTATIONS,
) -> Doubles:
    """Return a metric's values, shape (n_permutations,), with the rows of `other` in random order."""
    z1, z2 = check_paired(reference, other)
    return np.array([metric(z1, z2[rng.permutation(len(z2))]) for _ in range(n_permutations)])


def permutation_null(reference: Floats, other: Floats, rng: np.random.Generator) -> tuple[float, float]:
    """Return the mean of `fvu` under permuted pairing, and the p-value of the true pairing.

    The p-value is (1 + number of permutations that do at least as well) / (1 + number of permutations).
    """
    true = fvu(reference, other)
    null = permuted(fvu, reference, other, rng)
    return float(null.mean()), float((1 + (null <= true).sum()) / (1 + len(null)))


def retrieval_top1(reference: Floats, other: Floats) -> float:
    """Return the share of items whose new latent is nearer to their own stored latent than to any other's."""
    z1, z2 = check_paired(reference, other)
    distance = (z2**2).sum(axis=1)[:, None] - 2 * z2 @ z1.T + (z1**2).sum(axis=1)[None]
    return float((distance.argmin(axis=1) == np.arange(len(z1))).mean())
