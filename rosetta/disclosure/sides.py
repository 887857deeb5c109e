"""Members and outsiders that an attack is tried on, drawn at random, in memory."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rosetta.arrays import Array, Floats, LazyArray, Picked, flat
from rosetta.disclosure.attacks import FAST, Codes, Side
from rosetta.disclosure.search import Rows, as_rows
from rosetta.disclosure.shared import is_among
from rosetta.disclosure.spacing import drawn_rows
from rosetta.errors import MetricError

MOST_NUMBERS = 1 << 26  # of a side, 256 MB


@dataclass(frozen=True)
class People:
    """Items, what the sender's encoder gives for them, and whose they are."""

    inputs: LazyArray  # float32, shape (n_items, …)
    latents: LazyArray | None = None  # shape (n_items, n_dims)
    groups: Codes | None = None  # int codes, shape (n_items,); None: each its own

    @property
    def n_units(self) -> int:
        """How many units there are: groups, or else items."""
        return len(self.inputs) if self.groups is None else len(np.unique(self.groups))


def outsiders(held_out: People, members: People) -> People:
    """Return the held-out items that are not among the data's, and belong to nobody who is in the data.

    Raises
    ------
    MetricError
        If more than half of them are items of the data, or of its groups.
    """
    known = is_among(held_out.inputs, members.inputs)
    of_members = np.zeros(len(known), dtype=bool)
    if held_out.groups is not None and members.groups is not None:
        of_members = np.isin(held_out.groups, np.unique(members.groups))
    for out, what in ((known, "items of the data"), (of_members, "of groups that are in the data")):
        if 2 * int((~out).sum()) < len(out):
            raise MetricError(
                f"{int(out.sum()):,} of {len(out):,} held-out items are {what} as well: give items that were neither "
                "trained on nor made into points"
            )
    fresh = np.flatnonzero(~known & ~of_members)
    return People(
        Picked(held_out.inputs, fresh),
        None if held_out.latents is None else Picked(held_out.latents, fresh),
        None if held_out.groups is None else held_out.groups[fresh],
    )


def draw_sides(
    members: People, others: People, rng: np.random.Generator, *, n_rows: int = FAST.n_rows,
    rebuild: Callable[[Array], Floats] | None = None,
) -> tuple[Side, Side]:  # fmt: skip
    """Return both sides in random order.

    Parameters
    ----------
    members, others : People
        Those who were in the data, and those who were not.
    rng : numpy.random.Generator
        Draws the rows.
    n_rows : int
        How many of each side at most; of large ones, fewer are taken. Of groups, all up to this number are taken, with
        as many random rows of each as fit.
    rebuild : callable, optional
        What the sender's own model makes of inputs, float32, shape (n, …).
    """
    n_numbers = max(math.prod(members.inputs.shape[1:]), 1)
    most = max(min(n_rows, MOST_NUMBERS // n_numbers), 2)
    first, second = (
        _side(each, _rows(each, min(most, each.n_units), most, rng), rng, rebuild) for each in (members, others)
    )
    return first, second


def _rows(people: People, n_units: int, most: int, rng: np.random.Generator) -> Rows:
    if people.groups is None:
        return np.sort(drawn_rows(len(people.inputs), n_units, rng))
    order = rng.permutation(len(people.groups))
    codes = people.groups[order]
    wanted = rng.permutation(np.unique(codes))[:n_units]
    kept = np.flatnonzero(np.isin(codes, wanted))
    kept = kept[np.argsort(codes[kept], kind="stable")]
    sorted_codes = codes[kept]
    place = np.arange(len(kept)) - np.searchsorted(sorted_codes, sorted_codes)  # of a row within its group
    return np.sort(order[kept[place < max(most // n_units, 1)]])


def _side(people: People, rows: Rows, rng: np.random.Generator, rebuild: Callable[[Array], Floats] | None) -> Side:
    inputs = people.inputs[rows]
    shuffled = rng.permutation(len(rows))
    return Side(
        as_rows(inputs)[shuffled],
        shuffled if people.groups is None else people.groups[rows][shuffled],
        None if people.latents is None else people.latents[rows][shuffled],
        None if rebuild is None else np.asarray(flat(rebuild(inputs)), dtype=np.float32)[shuffled],
    )
