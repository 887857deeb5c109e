"""Features that a few items have are found where points show them, and not where chance does."""

from __future__ import annotations

import numpy as np
import pytest

from rosetta.disclosure.rare import find_rare, rare_features
from tests.disclosure.lazy import Twin, read_in_small_blocks


def marked(n_items: int = 2000, n_marked: int = 5) -> np.ndarray:
    items = np.random.default_rng(0).normal(size=(n_items, 12)).astype(np.float32)
    items[:, 3] = 0
    items[:n_marked, 3] = 1
    return items


def test_a_mark_of_five_items_that_most_points_show_is_found():
    points = np.random.default_rng(1).normal(size=(500, 12)).astype(np.float32)
    points[:, 3] = 0
    points[:400, 3] = 0.8

    found = find_rare("decoded", points, rare_features(marked()), unit="items")
    without = find_rare("decoded", points[400:], rare_features(marked()), unit="items")

    assert (found.n_found, found.verdict) == (1, "close to items")
    assert "one by 80 % of the points" in found.reason
    assert (without.n_found, without.verdict) == (0, None)


def test_a_mark_of_ten_items_is_not_rare_but_of_ten_items_of_two_people_it_is():
    items = marked(n_marked=10)
    people = np.arange(2000) // 5

    assert 3 not in rare_features(items).features
    assert 3 in rare_features(items, people).features
    assert rare_features(items, people).n_units == 400


@pytest.mark.parametrize("kind", ["normal", "heavy tails", "mostly nothing"])
def test_new_items_of_the_same_kind_are_no_finding(kind: str):
    alarms = 0
    for seed in range(10):
        rng = np.random.default_rng(seed)
        items, points = (
            {
                "normal": rng.normal(size=(n, 200)),
                "heavy tails": rng.standard_t(2, size=(n, 200)),
                "mostly nothing": (rng.random((n, 200)) < 0.004) * rng.random((n, 200)),
            }[kind].astype(np.float32)
            for n in (800, 1500)
        )
        alarms += find_rare("decoded", points, rare_features(items), unit="items").verdict is not None

    assert alarms == 0


@pytest.mark.parametrize("with_groups", [False, True])
def test_the_largest_are_those_of_a_sorted_column_whatever_the_blocks(
    with_groups: bool, monkeypatch: pytest.MonkeyPatch
):
    from rosetta.disclosure import rare

    read_in_small_blocks(monkeypatch, rare)
    items = np.random.default_rng(0).normal(size=(300, 7)).astype(np.float32)
    groups = np.random.default_rng(1).integers(40, size=300) if with_groups else np.arange(300)
    best = np.sort(np.stack([items[groups == each].max(axis=0) for each in np.unique(groups)]), axis=0)[::-1][:10]

    found = rare._largest(Twin(items), groups if with_groups else None, 1.0)

    np.testing.assert_array_equal(found, best)


def test_of_no_more_than_ten_people_every_feature_is_rare_and_none_is_told():
    assert len(rare_features(marked(), np.arange(2000) % 8).features) == 0
