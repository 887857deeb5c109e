"""A streamed epoch brings every row once, well shuffled, and in the same order again from the same seed."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import numpy as np
import pytest
import torch

from rosetta.errors import SourceError
from rosetta.training.items import Batch, Generators, InMemory, Share, Streamed

CPU = torch.device("cpu")
WHOLE = Share(0, 1)


def _rows(n_items: int) -> np.ndarray:
    """Rows that say their own number."""
    return np.repeat(np.arange(n_items, dtype=np.float32)[:, None], 3, axis=1)


def _streamed(n_items: int, *, block: int, pool: int, held_out: Sequence[int] = ()) -> Streamed:
    rows, is_held_out = _rows(n_items), np.zeros(n_items, dtype=bool)
    is_held_out[list(held_out)] = True
    return Streamed(lambda start, stop: rows[start:stop].copy(), is_held_out, block, pool, 2, CPU)


def _generators(seed: int = 0) -> Generators:
    return Generators(torch.Generator().manual_seed(seed), torch.Generator().manual_seed(seed))


def _epoch(items: Streamed, generators: Generators, batch_size: int = 16, share: Share = WHOLE) -> list[Batch]:
    return list(items.batches([generators], batch_size, share))


def _order(items: Streamed, generators: Generators, batch_size: int = 16) -> list[int]:
    return [int(row) for batch in _epoch(items, generators, batch_size) for row in batch.inputs[:, 0]]


@pytest.mark.parametrize("batch_size", [1, 16, 37, 600])
@pytest.mark.parametrize(("block", "pool"), [(1, 1), (10, 10), (10, 95), (7, 400), (64, 5000)])
def test_every_row_that_is_not_held_out_comes_up_once_an_epoch(block: int, pool: int, batch_size: int):
    held_out = [0, 5, *range(200, 260), 499]
    items = _streamed(500, block=block, pool=pool, held_out=held_out)

    batches = _epoch(items, _generators(), batch_size)

    seen = [int(row) for batch in batches for row in batch.inputs[:, 0]]
    assert sorted(seen) == sorted(set(range(500)) - set(held_out))
    assert items.n_items == len(seen)
    assert [batch.n_items for batch in batches[:-1]] == [batch_size] * (len(batches) - 1)
    assert all(batch.noise.shape == (batch.n_items, 2) and batch.share == 1 for batch in batches)


def test_the_same_seed_gives_the_same_order_and_each_epoch_another():
    items = _streamed(1000, block=20, pool=200)
    one, two = _generators(3), _generators(3)

    first, second = _order(items, one), _order(items, one)

    assert first == _order(items, two)
    assert second == _order(items, two)
    assert first != second
    assert first != _order(items, _generators(4))


def test_the_saved_generators_draw_an_epoch_and_its_noise_again():
    items, generators = _streamed(300, block=20, pool=100), _generators()
    _epoch(items, generators)
    state = [each.get_state() for each in generators]
    before = _epoch(items, generators)
    for each, saved in zip(generators, state, strict=True):
        each.set_state(saved)

    again = _epoch(items, generators)

    assert all((a.inputs == b.inputs).all() and (a.noise == b.noise).all() for a, b in zip(before, again, strict=True))


def test_the_order_says_nothing_of_where_a_row_stands_in_the_file():
    ranks = [
        np.corrcoef(np.arange(8000), _order(_streamed(8000, block=25, pool=1000), _generators(seed)))[0, 1]
        for seed in range(8)
    ]

    # blocks of 25 rows as far apart as chance wants them: the correlation of 8000 / 25 independent places
    assert np.abs(ranks).max() < 4 / np.sqrt(8000 / 25)
    assert np.abs(np.mean(ranks)) < 2 / np.sqrt(8 * 8000 / 25)


def test_batches_of_a_file_that_is_sorted_by_class_are_mixed():
    n_items, n_classes, batch_size = 16_000, 10, 100
    shares = {}
    for name, items in (
        ("streamed", _streamed(n_items, block=25, pool=2000)),
        ("in memory", InMemory(torch.from_numpy(_rows(n_items)), torch.arange(n_items), 2)),
    ):
        counts = [
            np.bincount((batch.inputs[:, 0].numpy() * n_classes / n_items).astype(int), minlength=n_classes)
            for batch in items.batches([_generators()], batch_size, WHOLE)
        ]
        shares[name] = np.array(counts) / batch_size

    # the spread of a class's share over batches: of a sorted file it would be 0.3
    assert shares["in memory"].std() == pytest.approx(0.03, rel=0.1)
    assert shares["streamed"].std() < 1.5 * shares["in memory"].std()


def test_a_batch_has_rows_of_many_blocks():
    items = _streamed(8000, block=20, pool=640)

    n_blocks = [len(set((batch.inputs[:, 0] // 20).int().tolist())) for batch in _epoch(items, _generators(), 64)]

    assert np.mean(n_blocks) > 20  # of the 32 that the pool has room for


def test_a_block_is_let_go_once_its_rows_are_in_the_pool():
    alive, most = 0, 0
    lock = threading.Lock()
    block, pool = 10, 100

    class Counted(np.ndarray):
        """Rows that know when they are gone."""

        def __del__(self) -> None:
            nonlocal alive
            if self.base is None:
                with lock:
                    alive -= len(self)

    def read(start: int, stop: int) -> np.ndarray:
        nonlocal alive, most
        made = np.ndarray.__new__(Counted, (stop - start, 3), np.float32)
        made[:] = np.arange(start, stop)[:, None]
        with lock:
            alive += len(made)
            most = max(most, alive)
        return made

    items = Streamed(read, np.zeros(2000, dtype=bool), block, pool, 2, CPU)
    assert sum(batch.n_items for batch in items.batches([_generators()], 16, WHOLE)) == 2000
    assert most <= 4 * block


def test_processes_share_every_batch():
    items = _streamed(203, block=10, pool=50)

    whole = _epoch(items, _generators())
    parts = [_epoch(items, _generators(), share=Share(rank, 3)) for rank in range(3)]

    for batch, *shared in zip(whole, *parts, strict=True):
        assert torch.cat([part.inputs for part in shared if part.share]).tolist() == batch.inputs.tolist()
        assert sum(part.share for part in shared) == pytest.approx(3)


def test_an_error_of_reading_ends_the_epoch_and_the_thread():
    def read(start: int, stop: int) -> np.ndarray:
        if start >= 500:
            raise SourceError(f"rows {start} to {stop - 1} are gone")
        return _rows(1000)[start:stop]

    items = Streamed(read, np.zeros(1000, dtype=bool), 10, 50, 2, CPU)

    with pytest.raises(SourceError, match="are gone"):
        _epoch(items, _generators())
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]


def test_an_epoch_that_is_left_early_leaves_no_thread():
    batches = _streamed(1000, block=10, pool=50).batches([_generators()], 16, WHOLE)
    next(batches)
    del batches

    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]
