"""Points of items on disk are those of the same items in memory."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from rosetta.errors import UsageError
from rosetta.origins import averaged, covariance, decoded, microaggregation
from rosetta.origins import draws as draws_module
from rosetta.origins.draws import boundary, draws
from rosetta.origins.microaggregation import clusters_of
from tests.disclosure.lazy import Twin, read_in_small_blocks
from tests.origins.test_origins import OPEN, RECIPE, _make, _sender


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    read_in_small_blocks(monkeypatch, averaged, covariance, microaggregation, decoded, boundary)


@pytest.mark.parametrize("name", ["averaged", "mixed", "decoded", "moments"])
def test_points_are_the_same_of_items_on_disk_and_in_memory(name: str):
    sender = _sender(500)
    parts = ("inputs", "latents", "latents_sd")
    twins = {part: Twin(getattr(sender, part)) for part in parts}
    recipes = [RECIPE] if name != "decoded" else [replace(RECIPE, draw=draw, residuals=True) for draw in draws]

    for recipe in recipes:
        in_memory, on_disk = (_make(each, name, 40, recipe=recipe) for each in (sender, replace(sender, **twins)))
        np.testing.assert_array_equal(on_disk.inputs, in_memory.inputs)
        assert on_disk.figures == in_memory.figures


def test_clusters_of_a_sample_take_in_all_items_and_none_is_too_small(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(draws_module, "CLUSTERED", 200)
    monkeypatch.setattr(microaggregation, "FIRST_CANDIDATES", 1)  # the small ones have to look again
    monkeypatch.setattr(microaggregation, "DISTANCES_A_BLOCK", 700)
    latents = np.random.default_rng(3).standard_t(2, size=(1500, 2))

    labels = clusters_of(Twin(latents), 10, 140, np.random.default_rng(0))

    sizes = np.bincount(labels, minlength=10)
    assert len(labels) == 1500
    assert sizes.min() >= 140


def test_small_clusters_are_filled_up_as_by_sorting_all_items(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(microaggregation, "FIRST_CANDIDATES", 1)
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(300, 2))
    centres = rng.normal(size=(12, 2)) * 2
    labels = cdist(latents, centres).argmin(axis=1)
    expected, sizes = labels.copy(), np.bincount(labels, minlength=12)
    for cluster in np.argsort(sizes, kind="stable"):
        for item in np.argsort(cdist(centres[cluster][None], latents)[0]):
            if sizes[cluster] < 20 and expected[item] != cluster and sizes[expected[item]] > 20:
                sizes[expected[item]] -= 1
                sizes[cluster] += 1
                expected[item] = cluster

    seats = labels.copy()
    microaggregation._fill_up(labels, np.arange(300), seats, Twin(latents), centres, 20)

    np.testing.assert_array_equal(seats, expected)
    np.testing.assert_array_equal(labels, expected)


def test_neighbourhoods_of_many_items_are_made_of_some(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(averaged, "NEIGHBOURS", 160)
    sender = replace(_sender(500), latents=Twin(_sender(500).latents), inputs=Twin(_sender(500).inputs))

    made = _make(sender, "averaged", 150, recipe=OPEN)

    assert made.figures == {"members": 5, "crowds": "neighbourhoods"}
    assert max(sender.latents.read) == 160


def test_the_directions_of_very_many_features_are_those_of_some_items(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(covariance, "LARGEST_COVARIANCE", 8)
    monkeypatch.setattr(covariance, "SAMPLED", 900)
    monkeypatch.setattr(covariance, "UNITS_A_NUMBER", 1000)
    monkeypatch.setattr(covariance, "MOST_DIRECTIONS", 3)
    items = _sender(3000, noise=0.02).inputs
    sender = replace(_sender(3000), inputs=Twin(items))

    points = _make(sender, "moments", 5000).inputs

    assert max(sender.inputs.read) == 900
    np.testing.assert_allclose(points.mean(axis=0), items.mean(axis=0), atol=0.01)
    of_points, of_items = (np.cov(each.reshape(len(each), 12).T) for each in (points, items))
    np.testing.assert_allclose(of_points, of_items, atol=1e-3)  # three directions hold nearly all of it


def test_a_model_without_standard_deviations_cannot_be_drawn_around():
    sender = replace(_sender(), latents_sd=None)

    with pytest.raises(UsageError, match="this model gives none: take another `draw`"):
        _make(sender, "decoded", 5, recipe=replace(RECIPE, draw="jitter"))
    with pytest.raises(UsageError, match="labelled by the encoder, and there is none"):
        _make(replace(sender, encode=None), "decoded", 5)
