"""The mean of few items that vary in many ways tells who is among them; that of many does not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.disclosure.cases import attacked, side, tells

NAME = "mean of the points, calibrated"


@pytest.mark.parametrize(("n_items", "is_told"), [(100, True), (20_000, False)])
def test_the_mean_tells_members_where_items_are_few(n_items: int, is_told: bool):
    rng = np.random.default_rng(0)
    members, others = (rng.normal(size=(n, 300)).astype(np.float32) for n in (n_items, 1000))
    points = members.mean(axis=0) + rng.normal(size=(4000, 300))

    found = attacked(NAME, points, side(members[:500]), side(others), latents=points[:, :3])

    assert tells(found) == is_told
    assert (found.auc > 0.8) == is_told


def test_numbers_that_hardly_vary_do_not_drown_the_others():
    rng = np.random.default_rng(0)
    members, others = (rng.normal(size=(n, 300)).astype(np.float32) for n in (100, 1000))
    points = (members.mean(axis=0) + rng.normal(size=(4000, 300))).astype(np.float32)
    for each in (members, others, points):
        each[:, 0] = rng.normal(size=len(each)) * 1e-6

    assert attacked(NAME, points, side(members), side(others), latents=points[:, :3]).auc > 0.8
