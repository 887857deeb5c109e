"""Where the points of a bundle come from, one file for each origin. Their latents are always the sender's encoder's."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from rosetta.arrays import Array, Floats, LazyArray, flat
from rosetta.errors import SelectionError
from rosetta.origins.bounds import Bounds
from rosetta.origins.covariance import UNITS_A_DIMENSION, effective_dimensions
from rosetta.registry import Registry
from rosetta.schemas.record import PrivacyLevel


class Selector(Protocol):
    """Chooses among items, or other inputs, by their latents."""

    def __call__(
        self,
        latents: LazyArray,
        n_points: int,
        rng: np.random.Generator,
        /,
        *,
        exclude: Floats | None = None,
        items: Array | slice | None = None,
    ) -> Array:
        """Return row numbers of `latents`, shape (n_points,), all different.

        `exclude` are latents that may not be chosen, shape (n_excluded, n_dims); `items` says which of the sender's
        items these latents are of, and is None where they are of other inputs.
        """


# behind points that are drawn from what all have in common: of fewer, the points' directions tell members from others
LEAST_UNITS = {"items": 100, "groups": 10}
LEAST_OPEN = 10  # the same, where items may be known: fewer have no covariance to speak of
LEAST_DRAWN = 64  # in a round after the first, so that a few that are missing do not decide
ROUNDS = 10  # how often what could not be used is drawn anew


@dataclass(frozen=True)
class SenderData:
    """What points can be made from."""

    inputs: LazyArray  # float32, shape (n_items, …)
    latents: LazyArray  # posterior means of the inputs, shape (n_items, n_dims)
    latents_sd: LazyArray | None  # posterior standard deviations, shape (n_items, n_dims); None: the model gives none
    value_range: tuple[float, float]  # that inputs must lie in
    encode: Callable[[Array], Floats] | None  # inputs to posterior means, float32; None: there are latents only
    decode: Callable[[Floats], Floats] | None  # latents to expected inputs, float32
    select: Selector  # for origins that choose among items
    store: Callable[[Array], Array]  # inputs to those that the file will hold, float32: rounded, where it stores 8 bits
    public: Array | None = None  # inputs that may be shared, float32, shape (n_public, …)
    groups: Array | None = None  # whose each item is, int from 0, shape (n_items,); None: each its own
    bounds: Bounds | None = None  # that points which are made must lie in as well, and that `inputs` lie in already

    @property
    def n_units(self) -> int:
        """How many are to be protected: groups, or items."""
        return len(self.inputs) if self.groups is None else len(np.unique(self.groups))

    @property
    def unit(self) -> str:
        """What is to be protected, in messages."""
        return "items" if self.groups is None else "groups"

    def storable(self, inputs: Array) -> Array:
        """Return inputs that were made as the file will hold them, float32: within range and bounds, and rounded."""
        within = np.clip(inputs, *self.value_range).astype(np.float32)
        return self.store(within if self.bounds is None else self.bounds.clip(within))


@dataclass(frozen=True)
class Recipe:
    """How the origins make their points."""

    members: int  # items behind an averaged point, at least
    mix: int  # items behind a mixed point
    draw: str  # how the latents of decoded points are drawn
    residuals: bool  # whether decoded points get what the decoder leaves out, drawn from its moments
    reencoding_limit: float  # distance of a decoded point's latent from the drawn one, in the space's total sd
    privacy: PrivacyLevel = "standard"
    n_points: int | None = None  # of this origin, anchors and checks together, where the points are a part of them


Figures = dict[str, float | int | str]


@dataclass(frozen=True)
class PointBatch:
    """Points, and what is to be told of them."""

    inputs: Array  # float32, shape (n_points, …), all different
    figures: Figures = field(default_factory=dict)
    rows: Array | None = None  # numbers of the sender's items that these are, shape (n_points,), where they are items


# (sender, number of points, random numbers, inputs that must not come up again, recipe) → points
Origin = Callable[[SenderData, int, np.random.Generator, Array, Recipe], PointBatch]

origins: Registry[Origin] = Registry("origin", "rosetta.origins")


def check_enough(sender: SenderData, origin: str, recipe: Recipe) -> None:
    """Refuse to draw points from what so few items, or groups, have in common that it tells of each of them.

    Raises
    ------
    SelectionError
        If there are fewer than 100 items, or fewer than 10 groups; under ``open``, fewer than 10 of either.
    """
    least = LEAST_OPEN if recipe.privacy == "open" else LEAST_UNITS[sender.unit]
    if sender.n_units < least:
        advice = (
            "" if recipe.privacy == "open" else ". Take `origin='averaged'`, or `privacy='open'` if they may be known"
        )
        raise SelectionError(
            f"{origin} points of {sender.n_units} {sender.unit} would tell of each of them: at least {least} are needed"
            + advice
        )


def check_width(sender: SenderData, rng: np.random.Generator, recipe: Recipe) -> None:
    """Refuse items that are so few, and vary in so many ways, that their mean alone tells who is among them.

    Raises
    ------
    SelectionError
        Below ``open``, if there are fewer than two items, or groups, for each direction along which items vary.
    """
    if recipe.privacy == "open":
        return
    needed = math.ceil(UNITS_A_DIMENSION * effective_dimensions(sender.inputs, rng))
    if sender.n_units < needed:
        raise SelectionError(
            f"{sender.n_units:,} {sender.unit} that vary in so many ways at once that their mean alone tells who is "
            f"among them: about {needed:,} are needed. Take more {sender.unit} or coarser ones, `origin='public'`, or "
            "differential privacy (`dp_epsilon`)"
        )


def new_rows(candidates: Array, taken: Array) -> Array:
    """Return the numbers of the rows of `candidates` that stand neither in `taken` nor earlier, in order.

    Rows are compared by their bytes; both arrays have shape (n_rows, …) and the same dtype.
    """
    seen = {row.tobytes() for row in flat(taken)}
    fresh = []
    for number, row in enumerate(flat(candidates)):
        key = row.tobytes()
        if key not in seen:
            seen.add(key)
            fresh.append(number)
    return np.array(fresh, dtype=np.intp)


def draw_points(sender: SenderData, n_points: int, taken: Array, draw: Callable[[int], Array], *, advice: str) -> Array:
    """Draw inputs until there are `n_points` different ones, as the file will hold them, within the declared range.

    Parameters
    ----------
    draw : callable
        A number of points to as many inputs or fewer, float32, shape (n, …).
    advice : str
        What to do where they are always the same.

    Raises
    ------
    SelectionError
        If ten rounds do not give enough.
    """
    points = np.empty((0, *sender.inputs.shape[1:]), dtype=np.float32)
    for number in range(ROUNDS):
        wanted = n_points - len(points)
        fresh = sender.storable(draw(max(wanted, LEAST_DRAWN) if number else wanted))
        fresh = fresh[new_rows(fresh, np.concatenate([taken, points]))]
        points = np.concatenate([points, fresh])[:n_points]
        if len(points) == n_points:
            return points
    raise SelectionError(f"only {len(points)} different inputs could be made for {n_points} points: {advice}")
