"""Marks that are planted in items, where few items have anything: a patch in images, a rare combination in vectors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from rosetta.arrays import Array, Floats, flat
from rosetta.errors import UsageError
from rosetta.metrics import Doubles

LARGEST_MARK = 3  # pixels on a side of a patch, and features of a vector
PATCH_SHARE = 9  # of an image's shorter side, that a patch is at least one of: 3 of 28 pixels, 2 of 8
MOST_CHANNELS = 4
N_LOOKED_AT = 256  # items that the effect of a mark is measured on
N_TRIED = 64  # places, the least used first
LEAST_EFFECT = 1e-6  # of the declared range, below which a mark is not there after preprocessing
SLACK = 1e-3  # of the declared range, by which a mark may lie beyond it


@dataclass(frozen=True)
class Mark:
    """Numbers of a raw item that are set."""

    places: tuple[int, ...]  # of the numbers in a flattened item
    values: tuple[float, ...]  # what they are set to
    usage: float  # share of the items that have at least half as much there
    where: str  # in words

    def on(self, raw: Array) -> Array:
        """Return a copy of raw items with the mark."""
        marked = np.array(raw)
        flat(marked)[:, list(self.places)] = np.array(self.values).astype(raw.dtype)
        return marked


@dataclass(frozen=True)
class MarkVisibility:
    """What is left of a mark once items are preprocessed: how much of it an input has."""

    where: Array  # numbers of the flattened input that it changes
    clean: Doubles  # their mean without it
    change: Doubles  # their mean change

    def response(self, inputs: Array) -> Doubles:
        """Return how much of the mark each input has, float64, shape (n,): 0 as items have without it, 1 as with it."""
        beyond = flat(inputs)[:, self.where].astype(np.float64) - self.clean
        return np.asarray(beyond @ self.change / (self.change @ self.change))


def choose_marks(
    raw: Array, prepare: Callable[[Array], Array], span: tuple[float, float], *, n_marks: int
) -> list[tuple[Mark, MarkVisibility]]:
    """Return marks in different places, where the fewest items have anything.

    Parameters
    ----------
    raw : array, shape (n_items, …)
        Raw items.
    prepare : callable
        Raw items to inputs, float32.
    span : (float, float)
        The declared range of values of inputs.

    Raises
    ------
    UsageError
        If the preprocessing removes the marks, or they lie outside of the declared range, where they would be
        clipped: the model cannot see them.
    """
    found: list[tuple[Mark, MarkVisibility]] = []
    reasons: list[str] = []
    for number, mark in enumerate(_candidates(raw)):
        if number >= N_TRIED or len(found) == n_marks:
            break
        taken = {place for other, _ in found for place in other.places}
        if taken & set(mark.places):
            continue
        sight = sight_of(mark, raw[:N_LOOKED_AT], prepare, span)
        if isinstance(sight, str):
            reasons.append(sight)
        else:
            found.append((mark, sight))
    if len(found) < n_marks:
        why = reasons[0] if reasons else "items have too few numbers"
        raise UsageError(f"the model cannot see canaries in these data: {why}. Nothing was planted")
    return found


def sight_of(
    mark: Mark, raw: Array, prepare: Callable[[Array], Array], span: tuple[float, float]
) -> MarkVisibility | str:
    """Return what preprocessing leaves of a mark, or why a model cannot see it."""
    clean, marked = (flat(prepare(each)).astype(np.float64) for each in (raw, mark.on(raw)))
    change = (marked - clean).mean(axis=0)
    width = max(span[1] - span[0], 1e-12)
    if np.abs(change).max() <= LEAST_EFFECT * width:
        return f"the preprocessing removes a mark at {mark.where}, as of a feature that is always the same"
    where = np.flatnonzero(np.abs(change) > 0.1 * np.abs(change).max())
    beyond = max(marked[:, where].max() - span[1], span[0] - marked[:, where].min()) / width
    if beyond > SLACK:
        return f"a mark at {mark.where} lies outside of the declared range, {span[0]:g} to {span[1]:g}, and is clipped"
    return MarkVisibility(where, clean[:, where].mean(axis=0), change[where])


def _candidates(raw: Array) -> Iterator[Mark]:
    """Yield marks, those at the least used places first."""
    axes = _picture_axes(raw.shape[1:])
    if axes is None:
        yield from _combinations(raw)
        return
    pictures = np.moveaxis(raw, [1 + axis for axis in axes], [1, 2])
    pictures = pictures.reshape(*pictures.shape[:3], -1).max(axis=3)
    size = min(max(min(pictures.shape[1:]) // PATCH_SHARE, 2), LARGEST_MARK)
    low, top = float(raw.min()), float(raw.max())
    is_lit = pictures > low + (top - low) / 2
    used = sliding_window_view(is_lit, (size, size), axis=(1, 2)).any(axis=(3, 4)).mean(axis=0)
    numbers = np.moveaxis(np.arange(raw[0].size).reshape(raw.shape[1:]), axes, [0, 1])
    for place in np.argsort(used, axis=None, kind="stable"):
        row, column = np.unravel_index(place, used.shape)
        places = numbers[row : row + size, column : column + size].ravel()
        yield Mark(
            tuple(map(int, places)), (top,) * len(places), float(used[row, column]),
            f"{size} × {size} pixels from row {row}, column {column}",
        )  # fmt: skip


def _combinations(raw: Array) -> Iterator[Mark]:
    """Yield combinations of features that are each at their largest value, those that are seldom large first."""
    rows = flat(raw).astype(np.float64)
    low, top = rows.min(axis=0), rows.max(axis=0)
    is_large = rows > low + (top - low) / 2
    order = np.argsort(is_large.mean(axis=0), kind="stable")
    order = np.concatenate([order[top[order] > low[order]], order[top[order] <= low[order]]])  # constant ones last
    size = min(LARGEST_MARK, max(rows.shape[1] // 2, 1))
    for start in range(0, len(order) - size + 1, size):
        places = order[start : start + size]
        yield Mark(
            tuple(map(int, places)), tuple(map(float, top[places])), float(is_large[:, places].all(axis=1).mean()),
            "features " + ", ".join(map(str, places)),
        )  # fmt: skip


def _picture_axes(shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Return the axes of rows and columns of an item that is a picture, with channels last or first, or else None."""
    if len(shape) == 2 and min(shape) > MOST_CHANNELS:
        return 0, 1
    if len(shape) == 3 and shape[2] <= MOST_CHANNELS < min(shape[:2]):
        return 0, 1
    if len(shape) == 3 and shape[0] <= MOST_CHANNELS < min(shape[1:]):
        return 1, 2
    return None


def rebuilt(sight: MarkVisibility, clean: Array, marked: Array, rebuild: Callable[[Array], Floats]) -> float:
    """Return how much of a mark an encoder and a decoder give back, on average over items: 0 nothing, 1 all of it."""
    return float((sight.response(rebuild(marked)) - sight.response(rebuild(clean))).mean())
