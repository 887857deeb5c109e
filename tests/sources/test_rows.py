"""Rows are read some at a time, from a file that stays open, and a file that changes meanwhile is an error."""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np
import pytest

from rosetta.errors import SourceError
from rosetta.sources import Rows, open_rows, read_items

ITEMS = np.random.default_rng(0).integers(0, 100, size=(50, 3, 4))


def _write(folder: Path, ending: str, array: np.ndarray = ITEMS) -> str:
    path = folder / f"data{ending}"
    if ending == ".npy":
        np.save(path, array)
        return str(path)
    if ending == ".npz":
        np.savez(path, other=np.zeros(3), x=array)
        return f"{path}::x"
    with h5py.File(path, "w") as file:
        file.create_dataset("x", data=array, chunks=(8, *array.shape[1:]) if ending == ".hdf5" else None)
    return f"{path}::x"


@pytest.mark.parametrize("dtype", ["<f4", ">f4", ">f8", "<f2", "bool", "u1", ">i8"])
@pytest.mark.parametrize("ending", [".npy", ".npz", ".h5", ".hdf5"])
def test_rows_of_every_kind_of_file_and_number_are_those_of_the_whole_array(tmp_path: Path, ending: str, dtype: str):
    source = _write(tmp_path, ending, ITEMS.astype(dtype))

    rows = open_rows(source)

    assert rows.shape == (50, 3, 4)
    assert rows.dtype == np.dtype(dtype)
    for start, stop in ((0, 50), (0, 1), (7, 20), (49, 50)):
        assert rows.read(start, stop).tolist() == read_items(source)[start:stop].tolist()
    rows.close()


def test_the_rows_that_are_stored_together_are_known(tmp_path: Path):
    pieces = {ending: open_rows(_write(tmp_path, ending)).piece for ending in (".npy", ".h5", ".hdf5", ".npz")}

    assert pieces == {".npy": 1, ".h5": 1, ".hdf5": 8, ".npz": 50}


def test_an_array_in_column_order_is_one_piece(tmp_path: Path):
    rows = open_rows(_write(tmp_path, ".npy", np.asfortranarray(ITEMS)))

    assert rows.piece == 50
    assert (rows.read(3, 9) == ITEMS[3:9]).all()


def test_what_is_read_is_no_view_of_the_file(tmp_path: Path):
    source = _write(tmp_path, ".npy")
    rows = open_rows(source)
    block = rows.read(0, 50)
    block[:] = 0

    assert (rows.read(0, 50) == ITEMS).all()
    assert not isinstance(block, np.memmap)


@pytest.mark.parametrize("ending", [".npy", ".h5", ".hdf5"])
def test_a_file_that_is_removed_or_replaced_goes_on_being_readable(tmp_path: Path, ending: str):
    source = _write(tmp_path, ending)
    rows = open_rows(source)
    Path(source.partition("::")[0]).unlink()
    _write(tmp_path, ending, ITEMS + 1)

    assert (rows.read(10, 20) == ITEMS[10:20]).all()


@pytest.mark.parametrize("ending", [".npy", ".h5", ".hdf5"])
def test_a_file_that_becomes_shorter_is_an_error_that_names_the_rows(tmp_path: Path, ending: str):
    source = _write(tmp_path, ending, np.ones((5000, 40)))
    rows = open_rows(source)
    path = Path(source.partition("::")[0])
    os.truncate(path, path.stat().st_size // 2)

    with pytest.raises(SourceError, match="rows 4000 to 4099 of .* can no longer be read .*whole, and repeat"):
        rows.read(4000, 4100)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((1, 3)), "at least two items"),
        (np.zeros((0, 3)), "at least two items"),
        (np.zeros(5), r"reshape it to \(n_items, 1\)"),
        (np.zeros((3, 2), dtype=complex), "must be real numbers"),
        (np.array([["a", "b"], ["c", "d"]]), "must be real numbers"),
    ],
)
@pytest.mark.parametrize("ending", [".npy", ".npz"])
def test_arrays_that_are_no_items_are_refused_before_they_are_read(
    tmp_path: Path, ending: str, array: np.ndarray, words: str
):
    with pytest.raises(SourceError, match=words):
        open_rows(_write(tmp_path, ending, array))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.npy", "not a whole .npy array"),
        ("a.npz::x", "not a whole .npz archive"),
        ("a.h5::x", "could not be read as HDF5"),
        ("b.npy", "there is no file"),
    ],
)
def test_damaged_and_missing_files_are_refused(tmp_path: Path, name: str, words: str):
    for ending in ("npy", "npz", "h5"):
        (tmp_path / f"a.{ending}").write_bytes(b"\x89HDF\r\n\x1a\n and no more")

    with pytest.raises(SourceError, match=words):
        open_rows(str(tmp_path / name))


def test_files_are_given_back_when_rows_are_closed_or_forgotten(tmp_path: Path):
    def n_open() -> int:
        return len(list(Path("/proc/self/fd").iterdir()))

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("this system does not list open files")
    before = n_open()
    kept: list[Rows] = [open_rows(_write(tmp_path, ending)) for ending in (".npy", ".h5")]
    assert n_open() == before + 2
    kept[0].close()
    kept.clear()

    assert n_open() == before
