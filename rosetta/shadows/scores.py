"""The scores of every item against what one sender gives away, and against the model that it keeps."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Array, Floats, flat
from rosetta.disclosure.nearest import nearest_items
from rosetta.disclosure.search import as_rows
from rosetta.metrics import Doubles
from rosetta.shadows.sender import ShadowRelease
from rosetta.shadows.stolen import steal

# what an attacker looks at; the last one needs the sender's own model, and is what the others are compared with
STOLEN, NEAREST, MODEL = "stolen encoder and decoder", "nearest point", "the sender's own model"
ATTACKS = (STOLEN, NEAREST, MODEL)
SMALLEST = 1e-12


def scores_of(sent: ShadowRelease, items: Array, *, seed: int) -> Doubles:
    """Return a score of each attack for each item: higher is "member", shape (n_attacks, n_items).

    Scores are minus the logarithms of squared distances, which are nearly normal from one sender to the next.

    Parameters
    ----------
    items : float32 array, shape (n_items, …)
        Preprocessed as the sender's inputs.
    seed : int
        Of the networks that are trained from the points.
    """
    stolen = steal(sent.inputs, sent.latents, seed=seed)
    distances = nearest_items(items, sent.inputs).distances
    model = sent.model
    rebuilt = items if model.decode is None else model.decode(model.encode(items)[0])
    return np.stack([
        _nearness(_squares(items, stolen.decode(stolen.encode(as_rows(items))))),
        _nearness(np.asarray(distances, dtype=np.float64) ** 2),
        _nearness(_squares(items, rebuilt)),
    ])  # fmt: skip


def _squares(items: Array, found: Floats) -> Doubles:
    difference = flat(items).astype(np.float64) - flat(found)
    return np.asarray((difference**2).sum(axis=1))


def _nearness(squares: Doubles) -> Doubles:
    return np.asarray(-np.log(squares + SMALLEST))
