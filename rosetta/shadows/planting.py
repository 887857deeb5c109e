"""Marks in data that a sender really trains on, and their record: to be looked for in its bundle later."""

from __future__ import annotations

import io
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from rosetta.arrays import Array
from rosetta.errors import UsageError
from rosetta.files import check_output, write_small
from rosetta.shadows.marks import Mark, choose_marks
from rosetta.sources import read_array, read_items

ITEMS, CLEAN, ROWS = "items", "clean", "rows"  # of the file; and places, values and usage of each mark


@dataclass(frozen=True)
class Planted:
    """What was planted."""

    marks: tuple[Mark, ...]
    rows: tuple[Array, ...]  # numbers of the items with each mark
    clean: Array  # those items as they were, in the order of all rows

    def restored(self, raw: Array) -> Array:
        """Return a copy of all the raw items without the marks, or raise UsageError if they do not have them."""
        rows = np.concatenate(self.rows)
        if rows.max() >= len(raw) or self.clean.shape[1:] != raw.shape[1:]:
            raise UsageError("the record of canaries is of other data: items differ in number or shape")
        restored = np.array(raw)
        restored[rows] = self.clean
        again = np.array(restored)
        for mark, at in zip(self.marks, self.rows, strict=True):
            again[at] = mark.on(again[at])
        if not (again == raw).all():
            raise UsageError("the data does not have the canaries of the record: pass FILE::items of the file itself")
        return restored


def plant(data: Any, output: str | PathLike[str], *, n: int, seed: int = 0, force: bool = False) -> Planted:
    """Write a copy of the data with one mark in `n` random items and another in a single one, and the record of it.

    Parameters
    ----------
    data : str or array, shape (n_items, …)
        Raw items of numbers.
    output : path
        An ``.npz`` file to write: its array ``items`` is what to train on and to distil. The others are the record.
    n : int
        Items with the first mark.

    Raises
    ------
    UsageError
        If so many cannot be marked, or there is no place for marks.
    """
    check_output(Path(output), force=force, suffix=".npz")
    raw = read_items(data)
    if not 1 <= n < len(raw) // 2:
        raise UsageError(f"`canaries` is {n}; expected a number from 1 and below half of the {len(raw):,} items")
    span = (float(raw.min()), float(raw.max()))
    marks = tuple(mark for mark, _ in choose_marks(raw, lambda some: some, span, n_marks=2))
    chosen = np.random.default_rng([seed, 9]).permutation(len(raw))[: n + 1]
    found = Planted(marks, (chosen[:n], chosen[n:]), raw[chosen])
    marked = np.array(raw)
    arrays: dict[str, Array] = {ITEMS: marked, CLEAN: found.clean, ROWS: chosen}
    for number, (mark, at) in enumerate(zip(marks, found.rows, strict=True)):
        marked[at] = mark.on(marked[at])
        arrays |= {f"places_{number}": np.array(mark.places), f"values_{number}": np.array(mark.values)}
        arrays |= {f"usage_{number}": np.array([mark.usage])}
    data_out = io.BytesIO()
    np.savez(data_out, **arrays)  # type: ignore[arg-type]
    write_small(Path(output), data_out.getvalue())
    return found


def read_planted(record: str | PathLike[str]) -> Planted:
    """Read the record that `plant` wrote, or raise SourceError."""
    arrays = {
        name: read_array(f"{record}::{name}")
        for name in (CLEAN, ROWS, *(f"{each}_{n}" for n in (0, 1) for each in ("places", "values", "usage")))
    }
    rows = arrays[ROWS]
    marks = tuple(
        Mark(
            tuple(map(int, arrays[f"places_{n}"])), tuple(map(float, arrays[f"values_{n}"])),
            float(arrays[f"usage_{n}"][0]), "numbers " + ", ".join(map(str, arrays[f"places_{n}"])),
        )
        for n in (0, 1)
    )  # fmt: skip
    return Planted(marks, (rows[:-1], rows[-1:]), arrays[CLEAN])
