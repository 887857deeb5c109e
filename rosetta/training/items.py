"""The items of a training, in shuffled batches: all in memory, or streamed from disk in shuffled blocks."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from rosetta.arrays import Array

T = TypeVar("T")


class Batch(NamedTuple):
    """Items of one step; with a leading axis where several models train at once, each on its own."""

    inputs: Tensor  # float32, shape (n_items, …)
    noise: Tensor  # standard normal, shape (n_items, n_dims)
    n_items: int  # of the step, on all processes together
    share: float = 1.0  # weight of this part, so that the mean over processes is that over the step's items


class Generators(NamedTuple):
    """Where one model's order of items and noise come from."""

    order: torch.Generator
    noise: torch.Generator


class Share(NamedTuple):
    """Which part of every batch this process works on."""

    rank: int = 0
    n_ranks: int = 1

    def of(self, start: int, n_items: int) -> tuple[slice, float]:
        """Return the rows of a batch of `n_items` that begins at row `start`, and their weight.

        A process for which nothing is left takes the first row, with weight 0.
        """
        first, last = n_items * self.rank // self.n_ranks, n_items * (self.rank + 1) // self.n_ranks
        if first == last:
            return slice(start, start + 1), 0.0
        return slice(start + first, start + last), (last - first) * self.n_ranks / n_items


class Items(Protocol):
    """What a training runs over."""

    @property
    def n_items(self) -> int:
        """Number of items in an epoch."""

    def batches(self, generators: Sequence[Generators], batch_size: int, share: Share) -> Iterator[Batch]:
        """Yield an epoch's batches; the generators say their order and noise."""


@dataclass(frozen=True)
class InMemory:
    """Items that are all in memory, on the device.

    Parameters
    ----------
    inputs : float32 tensor, shape (n_all, …)
        All items, those that are held out too.
    rows : int64 tensor, shape (n_items,) or (n_models, n_items)
        Numbers of the rows to train on; for each model its own where several train at once.
    n_dims : int
        Latent dimensions, the width of the noise.
    """

    inputs: Tensor
    rows: Tensor
    n_dims: int

    @property
    def n_items(self) -> int:
        """Number of items in an epoch."""
        return self.rows.shape[-1]

    def batches(self, generators: Sequence[Generators], batch_size: int, share: Share) -> Iterator[Batch]:
        """Yield an epoch's batches."""
        order, noise = drawn(generators, self.n_items, self.n_dims, self.rows.device)
        order = self.rows.gather(-1, order)
        for start in range(0, self.n_items, batch_size):
            n_items = min(batch_size, self.n_items - start)
            part, weight = share.of(start, n_items)
            yield Batch(self.inputs[order[..., part]], noise[..., part, :], n_items, weight)


@dataclass(frozen=True)
class Streamed:
    """Items that are read from disk, a block of rows at a time, in shuffled order.

    A pool in memory is filled from blocks in an order of chance. Every block that comes then takes the places of as
    many rows of the pool, drawn at random, which go into batches: a batch has rows from all over the pool, whose rows
    are from all over the file. Each row comes up exactly once in an epoch. The next rows are read while steps are
    taken.

    Parameters
    ----------
    read : callable
        Numbers of the first row and of the one after the last to float32 inputs, shape (n_rows, …).
    is_held_out : bool array, shape (n_all,)
        Rows that are not trained on.
    block, pool : int
        Rows that are read at once, and rows that batches are drawn from, no fewer. A few blocks are in memory too.
    n_dims : int
        Latent dimensions.
    """

    read: Callable[[int, int], Array]
    is_held_out: Array
    block: int
    pool: int
    n_dims: int
    device: torch.device

    @cached_property
    def n_items(self) -> int:
        """Number of items in an epoch."""
        return int((~self.is_held_out).sum())

    def batches(self, generators: Sequence[Generators], batch_size: int, share: Share) -> Iterator[Batch]:
        """Yield an epoch's batches."""
        (only,) = generators
        seed = int(torch.randint(2**63 - 1, (), generator=only.order))
        rows = self._whole_batches(np.random.default_rng(seed), batch_size)
        with closing(_one_ahead(rows)) as ahead:
            for some in ahead:
                inputs = torch.from_numpy(some).to(self.device)
                for each in torch.split(inputs, batch_size):
                    noise = torch.randn(len(each), self.n_dims, generator=only.noise, device=self.device)
                    part, weight = share.of(0, len(each))
                    yield Batch(each[part], noise[part], len(each), weight)

    def _whole_batches(self, rng: np.random.Generator, batch_size: int) -> Iterator[Array]:
        """Yield an epoch's rows in shuffled order, a multiple of the batch size at a time but for the last."""
        waiting: list[Array] = []
        n_waiting = 0
        for rows in self._shuffled(rng):
            waiting.append(rows)
            n_waiting += len(rows)
            if n_waiting >= batch_size:
                joined = np.concatenate(waiting)
                n_waiting %= batch_size
                n_whole = len(joined) - n_waiting
                waiting = [joined[n_whole:].copy()]  # a view would keep all of them
                yield joined[:n_whole]
        if n_waiting:
            yield np.concatenate(waiting)

    def _shuffled(self, rng: np.random.Generator) -> Iterator[Array]:
        """Yield an epoch's rows in shuffled order, about a block at a time."""
        pool, n_pooled = np.empty(0, np.float32), 0
        for number in rng.permutation(-(-len(self.is_held_out) // self.block)).tolist():
            block = self._trained_on(number * self.block)
            if not n_pooled:
                pool = np.empty((min(self.pool, self.n_items), *block.shape[1:]), np.float32)
            n_room = min(len(pool) - n_pooled, len(block))
            pool[n_pooled : n_pooled + n_room] = block[:n_room]
            n_pooled += n_room
            if n_room < len(block):
                places = rng.choice(n_pooled, len(block) - n_room, replace=False)
                leaving = pool[places]
                pool[places] = block[n_room:]
                yield leaving
        places = rng.permutation(n_pooled)
        for start in range(0, n_pooled, self.block):
            yield pool[places[start : start + self.block]]

    def _trained_on(self, start: int) -> Array:
        """Return the rows of a block that are not held out."""
        stop = min(start + self.block, len(self.is_held_out))
        rows, is_held_out = self.read(start, stop), self.is_held_out[start:stop]
        return rows[~is_held_out] if is_held_out.any() else rows


def _one_ahead(items: Iterator[T]) -> Generator[T, None, None]:
    """Yield what `items` does; another thread works on the next one meanwhile."""
    with ThreadPoolExecutor(1, "read-ahead") as worker:
        coming = worker.submit(next, items, None)
        while (item := coming.result()) is not None:
            coming = worker.submit(next, items, None)
            yield item


def drawn(generators: Sequence[Generators], n_items: int, n_dims: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return a permutation, shape (n_items,), and noise, (n_items, n_dims); of several generators, stacked."""
    orders = [torch.randperm(n_items, generator=each.order).to(device) for each in generators]
    noises = [torch.randn(n_items, n_dims, generator=each.noise, device=device) for each in generators]
    return (orders[0], noises[0]) if len(generators) == 1 else (torch.stack(orders), torch.stack(noises))
