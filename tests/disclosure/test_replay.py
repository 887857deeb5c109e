"""Points of older versions, whose draws their manifest's seed repeats, are solved for the items."""

from __future__ import annotations

import numpy as np
import pytest

from rosetta.disclosure.replay import Draws, replay_seed
from rosetta.disclosure.spacing import spacing_of

SEED = 5


@pytest.fixture(scope="module")
def items() -> np.ndarray:
    from sklearn.datasets import load_digits

    return (load_digits().images[:60] / 16).astype(np.float32)


def moments(items: np.ndarray, n_points: int, *seed: int) -> np.ndarray:
    """Draw as the version that named seeds did, with fewer items than numbers."""
    rows = items.reshape(len(items), -1)
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    factor = ((rows - mean) / np.sqrt(len(rows))).astype(np.float32)
    drawn = mean + np.random.default_rng(seed).standard_normal((n_points, len(rows)), dtype=np.float32) @ factor
    return np.clip(drawn, 0, 1)


def mixed(items: np.ndarray, n_points: int, *seed: int) -> np.ndarray:
    """Mix three items as that version did."""
    rng = np.random.default_rng(seed)
    rows = rng.integers(len(items), size=(n_points, 3))
    while len(again := np.flatnonzero((np.diff(np.sort(rows, axis=1), axis=1) == 0).any(axis=1))):
        rows[again] = rng.integers(len(items), size=(len(again), 3))
    shares = rng.dirichlet(np.ones(3), size=n_points).astype(np.float32)
    return np.einsum("pk,pki->pi", shares, items.reshape(len(items), -1)[rows])


def replayed(points: np.ndarray, origin: str, items: np.ndarray, *, seed: int | None = SEED, n_anchors: int = 400):
    draws = Draws(seed, np.arange(len(points)) < n_anchors, len(items), (0.0, 1.0))
    spacing = spacing_of(items, np.random.default_rng(0))
    (found,) = replay_seed(draws, points.astype(np.float32), {origin: np.arange(len(points))}, items, spacing)
    return found


@pytest.mark.parametrize(("origin", "make"), [("moments", moments), ("mixed", mixed)])
def test_every_item_comes_out_of_points_whose_seed_is_told(origin: str, make, items: np.ndarray):
    points = np.concatenate([make(items, 400, SEED, 0), make(items, 50, SEED, 1)])

    found, guessed = replayed(points, origin, items), replayed(points, origin, items, seed=SEED + 1)

    assert (found.n_tried, found.n_found, found.verdict) == (60, 60, "holds items")
    assert found.reason.startswith("60 of 60 items were computed from the points: the manifest names the seed")
    assert (guessed.n_found, guessed.verdict) == (0, "close to items")


def test_solutions_are_the_items_though_most_numbers_were_clipped(items: np.ndarray):
    from rosetta.disclosure.replay import _solve

    points = np.concatenate([moments(items, 400, SEED, 0), moments(items, 50, SEED, 1)])
    draws = Draws(SEED, np.arange(450) < 400, 60, (0.0, 1.0))

    solved = _solve(draws, "moments", 0, points, draws.is_anchor)

    assert ((points == 0) | (points == 1)).mean() > 0.3
    assert solved is not None
    assert np.median(np.abs(solved - items.reshape(60, -1))) < 0.01


@pytest.mark.parametrize(
    ("origin", "seed", "says"),
    [
        ("decoded", SEED, "the manifest names the seed of the random draws"),
        ("moments", None, "the manifest says that a seed repeats the random draws"),
    ],
)
def test_draws_that_can_be_repeated_are_a_finding_though_nothing_was_solved(origin, seed, says, items: np.ndarray):
    found = replayed(moments(items, 450, SEED), origin, items, seed=seed)

    assert found.verdict == "close to items"
    assert found.reason.startswith(says)


def test_items_and_public_inputs_are_not_drawn_from_anything(items: np.ndarray):
    draws = Draws(SEED, np.ones(60, dtype=bool), 60, (0.0, 1.0))
    spacing = spacing_of(items, np.random.default_rng(0))

    assert replay_seed(draws, items.reshape(60, -1), {"observed": np.arange(60)}, items, spacing) == ()
