"""Which items each shadow sender gets."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rosetta.arrays import Array
from rosetta.errors import UsageError

LEAST_MEMBERS = 50  # items of the sender's, and others: of fewer, an AUC has an interval of ±0.1 and more
LEAST_OTHERS = 50
LEAST_OUT = 0.25  # share of all items that a shadow lacks, so that each is known with and without every item
LEAST_SHADOWS = 4


@dataclass(frozen=True)
class ShadowPlan:
    """All items, the sender's first, and how many of them each shadow trains on."""

    n_members: int  # that the sender was trained on
    n_others: int  # that it was not
    n_out: int  # that a shadow lacks
    seed: int

    @property
    def n_all(self) -> int:
        """Number of items."""
        return self.n_members + self.n_others

    @property
    def n_in(self) -> int:
        """Number of items that a shadow trains on."""
        return self.n_all - self.n_out

    def lacks(self, number: int) -> Array:
        """Return the sorted rows that a shadow lacks, the same whatever number of shadows there will be.

        Shadows come in rounds; over a round, each item is lacked at least once, by as many shadows as any other or one
        more. With half of the items left out, a round is two shadows with complementary halves.
        """
        a_round = math.ceil(self.n_all / self.n_out)
        turn, place = divmod(number, a_round)
        order = np.random.default_rng([self.seed, 7, turn]).permutation(self.n_all)
        return np.sort(order[(np.arange(self.n_out) + place * self.n_out) % self.n_all])

    def is_in(self, n_shadows: int) -> Array:
        """Return whether each shadow has each item, bool, shape (n_shadows, n_all)."""
        found = np.ones((n_shadows, self.n_all), dtype=bool)
        for number in range(n_shadows):
            found[number, self.lacks(number)] = False
        return found


def plan_shadows(n_members: int, n_others: int, *, n_shadows: int, validation: float, seed: int) -> ShadowPlan:
    """Return a plan in which each shadow trains on as many items as the sender did, as far as others stand in.

    Parameters
    ----------
    validation : float
        Share of its items that each training holds out, to know when to stop: they come from those that it lacks.

    Raises
    ------
    UsageError
        If there are too few items or shadows to tell anything.
    """
    if n_members < LEAST_MEMBERS or n_others < LEAST_OTHERS:
        raise UsageError(
            f"shadow senders need at least {LEAST_MEMBERS} items that the model was trained on and {LEAST_OTHERS} that "
            f"it was not, and there are {n_members:,} and {n_others:,}: pass more items of the same kind with "
            "`held_out`, or leave `thorough` out"
        )
    if n_shadows < LEAST_SHADOWS:
        raise UsageError(f"`shadows` is {n_shadows}; expected a number from {LEAST_SHADOWS}")
    n_all = n_members + n_others
    n_out = max(min(n_others, n_all // 2), math.ceil(max(LEAST_OUT, validation) * n_all))
    return ShadowPlan(n_members, n_others, n_out, seed)
