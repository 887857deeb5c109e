"""Where items belong to people, it is people who are behind a point, and none is behind two."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from rosetta.arrays import Array
from rosetta.errors import SelectionError
from rosetta.origins import microaggregation
from rosetta.origins.averaged import _shares
from rosetta.origins.microaggregation import clusters_of
from tests.disclosure.lazy import Twin
from tests.origins.test_origins import RECIPE, _make, _sender


def _groups(n_items: int, n_groups: int, seed: int = 0) -> Array:
    """Groups of very uneven sizes, of at least one item each."""
    rng = np.random.default_rng(seed)
    shares = rng.dirichlet(np.full(n_groups, 0.4))
    return rng.permutation(np.concatenate([np.arange(n_groups), rng.choice(n_groups, n_items - n_groups, p=shares)]))


@settings(max_examples=40, deadline=None)
@given(n_clusters=st.integers(1, 6), least=st.integers(1, 6), seed=st.integers(0, 99))
def test_every_cluster_has_enough_groups_and_every_group_is_in_one(n_clusters: int, least: int, seed: int):
    groups = _groups(150, 36, seed)
    latents = np.random.default_rng(seed).standard_t(2, size=(150, 2))

    labels = clusters_of(latents, n_clusters, least, np.random.default_rng(seed), groups=groups)

    behind = [set(groups[labels == cluster]) for cluster in range(n_clusters)]
    assert min(map(len, behind)) >= least
    assert sum(map(len, behind)) == len(set().union(*behind)) == 36
    assert set(labels) <= set(range(-1, n_clusters))


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 99))
def test_groups_of_one_item_each_are_the_same_as_none(seed: int):
    latents = np.random.default_rng(seed).standard_t(2, size=(120, 2))

    without, with_groups = (
        clusters_of(latents, 8, 9, np.random.default_rng(seed), groups=groups) for groups in (None, np.arange(120))
    )

    assert with_groups.tolist() == without.tolist()


@pytest.mark.parametrize("seed", range(5))
def test_small_clusters_get_the_groups_of_the_nearest_items_as_by_sorting_all(
    monkeypatch: pytest.MonkeyPatch, seed: int
):
    monkeypatch.setattr(microaggregation, "FIRST_CANDIDATES", 1)
    rng = np.random.default_rng(seed)
    latents, centres, groups = rng.normal(size=(300, 2)), rng.normal(size=(6, 2)) * 2, _groups(300, 60, seed)
    labels = cdist(latents, centres).argmin(axis=1)
    seats = np.array([np.bincount(labels[groups == group]).argmax() for group in range(60)])
    expected, items, sizes = seats.copy(), labels.copy(), np.bincount(seats, minlength=6)
    for cluster in np.argsort(sizes, kind="stable"):
        for item in np.argsort(cdist(centres[cluster][None], latents)[0]):
            seat = expected[groups[item]]
            if sizes[cluster] < 8 and seat != cluster and sizes[seat] > 8:
                sizes[seat] -= 1
                sizes[cluster] += 1
                expected[groups[item]] = items[item] = cluster

    assert microaggregation._most_common(labels, groups, 6).tolist() == seats.tolist()
    microaggregation._fill_up(labels, groups, seats, Twin(latents), centres, 8)

    assert seats.tolist() == expected.tolist()
    assert labels.tolist() == items.tolist()


def test_every_group_counts_the_same_in_a_mean_however_many_items_it_has():
    sender = replace(_sender(300), groups=_groups(300, 60))

    made = _make(sender, "averaged", 8)

    labels = clusters_of(sender.latents, 8, 5, np.random.default_rng(0), groups=sender.groups)
    sizes = []
    for cluster, point in enumerate(made.inputs):
        members = [
            sender.inputs[(labels == cluster) & (sender.groups == group)].mean(axis=0)
            for group in np.unique(sender.groups[labels == cluster])
        ]
        sizes.append(len(members))
        assert point == pytest.approx(np.mean(members, axis=0), abs=1e-6)
    assert made.figures == {"members": min(sizes), "crowds": "clusters", "unit": "group"}


def test_a_group_of_nearly_all_items_is_no_more_than_one_of_a_points_members():
    groups = np.where(np.arange(300) < 270, 0, np.arange(300) - 269)
    labels = np.zeros(300, dtype=int)

    shares, sizes = _shares(labels, groups, 1)

    assert sizes.tolist() == [31]
    assert shares[groups == 0].sum() == pytest.approx(1 / 31)
    assert shares.sum() == pytest.approx(1)


def test_items_on_disk_are_averaged_as_those_in_memory():
    sender = replace(_sender(300), groups=_groups(300, 60))
    on_disk = replace(sender, inputs=Twin(sender.inputs), latents=Twin(sender.latents))

    np.testing.assert_array_equal(_make(on_disk, "averaged", 8).inputs, _make(sender, "averaged", 8).inputs)


def test_a_mixed_point_has_an_item_of_each_of_as_many_groups():
    inputs = np.zeros((40, 3, 4), np.float32)
    groups = np.repeat([0, 1, 2, 3], [31, 5, 3, 1])
    inputs[np.arange(40), 0, groups] = 1.0  # each group has a number of its own
    inputs[:, 1, 0] = np.arange(40) / 40  # and each item
    sender = replace(_sender(40), inputs=inputs, groups=groups)

    made = _make(sender, "mixed", 60)

    assert ((made.inputs[:, 0] > 0).sum(axis=1) == 3).all()
    assert made.figures == {"members": 3, "unit": "group"}
    assert len(np.unique(made.inputs[:, 1, 0])) > 50


@pytest.mark.parametrize(
    ("origin", "n_points", "words"),
    [
        ("averaged", 3, r"3 averaged points of 5 groups each need 15 groups, .* there are 12: ask for at most 2"),
        ("averaged", 1, r"is to have 20 members, but there are 12 groups \(`groups`\)"),
        ("mixed", 1, "`mix` is 20, but there are only 12 groups"),
    ],
)
def test_fewer_groups_than_members_are_refused(origin: str, n_points: int, words: str):
    sender = replace(_sender(200), groups=_groups(200, 12))
    recipe = RECIPE if n_points > 1 else replace(RECIPE, members=20, mix=20)

    with pytest.raises(SelectionError, match=words):
        _make(sender, origin, n_points, recipe=recipe)
