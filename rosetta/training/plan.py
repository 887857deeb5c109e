"""How a training is to go, and what it tells as it goes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from rosetta.training.schedule import Schedule


@dataclass(frozen=True)
class Plan:
    """How a training goes.

    Parameters
    ----------
    schedule : Schedule
        Epochs, learning rates and shares of β.
    batch_size : int
        Items in a step, on all processes together.
    clip : float, optional
        Largest norm of each model's gradient; a larger one is scaled down to it.
    patience : int, optional
        Epochs without a better held-out loss after which a model stops.
    anchor_targets : sequence of float or None
        Squared anchor error that counts as held, for each model whose weight is held.
    goes_on : bool
        Whether the other models go on when one diverges; else that is a TrainingError.
    advice : mapping of str to str
        What to try if a term becomes no finite number.
    """

    schedule: Schedule
    batch_size: int
    clip: float | None = None
    patience: int | None = None
    anchor_targets: tuple[float | None, ...] = ()
    goes_on: bool = False
    advice: Mapping[str, str] = field(default_factory=dict)


class Epoch(NamedTuple):
    """What one pass gave one model: means over items in nats, the anchor error in latent units, squared."""

    model: int
    number: int  # from 1
    n_rows: int
    elapsed_s: float  # of this epoch's steps alone
    lr: float
    annealed: float  # share of β that counted
    training: Mapping[str, float]
    validation: Mapping[str, float] | None
    n_active: int  # dimensions whose posterior means vary over items
    anchor_weight: float | None


class Progress(NamedTuple):
    """Where a training stands."""

    epoch: int
    n_rows_done: int
    n_rows: int
    rows_per_s: float
