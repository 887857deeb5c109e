"""Strata are labels or layers of density, and share the pairs evenly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rosetta.errors import SelectionError
from rosetta.selection import select
from rosetta.selection.strata import allocate, by_density, by_label


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (np.array(["b", "a", "b"]), ("a", "b")),
        (np.array([b"b", b"a", b"b"]), ("a", "b")),
        (np.array(["b", "a", "b"], dtype=object), ("a", "b")),
        (np.array([7, 3, 7]), ("3", "7")),
        (np.array([7.0, 3.0, 7.0]), ("3", "7")),
        (np.array([True, False, True]), ("False", "True")),
    ],
)
def test_labels_of_any_kind_are_strata(values: np.ndarray, names: tuple[str, ...]):
    codes, found = by_label(values)

    assert (codes.tolist(), found) == ([1, 0, 1], names)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.array(["a", "", "a", ""]), "2 of 4 items have no label, the first in row 1"),
        (np.array([1.0, 1.0, np.nan]), "1 of 3 items have no label, the first in row 2"),
        (np.array(["a", None, np.nan], dtype=object), "2 of 3 items have no label, the first in row 1"),
        (np.linspace(0, 1, 20), "the 20 items have 20 different labels, .* continuous numbers are no labels"),
        (np.arange(2002) // 2, "the 2002 items have 1001 different labels"),
        (np.zeros((2, 2)), "one label for each item is needed"),
    ],
)
def test_what_is_no_label_is_refused(values: np.ndarray, words: str):
    with pytest.raises(SelectionError, match=words):
        by_label(values)


def test_layers_of_density_give_sparse_parts_their_share():
    rng = np.random.default_rng(0)
    dense, sparse = rng.normal(size=(3000, 2)), 30 + 20 * rng.normal(size=(60, 2))
    latents = np.concatenate([dense, sparse]).astype(np.float32)

    layers = by_density(latents, np.random.default_rng(1))

    assert layers.shape == (3060,)
    assert set(layers.tolist()) <= set(range(4))
    assert layers[3000:].mean() > layers[:3000].mean() + 1
    even, plain = (
        (select(latents, 40, np.random.default_rng(2), method="random", strata=s).rows >= 3000).mean()
        for s in (layers, None)
    )
    assert even > 0.2 > 0.1 > plain


def test_equal_items_lie_in_one_layer():
    assert set(by_density(np.ones((30, 2)), np.random.default_rng(0)).tolist()) == {0}


@given(sizes=st.lists(st.integers(0, 30), min_size=1, max_size=8), share=st.floats(0, 1))
def test_pairs_are_shared_evenly_as_far_as_there_are_items(sizes: list[int], share: float):
    total, least = sum(sizes), sum(size > 0 for size in sizes)
    n_pairs = least + int(share * (total - least))
    if not n_pairs:
        return

    shares = allocate(np.array(sizes), n_pairs)

    assert shares.sum() == n_pairs
    assert all((n > 0) == (size > 0) and n <= size for n, size in zip(shares, sizes, strict=True))
    free = [n for n, size in zip(shares, sizes, strict=True) if n < size]
    assert not free or max(shares) - min(free) <= 1


@pytest.mark.parametrize(("n_pairs", "words"), [(8, "there are 7 different items"), (1, "cannot stand for 2 strata")])
def test_what_strata_cannot_give_is_refused(n_pairs: int, words: str):
    with pytest.raises(SelectionError, match=words):
        allocate(np.array([5, 0, 2]), n_pairs)
