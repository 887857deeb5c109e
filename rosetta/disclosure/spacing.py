"""How far items are from one another, known from a sample of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rosetta.arrays import LazyArray, Picked
from rosetta.disclosure.nearest import distances, neighbours
from rosetta.disclosure.search import Doubles, OnDone, Rows

N_SAMPLED = 5000  # items whose own nearest neighbours are looked for: enough for a median and the farthest 5 %
LEAST_SAMPLED = 500  # of very many items
MOST_PAIRS = 500_000_000  # sampled items times all items, about a second
RARE = 0.05  # the share of items, farthest from all others, that counts as rare
SHUFFLED = 100_000  # items; to shuffle more would take longer than what a few are drawn for


@dataclass(frozen=True)
class Spacing:
    """How far items are from their nearest other ones, known from a random sample of them."""

    sample: Rows  # the items looked at, sorted, shape (n_sampled,)
    own: Doubles  # their distances to their nearest other items, shape (n_sampled,)
    typical: float  # the median of these; of the positive ones, if it would be 0; 0 if none is positive
    rare_from: float  # beyond this distance, an item is rare
    has_many_duplicates: bool  # whether at least half of the items come up twice
    chance: float | None  # share of items that would be near copies of another, had they been left out


def spacing_of(items: LazyArray, rng: np.random.Generator, *, on_done: OnDone = lambda done: None) -> Spacing:
    """Return how far items are from one another, from some of them held against all.

    Parameters
    ----------
    items : float32 array, shape (n_items, …)
        At least two. 5,000 are sampled, of more than 100,000 fewer, of a million and more 500.
    rng : numpy.random.Generator
        Draws the sample.
    on_done : callable
        Called with the number of sampled items done.
    """
    sample = np.sort(drawn_rows(len(items), sample_size(len(items)), rng))
    others = neighbours(items, sample, n_others=min(2, len(items) - 1), on_done=on_done)
    own = distances(Picked(items, sample), items, others[:, 0])
    positive = own[own > 0]
    typical = float(np.median(own))
    many = typical == 0
    if many:
        typical = float(np.median(positive)) if len(positive) else 0.0
    chance = _chance(items, sample, others, own) if len(items) > 2 else None
    return Spacing(sample, own, typical, float(np.quantile(own, 1 - RARE)), many, chance)


def sample_size(n_items: int) -> int:
    """Return how many of n_items items are held against all."""
    return min(n_items, N_SAMPLED, max(MOST_PAIRS // n_items, LEAST_SAMPLED))


def drawn_rows(n_items: int, n_drawn: int, rng: np.random.Generator) -> Rows:
    """Return different row numbers below `n_items` in random order, as many as asked for or as there are."""
    if n_items <= SHUFFLED:
        return rng.permutation(n_items)[:n_drawn]
    return rng.choice(n_items, min(n_drawn, n_items), replace=False)


def _chance(items: LazyArray, sample: Rows, others: Rows, own: Doubles) -> float:
    """Return the share of sampled items nearer to another than half that one's distance to the rest.

    That is how often an honest new item, which nobody copied, looks like a near copy.
    """
    first, second = others[:, 0], others[:, 1]
    # else the second neighbour is near enough already
    may_be = distances(Picked(items, first), items, second) > 2 * own
    if not may_be.any():
        return 0.0
    near = neighbours(items, first[may_be], n_others=2)
    rest = np.where(near[:, 0] == sample[may_be], near[:, 1], near[:, 0])
    apart = distances(Picked(items, first[may_be]), items, rest)
    return float((apart > 2 * own[may_be]).sum() / len(sample))
