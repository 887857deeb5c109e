"""Pair weights are counts of who was there."""

from __future__ import annotations

import numpy as np
import pytest

from rosetta.disclosure.nearest import nearest_items
from tests.disclosure.cases import attacked, encode, side, tells, world


def _given(seed: int, counted: int):
    members, others, _ = world(seed, 200, 300)
    points = world(seed, 3200)[0][200:]
    cells = nearest_items(encode((members, others)[counted]), encode(points)).rows
    weights = np.bincount(cells, minlength=len(points)) / len(cells)
    return points, side(members, latents=encode(members)), side(others, latents=encode(others)), weights


@pytest.mark.parametrize("name", ["pair weights", "pair weights, extracted encoder"])
def test_weights_of_many_pairs_tell_who_was_counted(name: str):
    points, members, others, weights = _given(0, 0)

    found = attacked(name, points, members, others, weights=weights)

    assert tells(found)
    assert found.figures["outsiders_in_empty_cells"] > 0.7


def test_weights_of_somebody_else_tell_nothing():
    points, members, others, _ = _given(1, 0)
    strangers = encode(world(1, 3600)[0][3200:])
    weights = np.bincount(nearest_items(strangers, encode(points)).rows, minlength=len(points)) / len(strangers)

    assert not tells(attacked("pair weights", points, members, others, weights=weights))


def test_without_weights_there_is_nothing_to_attack():
    points, members, others, _ = _given(2, 0)

    with pytest.raises(ValueError, match="not enough values"):
        attacked("pair weights", points, members, others)
