"""Numbers that are told more coarsely than they are known, so that no single item can be read from them."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

Doubles = npt.NDArray[np.float64]

# A number on a grid changes when one item is withdrawn only if the item carries it over an edge. At this many times
# the numbers over the items, in standard deviations, the expected number of such crossings is below a tenth.
CROSSINGS = 10
FINEST_MOMENTS = 1 / 8  # standard deviations: what the scale of a space needs
COARSEST_MEAN = 4.0  # standard deviations; beyond it a mean is told as 0
COARSEST_SD = 1.0  # octaves: what is told is within a factor of √2
SHRINKS = 16  # steps in which correlations are shrunk until they belong together
FEW = 5  # counts below are told as one
LEAST_TOLD = 10  # of a number of items


def grid_step(n_items: int, n_numbers: int, *, finest: float, coarsest: float = math.inf) -> float:
    """Return the grid for `n_numbers` averages over `n_items` items, in standard deviations: a power of two.

    Parameters
    ----------
    n_items : int
        Items behind each number.
    n_numbers : int
        Numbers that are told together: an item moves all of them.
    finest, coarsest : float
        Bounds, powers of two.
    """
    wanted = max(CROSSINGS * n_numbers / max(n_items, 1), finest)
    return float(min(2.0 ** math.ceil(math.log2(wanted)), coarsest))


def to_grid(values: npt.ArrayLike, step: npt.ArrayLike) -> Doubles:
    """Return the nearest multiples of `step`, element by element."""
    steps = np.asarray(step, np.float64)
    rounded: Doubles = np.round(np.asarray(values, np.float64) / steps) * steps + 0.0  # 0 for −0
    return rounded


def to_octaves(values: npt.ArrayLike, step: float = 1.0) -> Doubles:
    """Return the nearest powers of 2 ** `step`, in the logarithm, of numbers above 0."""
    rounded: Doubles = np.exp2(to_grid(np.log2(np.asarray(values, np.float64)), step))
    return rounded


def to_digits(value: float, n_digits: int = 2) -> float:
    """Return the nearest number of so many significant decimal digits."""
    return float(f"{value:.{n_digits - 1}e}")


def coarse_count(n: int) -> int:
    """Return a number of items in two significant digits, in tens below 100, and 10 at the least."""
    return max(round(to_digits(n)) if n >= 10 * LEAST_TOLD else 10 * ((n + 5) // 10), LEAST_TOLD)


def outward(low: float, high: float) -> tuple[float, float]:
    """Return a range of round ends around another: two significant digits of its width, so that no end is an item's.

    The ends are multiples of the power of ten that leaves two digits of the width. A range of 8 bits, from 0 or more to
    above 128 and at most 255, keeps its end at 255; one without width is rounded as far as two digits of its value.
    """
    width = high - low if high > low else abs(low)
    if not width > 0:
        return low, high
    unit = math.floor(math.log10(width)) - 1
    first, last = math.floor(round(low / 10.0**unit, 9)), math.ceil(round(high / 10.0**unit, 9))
    first -= float(f"{first}e{unit}") > low  # what the rounding to nine digits has passed over
    last += float(f"{last}e{unit}") < high
    return float(f"{first}e{unit}"), 255.0 if low >= 0 and 128 < high <= 255 else float(f"{last}e{unit}")


def coarse_moments(mean: Doubles, covariance: Doubles, n_items: int) -> tuple[Doubles, Doubles]:
    """Return mean and covariance on grids that one item hardly moves.

    The mean is on a grid of each dimension's standard deviation, itself rounded to a power of two; standard deviations
    are rounded in the logarithm, correlations to a grid. Rounded correlations that no data could have are shrunk
    towards 0, by sixteenths, until they belong together: nothing but what was rounded goes into that.

    Parameters
    ----------
    mean : float64 array, shape (n_dims,)
    covariance : float64 array, shape (n_dims, n_dims)
        Symmetric, without negative eigenvalues.
    n_items : int
        Items that they are the moments of.

    Returns
    -------
    mean, covariance : float64 arrays
        The covariance is symmetric without negative eigenvalues.
    """
    n_dims = len(mean)
    sd = np.sqrt(np.maximum(np.diag(covariance), 0))
    varies = sd > 0
    safe = np.where(varies, sd, 1.0)
    step = grid_step(n_items, n_dims, finest=FINEST_MOMENTS, coarsest=COARSEST_MEAN)
    told_sd = np.where(varies, to_octaves(safe, min(step, COARSEST_SD)), 0.0)
    told_mean = to_grid(mean, step * to_octaves(safe))
    between = grid_step(n_items, max(n_dims * (n_dims - 1) // 2, 1), finest=FINEST_MOMENTS)
    rounded = to_grid(covariance / np.outer(safe, safe), between)
    return told_mean, _joined(rounded, n_dims) * np.outer(told_sd, told_sd)


def _joined(correlations: Doubles, n_dims: int) -> Doubles:
    """Return correlations with ones on the diagonal, shrunk until no eigenvalue is negative."""
    off = correlations * (1 - np.eye(n_dims))
    for part in range(SHRINKS, -1, -1):
        joined: Doubles = off * (part / SHRINKS) + np.eye(n_dims)
        if float(np.linalg.eigvalsh(joined)[0]) >= 0:
            return joined
    return np.eye(n_dims)
