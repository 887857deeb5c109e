"""Data files of every kind are read, and bad ones are refused with the next step."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from rosetta.errors import SourceError
from rosetta.sources import read_items, read_names

ITEMS = np.arange(24, dtype=np.float64).reshape(4, 2, 3)


def test_the_three_kinds_of_file_give_the_same_items(tmp_path: Path):
    np.save(tmp_path / "a.npy", ITEMS)
    np.savez(tmp_path / "a.npz", x=ITEMS, y=ITEMS[:, 0])
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["group/x"] = ITEMS

    for source in ("a.npy", "a.npz::x", "a.h5::group/x", "a.h5::/group/x", "a.h5"):
        assert (read_items(str(tmp_path / source)) == ITEMS).all()


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((0, 3)), "at least two items"),
        (np.zeros((1, 3)), "at least two items"),
        (np.zeros((5, 0)), "at least two items of one number"),
        (np.zeros(5), r"reshape it to \(n_items, 1\)"),
        (np.array([[1.0, 2], [3, np.nan], [np.inf, 1]]), "NaN or infinity, the first in row 1"),
        (np.array([["a", "b"], ["c", "d"]]), "dtype <U1, but items must be real numbers"),
        (np.zeros((3, 2), dtype=complex), "must be real numbers"),
        (np.zeros((3, 2), dtype="datetime64[s]"), "must be real numbers"),
    ],
)
def test_arrays_that_are_no_items_are_refused(saved: Callable[..., str], array: np.ndarray, words: str):
    with pytest.raises(SourceError, match=words):
        read_items(saved(array))


def test_the_row_of_a_nan_is_found_far_into_the_data():
    items = np.zeros((10_000, 2), dtype=np.float32)
    items[9_001, 1] = np.nan

    with pytest.raises(SourceError, match="row 9001"):
        read_items(items)


def test_pickled_objects_are_never_loaded(tmp_path: Path):
    class Bomb:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "exploded",))  # type: ignore[return-value]

    np.save(tmp_path / "a.npy", np.array([[Bomb()], [Bomb()]], dtype=object))
    np.savez(tmp_path / "a.npz", x=np.array([[Bomb()], [Bomb()]], dtype=object))

    for source in ("a.npy", "a.npz::x"):
        with pytest.raises(SourceError, match="Pickled objects are never read"):
            read_items(str(tmp_path / source))
    assert not (tmp_path / "exploded").exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.npy", b"not an array", "not a whole .npy array"),
        ("a.npy", b"", "not a whole .npy array"),
        ("a.npz", b"PK\x03\x04 cut", "not a whole .npz archive"),
        ("a.h5", b"\x89HDF\r\n\x1a\n cut", "could not be read as HDF5"),
        ("a.xyz", b"1,2\n", "of a kind that is not read here; known endings: .arrow, .bmp, .csv, .feather, .h5, .h5ad"),
    ],
)
def test_damaged_files_are_refused(tmp_path: Path, name: str, content: bytes, words: str):
    (tmp_path / name).write_bytes(content)

    with pytest.raises(SourceError, match=words):
        read_items(str(tmp_path / name) + ("::x" if name.endswith(("z", "5")) else ""))


def test_a_truncated_array_is_refused(tmp_path: Path):
    np.save(tmp_path / "whole.npy", ITEMS)
    (tmp_path / "cut.npy").write_bytes((tmp_path / "whole.npy").read_bytes()[:-16])

    with pytest.raises(SourceError, match="not a whole .npy array"):
        read_items(str(tmp_path / "cut.npy"))


def test_missing_names_are_met_with_those_that_are_there(tmp_path: Path):
    np.savez(tmp_path / "a.npz", x=ITEMS, y=ITEMS)
    np.save(tmp_path / "a.npy", ITEMS)

    with pytest.raises(SourceError, match="no array called 'z'; there are x, y"):
        read_items(f"{tmp_path / 'a.npz'}::z")
    with pytest.raises(SourceError, match="several arrays: write .*::NAME with one of x, y"):
        read_items(str(tmp_path / "a.npz"))
    with pytest.raises(SourceError, match="leave '::x' out"):
        read_items(f"{tmp_path / 'a.npy'}::x")
    with pytest.raises(SourceError, match="is a folder"):
        read_items(str(tmp_path))
    with pytest.raises(SourceError, match="there is no file"):
        read_items(str(tmp_path / "b.npy"))


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "a.npy")

    with pytest.raises(SourceError, match="no regular file"):
        read_items(str(tmp_path / "a.npy"))


def test_odd_names_are_read(tmp_path: Path):
    for name in ("ÄRGER 1.NPY", "a::b.npy"):
        with (tmp_path / name).open("wb") as file:
            np.save(file, ITEMS)

        assert (read_items(str(tmp_path / name)) == ITEMS).all()


def test_an_unreadable_file_is_named(tmp_path: Path):
    (tmp_path / "loop.npy").symlink_to(tmp_path / "loop.npy")

    with pytest.raises(SourceError, match=r"loop\.npy"):
        read_items(str(tmp_path / "loop.npy"))


def test_feature_names_are_read_as_text(tmp_path: Path):
    np.savez(tmp_path / "a.npz", good=np.array(["ab", "c"]), twice=np.array(["a", "a"]), numbers=np.arange(2))

    assert read_names(f"{tmp_path / 'a.npz'}::good") == ("ab", "c")
    with pytest.raises(SourceError, match="the name 'a' twice"):
        read_names(f"{tmp_path / 'a.npz'}::twice")
    with pytest.raises(SourceError, match="fixed-length strings"):
        read_names(f"{tmp_path / 'a.npz'}::numbers")


def test_reading_data_loads_no_torch():
    code = "import sys, rosetta.sources, rosetta.sources.npy; sys.exit('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_paths_lists_and_tensors_are_data_too(tmp_path: Path):
    import torch

    np.save(tmp_path / "a.npy", ITEMS)

    for data in (tmp_path / "a.npy", ITEMS.tolist(), torch.from_numpy(ITEMS)):
        assert (read_items(data) == ITEMS).all()
    with pytest.raises(SourceError, match="a masked array"):
        read_items(np.ma.masked_equal(ITEMS, 3))
    with pytest.raises(SourceError, match="the data, a list, is no array of numbers"):
        read_items([[1, 2], [3]])
