"""A file of our own holds numbers as an array in memory does."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from rosetta.errors import OutputError, SourceError
from rosetta.sources.spill import NEAR, Spill

N_ROWS = 3 * NEAR


@pytest.fixture
def array() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(N_ROWS, 5)).astype(np.float32)


@pytest.fixture
def spill(array: np.ndarray, tmp_path: Path) -> Iterator[Spill]:
    made = Spill(tmp_path / "x.f32", array.shape)
    for start in (600, 0, 300):  # in any order
        made.write(start, array[start : start + 300])
    yield made
    made.close()


@pytest.mark.parametrize(
    "rows",
    [
        slice(None), slice(3, 40), slice(-5, None), slice(700, 9999), slice(9, 4), np.array([5]),
        np.array([N_ROWS - 1, 0, 0, 700, 3]), np.arange(N_ROWS)[::-1], np.array([], dtype=int),
    ],
)  # fmt: skip
def test_rows_are_those_of_an_array(spill: Spill, array: np.ndarray, rows: slice | np.ndarray):
    found = spill[rows]

    assert np.array_equal(found, array[rows])
    assert found.dtype == np.float32
    assert (spill.shape, spill.ndim, len(spill)) == (array.shape, 2, N_ROWS)


def test_what_is_read_is_no_view_of_the_file(spill: Spill, array: np.ndarray):
    spill[0:9][:] = 0
    spill[np.arange(9)][:] = 0

    assert np.array_equal(spill[0:9], array[0:9])


def test_other_kinds_of_numbers_and_orders_are_written_as_32_bit_floats(spill: Spill, array: np.ndarray):
    spill.write(10, np.asfortranarray(array[:20].astype(">f8")))

    assert np.array_equal(spill[10:30], array[:20])


def test_it_keeps_what_is_there_when_it_is_opened_again(spill: Spill, array: np.ndarray, tmp_path: Path):
    spill.sync()
    again = Spill(tmp_path / "x.f32", array.shape)

    assert np.array_equal(again[0:N_ROWS], array)
    assert not Spill(tmp_path / "new.f32", (4, 2))[0:4].any()
    again.close()


def test_only_its_owner_can_read_it(spill: Spill):
    assert spill.path.stat().st_mode & 0o077 == 0


def test_a_file_that_becomes_shorter_is_an_error(spill: Spill):
    os.truncate(spill.path, 400)

    with pytest.raises(SourceError, match="x.f32 became shorter while it was used: repeat the command"):
        spill[0:N_ROWS]


def test_a_disk_that_is_full_is_an_error_with_the_way_out(tmp_path: Path):
    if not Path("/dev/full").exists():
        pytest.skip("this system has no device that is always full")
    with pytest.raises(OutputError, match="could not be written .*: free some space"):
        Spill(tmp_path / "no folder" / "x.f32", (4, 2))
    full = Spill(tmp_path / "x.f32", (4, 2))
    os.close(full._descriptor)
    full._descriptor = os.open("/dev/full", os.O_RDWR)
    with pytest.raises(OutputError, match="No space left on device.*: free some space"):
        full.write(0, np.zeros((4, 2), np.float32))
    full.close()
