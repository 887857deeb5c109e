"""One step of the encoder and the decoder together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rosetta.training.procedures import Kind, State, procedures

if TYPE_CHECKING:
    from rosetta.training.items import Batch
    from rosetta.training.loop import Training


class Joint:
    """One step for each batch, on all parameters."""

    def step(self, training: Training, batch: Batch) -> None:
        """Take one step."""
        terms = training.descend(batch)
        training.watch.add(terms, batch.n_items)

    def end_epoch(self, training: Training) -> None:
        """Do nothing."""

    def state(self) -> State:
        """Return nothing."""
        return {}

    def restore(self, state: State) -> None:
        """Do nothing."""


procedures.register("joint")(Kind("one step of the encoder and the decoder together", lambda seed: Joint()))
