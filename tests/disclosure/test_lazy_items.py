"""Items on disk are audited as those in memory are, a block at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rosetta.disclosure import audit_points, demixing, directions, nearest, search, shared, spacing
from rosetta.disclosure.directions import best_directions
from rosetta.disclosure.nearest import nearest_items, neighbours
from rosetta.disclosure.search import nearest_rows
from rosetta.disclosure.shared import is_among
from tests.disclosure.lazy import Twin, read_in_small_blocks


@pytest.fixture
def images() -> np.ndarray:
    from sklearn.datasets import load_digits

    return (load_digits().images / 16).astype(np.float32)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    read_in_small_blocks(monkeypatch, search, shared, directions)


def test_an_audit_of_items_on_disk_gives_the_same_figures_and_never_reads_many_rows(
    images: np.ndarray, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(spacing, "N_SAMPLED", 100)
    monkeypatch.setattr(nearest, "NUMBERS_A_BLOCK", 64 * 64)
    items, others = images[:900], images[880:1500]
    mixed = np.random.default_rng(0).dirichlet(np.ones(3), 20) @ items[100:103].reshape(3, 64)
    points = np.concatenate([items[:30], mixed.reshape(20, 8, 8)]).astype(np.float32)
    latents = np.random.default_rng(1).normal(size=(1500, 3)).astype(np.float32)
    arrays = {"items": items, "held_out": others, "item_latents": latents[:900], "held_out_latents": latents[880:]}
    twins = {name: Twin(array) for name, array in arrays.items()}

    in_memory, on_disk = (
        audit_points(points, latents[:50], [("observed", 30), ("mixed", 20)], **each) for each in (arrays, twins)
    )

    assert on_disk == in_memory
    assert on_disk.n_held_out == 600
    assert on_disk.origins[1].demixed == 1
    assert max(twins["items"].read) <= 900  # members that attacks are tried on, few numbers each
    assert len(twins["items"].read) > 100


@settings(max_examples=30, deadline=None)
@given(
    n_items=st.integers(5, 80), n_points=st.integers(1, 30), n_each=st.integers(1, 4), scale=st.sampled_from([1, 1e-3]),
    levels=st.sampled_from([2, 1000]), seed=st.integers(0, 999),
)  # fmt: skip
def test_the_nearest_rows_are_those_of_a_sorted_row_of_all_distances(
    n_items: int, n_points: int, n_each: int, scale: float, levels: int, seed: int
):
    rng = np.random.default_rng(seed)
    items, points = (
        (1 + scale * rng.integers(levels, size=(n, 5)) / levels).astype(np.float32) for n in (n_items, n_points)
    )
    own = rng.integers(n_items, size=n_points)

    found = nearest_rows(points, Twin(items), n_each, own=own)

    apart = np.linalg.norm(points[:, None].astype(float) - items, axis=2)
    apart[np.arange(n_points), own] = np.inf
    np.testing.assert_allclose(
        np.take_along_axis(apart, found, axis=1), np.sort(apart, axis=1)[:, :n_each], rtol=1e-9, atol=1e-12
    )
    assert all(len(set(row)) == n_each for row in found.tolist())


def test_of_equal_items_the_first_is_the_nearest_in_whichever_block():
    items = np.tile(np.arange(12, dtype=np.float32).reshape(4, 3), (300, 1))

    assert nearest_items(items[:4], Twin(items)).rows.tolist() == [0, 1, 2, 3]
    assert neighbours(Twin(items), np.array([0, 5]))[:, 0].tolist() == [4, 1]


@pytest.mark.parametrize("size", [1e15, 1e19, 1e30])  # whose squares float32 holds badly or not at all
def test_numbers_of_any_size_are_held_against_one_another(size: float):
    items = (size * np.random.default_rng(0).normal(size=(500, 4))).astype(np.float32)
    items[3] = 0

    assert nearest_items(items[::7], Twin(items)).rows.tolist() == list(range(0, 500, 7))


def test_far_outliers_do_not_hide_what_is_near():
    rng = np.random.default_rng(0)
    items = rng.normal(size=(2000, 6)).astype(np.float32)
    items[::50] *= 1e6
    points = rng.normal(size=(40, 6)).astype(np.float32)

    expected = np.linalg.norm(points[:, None].astype(float) - items, axis=2).argmin(axis=1)

    assert nearest_items(points, Twin(items)).rows.tolist() == expected.tolist()


@settings(max_examples=30, deadline=None)
@given(n_numbers=st.integers(1, 9), levels=st.sampled_from([2, 5]), seed=st.integers(0, 999))
def test_rows_are_among_others_if_their_numbers_are(n_numbers: int, levels: int, seed: int):
    rng = np.random.default_rng(seed)
    rows, items = (rng.integers(levels, size=(n, n_numbers)).astype(np.float32) for n in (60, 300))
    rows[rng.random(rows.shape) < 0.2] *= -1.0  # zeros of the other sign too

    known = {tuple(item) for item in items.tolist()}

    assert is_among(Twin(rows), Twin(items)).tolist() == [tuple(row) in known for row in rows.tolist()]


def test_different_round_numbers_have_different_fingerprints():
    bits = (np.arange(1 << 14)[:, None] >> np.arange(14)) & 1

    prints = shared.fingerprints(bits.astype(np.float32), shared._multipliers(bits))

    assert len(np.unique(prints)) == 1 << 14


def test_directions_are_the_items_of_the_best_cosines():
    rng = np.random.default_rng(0)
    points, mixed, items = (rng.normal(size=(n, 6)).astype(np.float32) for n in (20, 20, 700))
    ways = items - mixed[:, None]
    cosines = np.einsum("pij,pj->pi", ways / np.linalg.norm(ways, axis=2, keepdims=True), points - mixed)
    cosines[np.arange(20), np.arange(20)] = -np.inf

    found = best_directions(points, mixed, Twin(items), 8, np.arange(20))

    np.testing.assert_array_equal(found, np.argsort(-cosines, axis=1)[:, :8])


def test_of_more_items_fewer_are_sampled_and_fewer_points_tried():
    sizes = [spacing.sample_size(n) for n in (2, 100_000, 500_000, 1_000_000, 10_000_000)]
    tried = [demixing._number(200, n) for n in (2, 1_000_000, 2_000_000, 10_000_000)]

    assert sizes == [2, 5000, 1000, 500, 500]
    assert tried == [200, 200, 100, 50]
    rows = spacing.drawn_rows(200_000, 1000, np.random.default_rng(0))
    assert len(np.unique(rows)) == 1000
    assert rows.max() > 190_000
