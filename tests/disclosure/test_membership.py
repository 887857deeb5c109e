"""The test finds members where there is something to find, and its interval holds 0 where there is not."""

from __future__ import annotations

import numpy as np
import pytest

from rosetta.disclosure.membership import attack_origins, best_threshold, membership_test


def test_the_threshold_is_the_best_of_all():
    rng = np.random.default_rng(0)
    members, others = rng.normal(0.5, 1, 60), rng.normal(0, 1, 60)

    rates = {t: (members >= t).mean() - (others >= t).mean() for t in np.concatenate([members, others])}

    assert rates[best_threshold(members, others)] == max(rates.values())
    assert best_threshold(np.zeros(5), np.ones(5)) == np.inf


def test_between_alike_items_the_interval_holds_zero_as_often_as_it_says():
    holds = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found = membership_test(rng.normal(size=400), rng.normal(size=400), rng, attack="inputs")
        assert found.low <= found.advantage <= found.high
        holds += found.low <= 0 <= found.high

    assert holds >= 89  # of 100 at 95 %, less about three standard deviations


def test_the_advantage_is_the_true_one():
    found = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        found.append(membership_test(rng.normal(1, 1, 2000), rng.normal(0, 1, 2000), rng, attack="inputs"))

    assert np.mean([each.advantage for each in found]) == pytest.approx(0.383, abs=0.01)  # 2 Φ(1/2) − 1
    assert np.mean([each.caught_at_1_percent for each in found]) == pytest.approx(0.092, abs=0.01)  # 1 − Φ(2.326 − 1)


def test_published_items_are_caught_and_each_origin_is_judged_alone():
    rng = np.random.default_rng(0)
    data, others = rng.normal(size=(1000, 12)), rng.normal(size=(1000, 12))
    published = np.concatenate([data[:500], rng.normal(size=(300, 12))]).astype(np.float32)
    rows = {"observed": np.arange(500), "moments": np.arange(500, 800)}

    found = attack_origins("inputs", published, rows, data.astype(np.float32), others.astype(np.float32), rng)

    for caught in (found.overall, found.by_origin["observed"]):
        assert caught.advantage == pytest.approx(0.5, abs=0.05)
        assert caught.low > 0.4
        assert caught.caught_at_1_percent == pytest.approx(0.5, abs=0.05)
    assert found.by_origin["moments"].low <= 0 <= found.by_origin["moments"].high
