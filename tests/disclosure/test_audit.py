"""Verdicts on points whose nature is known."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from rosetta.schemas.audit import DisclosureAudit

from rosetta.disclosure import audit_points
from rosetta.errors import MetricError

N_DIMS = 3


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    from sklearn.datasets import load_digits

    return (load_digits().images / 16).astype(np.float32)


@pytest.fixture(scope="module")
def items(images: np.ndarray) -> np.ndarray:
    return images[:1000]


def audit(points: np.ndarray, items: np.ndarray, *stretches: tuple[Any, int], **more: Any) -> DisclosureAudit:
    latents = np.zeros((len(points), N_DIMS), dtype=np.float32)
    return audit_points(points.astype(np.float32), latents, stretches, items, **more)


def averages(items: np.ndarray, k: int, n: int) -> np.ndarray:
    rng = np.random.default_rng(1)
    return np.stack([items[rng.choice(len(items), k, replace=False)].mean(axis=0) for _ in range(n)])


def test_items_in_the_file_are_found_whatever_they_are_called(items: np.ndarray):
    [found] = audit(items[:40], items, ("public", 40)).origins

    assert (found.verdict, found.n_copies, found.n_near_copies, found.nearest_ratio_min) == ("holds items", 40, 0, 0)
    assert found.reasons[0] == (
        "40 of 40 points are items of the data, number for number or within 2 % of the typical distance"
    )


def test_observed_points_are_items_even_if_the_data_is_other_data(images: np.ndarray, items: np.ndarray):
    [found] = audit(images[1000:1020], items, ("observed", 20)).origins

    assert (found.verdict, found.n_copies) == ("holds items", 0)


def test_a_point_that_is_nearly_an_item_is_close_to_it(items: np.ndarray):
    points = averages(items, 30, 50)
    points[3] = 0.9 * items[0] + 0.1 * points[3]

    [found] = audit(points, items, ("decoded", 50)).origins

    assert (found.verdict, found.n_copies, found.n_near_copies) == ("close to items", 0, 1)
    assert found.reasons[0].startswith(
        "1 of 50 points is nearer to an item than half that item's own distance to its nearest other one; of new "
    )


def test_a_copy_of_a_rare_item_exposes_it(items: np.ndarray):
    strange = np.concatenate([items, 1 - items[:1]])
    points = np.concatenate([averages(items, 30, 10), strange[-1:]])

    found = audit(points, strange, ("decoded", 11))

    assert found.origins[0].n_rare_exposed == 1
    assert found.n_rare == 50


@pytest.mark.parametrize(("members", "verdict"), [(4, "close to items"), (5, "no item found"), (None, "no item found")])
def test_averages_of_many_hold_no_item_and_of_few_they_do(items: np.ndarray, members: int | None, verdict: str):
    more = {"members": {"averaged": members}} if members else {}

    [found] = audit(averages(items, 30, 60), items, ("averaged", 60), **more).origins

    assert (found.verdict, found.members) == (verdict, members)
    assert (found.n_demixing_tried, found.demixed) == (60, 0)


def test_mixtures_of_three_are_taken_apart(items: np.ndarray):
    [found] = audit(averages(items, 3, 60), items, ("mixed", 60)).origins

    assert (found.verdict, found.n_demixing_tried) == ("close to items", 60)
    assert found.demixed > 0.9
    assert f"{round(60 * found.demixed)} of 60 points tried could be written as a mixture" in " ".join(found.reasons)


def test_origins_are_audited_apart_wherever_they_stand(items: np.ndarray):
    points = np.concatenate([items[:10], averages(items, 30, 20), items[10:15]])

    found = audit(points, items, ("observed", 10), ("averaged", 20), ("observed", 5))

    assert [(each.origin, each.n_points, each.n_copies) for each in found.origins] == [
        ("observed", 15, 15), ("averaged", 20, 0),
    ]  # fmt: skip
    assert [each.verdict for each in found.origins] == ["holds items", "no item found"]


def test_membership_is_tested_with_held_out_items_by_inputs_and_with_latents_by_latents(images: np.ndarray):
    items, others = images[:700], images[700:1400]
    latents = np.random.default_rng(0).normal(size=(1400, N_DIMS)).astype(np.float32)
    points, labels = items[:350], latents[:350]

    def run(**more: Any) -> DisclosureAudit:
        return audit_points(points, labels, [("public", 350)], items, held_out=others, **more)

    assert audit(points, items, ("public", 350)).membership == ()
    assert [test.attack for test in run().membership] == ["inputs"]
    found = run(item_latents=latents[:700], held_out_latents=latents[700:])
    assert [test.attack for test in found.membership] == ["inputs", "latents"]
    assert all(test.low > 0.3 for test in found.membership)
    assert sum("items of the data can be told from others" in reason for reason in found.origins[0].reasons) == 2


def test_points_that_betray_membership_are_close_to_items_though_no_point_is(images: np.ndarray):
    rng = np.random.default_rng(0)
    items = rng.normal(size=(600, 64)).astype(np.float32)
    points = 0.5 * items[:300] + rng.normal(0, 0.6, size=(300, 64))

    [found] = audit(points, items, ("decoded", 300), held_out=rng.normal(size=(600, 64)).astype(np.float32)).origins

    assert (found.n_copies, found.n_near_copies, found.verdict) == (0, 0, "close to items")
    assert found.reasons[0].startswith("items of the data can be told from others by their inputs: advantage")


def test_held_out_items_that_are_items_are_left_out_and_too_many_are_refused(images: np.ndarray, items: np.ndarray):
    points = averages(items, 30, 20)

    found = audit(points, items, ("averaged", 20), held_out=images[990:1100])

    assert found.n_held_out == 100
    with pytest.raises(MetricError, match="100 of 150 held-out items are items of the data as well"):
        audit(points, items, ("averaged", 20), held_out=images[900:1050])
    assert audit(points, items, ("averaged", 20), held_out=images[1000:1019]).membership == ()


def test_data_full_of_duplicates_has_a_typical_distance_and_says_so(items: np.ndarray):
    twice = np.concatenate([items[:200], items[:200], items[200:240]])

    [found] = audit(averages(items, 30, 20), twice, ("averaged", 20)).origins
    [equal] = audit(np.ones((5, 3)), np.zeros((30, 3), dtype=np.float32), ("decoded", 5)).origins

    assert "most items come up more than once: the typical distance is the median of those above 0" in found.reasons
    assert any(reason.startswith("every item looked at has an equal one") for reason in equal.reasons)


def test_the_same_seed_gives_the_same_figures(images: np.ndarray, items: np.ndarray):
    points = averages(items, 5, 30)
    one, two = (
        audit(points, items, ("averaged", 30), held_out=images[1000:], seed=seed).model_dump_json() for seed in (4, 4)
    )

    assert one == two


def test_the_record_is_aggregate_without_a_number_for_each_row(images: np.ndarray, items: np.ndarray):
    found = audit(np.concatenate([items[:100], averages(items, 3, 100)]), items,
                  ("observed", 100), ("mixed", 100), held_out=images[1000:])  # fmt: skip
    text = found.model_dump_json()
    lengths, numbers = [], []

    def visit(node: object) -> None:
        if isinstance(node, list):
            lengths.append(len(node))
        numbers.append(isinstance(node, int | float))
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            visit(child)

    visit(json.loads(text))

    assert max(lengths) < 20
    assert sum(numbers) < 50
    assert len(text) < 6000
    assert not any(len(word) >= 32 for word in text.replace('"', " ").replace(",", " ").split() if word.isalnum())


def test_arrays_that_do_not_fit_are_refused(items: np.ndarray):
    with pytest.raises(MetricError, match="10 inputs, 10 latents and origins for 9 rows"):
        audit(items[:10], items, ("observed", 9))
    with pytest.raises(MetricError, match=r"the items have shape \(4, 16\), but the points have \(8, 8\)"):
        audit(items[:10], items.reshape(-1, 4, 16), ("observed", 10))
    with pytest.raises(MetricError, match="1 items: an audit needs at least two"):
        audit(items[:10], items[:1], ("observed", 10))
