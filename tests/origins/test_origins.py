"""Points are what their origin says, whatever the model: here a linear one, which is known through and through."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import cdist

from rosetta.arrays import LazyArray
from rosetta.errors import SelectionError, UsageError
from rosetta.origins import PointBatch, Recipe, SenderData, origins
from rosetta.origins.draws import draws
from rosetta.origins.microaggregation import clusters_of
from rosetta.selection import select

RECIPE = Recipe(members=5, mix=3, draw="moments", residuals=False, reencoding_limit=1.5)
OPEN = replace(RECIPE, privacy="open")
BASIS = np.linalg.qr(np.random.default_rng(1).normal(size=(12, 3)))[0].astype(np.float32)


def _sender(n_items: int = 200, seed: int = 0, noise: float = 0.02) -> SenderData:
    """Items of 12 numbers near a 3-dimensional plane, and the linear encoder and decoder of that plane."""
    rng = np.random.default_rng(seed)
    latents = rng.normal(size=(n_items, 3)).astype(np.float32) * [1.0, 0.5, 0.25]
    inputs = (0.5 + 0.1 * (latents @ BASIS.T + noise * rng.normal(size=(n_items, 12)))).astype(np.float32)
    inputs = inputs.reshape(n_items, 3, 4)
    return SenderData(
        inputs=inputs, latents=_encode(inputs), latents_sd=np.full((n_items, 3), 0.1, np.float32),
        value_range=(0.0, 1.0), encode=_encode, decode=_decode, select=_select, store=lambda x: x,
    )  # fmt: skip


def _select(
    latents: LazyArray, n_points: int, rng: np.random.Generator, *, exclude: np.ndarray | None = None, items: Any = None
) -> np.ndarray:
    return select(latents, n_points, rng, method="kmeans", exclude=exclude).rows


def _encode(inputs: np.ndarray) -> np.ndarray:
    return ((inputs.reshape(len(inputs), 12) - 0.5) * 10) @ BASIS


def _decode(latents: np.ndarray) -> np.ndarray:
    return (0.5 + 0.1 * latents @ BASIS.T).reshape(len(latents), 3, 4).astype(np.float32)


def _make(sender: SenderData, name: str, n_points: int, seed: int = 0, recipe: Recipe = RECIPE) -> PointBatch:
    return origins.get(name)(sender, n_points, np.random.default_rng(seed), sender.inputs[:0], recipe)


def _rows(array: np.ndarray) -> np.ndarray:
    return array.reshape(len(array), -1).astype(np.float64)


@pytest.mark.parametrize("name", sorted(origins))
def test_every_origin_gives_different_inputs_of_the_items_form_within_their_range(name: str):
    sender = replace(_sender(), public=_sender(100, seed=3).inputs)

    anchors = _make(sender, name, 30).inputs
    checks = origins.get(name)(sender, 8, np.random.default_rng(9), anchors, RECIPE).inputs

    both = np.concatenate([anchors, checks])
    assert both.shape == (38, 3, 4)
    assert both.dtype == np.float32
    assert len({row.tobytes() for row in both}) == 38
    assert both.min() >= 0
    assert both.max() <= 1


@pytest.mark.parametrize("name", sorted(origins))
def test_the_same_seed_makes_the_same_points_and_another_makes_others(name: str):
    sender = replace(_sender(), public=_sender(100, seed=3).inputs)

    first, again, other = (_make(sender, name, 20, seed).inputs for seed in (1, 1, 2))

    assert (first == again).all()
    assert (first != other).any()


def test_only_observed_points_are_items():
    sender = replace(_sender(), public=_sender(100, seed=3).inputs)
    items = {row.tobytes() for row in sender.inputs}

    shares = {name: np.mean([row.tobytes() in items for row in _make(sender, name, 30).inputs]) for name in origins}

    assert shares.pop("observed") == 1
    assert set(shares.values()) == {0}


@settings(max_examples=20, deadline=None)
@given(n_clusters=st.integers(1, 20), least=st.integers(1, 6), seed=st.integers(0, 99))
def test_clusters_never_have_fewer_members_than_asked(n_clusters: int, least: int, seed: int):
    latents = np.random.default_rng(seed).standard_t(2, size=(120, 2))

    sizes = np.bincount(clusters_of(latents, n_clusters, least, np.random.default_rng(seed)), minlength=n_clusters)

    assert sizes.sum() == 120
    assert len(sizes) == n_clusters
    assert sizes.min() >= least


def test_an_averaged_point_is_the_mean_of_a_crowd_of_its_own():
    sender = _sender()

    made = _make(sender, "averaged", 20)

    sizes = {5: 0}
    assert made.figures["crowds"] == "clusters"
    assert made.figures["members"] >= 5
    labels = clusters_of(sender.latents, 20, 5, np.random.default_rng(0))
    for cluster in range(20):
        mean = sender.inputs[labels == cluster].mean(axis=0)
        sizes[5] += int(np.isclose(made.inputs, mean, atol=1e-6).all(axis=(1, 2)).any())
    assert sizes[5] == 20


def test_more_averaged_points_than_own_crowds_are_means_of_neighbourhoods():
    sender = _sender()
    made = _make(sender, "averaged", 150, recipe=OPEN)

    assert made.figures == {"members": 5, "crowds": "neighbourhoods"}
    order = np.argsort(cdist(sender.latents, sender.latents), axis=1)
    means = np.stack([sender.inputs[row[:n]].mean(axis=0) for row in order for n in range(5, 21)])
    assert cdist(_rows(made.inputs), _rows(means)).min(axis=1).max() < 1e-5


def test_a_mixed_point_lies_between_as_many_items_as_asked():
    sender = _sender(20, noise=1.0)

    made = _make(sender, "mixed", 40, recipe=replace(RECIPE, mix=2))

    pairs = [(i, j) for i in range(20) for j in range(i)]
    items = _rows(sender.inputs)
    for point in _rows(made.inputs):
        rests = []
        for i, j in pairs:
            along = items[i] - items[j]
            share = np.clip((point - items[j]) @ along / (along @ along), 0, 1)
            rests.append(np.linalg.norm(items[j] + share * along - point))
        assert min(rests) < 1e-5
    assert made.figures == {"members": 2}


@pytest.mark.parametrize("n_items", [4000, 60, 25])  # their whole covariance, one direction of it, and none
def test_points_from_moments_have_the_items_mean_and_variances(n_items: int):
    sender = _sender(n_items, noise=0.5)

    points = _rows(_make(sender, "moments", 20_000, recipe=OPEN).inputs)

    items = _rows(sender.inputs)
    assert points.mean(axis=0) == pytest.approx(items.mean(axis=0), abs=5e-3)
    assert points.var(axis=0) == pytest.approx(items.var(axis=0), abs=1e-3)
    if n_items == 4000:
        assert np.cov(points.T, ddof=0) == pytest.approx(np.cov(items.T, ddof=0), abs=1e-3)


@pytest.mark.parametrize("name", sorted(draws))
def test_drawn_latents_are_where_the_items_are(name: str):
    latents = (np.random.default_rng(0).normal(size=(3000, 2)) * [2.0, 0.5] + [5.0, -1.0]).astype(np.float32)

    drawn = draws.get(name)(latents, np.full((3000, 2), 0.1, np.float32), np.random.default_rng(1))(300)

    assert drawn.shape == (300, 2)
    assert drawn.mean(axis=0) == pytest.approx([5, -1], abs=0.3)
    assert np.abs((drawn - [5, -1]) / [2.0, 0.5]).max() < 4.5


def test_draws_differ_as_their_names_say():
    rng = np.random.default_rng(0)
    latents = np.concatenate([rng.normal(size=(1500, 2)) * 0.2 + centre for centre in ([-3, 0], [3, 0])])
    latents = latents.astype(np.float32)
    sds = np.full((3000, 2), 0.01, np.float32)

    drawn = {name: draws.get(name)(latents, sds, np.random.default_rng(1))(300) for name in draws}

    gap = {name: float((np.abs(each[:, 0]) < 1).mean()) for name, each in drawn.items()}  # where no item is
    assert gap["moments"] > 0.1
    assert gap["mixture"] == gap["jitter"] == gap["centroids"] == 0
    near = cdist(drawn["jitter"], latents).min(axis=1)
    assert near.max() < 0.1
    mean, sd = latents.mean(axis=0), latents.std(axis=0)
    radius = {name: float(np.median(np.linalg.norm((each - mean) / sd, axis=1))) for name, each in drawn.items()}
    assert radius["boundary"] > 1.2 * radius["moments"]


def test_decoded_points_are_labelled_near_where_they_were_drawn():
    made = _make(_sender(), "decoded", 100)

    assert made.figures["reencoding_rms"] < 0.05
    assert made.figures["n_dropped_reencoding"] == made.figures["n_dropped_range"] == 0
    assert made.figures["draw"] == "moments"


def test_residuals_make_decoded_points_from_smooth_to_as_rough_as_items():
    sender = _sender(400, noise=0.3)
    rough = _rows(sender.inputs) - _rows(_decode(_encode(sender.inputs)))

    smooth, full = (
        _rows(_make(sender, "decoded", 2000, recipe=replace(RECIPE, residuals=each)).inputs) for each in (False, True)
    )

    assert np.abs(smooth - _rows(_decode(_encode(smooth.reshape(-1, 3, 4))))).max() < 1e-5
    left = full - _rows(_decode(_encode(full.reshape(-1, 3, 4))))
    assert np.cov(left.T) == pytest.approx(np.cov(rough.T) / 3, abs=2e-4)  # the mean square of a share from 0 to 1
    sizes = np.linalg.norm(left, axis=1) / np.sqrt((rough**2).sum(axis=1).mean())
    assert np.quantile(sizes, [0.1, 0.9]) == pytest.approx([0.1, 0.9], abs=0.1)


def test_decoded_points_that_the_encoder_puts_elsewhere_are_dropped_and_counted():
    sender = _sender()
    lost = replace(sender, encode=lambda x: _encode(x) + 100.0 * (_encode(x)[:, :1] > 0))

    made = _make(lost, "decoded", 50)

    assert 20 < made.figures["n_dropped_reencoding"] < 200
    assert (_encode(made.inputs)[:, 0] <= 0).all()
    with pytest.raises(SelectionError, match=r"were dropped, as the encoder puts them farther than 1.5 total standard"):
        _make(replace(sender, encode=lambda x: _encode(x) + 100), "decoded", 50)


def test_outputs_beyond_the_range_are_clipped_and_those_far_beyond_are_dropped():
    sender = _sender()
    low, high = float(sender.inputs.min()), float(np.quantile(sender.inputs, 0.8))
    clipped = _make(replace(sender, value_range=(low, high)), "decoded", 50)

    assert clipped.figures["clipped_share"] > 0.05
    assert clipped.inputs.max() == np.float32(high)
    with pytest.raises(SelectionError, match="its output and the data are in different units"):
        _make(replace(sender, decode=lambda z: 255 * _decode(z)), "decoded", 50)


def test_points_are_made_as_the_file_will_hold_them():
    coarse = replace(_sender(), store=lambda x: (np.round(x * 64) / 64).astype(np.float32))

    for name in ("mixed", "moments", "decoded"):
        inputs = _make(coarse, name, 10).inputs
        assert (inputs * 64 == np.round(inputs * 64)).all()
        assert len({row.tobytes() for row in inputs}) == 10


def test_public_points_are_chosen_among_those_given():
    given = _sender(60, seed=5).inputs

    points = _make(replace(_sender(), public=given), "public", 20).inputs

    assert {row.tobytes() for row in points} <= {row.tobytes() for row in given}


@pytest.mark.parametrize(
    ("name", "n_points", "changes", "recipe", "error", "words"),
    [
        ("averaged", 5, {}, {"members": 300}, SelectionError, "is to have 300 members, but there are 200 items"),
        ("averaged", 300, {}, {"privacy": "open"}, SelectionError, "ask for at most 200"),
        ("averaged", 41, {}, {}, SelectionError, "need 205 items, and there are 200: ask for at most 40 points"),
        ("mixed", 5, {}, {"mix": 201}, SelectionError, "`mix` is 201, but there are only 200 items"),
        ("decoded", 5, {"decode": None}, {}, UsageError, "this model has none"),
        ("decoded", 5, {}, {"draw": "momets"}, UsageError, "Did you mean 'moments'"),
        ("decoded", 21, {}, {"draw": "centroids"}, SelectionError, "ask for at most 20 points"),
        ("decoded", 5, {"inputs": _sender(99).inputs}, {}, SelectionError, "decoded points of 99 items would tell of"),
        ("decoded", 5, {"decode": lambda z: 0 * _decode(z) + 0.5}, {}, SelectionError, "only 1 different inputs"),
        ("moments", 5, {"inputs": _sender(9).inputs}, {"privacy": "open"}, SelectionError, "of 9 items would tell"),
        ("moments", 5, {"groups": np.arange(200) % 9}, {}, SelectionError, "of 9 groups would tell of each of them"),
        ("public", 5, {}, {}, UsageError, "pass it with `points_from`"),
        ("public", 99, {"public": _sender(60).inputs}, {}, SelectionError, "has 60 different ones left"),
        ("observed", 201, {}, {}, SelectionError, "there are 200 different items"),
    ],
)
def test_what_an_origin_cannot_give_is_refused(
    name: str, n_points: int, changes: dict[str, object], recipe: dict[str, object], error: type[Exception], words: str
):
    with pytest.raises(error, match=words):
        _make(replace(_sender(), **changes), name, n_points, recipe=replace(RECIPE, **recipe))
