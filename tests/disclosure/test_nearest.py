"""Distances are those of an obvious loop, however they were found."""

from __future__ import annotations

import numpy as np
import pytest

from rosetta.disclosure import nearest as module
from rosetta.disclosure import search, spacing
from rosetta.disclosure.copies import find_copies
from rosetta.disclosure.nearest import nearest_items, own_distances
from rosetta.disclosure.spacing import spacing_of


def apart(points: np.ndarray, items: np.ndarray) -> np.ndarray:
    """All distances, by the definition."""
    gaps = points.reshape(len(points), 1, -1).astype(float) - items.reshape(1, len(items), -1).astype(float)
    return np.sqrt((gaps**2).sum(axis=2))


@pytest.fixture
def items() -> np.ndarray:
    items = np.random.default_rng(0).normal(100, 1, size=(300, 3, 4)).astype(np.float32)
    items[7] = items[8] = items[9]  # duplicates
    return items


def test_nearest_items_are_those_of_a_loop(items: np.ndarray, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(search, "QUERIES_A_PIECE", 16)
    monkeypatch.setattr(search, "ITEMS_A_PIECE", 50)
    monkeypatch.setattr(module, "NUMBERS_A_BLOCK", 32 * 12)
    points = np.random.default_rng(1).normal(100, 1, size=(90, 3, 4)).astype(np.float32)
    seen = []

    found = nearest_items(points, items, on_rows=lambda done, of: seen.append((done, of)))

    expected = apart(points, items)
    np.testing.assert_array_equal(found.rows, expected.argmin(axis=1))
    np.testing.assert_allclose(found.distances, expected.min(axis=1), rtol=1e-12)
    assert seen == [(32, 90), (64, 90), (90, 90)]


def test_tiny_distances_are_right_beside_large_numbers(items: np.ndarray):
    points = np.array(items[:20])
    points[:, 0, 0] = np.nextafter(points[:, 0, 0], np.float32(np.inf))

    found = nearest_items(points, items)

    np.testing.assert_allclose(found.distances, np.abs(points - items[:20]).max(axis=(1, 2)), rtol=1e-6)
    assert nearest_items(items, items).distances.max() == 0


def test_an_items_nearest_other_is_never_itself_but_may_be_its_duplicate(items: np.ndarray):
    expected = apart(items, items)
    np.fill_diagonal(expected, np.inf)

    own = own_distances(items, np.arange(len(items)))

    np.testing.assert_allclose(own, expected.min(axis=1), rtol=1e-12)
    assert own[7:10].tolist() == [0, 0, 0]


def test_spacing_tells_the_typical_distance_the_rare_and_what_chance_makes_near(items: np.ndarray):
    distances = apart(items, items)
    np.fill_diagonal(distances, np.inf)
    near = 0
    for row in range(len(items)):
        other = distances[row].argmin()
        near += np.delete(distances[other], [row]).min() > 2 * distances[row, other]

    found = spacing_of(items, np.random.default_rng(0))

    assert found.typical == pytest.approx(np.median(distances.min(axis=1)))
    assert (found.own > found.rare_from).sum() == 15
    assert found.chance == near / 300
    assert not found.has_many_duplicates


def test_clustered_items_have_near_copies_by_chance():
    rng = np.random.default_rng(0)
    centres = rng.normal(0, 10, size=(100, 5))
    pairs = np.concatenate([centres, centres + 0.01]).astype(np.float32)

    threes = np.concatenate([centres + corner for corner in 0.01 * np.eye(5)[:3]]).astype(np.float32)

    assert spacing_of(pairs, rng).chance == 1  # each is as near to its twin as no other item
    assert spacing_of(threes, rng).chance == 0


def test_of_many_duplicates_the_typical_distance_is_that_of_the_others():
    twice = np.repeat(np.arange(10, dtype=np.float32)[:, np.newaxis], 2, axis=0)
    with_more = np.concatenate([twice, np.array([[20.0], [23.0]], dtype=np.float32)])

    assert spacing_of(with_more, np.random.default_rng(0)).typical == 3
    assert spacing_of(with_more, np.random.default_rng(0)).has_many_duplicates
    assert spacing_of(np.zeros((9, 2), dtype=np.float32), np.random.default_rng(0)).typical == 0


@pytest.mark.parametrize("n_sampled", [5000, 60])
def test_copies_near_copies_and_rare_ones_are_those_of_a_loop(
    items: np.ndarray, monkeypatch: pytest.MonkeyPatch, n_sampled: int
):
    monkeypatch.setattr(spacing, "N_SAMPLED", n_sampled)
    rng = np.random.default_rng(2)
    share = rng.uniform(0, 1, size=(200, 1, 1)).astype(np.float32)
    points = share * items[:200] + (1 - share) * items[100:]
    points[:5] = items[:5]
    apart_by = spacing_of(items, rng)
    distances = apart(items, items)
    np.fill_diagonal(distances, np.inf)
    own = distances.min(axis=1)

    nearest = nearest_items(points, items)
    copies = find_copies(nearest, apart_by, items)

    is_copy = nearest.distances <= 0.02 * apart_by.typical
    is_near = ~is_copy & (nearest.distances < own[nearest.rows] / 2)
    assert copies.is_copy[:5].all()
    np.testing.assert_array_equal(copies.is_copy, is_copy)
    np.testing.assert_array_equal(copies.is_near, is_near)
    np.testing.assert_array_equal(copies.is_of_rare, (is_copy | is_near) & (own[nearest.rows] > apart_by.rare_from))
    assert is_near.sum() > 20
    assert copies.is_of_rare.any()


def test_an_item_stored_in_256_levels_is_still_a_copy():
    items = np.random.default_rng(0).random((200, 100), dtype=np.float32)
    stored = (np.round(items[:50] * 255) / 255).astype(np.float32)

    copies = find_copies(nearest_items(stored, items), spacing_of(items, np.random.default_rng(0)), items)

    assert copies.is_copy.all()
