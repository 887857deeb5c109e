"""Annealed capacity: the KL divergence is held at a number of nats that grows as the training goes on."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from rosetta.objectives.kinds import Objective, Term, objectives
from rosetta.schemas.record import NonNegative, Record

if TYPE_CHECKING:
    from torch import Tensor


class Settings(Record):
    """How far the KL divergence may grow; with a capacity of 0 and a weight of 1 this is the VAE."""

    capacity: NonNegative = Field(25.0, description="Nats an item that the KL divergence is brought to.")
    capacity_epochs: NonNegative = Field(50.0, description="Epochs over which it rises there from 0.")
    capacity_weight: NonNegative = Field(10.0, description="Weight of the distance from it.")


def derive(terms: Mapping[str, Tensor], own: Settings, position: float) -> Mapping[str, Tensor]:
    """Return |KL − C(t)|, with C rising linearly (Burgess et al. 2018, eq. 8)."""
    share = min(position / own.capacity_epochs, 1.0) if own.capacity_epochs else 1.0
    return {"capacity_gap": (terms["kl"] - share * own.capacity).abs()}


objectives.register("annealed-capacity")(
    Objective(
        "reconstruction + capacity_weight · |KL − C(t)| (Burgess et al. 2018, eq. 8)",
        Settings,
        (Term("capacity_gap", "KL's distance from the capacity, nats", lambda training, own: own.capacity_weight),),
        derive=derive,
    )
)
