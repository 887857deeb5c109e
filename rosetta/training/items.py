"""The items of a training, in shuffled batches: all in memory, or streamed from disk in shuffled blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Tensor


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
    """Items that are read from disk, some blocks at a time: their order is shuffled, and rows within a few of them.

    Parameters
    ----------
    read : callable
        Numbers of the first row and of the one after the last to float32 inputs, shape (n_rows, …).
    is_held_out : bool tensor, shape (n_all,)
        Rows that are not trained on.
    block, n_blocks : int
        Rows that are read at once, and blocks that are shuffled together; twice as many are in memory at most.
    n_dims : int
        Latent dimensions.
    """

    read: Callable[[int, int], Tensor]
    is_held_out: Tensor
    block: int
    n_blocks: int
    n_dims: int
    device: torch.device

    @property
    def n_items(self) -> int:
        """Number of items in an epoch."""
        return int((~self.is_held_out).sum())

    def batches(self, generators: Sequence[Generators], batch_size: int, share: Share) -> Iterator[Batch]:
        """Yield an epoch's batches; what is left of some blocks is shuffled together with the next."""
        (only,) = generators
        rest = None
        starts = torch.arange(0, len(self.is_held_out), self.block)
        groups = starts[torch.randperm(len(starts), generator=only.order)].split(self.n_blocks)
        for number, group in enumerate(groups):
            pool = torch.cat(([] if rest is None else [rest]) + [self._kept(start) for start in group.tolist()])
            order, noise = drawn([only], len(pool), self.n_dims, self.device)
            n_whole = len(pool) if number == len(groups) - 1 else len(pool) // batch_size * batch_size
            order = order.cpu()
            for start in range(0, n_whole, batch_size):
                n_items = min(batch_size, n_whole - start)
                part, weight = share.of(start, n_items)
                yield Batch(pool[order[part]].to(self.device), noise[part], n_items, weight)
            rest = pool[order[n_whole:]]

    def _kept(self, start: int) -> Tensor:
        stop = min(start + self.block, len(self.is_held_out))
        return self.read(start, stop)[~self.is_held_out[start:stop]]


def drawn(
    generators: Sequence[Generators], n_items: int, n_dims: int, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Return a permutation, shape (n_items,), and noise, (n_items, n_dims); of several generators, stacked."""
    orders = [torch.randperm(n_items, generator=each.order).to(device) for each in generators]
    noises = [torch.randn(n_items, n_dims, generator=each.noise, device=device) for each in generators]
    return (orders[0], noises[0]) if len(generators) == 1 else (torch.stack(orders), torch.stack(noises))
