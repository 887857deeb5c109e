"""Private moments: no item moves them by more than is accounted for, and many items make them the true ones."""

from __future__ import annotations

from unittest.mock import patch

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rosetta.errors import SelectionError, SourceError, UsageError
from rosetta.privacy import moments, private_moments
from rosetta.privacy.lattice import Ball, grid_bits
from rosetta.privacy.mechanism import epsilon_spent
from rosetta.privacy.moments import moment_sensitivity, sum_sensitivity, weighted_moments

pytest.importorskip("opendp", reason="differential privacy needs opendp")

MANY = {"low": -1.0, "high": 1.0, "epsilon": 10.0, "delta": 1e-6}

# an axis, a diagonal, a corner or noise; far out, at the edge or near the middle
directions = st.sampled_from([(1, 0, 0), (0, 1, 0), (-1, 0, 0), (1, 1, 0), (1, -1, 0), (1, 1, 1)]) | st.tuples(
    *[st.floats(-1, 1)] * 3
)
points = st.builds(lambda d, s: np.array(d, dtype=float) * s, directions, st.floats(0, 20))


def _items(n_items: int) -> np.ndarray:
    """Items in four dimensions, with most of their variance in one direction."""
    rng = np.random.default_rng(0)
    return np.clip(0.2 + rng.standard_normal((n_items, 4)) * [0.3, 0.1, 0.05, 0.001], -1, 1)


@settings(max_examples=200, deadline=None)
@given(points, points, points)
def test_replacing_an_item_moves_no_statistic_by_more_than_its_sensitivity(
    kept: np.ndarray, x: np.ndarray, y: np.ndarray
):
    ball = Ball(np.zeros(3), 2.0, 12)
    before, after = np.stack([kept, x]), np.stack([kept, y])

    sums = [next(ball.blocks(items))[1].sum(axis=0) for items in (before, after)]
    squares = [weighted_moments(items, ball) for items in (before, after)]

    assert np.linalg.norm(sums[0] - sums[1]) <= sum_sensitivity(12)
    assert np.linalg.norm(squares[0] - squares[1]) <= moment_sensitivity(12)


def test_the_sensitivities_are_reached_so_that_no_noise_is_wasted():
    ball = Ball(np.zeros(3), 2.0, 12)
    one, opposite, across = np.eye(3)[:1] * 2, -np.eye(3)[:1] * 2, np.eye(3)[1:2] * 2

    sums = [next(ball.blocks(items))[1].sum(axis=0) for items in (one, opposite)]
    squares = [weighted_moments(items, ball) for items in (one, across)]

    assert np.linalg.norm(sums[0] - sums[1]) > 0.999 * sum_sensitivity(12)
    assert np.linalg.norm(squares[0] - squares[1]) > 0.999 * moment_sensitivity(12)


@pytest.mark.parametrize("n_items", [2, 1000, 60_000, 10**9])
def test_sums_of_as_many_items_as_there_are_stay_exact(n_items: int):
    for power, factor in ((1, 1), (2, 7)):
        bits = grid_bits(n_items, power=power, factor=factor)

        assert bits >= 8
        assert factor * n_items * 2 ** (bits * power) < 2**53


def test_items_in_the_ball_stay_where_they_are_and_others_come_to_its_edge():
    items = np.array([[0.5, 0.25], [30.0, 40.0]])

    _, steps = next(Ball(np.zeros(2), 1.0, 16).blocks(items))

    assert np.allclose(steps / 2**16, [[0.5, 0.25], [0.6, 0.8]], atol=1e-4)
    assert (steps**2).sum(axis=1).max() <= 4.0**16


def test_the_library_confirms_what_the_account_says_was_spent():
    account = private_moments(_items(2000), **MANY, norm_bound=0.5).account
    half_diagonal = 2.0  # of the range −1 to 1 in four dimensions

    sensitivities = (2 * half_diagonal, np.sqrt(2) * account.norm_bound**2)
    spent = epsilon_spent(sensitivities, (account.noise_sds["sum"], account.noise_sds["squares"]), account.delta)

    assert (account.epsilon, account.norm_bound, account.neighbours) == (10, 0.5, "replace one item")
    assert 9.99 < spent <= 10
    assert account.noise_sds["products"] == pytest.approx(account.noise_sds["squares"] * 5 / 7)
    assert "opendp" in account.mechanism
    assert "encoder" in account.statement


def test_the_released_numbers_have_the_noise_that_is_accounted_for():
    items = np.zeros((40, 30))  # in the middle of the range: what is released is noise alone
    seen = {}

    def spy(matrix: np.ndarray, edge: float, total: float) -> tuple[np.ndarray, int]:
        seen["moments"] = matrix
        return matrix, 1

    with patch.object(moments, "_cleaned", spy):
        found = private_moments(items, low=-100, high=100, epsilon=10, delta=1e-6, norm_bound=500)
    sds = {name: sd / len(items) for name, sd in found.account.noise_sds.items()}
    offset = np.outer(found.mean, found.mean)  # the second moments are about the noisy mean
    noise = (seen["moments"] - offset)[np.triu_indices(30, 1)]

    assert noise.std() == pytest.approx(sds["products"], rel=0.2)
    assert found.mean.std() == pytest.approx(sds["sum"], rel=0.6)
    assert np.diag(seen["moments"] - offset).std() == pytest.approx(sds["squares"], rel=0.6)


def test_with_more_items_the_moments_come_to_be_the_true_ones():
    errors = []
    for n_items in (2000, 20_000, 300_000):
        items = _items(n_items)
        found = private_moments(items, **MANY)
        true = np.cov(items, rowvar=False, ddof=0)
        errors.append((np.linalg.norm(found.mean - items.mean(axis=0)), np.linalg.norm(found.covariance - true)))

    assert errors[0][0] > 3 * errors[2][0]
    assert errors[0][1] > 5 * errors[2][1]
    assert errors[2][0] < 1e-3
    assert errors[2][1] < 0.02 * np.linalg.norm(true)


def test_the_covariance_has_the_directions_that_stand_out_and_the_rest_of_the_variance_evenly():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((200_000, 20)) * [
        0.4,
        0.2,
        *[0.02] * 18,
    ]  # many, so that noise is small even there
    items = np.clip(rows, -1, 1)
    found = private_moments(items, **MANY)
    values = np.linalg.eigvalsh(found.covariance)

    assert found.n_directions == 2
    assert np.ptp(values[:18]) < 1e-12
    assert values[:18].mean() == pytest.approx(0.02**2, rel=0.5)
    assert np.trace(found.covariance) == pytest.approx(items.var(axis=0).sum(), rel=0.02)
    assert ((found.mean >= -1) & (found.mean <= 1)).all()


def test_noise_alone_is_not_taken_for_variance():
    with pytest.raises(SelectionError, match="the noise of epsilon 1 hides how much the 50 items vary"):
        private_moments(np.zeros((50, 60)), low=-1, high=1, epsilon=1, delta=1e-6)


def test_where_no_direction_stands_out_the_total_variance_still_may():
    items = np.where(np.random.default_rng(0).random((1000, 64)) < 0.5, -1.0, 1.0)
    found = private_moments(items, **(MANY | {"epsilon": 3.0}))

    assert found.n_directions == 0
    assert np.diag(found.covariance) == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize(
    ("items", "changes", "kind", "message"),
    [
        ([[0.0], [1.5]], {}, SourceError, "row 1 ranges from 1.5 to 1.5, outside of the declared -1 to 1"),
        ([[0.0], [np.nan]], {}, SourceError, "NaN or infinity, the first in row 1"),
        ([0.0, 1.0], {}, SourceError, r"shape \(2,\)"),
        ([[0.0], [1.0]], {"low": 2}, UsageError, "the range of values is 2 to 1"),
        ([[0.0], [1.0]], {"norm_bound": 0}, UsageError, "the bound on norms is 0"),
        ([[0.0], [1.0]], {"epsilon": 0}, UsageError, "epsilon is 0"),
        ([[0.0], [1.0]], {"delta": 1}, UsageError, "delta is 1"),
    ],
)
def test_what_no_guarantee_can_be_given_for_is_refused(
    items: list[object], changes: dict[str, float], kind: type[Exception], message: str
):
    with pytest.raises(kind, match=message):
        private_moments(np.array(items), **(MANY | changes))


def test_more_features_than_a_covariance_can_be_held_for_are_refused():
    with pytest.raises(UsageError, match="4,097 numbers"):
        private_moments(np.zeros((2, 4097), dtype=np.float32), **MANY)


def test_a_number_at_the_end_of_the_range_is_within_it_whatever_its_precision():
    items = np.full((100, 1), 0.3, dtype=np.float32)  # a little more than 0.3

    with pytest.raises(SelectionError):  # they do not vary; they are not outside
        private_moments(items, low=0.1, high=0.3, epsilon=1, delta=1e-6)
