"""Rare items that the pairs reproduce better than equally rare outsiders are found."""

from __future__ import annotations

import numpy as np

from tests.disclosure.cases import attacked, side, tells, world


def test_outliers_learned_by_heart_are_told_from_equally_rare_outsiders():
    members, others, rng = world(0, 400, 400)
    for each in (members, others):
        each[:20] = 9 * rng.normal(size=(20, 60))
    points = np.concatenate(
        [members[rng.integers(20, size=600)] + rng.normal(0, 0.3, (600, 60)), world(0, 1400)[0][400:]]
    )

    found = attacked("rare items", points, side(members), side(others))

    assert (found.n_members, found.n_outsiders) == (20, 20)
    assert found.auc > 0.9
    assert tells(found)


def test_points_that_know_of_no_outlier_tell_of_none():
    members, others, rng = world(1, 400, 400)
    for each in (members, others):
        each[:20] = 9 * rng.normal(size=(20, 60))

    assert not tells(attacked("rare items", world(1, 1400)[0][400:], side(members), side(others)))
