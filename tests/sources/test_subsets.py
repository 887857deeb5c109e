"""Rows are chosen by their numbers and by what columns say, and read as few at a time as it takes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rosetta.errors import SourceError
from rosetta.sources import Rows, Source, column_of, open_rows, pick, read_items
from rosetta.sources.subsets import chosen_rows

ITEMS = np.arange(600, dtype=np.float32).reshape(300, 2)
KINDS = np.where(np.arange(300) % 3 == 0, "kea", "tui")
AGES = np.arange(300.0) % 5


def _rows(read: Callable[[int, int], Any] | None = None, piece: int = 1) -> Rows:
    return Rows(
        ITEMS.shape, ITEMS.dtype, piece, read or (lambda start, stop: ITEMS[start:stop].copy()),
        columns={"kind": lambda: KINDS, "age": lambda: AGES, "wild": lambda: AGES > 2},
    )  # fmt: skip


def _chosen(text: str | None, *where: str) -> np.ndarray:
    rows = chosen_rows(_rows(), text, where, source="birds", read=lambda name: np.load(name))
    return rows.read(0, rows.shape[0])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("10:20", slice(10, 20)), (":7", slice(7)), ("290:", slice(290, None)), ("-4:", slice(-4, None)),
        (":-295", slice(-295)), ("::50", slice(None, None, 50)), ("5:400:100", slice(5, 400, 100)),
        ("3,5,8", [3, 5, 8]), ("8,3,3", [3, 8]),
    ],
)  # fmt: skip
def test_rows_are_chosen_as_python_would(text: str, expected: Any):
    assert np.array_equal(_chosen(text), ITEMS[expected])


def test_rows_are_chosen_by_a_file_of_numbers_or_of_bools(saved: Callable[..., str]):
    assert np.array_equal(_chosen(saved(np.array([9, 2, 2], np.uint8))), ITEMS[[2, 9]])
    assert np.array_equal(_chosen(saved(AGES == 1)), ITEMS[AGES == 1])


def test_columns_choose_any_value_of_one_and_all_of_several():
    kea, young = KINDS == "kea", AGES <= 1

    assert np.array_equal(_chosen(None, "kind=kea"), ITEMS[kea])
    assert np.array_equal(_chosen(None, "age=0", "age=1.0"), ITEMS[young])
    assert np.array_equal(_chosen(None, "age=0", "kind=kea", "age=1"), ITEMS[young & kea])
    assert np.array_equal(_chosen(":30", "wild=True"), ITEMS[:30][AGES[:30] > 2])


@pytest.mark.parametrize(
    ("text", "where", "words"),
    [
        ("300", (), "asks for row 300, but birds has rows 0 to 299"),
        ("9,1000", (), "asks for row 1000"),
        ("5:5", (), "`rows='5:5'` leaves 0 of the 300 rows of birds: at least two are needed"),
        ("7", (), "leaves 1 of the 300 rows"),
        ("::0", (), "a step is at least 1"),
        (None, ("kind",), "`where='kind'`: write column=value"),
        (None, ("=kea",), "write column=value"),
        (None, ("kin=kea",), "no column called 'kin'. Did you mean 'kind'. It has kind, age, wild"),
        (None, ("kind=moa",), "no row of birds has kind=moa: there are kea, tui"),
        (None, ("age=old",), r"column 'age' of birds holds numbers, and `where` says \['old'\]"),
        (None, ("age=77",), "no row of birds has age=77"),
        (":2", ("kind=kea",), "`rows=':2'` and `where='kind=kea'` leaves 1 of the 300 rows"),
    ],
)
def test_what_chooses_nothing_is_refused_with_what_there_is(text: str | None, where: tuple[str, ...], words: str):
    with pytest.raises(SourceError, match=words):
        _chosen(text, *where)


@pytest.mark.parametrize(
    "array", [np.zeros(299, bool), np.zeros((300, 1), bool), np.zeros(4), np.array(["a"]), np.array([[1, 2]])]
)
def test_a_file_of_anything_else_than_row_numbers_is_refused(array: np.ndarray, saved: Callable[..., str]):
    with pytest.raises(SourceError, match="expected row numbers, one after the other, or a bool for each of the 300"):
        _chosen(saved(array))


@pytest.mark.parametrize(
    "text", ["1" * 30, "1," + "9" * 25, "9" * 25 + ":", "-1", "1:2:-1", "1:2:3:4", "1,", "1, 2", "", "٣:", "9" * 5000]
)
def test_numbers_that_are_none_are_refused_with_how_to_write_them(text: str):
    with pytest.raises(SourceError, match="write START:STOP:STEP"):
        read_items(Source(ITEMS, rows=text))


def test_a_step_of_zeros_is_refused():
    with pytest.raises(SourceError, match="a step is at least 1"):
        read_items(Source(ITEMS, rows="::00"))


def test_columns_and_pieces_are_those_of_the_rows_that_are_left():
    rows = chosen_rows(_rows(piece=300), "::7", (), source="birds", read=np.load)

    assert (rows.shape, rows.piece) == ((43, 2), 43)
    assert rows.columns["kind"]().tolist() == KINDS[::7].tolist()
    assert np.array_equal(rows.read(3, 9), ITEMS[::7][3:9])
    assert chosen_rows(_rows(piece=5), "::7", (), source="birds", read=np.load).piece == 1


def test_near_rows_are_read_together_and_far_ones_apart():
    reads: list[tuple[int, int]] = []

    def read(start: int, stop: int) -> np.ndarray:
        reads.append((start, stop))
        return ITEMS[start:stop]

    found = pick(_rows(read), np.array([200, 3, 0, 3, 290]))

    assert np.array_equal(found, ITEMS[[200, 3, 0, 3, 290]])
    assert reads == [(0, 4), (200, 201), (290, 291)]
    assert pick(_rows(read), np.array([], dtype=int)).shape == (0, 2)


def test_a_source_without_columns_says_so(tmp_path: Path):
    np.save(tmp_path / "x.npy", ITEMS)

    with pytest.raises(SourceError, match="x.npy has no columns, so none called 'kind': tables, AnnData"):
        open_rows(Source(str(tmp_path / "x.npy"), where=["kind=kea"]))
    with pytest.raises(SourceError, match="has no columns"):
        column_of(open_rows(ITEMS), "kind", source="the data")
    assert np.array_equal(read_items(Source(tmp_path / "x.npy", rows="4:6")), ITEMS[4:6])
