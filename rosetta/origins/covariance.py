"""Normal distributions that vary as items do, with a covariance of limited rank: it does not have the items' own span.

A covariance of fewer items than numbers in an item has their span: draws from it lie in it, and whoever has the draws
can tell who is in it and who is not. Noise that multiplies the matrix of items row by row is worse: whoever can repeat
the noise gets the items by solving linear equations. Here both are excluded: the factor has one direction for every
fifty items, at most, and what the directions leave is drawn for each feature by itself.
"""

from __future__ import annotations

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


def normal_like(rows: LazyArray, rng: np.random.Generator, *, n_units: int | None = None) -> Normal:
    """Return a normal distribution with the rows' mean and variances, and the covariance of their main directions.

    Parameters
    ----------
    rows : float32 array, shape (n_rows, …)
        In memory or on disk; read twice.
    rng : numpy.random.Generator
        Draws the sample, where there are more than 1,024 features.
    n_units : int, optional
        Whose rows these are: people, where they have several rows each. The rows, if not given.
    """
    mean = mean_of(rows)
    n_features, n_units = len(mean), len(rows) if n_units is None else min(n_units, len(rows))
    rank = n_directions(n_units, n_features)
    if n_features <= LARGEST_COVARIANCE and n_features < len(rows):
        covariance = covariance_of(rows, mean)
        variance = np.diag(covariance)
        factor = np.empty((0, n_features)) if not rank else _root(covariance, rank)
    else:
        variance = variance_of(rows, mean)
        factor = _main_directions(rows, mean, rank, rng)
    left = variance - (factor**2).sum(axis=0)
    sd = np.zeros(n_features) if rank == n_features else np.sqrt(np.maximum(left, 0))
    return Normal(mean.astype(np.float32), factor.astype(np.float32), sd.astype(np.float32))


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


def _root(covariance: Floats, rank: int) -> Floats:
    """Return the `rank` largest directions of a covariance, each times its standard deviation, float64."""
    n = len(covariance)
    values, vectors = eigh(covariance, subset_by_index=(n - rank, n - 1))
    return np.asarray(np.sqrt(np.maximum(values, 0))[:, np.newaxis] * vectors.T)


def _main_directions(rows: LazyArray, mean: Floats, rank: int, rng: np.random.Generator) -> Array:
    """Return the same of many features, from a sample of rows (Halko, Martinsson & Tropp, 2011)."""
    if not rank:
        return np.empty((0, len(mean)))
    chosen = slice(None) if len(rows) <= SAMPLED else np.sort(rng.permutation(len(rows))[:SAMPLED])
    centred = flat(rows[chosen]) - mean.astype(np.float32)
    _, values, directions = randomized_svd(centred, rank, random_state=int(rng.integers(2**31)))
    return np.asarray((values / np.sqrt(len(centred)))[:, np.newaxis] * directions, dtype=np.float64)
