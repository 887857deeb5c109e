"""What an overfitted model knows by heart comes out with the encoder and the decoder that its pairs teach."""

from __future__ import annotations

import numpy as np
import pytest

from tests.disclosure.cases import attacked, encode, side, tells, world

NAMES = ("extracted model", "extracted model, calibrated", "displaced latent")


def _given(inputs: np.ndarray):
    return side(inputs, latents=encode(inputs))


@pytest.mark.parametrize("name", NAMES)
def test_pairs_that_are_noisy_members_teach_the_members(name: str):
    members, others, rng = world(0, 40)
    points = (members[rng.integers(40, size=1500)] + rng.normal(0, 0.3, (1500, 60))).astype(np.float32)

    found = attacked(name, points, _given(members), _given(others))

    assert found.auc > 0.75
    assert tells(found)


@pytest.mark.parametrize("name", NAMES)
def test_pairs_of_other_items_teach_no_member(name: str):
    members, others, _ = world(1)
    points = world(1, 1650)[0][150:]

    assert not tells(attacked(name, points, _given(members), _given(others)))


def test_the_same_seed_steals_the_same_model_and_leaves_torchs_own_seed_alone():
    import torch

    members, others, rng = world(2)
    points = rng.normal(size=(300, 60))
    state = torch.get_rng_state()

    one, two, other = (attacked(NAMES[0], points, side(members), side(others), seed=seed) for seed in (4, 4, 5))

    assert one == two != other
    assert torch.equal(torch.get_rng_state(), state)


def test_without_enough_outsiders_for_a_reference_nothing_is_calibrated():
    from rosetta.disclosure.adversary import run_attacks

    members, others, rng = world(3, 150, 30)
    points = rng.normal(size=(300, 60)).astype(np.float32)

    found = run_attacks(
        points, encode(points), {"decoded": np.arange(300)}, (side(members), side(others)), n_items=150, names=NAMES
    )

    assert [each.attack for each in found] == ["extracted model"]
