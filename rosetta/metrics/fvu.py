"""Fraction of variance unexplained: as the latents are, and after a linear map (R-VAE paper, eq. 2)."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Floats
from rosetta.errors import MetricError
from rosetta.metrics import check_paired
from rosetta.metrics.engine import metric
from rosetta.metrics.linear_map import fit_linear_map

N_BOOTSTRAP = 2000
CITATION = "Martinez & Pearson, Rosetta VAE, eq. 2"


def bootstrap_interval(
    reference: Floats, other: Floats, rng: np.random.Generator, *, n_samples: int = N_BOOTSTRAP
) -> tuple[float, float]:
    """Return the 95 % percentile interval of `fvu` over resampled pairs.

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


@metric(
    "fvu",
    label="fraction of variance unexplained",
    needs=("two latents", "equal width"),
    direction="lower",
    range=(0.0, None),
    citation=CITATION,
    n_permutations=100,
    interval=bootstrap_interval,
    has_ceiling=True,
)
def fvu(reference: Floats, other: Floats) -> float:
    """Σ‖z¹ − z²‖² / Σ‖z¹ − mean z¹‖²: the share of the reference's variance that is missed with no map fitted.

    0 is perfect; 1 is as far as answering with the mean; unrelated spaces give about 2. Equation 2 of the
    R-VAE paper with A = I and b = 0.

    Parameters
    ----------
    reference, other : float array, shape (n_items, n_dims)
        Latents of the same items in the same order.

    Raises
    ------
    MetricError
        If the shapes differ or the reference does not vary.
    """
    z1, z2 = check_paired(reference, other)
    if z1.shape != z2.shape:
        raise MetricError(
            f"{z1.shape[1]} and {z2.shape[1]} dimensions: fvu compares coordinates, so both need the same number; "
            "fvu_mapped fits a linear map first"
        )
    return float(((z1 - z2) ** 2).sum() / ((z1 - z1.mean(axis=0)) ** 2).sum())


@metric(
    "fvu_mapped",
    label="fvu after a linear map",
    needs=("two latents",),
    direction="lower",
    range=(0.0, 1.0),
    citation=CITATION,
    n_permutations=50,
    has_ceiling=True,
)
def fvu_mapped(reference: Floats, other: Floats) -> float:
    """The share of the reference's variance that is missed after a least-squares linear map with an offset.

    min over A, b of Σ‖z¹ − A z² − b‖² / Σ‖z¹ − mean z¹‖²: 0 if one space is a linear image of the other. The map is
    fitted on the items that it is judged on, so it looks too good where they are few.

    Parameters
    ----------
    reference, other : float array, shape (n_items, n_dims_reference) and (n_items, n_dims_other)
        Latents of the same items in the same order.
    """
    return fit_linear_map(reference, other).fvu_mapped
