"""Normal distributions that vary as items do, with a covariance of limited rank: it does not have the items' own span.

A covariance of fewer items than numbers in an item has their span: draws from it lie in it, and whoever has the draws
can tell who is in it and who is not. Noise that multiplies the matrix of items row by row is worse: whoever can repeat
the noise gets the items by solving linear equations. Here both are excluded: the factor has one direction for every
fifty items, at most, and what the directions leave is drawn for each feature by itself.

Nor is each of these directions the population's. Where features hardly have anything in common, the directions in
which 3,000 items of 784 numbers vary most are those items' own, and membership could be told from draws along sixty of
them with an AUC of 0.99. So a fifth of the items is kept out when directions are looked for, and a direction is used
only if those items vary along it nearly as much as the others do.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy.linalg import eigh
from sklearn.utils.extmath import randomized_svd

from rosetta.arrays import Array, Floats, LazyArray, flat, row_blocks

UNITS_A_DIRECTION = 50  # items, or groups, behind each direction of a covariance
UNITS_A_NUMBER = 10  # from so many for each number in an item on, the covariance is that of the population
MOST_DIRECTIONS = 64  # where items do not outnumber their numbers so far
LARGEST_COVARIANCE = 1024  # features, whose covariance is formed; of more, a sample of items gives the directions
SAMPLED = 4096  # items that directions are found in then
KEPT_OUT = 5  # one in so many is kept out, to see which directions are the population's
MOST_TOLD = 0.5  # standard deviations by which directions may set the items that they were found in apart: AUC 0.64
# items, or groups, for each direction along which items vary: then their mean sets members apart by 0.7 standard
# deviations at most, an AUC of 0.69, and 5 % of them are found at 1 % false alarms
UNITS_A_DIMENSION = 2
FEW = 512  # items that tell along how many directions all vary


@dataclass(frozen=True)
class Normal:
    """A normal distribution: mean + factorᵀ a + sd ∘ b, a and b standard normal."""

    mean: Floats  # float32, shape (n_features,)
    factor: Floats  # float32, shape (n_directions, n_features)
    sd: Floats  # of what the directions leave, float32, shape (n_features,)

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Return `n` draws, float32, shape (n, n_features)."""
        drawn: Floats = self.mean + rng.standard_normal((n, len(self.factor)), dtype=np.float32) @ self.factor
        if self.sd.any():
            drawn += rng.standard_normal((n, len(self.sd)), dtype=np.float32) * self.sd
        return drawn


def n_directions(n_units: int, n_features: int) -> int:
    """Return how many directions of a covariance may be told of `n_units` items or groups."""
    if n_units >= UNITS_A_NUMBER * n_features:
        return n_features
    return min(n_units // UNITS_A_DIRECTION, MOST_DIRECTIONS, n_features)


def normal_like(rows: LazyArray, rng: np.random.Generator, *, groups: Array | None = None) -> Normal:
    """Return a normal distribution with the rows' mean and variances, and the covariance of their main directions.

    Parameters
    ----------
    rows : float32 array, shape (n_rows, …)
        In memory or on disk; read a few times.
    rng : numpy.random.Generator
        Draws who is kept out, and the sample where there are more than 1,024 features.
    groups : int array, shape (n_rows,), optional
        Whose each row is: people, where they have several rows each.
    """
    mean = mean_of(rows)
    n_features, n_units = len(mean), len(rows) if groups is None else len(np.unique(groups))
    rank = n_directions(n_units, n_features)
    is_kept_out = _kept_out(len(rows), groups, rng)
    if n_features <= LARGEST_COVARIANCE and n_features < len(rows):
        first, second = _two_covariances(rows, mean, is_kept_out)
        share = is_kept_out.mean()
        covariance = (1 - share) * first + share * second
        variance = np.diag(covariance)
        directions = _root(first, rank)
        kept_out = np.einsum("ij,jk,ik->i", directions, second, directions, optimize=True)
        rank = n_shared(directions, kept_out, rows_a_unit=len(rows) / n_units)
        factor = _root(covariance, rank)
    else:
        variance = variance_of(rows, mean)
        chosen = np.arange(len(rows)) if len(rows) <= SAMPLED else np.sort(rng.permutation(len(rows))[:SAMPLED])
        centred, out = flat(rows[chosen]) - mean.astype(np.float32), is_kept_out[chosen]
        directions = _main_directions(centred[~out], rank, rng)
        kept_out = np.mean((centred[out] @ directions.T) ** 2, axis=0, dtype=np.float64)
        rank = n_shared(directions, kept_out, rows_a_unit=len(rows) / n_units)
        factor = _main_directions(centred, rank, rng)
    left = variance - (factor**2).sum(axis=0)
    sd = np.zeros(n_features) if rank == n_features else np.sqrt(np.maximum(left, 0))
    return Normal(mean.astype(np.float32), factor.astype(np.float32), sd.astype(np.float32))


def even_noise(rows: LazyArray) -> Normal:
    """Return a normal distribution around zero with the rows' mean square, the same for each feature: one number.

    Parameters
    ----------
    rows : float32 array, shape (n_rows, …)
    """
    n_features = math.prod(rows.shape[1:])
    square = sum(float(np.square(block, dtype=np.float64).sum()) for _, block in row_blocks(rows))
    sd = np.full(n_features, math.sqrt(square / (len(rows) * n_features)), dtype=np.float32)
    return Normal(np.zeros_like(sd), np.empty((0, n_features), dtype=np.float32), sd)


def n_shared(directions: Floats, kept_out: Floats, *, rows_a_unit: float = 1.0) -> int:
    """Return how many directions, from the largest on, are the population's and not the rows' own.

    Along direction j the rows that it was found in have the variance vⱼ, others of the same kind only wⱼ. Somebody who
    adds the squares of a row's positions along directions a + 1 to k, each divided by vⱼ, tells rows by
    Σ (1 − wⱼ / vⱼ) / √(2 (k − a)) standard deviations of that sum, if they are normal. The directions are as many as
    there can be with no such sum, whatever a, beyond `MOST_TOLD`.

    Parameters
    ----------
    directions : float array, shape (n_directions, n_features)
        The largest first, each as long as the standard deviation √vⱼ along it.
    kept_out : float array, shape (n_directions,)
        Mean square of the inner products of rows that were kept out with each of `directions`: vⱼ wⱼ.
    rows_a_unit : float
        How many rows a person has: all of them together tell √(rows) times as well.
    """
    variances = (directions.astype(np.float64) ** 2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        lost = np.where(variances > 0, 1 - kept_out / variances**2, 0.0)
    sums = np.concatenate([[0.0], np.cumsum(lost)])
    for k in range(1, len(sums)):
        told = (sums[k] - sums[:k]) / np.sqrt(2 * np.arange(k, 0, -1))
        if told.max() * math.sqrt(rows_a_unit) > MOST_TOLD:
            return k - 1
    return len(sums) - 1


def effective_dimensions(rows: LazyArray, rng: np.random.Generator) -> float:
    """Return along how many directions rows vary, as far as their mean tells who is among them.

    This is (Σ λ)² / Σ λ² of the eigenvalues of the features' correlations, without the bias that few rows have (Bai and
    Saranadasa, 1996, section 3). Of n rows, the inner product with their mean sets each apart by √(d / n) standard
    deviations from others of the same kind (Homer et al., 2008).

    Parameters
    ----------
    rows : float32 array, shape (n_rows, …)
        At least four; of more than 512, as many are drawn at random.
    """
    chosen = slice(None) if len(rows) <= FEW else np.sort(rng.permutation(len(rows))[:FEW])
    found = flat(rows[chosen])
    sds = found.std(axis=0, dtype=np.float64).astype(np.float32)
    found = (found - found.mean(axis=0))[:, sds > 0] / sds[sds > 0]
    n = len(found) - 1
    products = (found @ found.T).astype(np.float64) / n
    total = np.trace(products)
    squares = n**2 / ((n + 2) * (n - 1)) * ((products**2).sum() - total**2 / n)
    return float(min(total**2 / max(squares, 1e-300), found.shape[1])) if total else 0.0


def root_of(covariance: Floats) -> Floats:
    """Return F with FᵀF the covariance, both float64, shape (n_features, n_features)."""
    return _root(covariance, len(covariance))


def mean_of(array: LazyArray) -> Floats:
    """Return the mean of rows, shape (n_rows, …), in memory or on disk: float64, shape (n_features,)."""
    total = sum(flat(block).sum(axis=0, dtype=np.float64) for _, block in row_blocks(array))
    return np.asarray(total / len(array))


def covariance_of(array: LazyArray, mean: Floats) -> Floats:
    """Return the covariance of rows, shape (n_rows, …), around `mean`: float64, shape (n_features, n_features)."""
    total = np.zeros((len(mean), len(mean)))
    for _, block in row_blocks(array):
        centred = flat(block).astype(np.float64) - mean
        total += centred.T @ centred
    return total / len(array)


def variance_of(array: LazyArray, mean: Floats) -> Floats:
    """Return the variance of each feature of rows, shape (n_rows, …), around `mean`: float64, shape (n_features,)."""
    total = sum(((flat(block) - mean) ** 2).sum(axis=0) for _, block in row_blocks(array))
    return np.asarray(total / len(array))


def _kept_out(n_rows: int, groups: Array | None, rng: np.random.Generator) -> Array:
    """Return which rows are kept out when directions are looked for: those of a fifth of the groups, or a fifth."""
    codes = np.arange(n_rows) if groups is None else np.unique(groups, return_inverse=True)[1].reshape(-1)
    n_units = int(codes.max()) + 1
    is_out = np.zeros(n_units, dtype=np.bool_)
    is_out[rng.permutation(n_units)[: max(n_units // KEPT_OUT, 1)]] = True
    return np.asarray(is_out[codes])


def _two_covariances(rows: LazyArray, mean: Floats, is_second: Array) -> tuple[Floats, Floats]:
    """Return the covariances of some rows, and of the others, around `mean`, reading all once."""
    totals = np.zeros((2, len(mean), len(mean)))
    for start, block in row_blocks(rows):
        centred = flat(block).astype(np.float64) - mean
        flags = is_second[start : start + len(block)]
        for total, part in zip(totals, (centred[~flags], centred[flags]), strict=True):
            total += part.T @ part
    n_second = np.count_nonzero(is_second)
    return totals[0] / (len(rows) - n_second), totals[1] / n_second


def _root(covariance: Floats, rank: int) -> Floats:
    """Return the `rank` largest directions of a covariance, each times its standard deviation, float64."""
    n = len(covariance)
    if not rank:
        return np.empty((0, n))
    values, vectors = eigh(covariance, subset_by_index=(n - rank, n - 1))
    return np.asarray(np.sqrt(np.maximum(values, 0))[:, np.newaxis] * vectors.T)[::-1]


def _main_directions(centred: Array, rank: int, rng: np.random.Generator) -> Array:
    """Return the same of many features, from the rows themselves (Halko, Martinsson & Tropp, 2011)."""
    if not rank:
        return np.empty((0, centred.shape[1]))
    _, values, directions = randomized_svd(centred, rank, random_state=int(rng.integers(2**31)))
    return np.asarray((values / np.sqrt(len(centred)))[:, np.newaxis] * directions, dtype=np.float64)
