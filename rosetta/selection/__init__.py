"""Which items stand for all: latents in, row numbers out. One file for each method."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from rosetta.arrays import Array, Floats, LazyArray
from rosetta.errors import SelectionError
from rosetta.registry import Registry

Rows = npt.NDArray[np.intp]
Find = Callable[[Floats, int, np.random.Generator], Array]

SAMPLE = 100_000  # different items that a method looks at, at most


@dataclass(frozen=True)
class Selector:
    """A method, and what it has to be given.

    Parameters
    ----------
    find : callable
        Latents, shape (n_items, n_dims), a number n and a generator to n rows or centroids, the most important first.
        The latents are all different, at least n, in memory: float64 if they are all there are, float32 if they are a
        random sample.
    gives : {'rows', 'centroids'}
        Row numbers, shape (n,), all different; or places in the space, shape (n, n_dims), whose nearest items are
        looked for among all.
    most : int, optional
        Items that the method can look at, where its cost is quadratic: a sample is taken of more.
    """

    find: Find
    gives: Literal["rows", "centroids"] = "rows"
    most: int | None = None


@dataclass(frozen=True)
class Selected:
    """Items that stand for all."""

    rows: Rows  # shape (n_pairs,), of different latents, the most important first
    n_sampled: int | None  # different items that the method saw; None, where it saw all


# a plain function, as other distributions may have it, chooses rows
selectors: Registry[Selector | Find] = Registry("selector", "rosetta.selection")


def select(
    latents: LazyArray,
    n_pairs: int,
    rng: np.random.Generator,
    *,
    method: str = "kmeans",
    strata: Array | None = None,
    exclude: Floats | None = None,
    sample: int = SAMPLE,
) -> Selected:
    """Choose items that stand for all.

    Up to `sample` different items, the method sees all of them. Of more, it sees a random sample of that size; where it
    gives centroids, the nearest items to these are then looked for among all.

    Parameters
    ----------
    latents : rows of floats, shape (n_items, n_dims)
        Posterior means. Items of the same latent are copies, of which the first stands for all.
    method : str
        Name of a selector.
    strata : int array, shape (n_items,), optional
        Groups, from 0 upwards, that get the same number of pairs each, as far as they have so many items.
    exclude : float array, shape (n_excluded, n_dims), optional
        Latents that are not to be chosen.
    sample : int
        Items that the method sees, at most, unless more pairs are asked for.

    Returns
    -------
    Selected
        The most important first; with strata, the first of each stratum, then the second of each, and so on.

    Raises
    ------
    SelectionError
        If there are fewer different items, or more strata, than pairs, or more pairs than items that the method can
        look at.
    UsageError
        If there is no such method.
    """
    from rosetta.selection.selecting import choose  # which needs what is defined here

    found = selectors.get(method)
    plug_in = found if isinstance(found, Selector) else Selector(found)
    return choose(plug_in, latents, n_pairs, rng, strata=strata, exclude=exclude, sample=sample)


def selector(gives: Literal["rows", "centroids"], most: int | None = None) -> Callable[[Find], Selector]:
    """Return a decorator that makes a `Selector` of a function."""
    return lambda find: Selector(find, gives, most)


def check_n_pairs(n_pairs: int, n_items: int) -> None:
    """Raise SelectionError unless 1 ≤ `n_pairs` ≤ `n_items`."""
    if not 1 <= n_pairs <= n_items:
        raise SelectionError(
            f"{n_pairs} pairs were asked for, but there are {n_items} different items to choose from: ask "
            "for fewer, with `pairs` and `checks`"
        )


def seed_from(rng: np.random.Generator) -> int:
    """Draw a seed for scikit-learn."""
    return int(rng.integers(2**31))
