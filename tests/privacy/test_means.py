"""Private means of cells: no item moves them by more than is accounted for, and large cells have their true means."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rosetta.errors import SourceError, UsageError
from rosetta.privacy import private_means
from rosetta.privacy.lattice import Ball
from rosetta.privacy.means import cell_sensitivity, cell_sums
from rosetta.privacy.mechanism import epsilon_spent

pytest.importorskip("opendp", reason="differential privacy needs opendp")

BUDGET = {"low": 0.0, "high": 1.0, "epsilon": 5.0, "delta": 1e-6, "least": 50}
points = st.tuples(*[st.floats(-3, 3)] * 3).map(np.array)


@settings(max_examples=200, deadline=None)
@given(points, points, points, st.integers(0, 2), st.integers(0, 2))
def test_replacing_an_item_moves_sums_and_counts_together_by_no_more_than_the_sensitivity(
    kept: np.ndarray, x: np.ndarray, y: np.ndarray, old: int, new: int
):
    ball = Ball(np.zeros(3), 1.5, 12)

    before = cell_sums(np.stack([kept, x]), np.array([0, old]), ball, n_cells=3)
    after = cell_sums(np.stack([kept, y]), np.array([0, new]), ball, n_cells=3)

    assert np.linalg.norm(before - after) <= cell_sensitivity(12)


def test_the_sensitivity_is_reached_both_within_a_cell_and_between_two():
    ball = Ball(np.zeros(2), 1.0, 12)
    here = cell_sums(np.array([[1.0, 0.0]]), np.array([0]), ball, n_cells=2)

    opposite = cell_sums(np.array([[-1.0, 0.0]]), np.array([0]), ball, n_cells=2)
    elsewhere = cell_sums(np.array([[1.0, 0.0]]), np.array([1]), ball, n_cells=2)

    assert np.linalg.norm(here - opposite) > 0.999 * cell_sensitivity(12)
    assert np.linalg.norm(here - elsewhere) > 0.999 * cell_sensitivity(12)


def test_sums_and_counts_are_those_of_a_loop():
    rng = np.random.default_rng(0)
    items, cells = rng.random((9000, 3)), rng.integers(0, 5, 9000)

    found = cell_sums(items, cells, Ball(np.zeros(3), 2.0, 16), n_cells=6) / 2**16

    for cell in range(6):
        mine = items[cells == cell]
        assert found[cell, -1] == len(mine)
        assert np.allclose(found[cell, :-1] * 2, mine.sum(axis=0), atol=9000 * 2**-14)


def test_large_cells_have_their_true_means_and_small_ones_are_left_out():
    rng = np.random.default_rng(0)
    cells = np.repeat([0, 1, 3], [40_000, 30_000, 5])
    items = np.clip(rng.normal([[0.2, 0.4]], 0.05, (len(cells), 2)) + cells[:, None] * 0.2, 0, 1)

    found = private_means(items, cells, n_cells=4, **BUDGET)

    assert found.means.shape == (2, 2)
    assert np.allclose(found.counts, [40_000, 30_000], atol=20)
    assert np.allclose(found.means, [[0.2, 0.4], [0.4, 0.6]], atol=0.005)


def test_the_noise_has_the_standard_deviation_of_the_account_and_the_library_confirms_it():
    items, cells = np.full((20_000, 1), 0.5), np.arange(20_000) % 2000
    found = private_means(items, cells, n_cells=2000, **(BUDGET | {"least": 1e-9, "epsilon": 10.0}))
    sds = found.account.noise_sds

    assert len(found.counts) == 2000
    assert found.counts.std() == pytest.approx(sds["counts"], rel=0.1)
    assert ((found.means[:, 0] - 0.5) * found.counts).std() == pytest.approx(sds["sums"], rel=0.1)
    assert 9.99 < epsilon_spent((2 * found.account.norm_bound,), (sds["sums"],), 1e-6) <= 10
    assert sds["counts"] * found.account.norm_bound == pytest.approx(sds["sums"])


@pytest.mark.parametrize(
    ("changes", "kind", "message"),
    [
        ({"cells": np.array([0, 3])}, UsageError, "cells range from 0 to 3; expected 0 to 2"),
        ({"cells": np.array([0.0, 1.0])}, UsageError, "cells are float64"),
        ({"cells": np.array([0])}, UsageError, "one for each of 2"),
        ({"least": 0}, UsageError, "least count"),
        ({"n_cells": 0}, UsageError, "n_cells is 0"),
        ({"items": np.array([[0.0], [2.0]])}, SourceError, "outside of the declared 0 to 1"),
    ],
)
def test_cells_that_cannot_be_are_refused(changes: dict[str, object], kind: type[Exception], message: str):
    arguments = {"items": np.zeros((2, 1)), "cells": np.array([0, 1]), "n_cells": 3} | BUDGET | changes

    with pytest.raises(kind, match=message):
        private_means(**arguments)
