"""Points that are not data: latents drawn from the space's moments, decoded by the sender's decoder."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Array
from rosetta.errors import SelectionError
from rosetta.origins import Sender, new_rows, origins

ROUNDS = 10


@origins.register("decoded")
def decoded(sender: Sender, n_points: int, rng: np.random.Generator, taken: Array) -> Array:
    """Draw latents from N(mean, covariance) of the sender's latents and decode them.

    What the decoder puts outside the declared range of values is clipped to it: the stored latent is the
    encoder's for exactly the stored input, so the pair stays true.

    Raises
    ------
    SelectionError
        If the decoder gives the same inputs again and again, as one whose latents carry nothing does.
    """
    points = np.empty((0, *sender.inputs.shape[1:]), dtype=np.float32)
    for _ in range(ROUNDS):
        drawn = rng.multivariate_normal(sender.mean, sender.covariance, size=n_points - len(points), method="eigh")
        fresh = np.clip(sender.decode(drawn.astype(np.float32)), *sender.value_range).astype(np.float32)
        fresh = fresh[new_rows(fresh, np.concatenate([taken, points]))]
        points = np.concatenate([points, fresh])
        if len(points) == n_points:
            return points
    raise SelectionError(
        f"the decoder gave only {len(points)} different inputs for {n_points} points: its latents carry too little. "
        "Train the model longer or with a smaller β"
    )
