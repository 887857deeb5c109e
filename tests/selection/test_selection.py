"""Selectors choose rows that are there, all different, and stand for the rest, whatever the number of items."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist
from sklearn.cluster import KMeans
from sklearn.metrics import pairwise_distances_argmin

from rosetta.errors import SelectionError, UsageError
from rosetta.selection import Selector, select, selectors
from rosetta.selection.herding import herding
from rosetta.selection.selecting import choose

METHODS = sorted(selectors)
SAMPLES = [10_000, 150]  # all of 400 items, and a sample with a pass over all


class OnDisk:
    """Rows that say if too many of them are read at once."""

    def __init__(self, rows: np.ndarray, most: int) -> None:
        self.rows, self.most, self.shape, self.ndim = rows, most, rows.shape, rows.ndim

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, rows: object) -> np.ndarray:
        read = self.rows[rows]
        assert len(read) <= self.most
        return read


def _latents(n_items: int = 400, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return (rng.normal(size=(n_items, 3)) + 4 * rng.integers(3, size=(n_items, 1))).astype(np.float32)


def _error(latents: np.ndarray, rows: np.ndarray) -> float:
    return float(np.sqrt((cdist(latents, latents[rows]).min(axis=1) ** 2).mean()))


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=8, deadline=None)
@given(n_items=st.integers(1, 40), share=st.floats(0, 1), seed=st.integers(0, 9), spread=st.sampled_from([0.0, 1.0]))
def test_rows_are_different_and_as_many_as_asked_even_among_almost_equal_latents(
    name: str, n_items: int, share: float, seed: int, spread: float
):
    latents = spread * np.random.default_rng(seed).normal(size=(n_items, 2)) + 1e-6 * np.arange(n_items)[:, None]
    n_pairs = 1 + int(share * (n_items - 1))

    for sample in (1000, 10):
        rows = select(latents, n_pairs, np.random.default_rng(seed), method=name, sample=sample).rows

        assert len(set(rows.tolist())) == n_pairs
        assert set(rows.tolist()) <= set(range(n_items))


@pytest.mark.parametrize("name", METHODS)
@settings(max_examples=8, deadline=None)
@given(n_different=st.integers(3, 30), n_excluded=st.integers(0, 2), sample=st.integers(4, 150), seed=st.integers(0, 9))
def test_copies_and_excluded_items_are_never_chosen(
    name: str, n_different: int, n_excluded: int, sample: int, seed: int
):
    rng = np.random.default_rng(seed)
    different = rng.normal(size=(n_different, 2)).astype(np.float32)
    copies = rng.integers(n_different, size=120)
    copies[:n_different] = np.arange(n_different)
    latents, left = different[rng.permutation(copies)], n_different - n_excluded
    exclude = different[:n_excluded]

    rows = select(latents, left, np.random.default_rng(seed), method=name, exclude=exclude, sample=sample).rows

    assert {row.tobytes() for row in latents[rows]} == {row.tobytes() for row in different[n_excluded:]}
    first = {row.tobytes(): number for number, row in reversed(list(enumerate(latents)))}
    assert all(first[latents[row].tobytes()] == row for row in rows)
    with pytest.raises(SelectionError, match=f"{left + 1} pairs were asked for, but there are {left} different items"):
        select(latents, left + 1, np.random.default_rng(seed), method=name, exclude=exclude, sample=sample)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("n_pairs", [0, 11])
def test_more_rows_than_items_are_refused(name: str, n_pairs: int):
    with pytest.raises(SelectionError, match=f"{n_pairs} pairs were asked for, but there are 10"):
        select(_latents(10), n_pairs, np.random.default_rng(0), method=name)


@pytest.mark.parametrize("sample", SAMPLES)
def test_kmeans_takes_the_item_nearest_to_each_cluster(sample: int):
    rng = np.random.default_rng(0)
    centres = np.array([[0.0, 0], [50, 0], [0, 50]])
    sizes = (300, 200, 100)
    latents = np.concatenate([centre + rng.normal(size=(n, 2)) for centre, n in zip(centres, sizes, strict=True)])

    rows = select(latents, 3, np.random.default_rng(1), sample=sample).rows

    for row, group in zip(rows, (slice(0, 300), slice(300, 500), slice(500, 600)), strict=True):  # the largest first
        members = latents[group]
        middle = np.linalg.norm(members - members.mean(axis=0), axis=1)
        if sample > len(latents):
            assert (latents[row] == members[middle.argmin()]).all()
        assert np.linalg.norm(latents[row] - members.mean(axis=0)) < np.quantile(middle, 0.2)


@settings(max_examples=12, deadline=None)
@given(n_pairs=st.integers(1, 60), seed=st.integers(0, 99))
def test_kmeans_of_all_items_is_that_of_scikit_learn_and_random_a_permutation(n_pairs: int, seed: int):
    latents = _latents(60, seed)
    clusters = KMeans(n_pairs, n_init=1, random_state=int(np.random.default_rng(seed).integers(2**31)))
    labels = clusters.fit(latents.astype(np.float64)).labels_
    order = np.argsort(-np.bincount(labels, minlength=n_pairs), kind="stable")
    nearest = pairwise_distances_argmin(clusters.cluster_centers_[order], latents.astype(np.float64))

    rows = select(latents, n_pairs, np.random.default_rng(seed)).rows
    some = select(latents, n_pairs, np.random.default_rng(seed), method="random").rows

    assert rows[0] == nearest[0] if n_pairs < 60 else (rows == np.arange(60)).all()
    if len(set(nearest.tolist())) == n_pairs < 60:
        assert rows.tolist() == nearest.tolist()
    assert some.tolist() == np.random.default_rng(seed).permutation(60)[:n_pairs].tolist()


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("name", sorted({*METHODS} - {"random", "farthest", "herding"}))
def test_clusters_cover_better_than_random_items(name: str, sample: int):
    latents = _latents()
    random = [np.random.default_rng(seed).permutation(len(latents))[:12] for seed in range(9)]

    rows = select(latents, 12, np.random.default_rng(1), method=name, sample=sample).rows

    assert _error(latents, rows) < 0.9 * np.mean([_error(latents, each) for each in random])


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("name", METHODS)
def test_the_same_seed_chooses_the_same_rows(name: str, sample: int):
    latents = _latents()

    first, second, other = (
        select(latents, 10, np.random.default_rng(seed), method=name, sample=sample).rows for seed in (1, 1, 2)
    )

    assert first.tolist() == second.tolist()
    if sample < len(latents) or name in ("random", "kmeans", "gmm", "k-medoids", "minibatch-kmeans"):
        assert first.tolist() != other.tolist()


@pytest.mark.parametrize("name", ["farthest", "herding", "random"])
def test_every_prefix_is_the_smaller_selection(name: str):
    latents = _latents()

    many, few = (select(latents, n, np.random.default_rng(1), method=name, sample=80).rows for n in (20, 8))

    assert many[:8].tolist() == few.tolist()


def test_farthest_takes_the_item_with_the_largest_gap():
    latents = _latents(60)

    rows = select(latents, 20, np.random.default_rng(0), method="farthest").rows

    for n in range(1, 20):
        gaps = cdist(latents, latents[rows[:n]]).min(axis=1)
        assert gaps[rows[n]] == pytest.approx(gaps.max(), rel=1e-5)


def test_herding_lowers_the_discrepancy_of_means_item_by_item():
    latents = _latents(50).astype(np.float64)
    squared = cdist(latents, latents) ** 2
    kernel = np.exp(-squared / (2 * np.median(squared[np.triu_indices(50, 1)])))

    rows = herding.find(latents, 12, np.random.default_rng(0)).tolist()

    for n in range(12):
        gain = kernel.mean(axis=1) - kernel[:, rows[:n]].sum(axis=1) / (n + 1)
        gain[rows[:n]] = -np.inf
        assert gain[rows[n]] == pytest.approx(gain.max(), abs=1e-9)
    mean, every = kernel.mean(), kernel.mean(axis=1)
    discrepancy = kernel[np.ix_(rows, rows)].mean() - 2 * every[rows].mean() + mean
    random = [np.random.default_rng(seed).permutation(50)[:12] for seed in range(9)]
    assert discrepancy < min(kernel[np.ix_(r, r)].mean() - 2 * every[r].mean() + mean for r in random)


def test_no_medoid_can_be_exchanged_within_its_cluster():
    latents = _latents(200)

    rows = select(latents, 12, np.random.default_rng(0), method="k-medoids").rows

    gaps = cdist(latents, latents)
    labels = gaps[:, rows].argmin(axis=1)
    for cluster, row in enumerate(rows):
        members = np.flatnonzero(labels == cluster)
        sums = gaps[np.ix_(members, members)].sum(axis=1)
        assert sums[members == row] == pytest.approx(sums.min())
    sizes = np.bincount(labels)
    assert (np.diff(sizes) <= 0).all()


@pytest.mark.parametrize("sample", [1000, 30])
def test_only_a_sample_and_blocks_are_read(sample: int, monkeypatch: pytest.MonkeyPatch):
    from rosetta import arrays
    from rosetta.selection import different, nearest

    for module in (different, nearest):
        monkeypatch.setattr(module, "row_blocks", lambda array: arrays.row_blocks(array, 3 * 16))
    latents = _latents()
    lazy, centroids = OnDisk(latents, max(sample, 32)), latents[[3, 3, 5, 7]] + np.float32(1e-3)
    ready = Selector(lambda items, n, rng: centroids[:n], "centroids")

    chosen = choose(ready, lazy if sample < 400 else latents, 4, np.random.default_rng(0), sample=sample)

    near = np.argsort(cdist(centroids, latents), axis=1)
    assert chosen.rows.tolist() == [near[0, 0], near[1, 1], near[2, 0], near[3, 0]]
    assert chosen.n_sampled == (30 if sample == 30 else None)


def test_items_are_looked_for_again_when_all_candidates_of_a_centroid_are_taken():
    latents = _latents(300)
    ready = Selector(lambda items, n, rng: np.repeat(latents[:1], n, axis=0), "centroids")

    rows = choose(ready, latents, 40, np.random.default_rng(0), sample=50).rows

    assert rows.tolist() == np.argsort(cdist(latents[:1], latents)[0])[:40].tolist()


def test_a_method_of_quadratic_cost_says_how_many_items_it_can_look_at():
    with pytest.raises(SelectionError, match=r"9 pairs were asked for, but this method can look at 8 items at most"):
        choose(Selector(lambda items, n, rng: np.arange(n), most=8), _latents(20), 9, np.random.default_rng(0))


def test_more_pairs_than_the_sample_take_a_larger_one():
    chosen = select(_latents(), 300, np.random.default_rng(0), method="random", sample=50)

    assert (len(set(chosen.rows.tolist())), chosen.n_sampled) == (300, 300)


@pytest.mark.parametrize("method", ["kmeans", "random", "farthest"])
@pytest.mark.parametrize("sample", [10_000, 100])
def test_strata_get_the_same_number_each_as_far_as_they_have_different_items(method: str, sample: int):
    latents, strata = _latents(), np.repeat([0, 1, 3], [300, 96, 4])
    latents[397:] = latents[396]  # the last stratum has one item, and its copies

    rows = select(latents, 31, np.random.default_rng(0), method=method, strata=strata, sample=sample).rows

    assert len(set(rows.tolist())) == 31
    assert np.bincount(strata[rows]).tolist() == [15, 15, 0, 1]
    assert strata[rows[:3]].tolist() == [0, 1, 3]
    with pytest.raises(SelectionError, match="2 pairs cannot stand for 3 strata"):
        select(latents, 2, np.random.default_rng(0), method=method, strata=strata, sample=sample)


def test_strata_that_do_not_fit_the_items_are_refused():
    for strata in (np.zeros(9, int), np.zeros(10), np.full(10, -1)):
        with pytest.raises(SelectionError, match="one integer from 0 upwards is needed for each of the 10 items"):
            select(_latents(10), 2, np.random.default_rng(0), strata=strata)


def test_a_misspelt_name_is_met_with_the_nearest():
    with pytest.raises(UsageError, match="no selector called 'kmean'. Did you mean 'kmeans'. Known: agglomerative, f"):
        select(_latents(10), 2, np.random.default_rng(0), method="kmean")
