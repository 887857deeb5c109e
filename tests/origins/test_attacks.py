"""What somebody can solve for who has the points, knows this code, and even repeats the random numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.datasets import load_digits
from sklearn.metrics import roc_auc_score

from rosetta.errors import SelectionError
from rosetta.origins import SenderData, origins
from rosetta.origins.averaged import most_points
from rosetta.origins.bounds import Clipped, common_bounds
from rosetta.origins.covariance import effective_dimensions, n_directions, normal_like
from tests.origins.test_origins import RECIPE, _select

DIGITS = np.random.default_rng(0).permutation(load_digits().images.astype(np.float32).reshape(-1, 64) / 16)
MEMBERS, OUTSIDERS = DIGITS[:897], DIGITS[897:]
MEAN = OUTSIDERS.mean(axis=0)
BASIS = np.linalg.svd(OUTSIDERS - MEAN, full_matrices=False)[2][:6]  # of a model that has learned no member by heart
N_POINTS = 2000


def _encode(inputs: np.ndarray) -> np.ndarray:
    return np.asarray((inputs - MEAN) @ BASIS.T)


def _decode(latents: np.ndarray) -> np.ndarray:
    return (MEAN + latents @ BASIS).astype(np.float32)


def _points(name: str, items: np.ndarray, seed: int, value_range: tuple[float, float] = (-9.0, 9.0)) -> np.ndarray:
    sender = SenderData(
        inputs=items, latents=_encode(items), latents_sd=None, value_range=value_range, encode=_encode, decode=_decode,
        select=_select, store=lambda x: x,
    )  # fmt: skip
    recipe = replace(RECIPE, residuals=True, reencoding_limit=99.0, privacy="open")  # so that few items will do
    return origins.get(name)(sender, N_POINTS, np.random.default_rng(seed), items[:0], recipe).inputs


def _row_by_row(items: np.ndarray, seed: int) -> np.ndarray:
    """Points as they must not be made: normal numbers times the matrix of items, row by row."""
    centred = items - items.mean(axis=0)
    noise = np.random.default_rng(seed).standard_normal((N_POINTS, len(items)), dtype=np.float32)
    return items.mean(axis=0) + noise @ (centred / np.sqrt(len(items)))


def _solved(points: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Return the rows F and the mean m of points = m + noise F, by least squares: shape (1 + n_noises, 64)."""
    design = np.column_stack([np.ones(len(points)), noise])
    return np.linalg.lstsq(design, points, rcond=None)[0]


def _share_found(rows: np.ndarray, items: np.ndarray) -> float:
    """Return the share of items that one of the solved rows is, up to its length."""
    centred = items - items.mean(axis=0)
    cosines = (centred / np.linalg.norm(centred, axis=1, keepdims=True)) @ (
        rows / np.linalg.norm(rows, axis=1, keepdims=True)
    ).T
    return float((np.abs(cosines).max(axis=1) > 0.95).mean())


def _told_apart(points: np.ndarray, n_items: int) -> float:
    """Return how well members are told from others by what is outside of the points' main directions: an AUC."""
    centre = points.mean(axis=0)
    directions = np.linalg.svd(points - centre, full_matrices=False)[2]
    found = []
    for rank in range(4, 64, 4):
        along = directions[:rank]
        rests = [
            np.linalg.norm(x - centre - (x - centre) @ along.T @ along, axis=1)
            for x in (MEMBERS[:n_items], OUTSIDERS[:500])
        ]
        truth = np.repeat([1, 0], [n_items, 500])
        found.append(roc_auc_score(truth, -np.concatenate(rests)))
    return max(found)


def test_the_attacks_find_everybody_where_noise_multiplies_items_row_by_row():
    items = MEMBERS[:50]

    points = _row_by_row(items, seed=7)

    noise = np.random.default_rng(7).standard_normal((N_POINTS, 50), dtype=np.float32)
    assert _share_found(_solved(points, noise)[1:], items) == 1
    assert _told_apart(points, 50) > 0.99


@pytest.mark.parametrize("n_items", [20, 50, 300, 897])
@pytest.mark.parametrize("name", ["moments", "decoded"])
def test_repeated_noise_gives_no_item(name: str, n_items: int):
    items = MEMBERS[:n_items]

    points = _points(name, items, seed=7)

    rng = np.random.default_rng(7)  # the attacker has the seed, and draws as the code does
    if name == "decoded":
        rng.permutation(n_items)
    fitted = normal_like(items - _decode(_encode(items)) if name == "decoded" else items, rng)
    assert len(fitted.factor) <= n_directions(n_items, 64)
    if name == "decoded":
        latents = rng.standard_normal((N_POINTS, 6)).astype(np.float32)
        shares = rng.random((N_POINTS, 1), dtype=np.float32)
        noise = rng.standard_normal((N_POINTS, len(fitted.factor)), dtype=np.float32)
        noise = np.column_stack([latents, shares, shares * noise])
    else:
        noise = rng.standard_normal((N_POINTS, len(fitted.factor)), dtype=np.float32)
    rows = _solved(points, noise)
    assert np.isfinite(rows).all()
    if name == "moments" and len(rows) > 1:  # the noise was the right one: what is solved for is the factor
        np.testing.assert_allclose(rows[1:], fitted.factor, atol=0.05)
    assert _share_found(rows, items) == 0


@pytest.mark.parametrize("n_items", [100, 300, 897])
@pytest.mark.parametrize("name", ["moments", "decoded"])
def test_without_the_noise_the_points_main_directions_are_not_the_members(name: str, n_items: int):
    honest = _told_apart(_points(name, OUTSIDERS[500 : 500 + min(n_items, 400)], seed=7), n_items)

    found = _told_apart(_points(name, MEMBERS[:n_items], seed=7), n_items)

    margin = 0.04 + 2 * np.sqrt((1 / n_items + 1 / 500) / 12)  # two standard deviations of an AUC that tells nothing
    assert found < max(honest, 0.5) + margin


@pytest.mark.parametrize("privacy", ["standard", "open"])
def test_a_mark_that_few_items_have_is_in_no_point_unless_all_may_be_known(privacy: str):
    items = MEMBERS.copy()
    corner = np.isin(np.arange(64), [0, 7, 56])  # where digits are blank
    items[:, corner] = 0
    items[:5, corner] = 1
    bounds = common_bounds(items, None, np.random.default_rng(0))
    within = items if privacy == "open" else Clipped(items, bounds)[:]
    sender = SenderData(
        inputs=within, latents=_encode(items), latents_sd=None, value_range=(0.0, 1.0), encode=_encode, decode=_decode,
        select=_select, store=lambda x: x, bounds=None if privacy == "open" else bounds,
    )  # fmt: skip

    shown = {}
    for name in ("moments", "decoded", "averaged"):
        recipe = replace(RECIPE, residuals=True, reencoding_limit=99.0)
        points = origins.get(name)(sender, 80, np.random.default_rng(0), items[:0], recipe).inputs
        shown[name] = float((points[:, corner] > 0.01).all(axis=1).mean())

    assert (shown["moments"] > 0.05) == (shown["averaged"] > 0) == (privacy == "open")
    assert privacy == "open" or set(shown.values()) == {0.0}


@pytest.mark.parametrize("n_items", [1600, 3000])
def test_where_features_have_nothing_in_common_no_direction_is_the_items_own(n_items: int):
    rng = np.random.default_rng(0)
    members, others = (rng.standard_normal((n, 400), dtype=np.float32) for n in (n_items, 1000))

    def told_apart(factor: np.ndarray) -> float:
        inside = [((each @ factor.T / np.linalg.norm(factor, axis=1)) ** 2).sum(axis=1) for each in (members, others)]
        return float(roc_auc_score(np.repeat([1, 0], [n_items, 1000]), np.concatenate(inside)))

    main = np.linalg.svd(members, full_matrices=False)[2][: n_items // 50]
    fitted = normal_like(members, np.random.default_rng(0))

    assert told_apart(main) > 0.9
    assert len(fitted.factor) <= 2
    assert len(fitted.factor) == 0 or told_apart(fitted.factor) < 0.62


@pytest.mark.parametrize("n_features", [50, 1500])
def test_directions_that_the_population_has_are_found_among_those_that_it_has_not(n_features: int):
    rng = np.random.default_rng(0)
    mixing = rng.standard_normal((6, n_features)) * 3
    items = rng.standard_normal((600, 6)) @ mixing + rng.standard_normal((600, n_features))

    fitted = normal_like(items.astype(np.float32), np.random.default_rng(0))

    assert 6 <= len(fitted.factor) <= 10
    span = np.linalg.svd(mixing, full_matrices=False)[2]
    kept = fitted.factor[:6] @ span.T
    assert (kept**2).sum() > 0.9 * (fitted.factor[:6] ** 2).sum()
    np.testing.assert_allclose((fitted.factor**2).sum(axis=0) + fitted.sd**2, items.var(axis=0), rtol=1e-3)


def test_rows_of_a_group_are_kept_out_together_and_tell_more_together():
    rng = np.random.default_rng(0)
    people = rng.standard_normal((60, 30))
    items = (np.repeat(people, 20, axis=0) + 0.1 * rng.standard_normal((1200, 30))).astype(np.float32)

    alone = normal_like(items, np.random.default_rng(0))
    grouped = normal_like(items, np.random.default_rng(0), groups=np.repeat(np.arange(60), 20))

    assert len(alone.factor) == 30  # forty rows for each number, which look like as many people
    assert len(grouped.factor) <= 1


@settings(max_examples=25, deadline=None)
@given(n_true=st.integers(1, 40), n_items=st.sampled_from([60, 200, 1500]), seed=st.integers(0, 99))
def test_effective_dimensions_are_those_of_the_population_however_few_items_tell(n_true: int, n_items: int, seed: int):
    rng = np.random.default_rng(seed)
    rotation = np.linalg.qr(rng.standard_normal((200, n_true)))[0].T
    items = rng.standard_normal((n_items, n_true)) @ rotation
    correlations = rotation.T @ rotation
    sds = np.sqrt(np.diag(correlations))
    values = np.linalg.eigvalsh(correlations / np.outer(sds, sds))
    expected = values.sum() ** 2 / (values**2).sum()

    found = effective_dimensions(items.astype(np.float32), np.random.default_rng(0))

    assert found == pytest.approx(expected, rel=0.35)


@pytest.mark.parametrize(("n_dims", "n_items"), [(100, 1000), (300, 3000), (20, 400)])
def test_as_many_averages_as_are_allowed_find_few_of_the_items_behind_them(n_dims: int, n_items: int):
    rng = np.random.default_rng(0)
    members, others = rng.standard_normal((n_items, n_dims)), rng.standard_normal((20_000, n_dims))

    def found(n_points: int) -> float:
        means = np.stack([part.mean(axis=0) for part in np.array_split(members, n_points)])
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        threshold = np.quantile((others @ means.T).max(axis=1), 0.99)
        return float(((members @ means.T).max(axis=1) > threshold).mean())

    most = most_points(n_items, n_dims)

    assert most > 1
    assert found(most) < 0.075
    assert found(3 * most) > 0.1


def test_residuals_of_items_that_vary_in_many_ways_have_no_mean_and_no_direction():
    rng = np.random.default_rng(0)
    members, others = (
        (3 * rng.standard_normal((n, 1)) + rng.standard_normal((n, 400))).astype(np.float32) for n in (150, 1000)
    )

    def encode(inputs: np.ndarray) -> np.ndarray:
        return inputs.mean(axis=1, keepdims=True)

    def told_apart(privacy: str) -> float:
        sender = SenderData(
            inputs=members, latents=encode(members), latents_sd=None, value_range=(-19.0, 19.0), encode=encode,
            decode=lambda z: np.repeat(z, 400, axis=1).astype(np.float32), select=_select, store=lambda x: x,
        )  # fmt: skip
        recipe = replace(RECIPE, residuals=True, reencoding_limit=99.0, privacy=privacy)
        points = origins.get("decoded")(sender, 4000, np.random.default_rng(0), members[:0], recipe).inputs
        mean = points.mean(axis=0, dtype=np.float64)
        scores = [each @ (mean - mean.mean()) for each in (members, others)]
        return float(roc_auc_score(np.repeat([1, 0], [150, 1000]), np.concatenate(scores)))

    assert told_apart("open") > 0.85
    assert told_apart("standard") < 0.58


def test_few_items_that_vary_in_many_ways_are_refused_and_many_are_not():
    rng = np.random.default_rng(0)
    items = rng.standard_normal((1000, 300)).astype(np.float32)

    def made(n: int, privacy: str) -> np.ndarray:
        sender = SenderData(
            inputs=items[:n], latents=items[:n, :2], latents_sd=None, value_range=(-9.0, 9.0), encode=None, decode=None,
            select=_select, store=lambda x: x,
        )  # fmt: skip
        recipe = replace(RECIPE, privacy=privacy)
        return origins.get("moments")(sender, 50, np.random.default_rng(0), items[:0], recipe).inputs

    with pytest.raises(SelectionError, match=r"150 items that vary in so many ways .* about \d+ are needed"):
        made(150, "standard")
    assert len(made(150, "open")) == len(made(1000, "standard")) == 50
