"""All attacks together: honest points raise no alarm, leaking ones do, and groups are taken as a whole."""

from __future__ import annotations

import numpy as np
import pytest

from rosetta.disclosure import run_attacks
from rosetta.disclosure.adversary import by_unit, directed
from rosetta.disclosure.attacks import Effort, Side, attacks
from rosetta.disclosure.sides import People, draw_sides, outsiders
from rosetta.disclosure.verdicts import is_alarm
from rosetta.errors import MetricError, UsageError
from tests.disclosure.cases import encode, side, world

QUICK = Effort(n_steps=20, n_hidden=16)
BY_FILE = {
    "mean of the points, calibrated",
    "nearest point", "nearest latent", "subspace of the points", "subspace of the points, calibrated",
    "subspace of the residuals", "extracted model",
    "extracted model, calibrated", "displaced latent", "rare items", "pair weights", "pair weights, extracted encoder",
    "the sender's own model",
}  # fmt: skip


def _run(points: np.ndarray, members: Side, others: Side, **more):
    rows = more.pop("rows", {"decoded": np.arange(len(points))})
    return run_attacks(
        points.astype(np.float32), encode(points), rows, (members, others), n_items=len(members.inputs), **more
    )


def _alarms(seed: int, n_members: int, n_others: int, *, effort: Effort = QUICK) -> int:
    """How many attacks raise an alarm on points that are new items."""
    n_all = n_members + n_others
    everyone = world(seed, n_all + 600)[0]
    members, others = (
        side(each, latents=encode(each), rebuilt=each * np.float32(0.9))
        for each in (everyone[:n_members], everyone[n_members:n_all])
    )
    found = _run(everyone[n_all:], members, others, effort=effort, weights=np.full(600, 1 / 600), seed=seed)
    attacked = [each for each in found if not each.is_ceiling]
    return sum(is_alarm(each, len(attacked)) for each in attacked)


def test_every_attack_is_tried_once_where_everything_is_there():
    members, others, rng = world(0)
    given = [side(each, latents=encode(each), rebuilt=each * np.float32(0.9)) for each in (members, others)]

    found = _run(rng.normal(size=(300, 60)), *given, weights=np.full(300, 1 / 300), effort=QUICK)

    assert sorted(each.attack for each in found) == sorted(attacks)
    assert set(attacks) == BY_FILE
    assert {each.origin for each in found if not each.is_ceiling} == {"decoded"}
    assert all((each.n_members, each.unit) == (150, "item") for each in found if each.attack == "nearest point")


def test_honest_points_raise_no_alarm():
    assert sum(_alarms(seed, 100, 150) for seed in range(6)) == 0
    assert sum(_alarms(seed, 25, 25) for seed in range(6)) == 0


@pytest.mark.slow
@pytest.mark.parametrize(("n_members", "n_others"), [(25, 25), (100, 300)])
def test_hardly_one_honest_bundle_in_a_hundred_raises_an_alarm(n_members: int, n_others: int):
    alarmed = sum(_alarms(seed, n_members, n_others) > 0 for seed in range(150))

    assert alarmed <= 4  # 1 % of 150, and less than two standard deviations more


def test_fewer_than_twenty_of_a_side_are_not_attacked():
    members, others, rng = world(0, 60, 19)

    assert _run(rng.normal(size=(300, 60)), side(members), side(others)) == ()


def test_with_several_origins_each_is_attacked_alone_and_all_together():
    members, others, rng = world(0)
    points = np.concatenate(
        [members[rng.integers(150, size=200)] + rng.normal(0, 0.5, (200, 60)), world(0, 450)[0][150:]]
    )
    rows = {"mixed": np.arange(200), "decoded": np.arange(200, 500)}

    found = _run(points, side(members), side(others), rows=rows, names=["nearest point"])

    assert [each.origin for each in found] == ["mixed", "decoded", None]
    assert [is_alarm(each, 3) for each in found] == [True, False, True]


def test_an_unknown_attack_is_refused_by_name():
    members, others, rng = world(0)

    with pytest.raises(UsageError, match="no attack called 'nearest pint'. Did you mean 'nearest point'"):
        _run(rng.normal(size=(300, 60)), side(members), side(others), names=["nearest pint"])


def test_the_score_of_a_group_is_the_mean_of_its_rows_that_have_one():
    scores = np.array([[1.0, 10], [3, 30], [np.nan, 5], [7, 70], [np.nan, 1]])

    assert by_unit(scores, np.array([4, 4, 4, 2, 9])).tolist() == [[7, 70], [2, 20]]
    assert by_unit(scores[:, 0], np.arange(5)).tolist() == [[1], [3], [7]]


def test_groups_are_the_unit_and_a_persons_many_items_tell_more_than_one():
    rng = np.random.default_rng(0)
    faces = rng.normal(size=(120, 60))
    items = (np.repeat(faces, 10, axis=0) + rng.normal(0, 1.5, (1200, 60))).astype(np.float32)
    groups = np.repeat(np.arange(120), 10)
    is_member = groups < 50
    points = faces[rng.integers(50, size=800)] + rng.normal(0, 3, (800, 60))

    (by_item,), (by_group,) = (
        _run(
            points,
            *(Side(items[at], (groups if whole else np.arange(1200))[at]) for at in (is_member, ~is_member)),
            names=["nearest point"], has_groups=whole,
        )
        for whole in (False, True)
    )  # fmt: skip

    assert (by_item.unit, by_item.n_members) == ("item", 500)
    assert (by_group.unit, by_group.n_members, by_group.n_outsiders) == ("group", 50, 70)
    assert by_group.auc > by_item.auc + 0.05


def test_a_rule_is_chosen_by_units_that_the_figures_are_not_of():
    rng = np.random.default_rng(0)
    areas = []
    for _ in range(60):
        members, others = rng.normal(size=(90, 40)), rng.normal(size=(90, 40))
        one, two = directed(members, others, rng)
        assert (len(one), len(two)) == (60, 60)
        areas.append((one[:, None] > two).mean())

    assert np.mean(areas) == pytest.approx(0.5, abs=0.02)
    assert directed(rng.normal(size=(30, 4)), rng.normal(size=(90, 4)), rng)[0].shape == (30,)


def test_sides_are_drawn_of_items_and_of_whole_groups():
    items = np.arange(600, dtype=np.float32).reshape(300, 2)
    groups = np.arange(300) // 6
    first, second = draw_sides(
        People(items, groups=groups), People(items[:60]), np.random.default_rng(0), n_rows=100, rebuild=lambda x: x + 1
    )

    assert first.inputs.shape == (100, 2)
    assert np.unique(first.groups, return_counts=True)[1].tolist() == [2] * 50
    np.testing.assert_array_equal(first.groups, first.inputs[:, 0] // 12)
    assert first.rebuilt is not None
    np.testing.assert_array_equal(first.rebuilt, first.inputs + 1)
    assert len(second.inputs) == 60
    assert not np.array_equal(second.inputs, np.sort(second.inputs, axis=0))


def test_held_out_people_who_are_in_the_data_are_left_out_with_all_their_items():
    items = np.random.default_rng(0).normal(size=(200, 3)).astype(np.float32)
    codes = np.arange(200) // 10
    members = People(items[:105], groups=codes[:105])  # half of person 10 is in the data

    left = outsiders(People(items[100:], groups=codes[100:]), members)

    assert (len(left.inputs), left.n_units) == (90, 9)
    with pytest.raises(MetricError, match="15 of 20 held-out items are of groups that are in the data as well"):
        outsiders(People(items[100:120] + 1, groups=np.repeat([3, 4, 5, 19], 5)), members)
