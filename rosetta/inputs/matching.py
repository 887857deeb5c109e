"""Features by their names: in the order that a space expects them, what is missing said or filled, the rest dropped."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from rosetta.arrays import Array
from rosetta.errors import SourceError
from rosetta.sources import Rows, read_names

Features = str | Sequence[str] | None

SHOWN = 8


@dataclass(frozen=True)
class Matched:
    """Rows whose features are those that are expected."""

    rows: Rows
    names: tuple[str, ...] | None
    differences: tuple[str, ...] = ()  # why they cannot be
    filled: tuple[str, ...] = ()  # the features that the data lacks, and that were filled
    notes: tuple[str, ...] = ()


def match_features(
    rows: Rows, features: Features, wanted: tuple[str, ...] | None, *, holder: str, source: str, fill: float | None
) -> Matched:
    """Return rows with the `wanted` features, in that order; as they are, where no names are wanted.

    Parameters
    ----------
    features : str, sequence of str or None
        Names of the features, or where they stand. Where all of them are names that the source has itself, they say
        which features are taken, and in which order; else they stand in place of the source's own.
    wanted : tuple of str, optional
        What a space expects.
    holder, source : str
        What the space and the source are called in messages.
    fill : float, optional
        What stands, raw, for features that the data lacks.

    Raises
    ------
    SourceError
        If there are other numbers of names than of features, a name stands twice, or columns hold no numbers and
        nobody says which features to take.
    """
    if features is not None and rows.features is not None and set(given := _listed(features)) <= set(rows.features):
        if wanted is None:  # the data's names say what is where, the user's what is taken, and in which order
            wanted, features, holder = given, None, "`features`"
        elif set(given) == set(rows.features) and given != rows.features and len(given) == len(rows.features):
            raise SourceError(
                f"{source} has these names for its features, at other places than `features` says: leave `features` out"
            )
    names = _names(rows, features, source)
    if wanted is None:
        if rows.not_numbers:
            raise SourceError(_not_numbers(rows, source))
        if fill is not None:
            problem = f"`fill_missing` is for features by name, and {holder} names none: name them with `features`"
            return Matched(rows, names, (problem,))
        return Matched(rows, names)
    if names is None:
        return Matched(
            rows, None, (f"{holder} names its {len(wanted)} features ({some(wanted)}): pass yours with `features`",)
        )
    return _ordered(rows, names, wanted, holder=holder, fill=fill)


def _ordered(
    rows: Rows, names: tuple[str, ...], wanted: tuple[str, ...], *, holder: str, fill: float | None
) -> Matched:
    place = {name: number for number, name in enumerate(names)}
    missing = tuple(name for name in wanted if name not in place)
    if missing and fill is None:
        texts = [f"{name} (which holds {rows.not_numbers[name]})" for name in missing if name in rows.not_numbers]
        others = [name for name in missing if name not in rows.not_numbers]
        return Matched(
            rows, names,
            (f"{len(missing)} of {len(wanted)} features of {holder} are missing from the data: {some(texts + others)}. "
             "`fill_missing=VALUE` puts a number in their place, if you know what a missing one means",),
        )  # fmt: skip
    notes = []
    n_extra = len(names) + len(rows.not_numbers) - (len(wanted) - len(missing))
    if n_extra:
        extra = [*(name for name in names if name not in set(wanted)), *rows.not_numbers]
        notes.append(f"{n_extra} features of the data are unknown to {holder} and were left out: {some(extra)}")
    if missing:
        notes.append(
            f"{len(missing)} of {len(wanted)} features are missing and were filled with {fill:g}: {some(missing)}"
        )
    if names == wanted:
        return Matched(rows, names, notes=tuple(notes))
    order = np.array([place.get(name, -1) for name in wanted])
    return Matched(_reordered(rows, order, fill), wanted, filled=missing, notes=tuple(notes))


def _reordered(rows: Rows, order: Array, fill: float | None) -> Rows:
    """Return rows with columns in another order; those of place −1 are filled."""
    is_missing = order < 0
    dtype = np.result_type(rows.dtype, np.float32) if is_missing.any() else rows.dtype

    def read(start: int, stop: int) -> Array:
        block = rows.read(start, stop)[:, order].astype(dtype, copy=False)
        if is_missing.any():
            block[:, is_missing] = fill
        return block

    return replace(rows, shape=(rows.shape[0], len(order)), dtype=np.dtype(dtype), read=read, not_numbers={})


def _listed(features: str | Sequence[str]) -> tuple[str, ...]:
    return read_names(features) if isinstance(features, str) else tuple(features)


def _names(rows: Rows, features: Features, source: str) -> tuple[str, ...] | None:
    if features is None:
        names = rows.features
    else:
        names = _listed(features)
        if len(rows.shape) != 2 or len(names) != rows.shape[1]:
            raise SourceError(
                f"{len(names)} feature names for items of shape {rows.shape[1:]}: one for each feature is needed"
            )
    if names is not None and len(set(names)) < len(names):
        twice = next(name for number, name in enumerate(names) if name in names[:number])
        raise SourceError(f"{source} has two features called {twice!r}: names must differ")
    return names


def _not_numbers(rows: Rows, source: str) -> str:
    listed = some([f"{name} ({what})" for name, what in rows.not_numbers.items()])
    without = ",".join(list(rows.not_numbers)[:3]) + (",…" if len(rows.not_numbers) > 3 else "")
    return (
        f"{len(rows.not_numbers)} columns of {source} hold no numbers: {listed}. Say which columns are features, as "
        f"FILE::a,b,c, or which are not, as FILE::!{without}"
    )


def some(names: Sequence[str]) -> str:
    """Return the first names of many as text."""
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
