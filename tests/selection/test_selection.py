"""Selectors choose rows that are there, all different, and stand for the rest."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rosetta.errors import SelectionError, UsageError
from rosetta.metrics.coverage import coverage
from rosetta.selection import selectors


@pytest.mark.parametrize("name", ["kmeans", "random"])
@given(n_items=st.integers(1, 40), share=st.floats(0, 1), seed=st.integers(0, 9), spread=st.sampled_from([0.0, 1.0]))
def test_rows_are_different_and_as_many_as_asked_even_among_equal_latents(
    name: str, n_items: int, share: float, seed: int, spread: float
):
    latents = spread * np.random.default_rng(seed).normal(size=(n_items, 2)) + 1e-6 * np.arange(n_items)[:, None]
    n_pairs = 1 + int(share * (n_items - 1))

    rows = selectors.get(name)(latents, n_pairs, np.random.default_rng(seed))

    assert len(set(rows.tolist())) == n_pairs
    assert set(rows.tolist()) <= set(range(n_items))


@pytest.mark.parametrize("name", ["kmeans", "random"])
@pytest.mark.parametrize("n_pairs", [0, 11])
def test_more_rows_than_items_are_refused(name: str, n_pairs: int):
    with pytest.raises(SelectionError, match=f"{n_pairs} pairs were asked for, but there are 10"):
        selectors.get(name)(np.zeros((10, 2)), n_pairs, np.random.default_rng(0))


def test_kmeans_takes_the_item_nearest_to_each_cluster():
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0], [50, 0], [0, 50]])
    latents = np.concatenate(
        [centre + rng.normal(size=(n, 2)) for centre, n in zip(centres, (30, 20, 10), strict=True)]
    )

    rows = selectors.get("kmeans")(latents, 3, np.random.default_rng(1))

    for row, group in zip(rows, (slice(0, 30), slice(30, 50), slice(50, 60)), strict=True):  # the largest first
        members = latents[group]
        assert (latents[row] == members[((members - members.mean(axis=0)) ** 2).sum(axis=1).argmin()]).all()


def test_kmeans_covers_better_than_random():
    latents = np.random.default_rng(0).normal(size=(500, 3))
    errors = {
        name: coverage(latents[selectors.get(name)(latents, 20, np.random.default_rng(1))], latents,
                       np.random.default_rng(2))["quantisation_error"]
        for name in ("kmeans", "random")
    }  # fmt: skip

    assert errors["kmeans"] < 0.9 * errors["random"]


def test_the_same_seed_chooses_the_same_rows():
    latents = np.random.default_rng(0).normal(size=(200, 3))

    for name in ("kmeans", "random"):
        first, second, other = (selectors.get(name)(latents, 10, np.random.default_rng(s)) for s in (1, 1, 2))
        assert first.tolist() == second.tolist() != other.tolist()


def test_a_misspelt_name_is_met_with_the_nearest():
    with pytest.raises(UsageError, match="no selector called 'kmean'. Did you mean 'kmeans'. Known: kmeans, random."):
        selectors.get("kmean")
