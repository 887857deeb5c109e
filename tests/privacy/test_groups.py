"""Privacy of groups: replacing a person with all items moves no statistic by more than is accounted for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rosetta.errors import UsageError
from rosetta.privacy import private_means, private_moments
from rosetta.privacy.groups import sums_by
from rosetta.privacy.lattice import Ball
from rosetta.privacy.means import cell_sensitivity, cell_sums
from rosetta.privacy.mechanism import epsilon_spent
from rosetta.privacy.moments import group_sum, moment_sensitivity, sum_sensitivity, weighted_moments

pytest.importorskip("opendp", reason="differential privacy needs opendp")

BALL = Ball(np.zeros(3), 2.0, 12)
MANY = {"low": -1.0, "high": 1.0, "epsilon": 10.0, "delta": 1e-6}
# an axis, a diagonal, a corner or anything; far out, at the edge or near the middle
directions = st.sampled_from([(1, 0, 0), (0, 1, 0), (-1, 0, 0), (1, 1, 0), (1, -1, 0), (1, 1, 1)]) | st.tuples(
    *[st.floats(-1, 1)] * 3
)
points = st.builds(lambda d, s: np.array(d, dtype=float) * s, directions, st.floats(0, 20))
people = st.lists(points, min_size=1, max_size=5)
grids = st.sampled_from([0, 1, 2, 4, 12])  # from one where rounding is all there is to one where it is little
placed = st.lists(st.tuples(points, st.integers(0, 5)), min_size=1, max_size=5)


def _with(kept: Sequence[np.ndarray], other: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The items of two groups, the second of which is replaced."""
    return np.stack([*kept, *other]), np.repeat([0, 1], [len(kept), len(other)])


@settings(max_examples=300, deadline=None)
@given(people, people, people, grids)
def test_replacing_a_group_moves_no_statistic_by_more_than_its_sensitivity(
    kept: list[np.ndarray], one: list[np.ndarray], other: list[np.ndarray], bits: int
):
    ball = Ball(np.zeros(3), 2.0, bits)
    before, after = _with(kept, one), _with(kept, other)

    sums = [group_sum(items, ball, groups) for items, groups in (before, after)]
    squares = [weighted_moments(items, ball, groups) for items, groups in (before, after)]

    assert all((each == np.rint(each)).all() for each in (*sums, *squares))
    assert np.linalg.norm(sums[0] - sums[1]) <= sum_sensitivity(bits)
    assert np.linalg.norm(squares[0] - squares[1]) <= moment_sensitivity(bits)


@settings(max_examples=300, deadline=None)
@given(placed, placed, placed, grids)
def test_replacing_a_group_moves_sums_and_counts_of_cells_by_no_more_than_the_sensitivity(
    kept: list[tuple[np.ndarray, int]],
    one: list[tuple[np.ndarray, int]],
    other: list[tuple[np.ndarray, int]],
    bits: int,
):
    ball, found = Ball(np.zeros(3), 2.0, bits), []
    for second in (one, other):
        items, groups = _with([x for x, _ in kept], [x for x, _ in second])
        cells = np.array([cell for _, cell in (*kept, *second)])
        found.append(cell_sums(items, cells, ball, n_cells=6, groups=groups))

    assert all((each == np.rint(each)).all() for each in found)
    assert np.linalg.norm(found[0] - found[1]) <= cell_sensitivity(bits)


def test_every_way_to_replace_a_small_group_of_corners_stays_within_the_sensitivities_and_one_reaches_them():
    corners = [np.array(each, dtype=float) * 2 for each in ((1, 0, 0), (-1, 0, 0), (0, 1, 0), (0, -1, 0), (0, 0, 0))]
    pairs = [(a, b) for a in corners for b in corners]
    every = [*[(each,) for each in corners], *pairs]
    kept = (corners[4],)

    moved = []
    for one in every:
        for other in every:
            sides = [_with(kept, each) for each in (one, other)]
            sums = [group_sum(items, BALL, groups) for items, groups in sides]
            squares = [weighted_moments(items, BALL, groups) for items, groups in sides]
            cells = [
                cell_sums(items, np.arange(len(items)) % 2, BALL, n_cells=2, groups=groups) for items, groups in sides
            ]
            moved.append([np.linalg.norm(a - b) for a, b in (sums, squares, cells)])

    largest, bounds = np.max(moved, axis=0), [sum_sensitivity(12), moment_sensitivity(12), cell_sensitivity(12)]
    assert (largest <= bounds).all()
    assert (largest > 0.999 * np.array(bounds)).all()


def test_the_statistics_are_those_of_a_random_item_of_a_random_group():
    rng = np.random.default_rng(0)
    groups = np.concatenate([np.arange(40), np.repeat([0, 7], [9000, 600])])  # one with more rows than are read at once
    items = rng.normal(size=(len(groups), 3)) * 0.3
    ball, cells = Ball(np.zeros(3), 2.0, 20), rng.integers(0, 4, len(groups))

    means = np.stack([items[groups == group].mean(axis=0) for group in range(40)])
    squares = sum((items[groups == g].T @ items[groups == g]) / (groups == g).sum() for g in range(40))
    found = cell_sums(items, cells, ball, n_cells=4, groups=groups) / 2**20
    weighted = weighted_moments(items, ball, groups)[[0, 1, 5]] * ball.step**2

    assert group_sum(items, ball, groups) * ball.step == pytest.approx(means.sum(axis=0), abs=1e-3)
    assert weighted == pytest.approx([5 * squares[0, 0], 7 * squares[0, 1], 5 * squares[2, 2]], rel=2e-3, abs=2e-2)
    for cell in range(4):
        shares = (cells == cell) / np.bincount(groups)[groups]
        assert found[cell, -1] == pytest.approx(shares.sum(), abs=1e-3)
        assert found[cell, :-1] * 2 == pytest.approx(shares @ items, abs=1e-3)


def test_sums_by_key_are_those_of_a_loop_whatever_is_read_at_once():
    rng = np.random.default_rng(0)
    keys = rng.permutation(np.concatenate([np.full(9000, 5), rng.integers(0, 900, 6000) * 3]))
    items, shares = rng.normal(size=(len(keys), 2)), rng.random(len(keys))

    parts = list(sums_by(keys, items, shares, Ball(np.zeros(2), 8.0, 3)))

    found = np.concatenate([each for each, _ in parts])
    assert len(parts) > 1
    assert found.tolist() == sorted(set(keys.tolist()))
    expected = np.stack([(items[keys == key] * shares[keys == key, None]).sum(axis=0) for key in found])
    assert np.concatenate([sums for _, sums in parts]) == pytest.approx(expected)


def test_groups_of_one_item_each_are_items():
    items = np.random.default_rng(0).normal(size=(500, 3))

    assert (weighted_moments(items, BALL, np.arange(500)) == weighted_moments(items, BALL)).all()
    assert group_sum(items, BALL, np.arange(500)) == pytest.approx(group_sum(items, BALL, None), abs=500)
    cells = np.arange(500) % 4
    of_groups = cell_sums(items, cells, BALL, n_cells=4, groups=np.arange(500))
    assert of_groups == pytest.approx(cell_sums(items, cells, BALL, n_cells=4), abs=500)
    assert (of_groups[:, -1] == 125 * 2**12).all()


def test_with_many_groups_the_moments_are_the_true_ones_and_what_varies_within_groups_is_in_them():
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(30_000, 3)) * [0.3, 0.02, 0.02]
    groups = np.repeat(np.arange(30_000), rng.integers(1, 6, 30_000))
    items = np.clip(centres[groups] + rng.normal(size=(len(groups), 3)) * [0.02, 0.2, 0.02], -1, 1)

    found = private_moments(items, groups=groups, **MANY)

    assert found.account.neighbours == "replace one group"
    assert "with all its items" in found.account.statement
    assert np.diag(found.covariance) == pytest.approx([0.0904, 0.0404, 0.0008], rel=0.05, abs=1e-3)
    sds, radius = found.account.noise_sds, found.account.norm_bound
    spent = epsilon_spent((2 * np.sqrt(3), np.sqrt(2) * radius**2), (sds["sum"], sds["squares"]), 1e-6)
    assert 9.99 < spent <= 10


def test_a_cell_counts_groups_and_not_their_items():
    groups = np.concatenate([np.zeros(5000, int), np.arange(1, 401)])
    cells = np.concatenate([np.zeros(5000, int), np.ones(400, int)])  # one group with 5,000 items, and 400 with one
    budget = {"low": 0.0, "high": 1.0, "epsilon": 10.0, "delta": 1e-6, "least": 50}

    found = private_means(np.full((5400, 2), 0.5), cells, n_cells=2, groups=groups, **budget)
    of_items = private_means(np.full((5400, 2), 0.5), cells, n_cells=2, **budget)

    assert len(of_items.counts) == 2
    assert found.counts == pytest.approx([400], abs=20)
    assert found.account.neighbours == "replace one group"
    assert of_items.account.neighbours == "replace one item"


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (np.array([0, 1]), r"groups are int64 of shape \(2,\); expected integers, one for each of 3"),
        (np.array([0.0, 1.0, 1.0]), "groups are float64"),
        (np.array([0, 2, 2]), "one without items"),
        (np.array([-1, 0, 1]), "a number below 0"),
        (np.array([0, 0, 0]), "all items are of one group"),
    ],
)
def test_groups_that_cannot_be_are_refused(groups: np.ndarray, message: str):
    with pytest.raises(UsageError, match=message):
        private_moments(np.zeros((3, 1)), groups=groups, **MANY)
    with pytest.raises(UsageError, match=message):
        private_means(np.zeros((3, 1)), np.zeros(3, int), n_cells=1, least=1, groups=groups, **MANY)
