"""Bring every feature to mean 0 and standard deviation 1 over the sender's items."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import JsonValue

from rosetta.arrays import Array, flat
from rosetta.errors import PreprocessingError
from rosetta.preprocessing import StepKind, steps
from rosetta.rounding import to_grid, to_octaves

NOISE = 2.0  # standard errors: constants are as good as those of a quarter of the items
FINEST = 2.0**-10  # of the grid of a mean, in standard deviations, so that blocks of any size give the same
LEAST_OTHERS = 10  # items with another value than the usual one, from which on a feature varies
SMALLEST = 1e-300


@dataclass(frozen=True)
class Standardize:
    """(x − mean) / sd, elementwise, with noise on the constants when they are learned."""

    mean: Array  # float64, shape of one item
    sd: Array  # float64, shape of one item

    def __post_init__(self) -> None:
        if self.mean.dtype != np.float64 or self.sd.dtype != np.float64:
            raise ValueError(f"standardize needs mean and sd as f8, not {self.mean.dtype} and {self.sd.dtype}")
        if self.mean.shape != self.sd.shape or not (np.isfinite(self.mean).all() and (self.sd > 0).all()):
            raise ValueError("standardize needs finite means, and as many standard deviations above 0")

    @classmethod
    def fit(cls, blocks: Iterable[Array]) -> Standardize:
        """Learn means and standard deviations from the sender's items, in one pass over blocks, and add noise.

        Each block's own mean and variance are merged as Chan, Golub & LeVeque (1979) do, "Updating formulae and a
        pairwise algorithm for computing sample variances", so that large means cost no precision.

        Exact constants of two data sets that differ in one item give that item. So each constant gets normal noise of
        two standard errors, many times what one item does to it. The noise comes from a digest of all items: the same
        items have the same constants, and without one of them all the noise is another. Everything after uses these
        constants, the sender's own training included. A feature that has one value in all items but nine at the most
        has that value for its mean, whatever the nine have, and the largest standard deviation of all features, 1 at
        the least.
        """
        digest = hashlib.blake2b(digest_size=32)
        n_items, mean, variance = 0, np.zeros(()), np.zeros(())
        usual = _Usual()
        for block in blocks:
            other, n_items = len(block) / (n_items + len(block)), n_items + len(block)
            usual.add(block)
            digest.update(np.ascontiguousarray(block, dtype="<f8").data)
            block_mean = block.mean(axis=0, dtype=np.float64)
            block_variance = block.var(axis=0, dtype=np.float64)
            if other == 1:
                mean, variance = block_mean, block_variance
                continue
            apart = block_mean - mean
            mean = mean + other * apart
            variance = variance + other * (block_variance - variance + (1 - other) * apart * apart)
        rng = np.random.default_rng(int.from_bytes(digest.digest(), "big"))
        return cls(*_noisy(mean, np.sqrt(variance), usual, n_items, rng))

    @classmethod
    def restore(cls, parameters: Mapping[str, Any], arrays: Mapping[str, Array]) -> Standardize:
        """Rebuild the step from a manifest."""
        return cls(arrays["mean"], arrays["sd"])

    @property
    def parameters(self) -> Mapping[str, JsonValue]:
        """None."""
        return {}

    @property
    def arrays(self) -> Mapping[str, Array]:
        """The sender's means and standard deviations."""
        return {"mean": self.mean, "sd": self.sd}

    def __call__(self, inputs: Array) -> Array:
        """Return standardized `inputs`, float32."""
        if inputs.shape[1:] != self.mean.shape:
            raise PreprocessingError(
                f"standardize was fitted on items of shape {self.mean.shape}, not {inputs.shape[1:]}"
            )
        standardized = inputs - self.mean
        standardized /= self.sd
        return standardized.astype(np.float32)


def _noisy(mean: Array, sd: Array, usual: _Usual, n_items: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Return the mean and standard deviation of each feature, shape of an item, as they are told."""
    value, count = usual.found()
    varies = (sd > 0) & (n_items - count >= LEAST_OTHERS)
    safe = np.where(varies, sd, 1.0)
    error = NOISE / np.sqrt(n_items)
    grid = FINEST * to_octaves(safe)
    told_mean = to_grid(mean + error * safe * rng.standard_normal(mean.shape), grid)
    told_sd = to_octaves(safe * np.exp(error / np.sqrt(2) * rng.standard_normal(mean.shape)), FINEST)
    largest = max(float(told_sd[varies].max()), 1.0) if varies.any() else 1.0
    same = value.astype(np.float64)
    if n_items < LEAST_OTHERS:  # what so few have in common is theirs
        same = to_grid(same, np.where(same == 0, 1.0, to_octaves(np.maximum(np.abs(same), SMALLEST)) / 4))
    return np.where(varies, told_mean, same), np.where(varies, told_sd, largest)


class _Usual:
    """The value that all items but a few have in a feature, and how many have it; elsewhere any value, a low count.

    Of twice as many items as those few, such a value is the lower median. A feature that the first so many items
    show to vary is not looked at again.
    """

    def __init__(self) -> None:
        self._first: list[Array] = []  # blocks, until they are enough
        self._shape: tuple[int, ...] = ()
        self._value, self._count = np.zeros(0), np.zeros(0)
        self._open = np.zeros(0, dtype=np.intp)  # features that are not known to vary

    def add(self, block: Array) -> None:
        """Count another block of items, shape (n_items, …)."""
        if len(self._value):
            columns = flat(block)[:, self._open]
            self._count[self._open] += (columns == self._value[self._open]).sum(axis=0)
            return
        self._first.append(block)
        if sum(map(len, self._first)) >= 2 * LEAST_OTHERS:
            self._begin()

    def found(self) -> tuple[Array, Array]:
        """Return values and counts, both of the shape of an item."""
        if self._first:
            self._begin()
        return self._value.reshape(self._shape), self._count.reshape(self._shape)

    def _begin(self) -> None:
        """Take the lower medians of the first items, and count them."""
        block = np.concatenate(self._first)
        self._first, self._shape, columns = [], block.shape[1:], flat(block)
        middle = (len(block) - 1) // 2
        self._value = np.partition(columns, middle, axis=0)[middle]
        self._count = (columns == self._value).sum(axis=0)
        self._open = np.flatnonzero(len(block) - self._count < LEAST_OTHERS)


steps.register("standardize")(StepKind(Standardize.fit, Standardize.restore, arrays=("mean", "sd")))
