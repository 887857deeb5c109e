"""Noise that is mixed of the items themselves has their span; noise of a covariance that was shrunk has not."""

from __future__ import annotations

import numpy as np

from tests.disclosure.cases import attacked, encode, side, tells, world


def row_by_row(items: np.ndarray, n_points: int, rng: np.random.Generator) -> np.ndarray:
    """Draw from the moments of items as a sum of the items times normal numbers."""
    mean = items.mean(axis=0)
    return mean + rng.normal(size=(n_points, len(items))) @ (items - mean) / len(items) ** 0.5


def test_the_span_of_few_items_is_found_in_points_from_their_moments():
    rng = np.random.default_rng(0)
    members, others = (rng.normal(size=(n, 120)).astype(np.float32) for n in (90, 300))

    from rosetta.disclosure.adversary import run_attacks

    points = row_by_row(members, 1500, rng).astype(np.float32)
    (found,) = run_attacks(
        points, points[:, :3], {"moments": np.arange(1500)}, (side(members), side(others)), n_items=90,
        names=["subspace of the points"],
    )  # fmt: skip

    assert found.auc > 0.99
    assert found.caught_at_1_percent is not None
    assert found.caught_at_1_percent > 0.9


def test_the_span_of_residuals_is_found_behind_what_a_decoder_makes():
    rng = np.random.default_rng(0)
    decoder = rng.normal(size=(3, 60)) * 3
    latents = rng.normal(size=(1500, 3)).astype(np.float32)
    members, others = (
        (rng.normal(size=(n, 3)) @ decoder + rng.normal(size=(n, 60))).astype(np.float32) for n in (45, 300)
    )
    residuals = members - members @ np.linalg.pinv(decoder) @ decoder
    points = latents @ decoder + row_by_row(residuals, 1500, rng)

    found = attacked("subspace of the residuals", points, side(members), side(others), latents=latents)

    assert found.auc > 0.9
    assert tells(found)


def test_points_from_the_true_moments_tell_of_no_member():
    members, others, _ = world(3)
    honest = world(3, 1650)[0][150:]

    for name in ("subspace of the points", "subspace of the residuals", "subspace of the points, calibrated"):
        assert not tells(attacked(name, honest, side(members), side(others), latents=encode(honest)))


def test_the_span_of_few_items_is_found_by_comparison_with_the_span_of_like_items():
    rng = np.random.default_rng(0)
    mixing = rng.normal(size=(60, 60)) * np.geomspace(3, 0.1, 60)

    def items(n: int) -> np.ndarray:
        rough = rng.lognormal(sigma=1.0, size=(n, 1))  # some items are far from any span, members or not
        return ((rng.normal(size=(n, 60)) @ mixing) * rough).astype(np.float32)

    members, others = items(80), items(400)
    points = row_by_row(members, 1500, rng) + 0.3 * rng.normal(size=(1500, 60))

    name = "subspace of the points, calibrated"
    leaking, honest = (attacked(name, each, side(members), side(others)) for each in (points, items(1500)))

    assert leaking.auc > 0.75
    assert tells(leaking)
    assert not tells(honest)
