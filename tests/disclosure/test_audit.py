"""Verdicts on points whose nature is known."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from rosetta.schemas.audit import DisclosureAudit

from rosetta.disclosure import audit_points, compact
from rosetta.errors import MetricError

N_DIMS = 3


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    from sklearn.datasets import load_digits

    images = (load_digits().images / 16).astype(np.float32)
    return images[np.random.default_rng(0).permutation(len(images))]  # in their own order, writers differ


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


@pytest.mark.parametrize(("members", "verdict"), [(4, "close to items"), (5, "not judged"), (None, "not judged")])
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
    assert [each.verdict for each in found.origins] == ["holds items", "not judged"]


def test_made_up_points_are_judged_only_with_held_out_items(images: np.ndarray, items: np.ndarray):
    points = averages(items, 30, 60)

    [without] = audit(points, items, ("averaged", 60)).origins
    [judged] = audit(points, items, ("averaged", 60), held_out=images[1000:]).origins
    [worse] = audit(np.concatenate([items[:1], points]), items, ("averaged", 61)).origins
    [public] = audit(images[1000:1020], items, ("public", 20)).origins

    assert (without.verdict, judged.verdict, worse.verdict) == ("not judged", "no item found", "holds items")
    assert "give at least 20 items, or groups, of the same kind" in without.reasons[0]
    assert "(`held_out`), or distil with `audit_held_out`" in without.reasons[0]
    assert any("attacks on membership tells more than one of so many would by chance" in r for r in judged.reasons)
    assert public.verdict == "not judged"


def test_attacks_know_what_they_are_given(images: np.ndarray):
    items, others = images[:700], images[700:1400]
    latents = np.random.default_rng(0).normal(size=(1400, N_DIMS)).astype(np.float32)
    points, labels = items[:350], latents[:350]

    def run(**more: Any) -> DisclosureAudit:
        return audit_points(points, labels, [("public", 350)], items, held_out=others, **more)

    assert audit(points, items, ("public", 350)).attacks == ()
    assert {each.knows for each in run().attacks} == {"bundle", "bundle and like items"}
    both = {"item_latents": latents[:700], "held_out_latents": latents[700:]}
    assert {"nearest latent", "displaced latent"} <= {each.attack for each in run(**both).attacks}
    ceiling = [each for each in run(rebuild=lambda inputs: inputs * 0.9).attacks if each.is_ceiling]
    assert [each.attack for each in ceiling] == ["the sender's own model"]
    found = run(weights=np.full(350, 1 / 350)).attacks
    assert "pair weights, extracted encoder" in {each.attack for each in found}
    nearest = next(each for each in found if each.attack == "nearest point")
    assert nearest.low > 0.7
    assert nearest.caught_at_1_percent == pytest.approx(0.5, abs=0.05)


def test_the_worst_attack_decides_and_is_named_with_what_it_is_compared_with():
    rng = np.random.default_rng(0)
    items = rng.normal(size=(600, 64)).astype(np.float32)
    points = 0.5 * items[:300] + rng.normal(0, 0.6, size=(300, 64))
    others = rng.normal(size=(600, 64)).astype(np.float32)

    found = audit(points, items, ("decoded", 300), held_out=others, rebuild=lambda inputs: inputs)

    [origin] = found.origins
    assert (origin.n_copies, origin.n_near_copies, origin.verdict) == (0, 0, "close to items")
    worst = max((each for each in found.attacks if not each.is_ceiling), key=lambda each: each.low)
    assert origin.reasons[0].startswith(f'items of the data can be told from others, best by "{worst.attack}"')
    assert f"names the right one in {100 * worst.auc:.1f} % of cases" in origin.reasons[0]
    assert "with the sender's own model it would be 50.0 %" in origin.reasons[0]


def test_people_are_the_unit_where_it_is_said_whose_items_are(images: np.ndarray):
    people = np.arange(1400) // 10
    points = averages(images[:700], 30, 20)

    found = audit(
        points, images[:700], ("averaged", 20), held_out=images[700:1400], groups=people[:700],
        held_out_groups=people[700:],
    )  # fmt: skip
    few = audit(
        points, images[:700], ("averaged", 20), held_out=images[700:800], groups=people[:700],
        held_out_groups=people[700:800],
    )  # fmt: skip

    assert (found.n_groups, found.n_held_out_groups, found.origins[0].verdict) == (70, 70, "no item found")
    assert {each.unit for each in found.attacks} == {"group"}
    mixed = audit(points, images[:700], ("averaged", 20), held_out=images[700:1400], groups=people[:700])
    assert ({each.unit for each in mixed.attacks}, mixed.n_groups, mixed.n_held_out_groups) == ({"item"}, 70, None)
    assert (few.attacks, few.n_held_out_groups, few.origins[0].verdict) == ((), 10, "not judged")
    assert "groups" in next(each.reason for each in found.findings if each.attack == "rare features")


def test_findings_count_for_the_verdict(images: np.ndarray, items: np.ndarray):
    from rosetta.schemas.audit import Finding

    finding = Finding(
        attack="comparison", knows="earlier bundles", what="estimates", n_tried=1, n_found=1, verdict="close to items",
        reason="both give the latent",
    )  # fmt: skip

    [found] = audit(
        averages(items, 30, 60), items, ("averaged", 60), held_out=images[1000:], findings=[finding]
    ).origins

    assert (found.verdict, found.reasons[0]) == ("close to items", "comparison: both give the latent")


def test_the_headline_is_the_number_of_items_against_the_numbers_in_one(items: np.ndarray):
    found = audit(averages(items, 30, 20), items, ("averaged", 20))

    assert (found.numbers_an_item, found.items_a_number) == (64, 1000 / 64)


def test_a_manifest_gets_the_worst_attack_of_each_origin_and_no_ceiling(images: np.ndarray, items: np.ndarray):
    points = np.concatenate([items[:30], averages(items, 30, 30)])

    found = audit(points, items, ("observed", 30), ("averaged", 30), held_out=images[1000:], rebuild=lambda x: x)
    told = compact(found)

    assert len(found.attacks) > 15
    assert [each.origin for each in told.attacks] == ["observed", "averaged", None]
    assert not any(each.is_ceiling for each in told.attacks)
    assert all(each.verdict for each in told.findings)
    assert told.origins == found.origins


def test_held_out_items_that_are_items_are_left_out_and_too_many_are_refused(images: np.ndarray, items: np.ndarray):
    points = averages(items, 30, 20)

    found = audit(points, items, ("averaged", 20), held_out=images[990:1100])

    assert found.n_held_out == 100
    with pytest.raises(MetricError, match="100 of 150 held-out items are items of the data as well"):
        audit(points, items, ("averaged", 20), held_out=images[900:1050])
    assert audit(points, items, ("averaged", 20), held_out=images[1000:1019]).attacks == ()


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
    text = compact(found).model_dump_json(exclude_none=True)
    lengths, numbers = [], []

    def visit(node: object) -> None:
        if isinstance(node, list):
            lengths.append(len(node))
        numbers.append(isinstance(node, int | float))
        for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
            visit(child)

    visit(json.loads(text))

    assert max(lengths) < 20
    assert sum(numbers) < 80
    assert len(text) < 6000
    assert not any(len(word) >= 32 for word in text.replace('"', " ").replace(",", " ").split() if word.isalnum())


def test_arrays_that_do_not_fit_are_refused(items: np.ndarray):
    with pytest.raises(MetricError, match="10 inputs, 10 latents and origins for 9 rows"):
        audit(items[:10], items, ("observed", 9))
    with pytest.raises(MetricError, match=r"the items have shape \(4, 16\), but the points have \(8, 8\)"):
        audit(items[:10], items.reshape(-1, 4, 16), ("observed", 10))
    with pytest.raises(MetricError, match="1 items: an audit needs at least two"):
        audit(items[:10], items[:1], ("observed", 10))
