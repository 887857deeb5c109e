"""A twin of an array that is read some rows at a time, as from disk."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

import numpy as np
import pytest

from rosetta import arrays

SMALL_BLOCK = 600  # numbers


@dataclass
class Twin:
    """Rows of `array` that only an index gives; how many are read at once is kept."""

    array: np.ndarray
    read: list[int] = field(default_factory=list)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.array.shape

    @property
    def ndim(self) -> int:
        return self.array.ndim

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, rows: Any) -> np.ndarray:
        assert isinstance(rows, slice) or np.asarray(rows).dtype.kind == "i"  # row numbers, not flags
        found = self.array[rows].copy()
        self.read.append(len(found))
        return found

    def __iter__(self) -> NoReturn:
        raise AssertionError("went through all rows, one by one")

    def __array__(self, *args: object, **more: object) -> NoReturn:
        raise AssertionError("read all rows into memory")


def read_in_small_blocks(monkeypatch: pytest.MonkeyPatch, *modules: object) -> None:
    """Make modules read blocks so small that there are several."""
    for module in modules:
        monkeypatch.setattr(module, "row_blocks", partial(_small, row_blocks=arrays.row_blocks))


def _small(array: arrays.LazyArray, n_numbers: int = SMALL_BLOCK, *, row_blocks: Any) -> Any:
    return row_blocks(array, min(n_numbers, SMALL_BLOCK))
