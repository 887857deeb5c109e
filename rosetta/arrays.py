"""Checks that every array from outside passes, and where numbers are computed."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from rosetta.errors import SourceError, UsageError

if TYPE_CHECKING:
    import torch

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.floating[Any]]


class LazyArray(Protocol):
    """Rows of numbers, in memory or on disk: only what is indexed is read. A NumPy array is one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all, (n_rows, …)."""

    @property
    def ndim(self) -> int:
        """Number of axes."""

    def __len__(self) -> int:
        """Return n_rows."""

    def __getitem__(self, rows: Any, /) -> Array:
        """Return the rows of a slice of step 1, or of row numbers in any order, shape (n, …)."""


@dataclass(frozen=True)
class Picked:
    """Some rows of an array, in the order given: a LazyArray of those of another.

    Parameters
    ----------
    of : LazyArray, shape (n_rows, …)
        What is read from.
    numbers : int array, shape (n_picked,)
        Which of its rows.
    """

    of: LazyArray
    numbers: npt.NDArray[np.intp]

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all, (n_picked, …)."""
        return (len(self.numbers), *self.of.shape[1:])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return self.of.ndim

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, rows: Any, /) -> Array:
        """Return the rows of a slice of step 1, or of row numbers in any order."""
        return self.of[self.numbers[rows]]


def picked(array: LazyArray, numbers: npt.NDArray[np.intp]) -> LazyArray:
    """Return some rows of an array: in memory if it is, else to be read when they are wanted."""
    return array[numbers] if isinstance(array, np.ndarray) else Picked(array, numbers)


@dataclass(frozen=True)
class Derived:
    """What is computed from rows when they are wanted: a LazyArray of shape (n_rows, n_columns)."""

    of: LazyArray
    compute: Callable[[Array], Array]  # rows of that to as many of this
    n_columns: int
    ndim = 2

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of all."""
        return (len(self.of), self.n_columns)

    def __len__(self) -> int:
        return len(self.of)

    def __getitem__(self, rows: Any, /) -> Array:
        """Return rows of a slice of step 1, or of row numbers in any order."""
        return self.compute(self.of[rows])


class Sound(NamedTuple):
    """A stretch of a recording: what an item is where items differ in length."""

    samples: npt.NDArray[np.float32]  # shape (n_samples,), in units of a 16-bit recording: full scale is 32768
    rate_hz: float


ROWS_A_BLOCK = 4096  # finiteness is checked in blocks, so that no copy of all the data is made


def check_items(array: Array, *, where: str) -> Array:
    """Return `array` unchanged if it holds items along its first axis.

    Parameters
    ----------
    array : array, shape (n_items, …)
        Real numbers, at least two items of at least one number each.
    where : str
        What the array is called in messages.

    Raises
    ------
    SourceError
        For objects, strings, complex numbers or dates; for fewer than two items or items without
        numbers; for NaN or infinity, with the first row that holds one.
    """
    if array.dtype.kind not in "fiub":
        raise SourceError(
            f"{where} has dtype {array.dtype}, but items must be real numbers (float, integer or bool). "
            "Convert it to a numeric array and save it again."
        )
    if array.ndim < 2:
        raise SourceError(
            f"{where} has shape {array.shape}, but items need a shape of at least two axes, (n_items, …). "
            "For one number an item, reshape it to (n_items, 1)."
        )
    if array.size == 0 or len(array) < 2:
        raise SourceError(f"{where} has shape {array.shape}: at least two items of one number are needed")
    row = first_nonfinite_row(array)
    if row is not None:
        raise SourceError(
            f"{where} holds NaN or infinity, the first in row {row} (counted from 0). "
            "Remove or fill such rows before you pass the data."
        )
    return array


def first_nonfinite_row(array: Array) -> int | None:
    """Return the number of the first row of `array`, shape (n_rows, …), with NaN or infinity, if any."""
    if array.dtype.kind != "f":
        return None
    for start in range(0, len(array), ROWS_A_BLOCK):
        block = array[start : start + ROWS_A_BLOCK]
        finite = np.isfinite(block).reshape(len(block), -1).all(axis=1)
        if not finite.all():
            return start + int(finite.argmin())
    return None


def row_blocks(array: LazyArray, n_numbers: int = 1 << 22) -> Iterator[tuple[int, Array]]:
    """Yield the number of the first row and the rows, block by block, each of about `n_numbers` numbers."""
    n_rows = max(n_numbers // max(math.prod(array.shape[1:]), 1), 1)
    for start in range(0, len(array), n_rows):
        yield start, array[start : start + n_rows]


def flat(array: Array) -> Array:
    """Return `array`, shape (n_items, …), as a view of shape (n_items, n_features)."""
    return array.reshape(len(array), math.prod(array.shape[1:]))


def total_sd(latents: Floats) -> float:
    """Return the total standard deviation of `latents`, shape (n_items, n_dims): the root of the trace."""
    return float(np.sqrt(latents.astype(np.float64).var(axis=0).sum()))


def resolve_device(name: str) -> torch.device:
    """Return the torch device that ``auto``, ``cpu``, ``cuda`` or ``mps`` stands for.

    Raises
    ------
    UsageError
        If the name is another one, or this machine has no such device.
    """
    import torch

    present = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        name = next((d for d in ("cuda", "mps") if present[d]), "cpu")
    if name not in present:
        raise UsageError(f"no device called {name!r}. Known: auto, cpu, cuda, mps.")
    if not present[name]:
        here = ", ".join(d for d, is_here in present.items() if is_here)
        raise UsageError(f"device {name!r} was asked for, but this machine and its torch offer only {here}")
    return torch.device(name)
