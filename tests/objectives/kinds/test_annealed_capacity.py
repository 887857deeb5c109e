"""Annealed capacity: the KL divergence is brought to a number of nats that rises."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from rosetta.errors import UsageError
from rosetta.objectives.kinds.annealed_capacity import Settings, derive
from tests.objectives.kinds.cases import same_weights, trained


@pytest.mark.parametrize(("position", "expected"), [(0.0, 7.0), (5.0, 3.0), (10.0, 13.0), (99.0, 13.0)])
def test_the_gap_is_the_distance_from_what_the_capacity_has_risen_to(position: float, expected: float):
    found = derive({"kl": torch.tensor(7.0)}, Settings(capacity=20.0, capacity_epochs=10.0), position)

    assert float(found["capacity_gap"]) == pytest.approx(expected)


def test_without_capacity_and_with_a_weight_of_one_it_is_the_vae(tmp_path: Path):
    neutral = {"objective": "annealed-capacity", "capacity": 0.0, "capacity_weight": 1.0}
    vae = trained(tmp_path / "vae")

    assert same_weights(vae, trained(tmp_path / "neutral", **neutral))
    assert not same_weights(vae, trained(tmp_path / "weight", **(neutral | {"capacity_weight": 3.0})))
    first = trained(tmp_path / "capacity", **(neutral | {"capacity": 5.0}))
    assert not same_weights(vae, first)
    assert not same_weights(
        first, trained(tmp_path / "epochs", **(neutral | {"capacity": 5.0, "capacity_epochs": 1.0}))
    )


def test_the_kl_divergence_is_brought_to_the_capacity(tmp_path: Path):
    settings = {"objective": "annealed-capacity", "capacity_epochs": 5.0, "capacity_weight": 100.0, "epochs": 60}

    for capacity in (1.0, 4.0):
        run = trained(tmp_path / str(capacity), capacity=capacity, lr=5e-3, **settings)
        assert run.record.final.kl == pytest.approx(capacity, rel=0.35)


def test_beta_has_no_effect_and_is_refused(tmp_path: Path):
    with pytest.raises(UsageError, match="`beta` has no effect on the objective annealed-capacity"):
        trained(tmp_path / "run", objective="annealed-capacity", beta=2.0)
