"""Bring the counts of every item to the same total, such as a cell's reads to 10,000."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import JsonValue

from rosetta.arrays import Array, flat
from rosetta.preprocessing import ItemError, StepKind, steps


@dataclass(frozen=True)
class NormalizeTotal:
    """x / (sum of the item's numbers) · target; an item of zeros stays as it is."""

    target: float

    def __post_init__(self) -> None:
        if not (math.isfinite(self.target) and self.target > 0):
            raise ValueError(f"normalize_total(target) needs a total above 0, not {self.target:g}")

    @classmethod
    def fit(cls, blocks: Iterable[Array], target: float) -> NormalizeTotal:
        """Nothing is learned: the total is given, and no block is read."""
        return cls(target)

    @classmethod
    def restore(cls, parameters: Mapping[str, Any], arrays: Mapping[str, Array]) -> NormalizeTotal:
        """Rebuild the step from a manifest."""
        return cls(float(parameters["target"]))

    @property
    def parameters(self) -> Mapping[str, JsonValue]:
        """The total that every item is brought to."""
        return {"target": self.target}

    @property
    def arrays(self) -> Mapping[str, Array]:
        """None."""
        return {}

    def __call__(self, inputs: Array) -> Array:
        """Return `inputs` with their sums brought to the target, float32, or refuse items with negative numbers."""
        counts = flat(np.asarray(inputs)).astype(np.float64)
        if counts.size and counts.min() < 0:
            row = int((counts < 0).any(axis=1).argmax())
            raise ItemError(
                row,
                f"holds {counts[row].min():g}, but normalize_total takes counts, which cannot be negative: pass raw "
                "counts, or put normalize_total before what makes numbers negative",
            )
        with np.errstate(over="ignore"):
            totals = counts.sum(axis=1)
        if not np.isfinite(totals).all():
            row = int((~np.isfinite(totals)).argmax())
            raise ItemError(row, "has counts whose sum is beyond all 64-bit floats: bring them to another unit first")
        counts /= np.where(totals > 0, totals, 1)[:, np.newaxis]
        counts *= self.target
        return counts.astype(np.float32).reshape(inputs.shape)


steps.register("normalize_total")(
    StepKind(NormalizeTotal.fit, NormalizeTotal.restore, ("target",), defaults={"target": 10_000.0})
)
