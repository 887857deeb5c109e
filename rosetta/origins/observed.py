"""The paper's points: items of the sender's data (R-VAE paper, §3)."""

from __future__ import annotations

import hashlib

import numpy as np

from rosetta.arrays import Array, LazyArray, flat, row_blocks
from rosetta.errors import SelectionError
from rosetta.origins import ROUNDS, PointBatch, Recipe, SenderData, new_rows, origins

ALL_READ = 100_000  # items whose inputs are all compared; of more, only those of the chosen ones are read


@origins.register("observed")
def observed(sender: SenderData, n_points: int, rng: np.random.Generator, taken: Array, recipe: Recipe) -> PointBatch:
    """Choose items by their latents with the sender's selector; copies of an item count once.

    Raises
    ------
    SelectionError
        If there are fewer different items, those in `taken` left out, than points.
    """
    if len(sender.latents) > ALL_READ:
        return _chosen_among_many(sender, n_points, rng, taken)
    rows = _different(sender.inputs, taken)
    chosen = rows[sender.select(sender.latents[rows], n_points, rng, items=rows)]
    return PointBatch(sender.inputs[chosen], {"members": 1}, chosen)


def _different(inputs: LazyArray, taken: Array) -> Array:
    """Return the numbers of the rows that stand neither in `taken` nor earlier, as `new_rows` does, block by block."""
    seen, fresh = {_digest(row) for row in flat(taken)}, []
    for start, block in row_blocks(inputs):
        for number, row in enumerate(flat(block), start):
            if (key := _digest(row)) not in seen:
                seen.add(key)
                fresh.append(number)
    return np.array(fresh, dtype=np.intp)


def _digest(row: Array) -> bytes:
    return hashlib.blake2b(row.tobytes(), digest_size=16).digest()


def _chosen_among_many(sender: SenderData, n_points: int, rng: np.random.Generator, taken: Array) -> PointBatch:
    """Choose by latents alone, and again for chosen inputs that are copies: equal inputs may differ in rounding."""
    points, chosen = taken[:0], np.empty(0, dtype=np.intp)
    exclude = sender.latents[:0] if sender.encode is None or not len(taken) else sender.encode(taken)
    for _ in range(ROUNDS):
        rows = sender.select(sender.latents, n_points - len(points), rng, exclude=exclude, items=slice(None))
        inputs = sender.inputs[rows]
        fresh = new_rows(inputs, np.concatenate([taken, points]))
        points, chosen = np.concatenate([points, inputs[fresh]]), np.concatenate([chosen, rows[fresh]])
        if len(points) == n_points:
            return PointBatch(points, {"members": 1}, chosen)
        exclude = np.concatenate([exclude, sender.latents[rows]])
    raise SelectionError(
        f"only {len(points)} different inputs were found for {n_points} points: most items are copies of others, so "
        "remove these from the data, or ask for fewer points"
    )
