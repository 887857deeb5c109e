"""Whether a model has learned its training items by heart: told from held-out ones by how well it rebuilds them.

An attacker who had the model could do no less. Who has a bundle has less than the model, but decoded points hand on
what its decoder does, and an encoder and a decoder can be trained from them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rosetta.arrays import Floats, LazyArray, flat
from rosetta.disclosure.roc import separation
from rosetta.disclosure.search import Doubles
from rosetta.schemas.separation import Separation

# The AUC was measured with dense networks, of the model against thousands of items that it has never seen: 0.56 to 0.61
# after 100 epochs on 300 to 900 digits; 0.60, 0.68 and 0.74 after 30, 60 and 100 on 5,000 MNIST images; 0.48 to 0.71
# where `patience=3` to 10 stopped the training. Learned by heart: 0.78 and 0.84 after 100 epochs on 300 and 700 MNIST
# images, 0.99 after 400; 0.94 after 1,500 on 300 digits. At 1 % false alarms 0 to 3 % are caught, and 2 to 82 %. From
# the decoded points of the model of 700 images (0.83), calibrated by like items, 27 % of the members were found at 1 %
# false alarms; from those of 5,000 (0.70), 4 %.
MOST_AUC = 0.75
MOST_CAUGHT = 0.05  # members at 1 % false positives, at the lower end of the interval: five times what guessing finds
LEAST = 20  # held-out items, below which nobody can say
N_EACH = 2000  # members and held-out items that are looked at, at most
BLOCK = 1 << 18  # numbers that are rebuilt at once

ADVICE = (
    "stop the training early (`patience=10` of rosetta train), train on more data or train a smaller network "
    "(`hidden=[64]`), or train with differential privacy (docs/privacy.md)"
)

Decode = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Side:
    """Items, and where the encoder puts them."""

    inputs: LazyArray  # float32, shape (n_items, …)
    latents: LazyArray  # in all of the model's dimensions, shape (n_items, n_dims)


def memory_of(decode: Decode, members: Side, others: Side, *, counts: bool = False) -> Separation:
    """Return how well the error of reconstruction tells members from others: at most 2,000 of each, at random.

    Parameters
    ----------
    decode : callable
        Latents to expected inputs.
    counts : bool
        Whether inputs are counts: square roots are compared then, whose noise is the same for small and for large ones.
    """
    rng = np.random.default_rng(0)
    scores = [-_errors(decode, side, rng, counts=counts) for side in (members, others)]
    return separation(scores[0], scores[1], rng)


def is_overfitted(found: Separation) -> bool:
    """Whether points must not be decoded from a model that tells its training items so well."""
    return found.auc > MOST_AUC or (found.caught_low or 0.0) > MOST_CAUGHT


def in_words(found: Separation) -> str:
    """Return the figures in words."""
    caught = "" if found.caught is None else f"; {found.caught:.0%} of them are found at 1 % false alarms"
    return (
        f"by its reconstruction error, {found.n_members:,} items that it was trained on are told from "
        f"{found.n_others:,} held-out ones with an AUC of {found.auc:.2f} (95 %: {found.auc_low:.2f} to "
        f"{found.auc_high:.2f}; 0.5 is guessing){caught}"
    )


def _errors(decode: Decode, side: Side, rng: np.random.Generator, *, counts: bool) -> Doubles:
    """Return the squared error of some items' reconstruction from their latents, float64, shape (n_looked_at,)."""
    rows = np.sort(rng.permutation(len(side.inputs))[:N_EACH])
    n_rows = max(BLOCK // max(math.prod(side.inputs.shape[1:]), 1), 1)
    found = []
    for start in range(0, len(rows), n_rows):  # items may be larger than memory together
        at = rows[start : start + n_rows]
        wanted, made = side.inputs[at], decode(np.asarray(side.latents[at], dtype=np.float32))
        if counts:
            wanted, made = (np.sqrt(np.maximum(each, 0)) for each in (wanted, made))
        found.append(((flat(wanted) - flat(made)) ** 2).sum(axis=1, dtype=np.float64))
    return np.concatenate(found)
