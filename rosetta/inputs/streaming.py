"""Items that stay on disk: rows that are read, checked and preprocessed in blocks, within a budget of memory."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import torch

from rosetta import preprocessing
from rosetta.arrays import Array, first_nonfinite_row, flat
from rosetta.errors import PreprocessingError, SourceError, UsageError
from rosetta.preprocessing import Fitted, ItemError
from rosetta.sources import Rows, pick
from rosetta.sources.memory import usable_memory

GIB = 1 << 30
SMALLEST_BLOCK, LARGEST_BLOCK = 1 << 20, 1 << 23  # bytes: a disk is slow at less, and more shuffles less well
BLOCKS_A_POOL = 8  # at least: they are in an order of chance, and batches are drawn from so many of them


class Facts(NamedTuple):
    """What is to be known of all inputs, found in one pass."""

    low: float
    high: float
    uneven_row: int | None  # the first that holds a number that is not whole
    median_total: float | None  # of an item, where all numbers are whole: they may be counts
    sha256: str | None = None  # of all inputs, to know them again; None where nobody asked


class Blocks(NamedTuple):
    """How a file is read within a budget of memory; all are numbers of rows."""

    block: int  # read at once
    pool: int  # batches are drawn from
    held_out: int  # kept in memory to measure on, at most

    @classmethod
    def within(cls, budget: int, rows: Rows, item_size: int) -> Blocks:
        """Divide `budget` bytes: half to the pool, a quarter to held-out items, the rest to blocks on their way.

        Blocks begin and end where pieces of the file do, unless pieces are too large for that.

        Raises
        ------
        SourceError
            If one piece of the file does not fit.
        """
        raw = math.prod(rows.shape[1:]) * rows.dtype.itemsize
        if rows.piece * raw > max(budget // 4, SMALLEST_BLOCK) and rows.piece > 1:
            raise SourceError(
                f"the array is stored in pieces of {rows.piece:,} items, {gibibytes(rows.piece * raw)} each, of which "
                f"none can be read in part, and {gibibytes(budget // 4)} of memory are set aside for one: save it as a "
                ".npy file with numpy.save, or give more `memory_gib`"
            )
        pool = budget // 2 // (4 * item_size)
        largest = max(pool // BLOCKS_A_POOL, 1)
        wanted = min(max(budget // 256, SMALLEST_BLOCK), LARGEST_BLOCK) // max(4 * item_size, raw)
        block = max(min(wanted, largest), 1)
        in_pieces = max(block // rows.piece, 1) * rows.piece
        return cls(in_pieces if in_pieces <= largest else block, pool, budget // 4 // (4 * item_size))


@dataclass(frozen=True)
class Stream:
    """Inputs on disk.

    Parameters
    ----------
    rows : Rows
        Raw items.
    steps : sequence of (str, Step)
        Their preprocessing.
    where : str
        What the source is called in messages.
    """

    rows: Rows
    steps: Fitted
    where: str

    @cached_property
    def shape(self) -> tuple[int, ...]:
        """Shape of all inputs, (n_items, …)."""
        return (self.rows.shape[0], *self.read(0, 1).shape[1:])

    @property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    def __len__(self) -> int:
        return self.rows.shape[0]

    def __getitem__(self, rows: slice | Array) -> Array:
        """Return the inputs of a slice of step 1, or with these row numbers in any order, float32."""
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            return self.read(start, max(start, stop))
        return self._prepared(pick(self.rows, np.asarray(rows)))

    @property
    def item_size(self) -> int:
        """Numbers in an input."""
        return math.prod(self.shape[1:])

    def read(self, start: int, stop: int) -> Array:
        """Return the inputs from row `start` to before row `stop`, float32, shape (stop − start, …).

        Raises
        ------
        SourceError
            If the file can no longer be read, or a row holds NaN or infinity: names the rows.
        """
        raw = self.read_raw(start, stop)
        return self._prepared(raw, first=start)

    def _prepared(self, raw: Array, first: int = 0) -> Array:
        with np.errstate(over="ignore"):  # what overflows becomes infinity, and is refused below
            try:
                inputs = preprocessing.apply(self.steps, raw)
            except ItemError as error:
                problem = f"{self.where}, {self.rows.place(first + error.row)}, {error.problem}"
                raise PreprocessingError(problem) from error
        if inputs is not raw:
            refuse_overflow(inputs, first=first)
        return inputs

    def read_raw(self, start: int, stop: int) -> Array:
        """Return raw items, in whatever kind of numbers; raises as `read` does."""
        raw = self.rows.read(start, stop)
        if (row := _nonfinite(raw)) is not None:
            raise SourceError(self._nonfinite_in(raw[row], start + row))
        return raw

    def _nonfinite_in(self, item: Array, row: int) -> str:
        names = self.rows.features
        column = "" if names is None or item.ndim != 1 else f", column {names[int((~np.isfinite(item)).argmax())]}"
        return (
            f"{self.where} holds NaN or infinity, the first in {self.rows.place(row)}{column}. "
            "Remove or fill such rows before you pass the data."
        )

    def blocks(self, n_rows: int) -> Iterator[Array]:
        """Yield all inputs in order, `n_rows` at a time."""
        return (self.read(start, min(start + n_rows, len(self))) for start in range(0, len(self), n_rows))

    def raw_blocks(self, n_rows: int) -> Iterator[Array]:
        """Yield all raw items in order, `n_rows` at a time."""
        return (self.read_raw(start, min(start + n_rows, len(self))) for start in range(0, len(self), n_rows))

    def collected(self, n_rows: int) -> Array:
        """Return all inputs in memory, float32, read `n_rows` at a time."""
        if n_rows >= len(self):
            return self.read(0, len(self))
        inputs = np.empty(self.shape, dtype=np.float32)
        for number, block in enumerate(self.blocks(n_rows)):
            inputs[number * n_rows : number * n_rows + len(block)] = block
        return inputs

    def picked(self, row_numbers: Array, n_rows: int) -> Array:
        """Return the inputs with these sorted row numbers, float32, read from at most `n_rows` at a time."""
        inputs = np.empty((len(row_numbers), *self.shape[1:]), dtype=np.float32)
        done = 0
        while done < len(row_numbers):
            start = int(row_numbers[done])
            end = int(np.searchsorted(row_numbers, (start // n_rows + 1) * n_rows))
            inputs[done:end] = self.read(start, int(row_numbers[end - 1]) + 1)[row_numbers[done:end] - start]
            done = end
        return inputs


def inputs_digest(blocks: Iterable[Array]) -> str:
    """Return the sha256 of inputs that come in blocks, each of shape (n_items, …): the same whatever the blocks are."""
    digest = _Digest()
    for block in blocks:
        digest.update(block)
    return digest.hexdigest()


class _Digest:
    """The sha256 of inputs as they come: their shape, and their numbers as little-endian 32-bit floats."""

    def __init__(self) -> None:
        self.numbers, self.n_items, self.shape = hashlib.sha256(b"rosetta-inputs-v1\n"), 0, ""

    def update(self, block: Array) -> None:
        self.n_items, self.shape = self.n_items + len(block), str(block.shape[1:])
        self.numbers.update(np.ascontiguousarray(block, dtype="<f4").data)

    def hexdigest(self) -> str:
        digest = self.numbers.copy()
        digest.update(f"\n{self.n_items} {self.shape}".encode())
        return digest.hexdigest()


def facts_of(blocks: Iterable[Array], *, digested: bool = False) -> Facts:
    """Return what is to be known of inputs that come in blocks, each of shape (n_items, …); if asked, their digest."""
    low, high, uneven_row, n_done = math.inf, -math.inf, None, 0
    totals: list[Array] = []
    digest = _Digest()
    for block in blocks:
        if digested:
            digest.update(block)
        low, high = min(low, float(block.min())), max(high, float(block.max()))
        if uneven_row is None:
            is_uneven = (flat(block) != np.floor(flat(block))).any(axis=1)
            if is_uneven.any():
                uneven_row = n_done + int(is_uneven.argmax())
            else:
                totals.append(flat(block).sum(axis=1, dtype=np.float64))
        n_done += len(block)
    median = float(np.median(np.concatenate(totals))) if uneven_row is None else None
    return Facts(low, high, uneven_row, median, digest.hexdigest() if digested else None)


def memory_budget(memory_gib: float | None, device: torch.device, *, n_processes: int = 1) -> int:
    """Return the bytes that items may take in memory: those asked for, or half of what is there.

    What is there is the machine's memory, shared by `n_processes`, or a GPU's own where that is less; whether it is
    free does not matter, so that the same command gives the same result on another day.

    Raises
    ------
    UsageError
        If `memory_gib` is no number above 0.
    """
    if memory_gib is None:
        there = usable_memory() // n_processes
        if device.type == "cuda":
            there = min(there, torch.cuda.get_device_properties(device).total_memory)
        return there // 2
    if isinstance(memory_gib, bool) or not isinstance(memory_gib, int | float) or not 0 < memory_gib < math.inf:
        raise UsageError(f"`memory_gib` is {memory_gib}; expected a number of GiB above 0")
    return int(memory_gib * GIB)


def refuse_overflow(inputs: Array, *, first: int = 0) -> None:
    """Raise SourceError if a preprocessed item is not all finite numbers; the first has row number `first`."""
    row = _nonfinite(inputs)
    if row is not None:
        raise SourceError(
            f"after preprocessing, as 32-bit floats, row {first + row} holds NaN or infinity: rescale the data"
        )


def gibibytes(n_bytes: float) -> str:
    """Return a number of bytes for people."""
    return f"{n_bytes / GIB:.3g} GiB" if n_bytes >= 0.1 * GIB else f"{n_bytes / (1 << 20):.3g} MiB"


def _nonfinite(block: Array) -> int | None:
    if block.dtype.kind != "f":
        return None
    with np.errstate(over="ignore", invalid="ignore"):
        if np.isfinite(block.sum()):  # several times as fast as a look at each number; a sum can only err by overflow
            return None
    return first_nonfinite_row(block)
