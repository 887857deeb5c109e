"""k-NN overlap, against a slow twin, its expectation under a random pairing, and what must not change it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.neighbors import NearestNeighbors

from rosetta.errors import MetricError
from rosetta.metrics.engine import Evidence, measure
from rosetta.metrics.knn_overlap import N_NEIGHBOURS, knn_overlap


def _pair(seed: int = 0, n_items: int = 60, n_dims: int = 3) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(n_items, 3))
    return a, a @ rng.normal(size=(3, n_dims)) + 0.5 * rng.normal(size=(n_items, n_dims))


def _slowly(a: np.ndarray, b: np.ndarray) -> list[float]:
    """Sort every item's distances, one item after the other."""
    shares = []
    for item in range(len(a)):
        neighbours = []
        for latents in (a.astype(np.float64), b.astype(np.float64)):
            distances = [float(np.linalg.norm(latents[item] - other)) for other in latents]
            others = [row for row in range(len(a)) if row != item]
            neighbours.append(set(sorted(others, key=distances.__getitem__)[:N_NEIGHBOURS]))
        shares.append(len(neighbours[0] & neighbours[1]) / N_NEIGHBOURS)
    return shares


@pytest.mark.parametrize("n_dims", [2, 3, 5])
def test_it_is_what_sorting_every_items_distances_gives(n_dims: int):
    a, b = _pair(n_dims=n_dims)

    assert knn_overlap.measure(a, b) == pytest.approx(_slowly(a, b))


def test_it_is_the_mutual_overlap_of_a_published_librarys_neighbours():
    a, b = _pair(n_items=300)

    found = [NearestNeighbors(n_neighbors=N_NEIGHBOURS).fit(each).kneighbors(return_distance=False) for each in (a, b)]

    expected = np.mean([len({*first} & {*second}) for first, second in zip(*found, strict=True)]) / N_NEIGHBOURS
    assert knn_overlap(a, b) == pytest.approx(expected)


@given(seed=st.integers(0, 2**32 - 1), scale=st.floats(0.01, 100), shift=st.floats(-10, 10))
def test_no_rotation_scale_shift_or_order_of_the_items_changes_it(seed: int, scale: float, shift: float):
    rng = np.random.default_rng(seed)
    a, b = _pair(seed, n_items=30)
    rotation, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    order = rng.permutation(len(a))

    assert knn_overlap(a, scale * a @ rotation + shift) == 1
    assert knn_overlap(a[order], scale * b[order] @ rotation + shift) == pytest.approx(knn_overlap(a, b))
    assert knn_overlap(b, a) == pytest.approx(knn_overlap(a, b))


def test_a_random_pairing_gives_k_over_the_number_of_others():
    rng = np.random.default_rng(0)
    a, b = _pair(n_items=80)
    expected = N_NEIGHBOURS / 79

    drawn = [knn_overlap(a, b[rng.permutation(80)]) for _ in range(200)]

    assert np.mean(drawn) == pytest.approx(expected, abs=4 * np.std(drawn) / np.sqrt(200))
    assert measure(knn_overlap, Evidence(a, b), rng).null == pytest.approx(expected, abs=0.05)


def test_ties_are_worth_what_breaking_them_at_random_gives_on_average():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, size=(2, 40, 2)).astype(float)

    broken = [knn_overlap(*(each + 1e-7 * rng.normal(size=each.shape) for each in (a, b))) for _ in range(600)]

    assert knn_overlap(a, b) == pytest.approx(np.mean(broken), abs=4 * np.std(broken) / np.sqrt(600))


def test_a_random_pairing_gives_no_more_where_ties_are_many():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 2, size=(2, 50, 2)).astype(float)

    drawn = [knn_overlap(a, b[rng.permutation(50)]) for _ in range(300)]

    assert np.mean(drawn) == pytest.approx(N_NEIGHBOURS / 49, abs=4 * np.std(drawn) / np.sqrt(300))


def test_its_interval_holds_the_estimate_and_of_many_items_it_looks_at_a_sample():
    a, b = _pair(n_items=1600)

    found = measure(knn_overlap, Evidence(a, b), np.random.default_rng(0))

    assert found.interval[0] < found.value < found.interval[1]
    assert found.n_items == 1000


@pytest.mark.parametrize(
    ("a", "b", "words"),
    [
        (np.ones((20, 2)), _pair(n_items=20)[1], "do not vary"),
        (*_pair(n_items=11), "looks at 10 neighbours of each item, so at least 12 are needed; there are 11"),
        (_pair(n_items=20)[0], _pair(n_items=19)[1], "20 and 19 rows"),
    ],
)
def test_arrays_that_have_no_neighbourhoods_are_refused(a: np.ndarray, b: np.ndarray, words: str):
    with pytest.raises(MetricError, match=words):
        knn_overlap(a, b)
