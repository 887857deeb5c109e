"""Whether latents agree with the stored ones as they are: estimate, interval, null, retrieval."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rosetta.arrays import Floats
from rosetta.metrics import Doubles, check_paired
from rosetta.metrics.distortion import unmapped_distortion

Metric = Callable[[Doubles, Doubles], float]

N_BOOTSTRAP = 2000
N_PERMUTATIONS = 2000


def bootstrap_interval(
    reference: Floats, other: Floats, rng: np.random.Generator, *, n_samples: int = N_BOOTSTRAP
) -> tuple[float, float]:
    """Return the 95 % percentile interval of the unmapped distortion over resampled pairs.

    Parameters
    ----------
    reference, other : float array, shape (n_items, n_dims)
        Stored and new latents of the same items.

    Notes
    -----
    Numerator and denominator are sums over items, Σ‖z¹ − m‖² = Σ‖z¹‖² − ‖Σz¹‖²/n, so that each resample
    costs one product of its counts with per-item sums.
    """
    z1, z2 = check_paired(reference, other)
    z1, z2 = z1 - z1.mean(axis=0), z2 - z1.mean(axis=0)
    n_items = len(z1)
    error, norm = ((z1 - z2) ** 2).sum(axis=1), (z1**2).sum(axis=1)
    ratios = np.empty(n_samples)
    for start in range(0, n_samples, block := max(1, 2**22 // n_items)):
        size = min(block, n_samples - start)
        counts = rng.multinomial(n_items, np.full(n_items, 1 / n_items), size=size).astype(np.float64)
        spread = counts @ norm - ((counts @ z1) ** 2).sum(axis=1) / n_items
        with np.errstate(divide="ignore", invalid="ignore"):
            ratios[start : start + size] = (counts @ error) / spread
    low, high = np.nanpercentile(np.where(np.isinf(ratios), np.nan, ratios), [2.5, 97.5])
    return float(low), float(high)


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
    """Return the unmapped distortion's mean under permuted pairing, and the p-value of the true pairing.

    The p-value is (1 + number of permutations that do at least as well) / (1 + number of permutations).
    """
    true = unmapped_distortion(reference, other)
    null = permuted(unmapped_distortion, reference, other, rng)
    return float(null.mean()), float((1 + (null <= true).sum()) / (1 + len(null)))


def retrieval_top1(reference: Floats, other: Floats) -> float:
    """Return the share of items whose new latent is nearer to their own stored latent than to any other's."""
    z1, z2 = check_paired(reference, other)
    distance = (z2**2).sum(axis=1)[:, None] - 2 * z2 @ z1.T + (z1**2).sum(axis=1)[None]
    return float((distance.argmin(axis=1) == np.arange(len(z1))).mean())
