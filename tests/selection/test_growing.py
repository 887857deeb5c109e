"""The number of pairs grows as long as that pays."""

from __future__ import annotations

import numpy as np
import pytest

from rosetta.errors import SelectionError
from rosetta.selection.growing import grow


def _clusters(n_clusters: int, n_items: int = 3000) -> np.ndarray:
    rng = np.random.default_rng(0)
    return (rng.normal(size=(n_clusters, 4)) * 10)[rng.integers(n_clusters, size=n_items)] + 0.01 * rng.normal(
        size=(n_items, 4)
    )


def test_as_many_pairs_as_clusters_are_enough():
    n_pairs, errors = grow(_clusters(30).astype(np.float32), np.random.default_rng(1), smallest=4)

    assert [n for n, _ in errors] == [4, 8, 16, 32, 64]
    assert n_pairs == 32
    gains = -np.diff([error for _, error in errors])
    assert (gains[:-1] >= 0.02).all()
    assert gains[-1] < 0.02


def test_the_number_stays_between_the_limits_and_the_items():
    latents = _clusters(500)

    assert grow(latents, np.random.default_rng(1), method="random", smallest=8, largest=16).n_pairs == 16
    assert grow(latents[:7], np.random.default_rng(1)).n_pairs == 7
    strata = np.arange(3000) % 20
    assert grow(latents, np.random.default_rng(1), strata=strata, method="random", largest=32).errors[0][0] == 32


def test_the_same_seed_gives_the_same_number_and_no_items_none():
    latents = _clusters(30)

    assert grow(latents, np.random.default_rng(1)) == grow(latents, np.random.default_rng(1))
    with pytest.raises(SelectionError, match="there are 0 different items"):
        grow(latents[:5], np.random.default_rng(0), exclude=latents[:5])
