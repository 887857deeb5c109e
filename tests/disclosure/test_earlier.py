"""Two bundles of data that differ in one item give it away, unless their numbers are rounded."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from rosetta.disclosure.earlier import Statistics, compare_bundles

LATENTS = np.random.default_rng(0).normal(2, 1, size=(800, 4))
ITEMS = np.random.default_rng(1).normal(5, 2, size=(800, 30))


def told(rows: slice, digits: int | None = None, **changes: Any) -> Statistics:
    def rounded(numbers: np.ndarray) -> np.ndarray:
        return numbers if digits is None else np.round(numbers, digits)

    latents, items = LATENTS[rows], ITEMS[rows]
    fields: dict[str, Any] = {
        "name": "b.h5", "n_items": len(latents), "mean": rounded(latents.mean(axis=0)),
        "covariance": rounded(np.cov(latents.T, bias=True)),
        "constants": {"1 (standardize)": (rounded(items.mean(axis=0)), rounded(items.std(axis=0)))},
    }  # fmt: skip
    return Statistics(**(fields | changes))


@pytest.mark.parametrize("rows", [(slice(799), slice(800)), (slice(800), slice(799)), (slice(1, 801), slice(800))])
def test_a_withdrawn_an_added_and_an_exchanged_item_are_found(rows: tuple[slice, slice]):
    found = compare_bundles(told(rows[0]), told(rows[1], name="earlier.h5"))

    assert found.verdict == "close to items"
    assert "together with earlier.h5, the means of the spaces give the latent" in found.reason
    assert "the constants of the step 1 (standardize) give the numbers" in found.reason


def test_covariances_alone_give_the_latent_of_one_item():
    found = compare_bundles(told(slice(799)), told(slice(800)))

    assert "the covariances of the spaces give the latent" in found.reason
    assert found.n_found == 3


def test_rounded_numbers_give_nothing():
    found = compare_bundles(told(slice(799), 1), told(slice(800), 1))

    assert (found.n_found, found.verdict) == (0, None)
    assert found.reason.endswith("lie where no items lie, or are not there")


def test_the_same_bundle_again_and_data_of_other_sizes_tell_nothing():
    assert compare_bundles(told(slice(800)), told(slice(800))).verdict is None
    many = compare_bundles(told(slice(700)), told(slice(800)))
    unknown = compare_bundles(told(slice(800)), told(slice(799), n_items=None))

    assert "they tell of 800 and 700 items, too many apart" in many.reason
    assert "their numbers of items are not told" in unknown.reason
