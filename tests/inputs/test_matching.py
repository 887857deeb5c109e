"""Features are known by their names: put into order, left out, filled, or missed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rosetta.errors import SourceError
from rosetta.inputs.matching import Matched, match_features
from rosetta.sources import Rows

ITEMS = np.arange(12, dtype=np.int32).reshape(3, 4)
WANTED = ("a", "b", "c")


def _rows(*names: str, **more: Any) -> Rows:
    items = ITEMS[:, : len(names)] if names else ITEMS
    return Rows(
        items.shape, items.dtype, 1, lambda start, stop: items[start:stop].copy(), features=names or None, **more
    )


def _match(rows: Rows, wanted: tuple[str, ...] | None = WANTED, features: Any = None, fill: Any = None) -> Matched:
    return match_features(rows, features, wanted, holder="the run", source="cells.csv", fill=fill)


def _numbers(matched: Matched) -> list[list[float]]:
    return matched.rows.read(0, 3).tolist()  # type: ignore[no-any-return]


def test_features_in_order_are_left_as_they_are():
    rows = _rows(*WANTED)

    assert _match(rows) == Matched(rows, WANTED)


def test_features_in_another_order_are_put_into_order_without_a_word():
    found = _match(_rows("c", "a", "b"))

    assert _numbers(found) == ITEMS[:, [1, 2, 0]].tolist()
    assert (found.names, found.notes, found.differences, found.filled) == (WANTED, (), (), ())
    assert found.rows.dtype == found.rows.read(0, 1).dtype == np.int32


def test_what_nobody_wants_is_left_out_with_a_note():
    found = _match(_rows("c", "x", "b", "a", not_numbers={"kind": "text"}))

    assert _numbers(found) == ITEMS[:, [3, 2, 0]].tolist()
    assert found.notes == ("2 features of the data are unknown to the run and were left out: x, kind",)


def test_what_is_missing_is_listed():
    found = _match(_rows("a", "x", not_numbers={"b": "text"}))

    assert found.differences[0].startswith(
        "2 of 3 features of the run are missing from the data: b (which holds text), c. `fill_missing=VALUE`"
    )


def test_what_is_missing_can_be_filled_and_is_remembered():
    found = _match(_rows("c", "x"), fill=-1.5)

    assert _numbers(found) == [[-1.5, -1.5, c] for c in ITEMS[:, 0].tolist()]
    assert found.filled == ("a", "b")
    assert found.notes == (
        "1 features of the data are unknown to the run and were left out: x",
        "2 of 3 features are missing and were filled with -1.5: a, b",
    )
    assert found.rows.dtype == found.rows.read(0, 1).dtype


def test_long_lists_are_cut():
    found = _match(_rows("z"), tuple(f"g{number}" for number in range(100)))

    assert "100 of 100 features" in found.differences[0]
    assert "g7, …" in found.differences[0]
    assert "g8" not in found.differences[0]


def test_names_that_are_given_go_before_those_of_the_data():
    assert _numbers(_match(_rows("x", "y", "z"), features=["b", "c", "a"])) == ITEMS[:, [2, 0, 1]].tolist()


def test_where_no_names_are_wanted_nothing_is_moved():
    rows = _rows("b", "a")

    assert _match(rows, None) == Matched(rows, ("b", "a"))
    assert "name them with `features`" in _match(rows, None, fill=0.0).differences[0]


def test_names_of_the_data_itself_say_which_features_are_taken_and_in_which_order():
    found = _match(_rows("x", "y", "z"), None, features=["z", "x"])

    assert found.names == ("z", "x")
    assert _numbers(found) == ITEMS[:, [2, 0]].tolist()


def test_a_space_with_names_needs_names():
    assert _match(_rows()).differences == ("the run names its 3 features (a, b, c): pass yours with `features`",)


@pytest.mark.parametrize(
    ("rows", "wanted", "features", "words"),
    [
        (_rows("a", "b"), WANTED, ["a"], r"1 feature names for items of shape \(2,\): one for each feature is needed"),
        (_rows("a", "b"), WANTED, ["a", "a"], "cells.csv has two features called 'a': names must differ"),
        (_rows("c", "b", "a"), WANTED, list(WANTED), "these names for its features, at other places"),
        (
            _rows("a", not_numbers={"kind": "text", "day": "dates"}),
            None,
            None,
            r"2 columns of cells.csv hold no numbers: kind \(text\), day \(dates\). .* as FILE::!kind,day",
        ),
    ],
)
def test_names_that_cannot_be_are_refused(rows: Rows, wanted: Any, features: Any, words: str):
    with pytest.raises(SourceError, match=words):
        _match(rows, wanted, features)
