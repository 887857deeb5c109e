"""An encoder and a decoder learned from a sender's pairs, with the same effort for every sender."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Array, Floats
from rosetta.disclosure.components import components_of
from rosetta.disclosure.search import as_rows
from rosetta.disclosure.stolen import MOST_COMPONENTS, Stolen
from rosetta.disclosure.stolen import steal as train_on_pairs

N_STEPS, N_HIDDEN = 1500, 256


def steal(inputs: Array, latents: Floats, *, seed: int, n_steps: int = N_STEPS) -> Stolen:
    """Train an encoder from inputs to latents and a decoder back, on the pairs alone: `rosetta.disclosure.stolen`.

    Parameters
    ----------
    inputs : float32 array, shape (n_pairs, …)
        Published.
    latents : float array, shape (n_pairs, n_dims)
        Published.
    seed : int
        Of weights and batches.
    n_steps : int
        Steps of Adam.
    """
    rows = as_rows(inputs)
    components = components_of(rows, MOST_COMPONENTS, np.random.default_rng(seed))
    return train_on_pairs(rows, latents, components, n_steps=n_steps, n_hidden=N_HIDDEN, seed=seed)
