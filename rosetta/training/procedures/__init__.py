"""How a step is made, one file for each procedure; what is minimised is the objective's matter.

Third parties add a procedure by an entry point in the group ``rosetta.procedures``. These files do not import torch at
the top.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from rosetta.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor

    from rosetta.training.items import Batch
    from rosetta.training.loop import Training

State = dict[str, "Tensor"]


class Procedure(Protocol):
    """Makes the steps of a training."""

    def step(self, training: Training, batch: Batch) -> None:
        """Take one step, and give its terms to `training.watch`."""

    def end_epoch(self, training: Training) -> None:
        """Look at the training after a pass over the data."""

    def state(self) -> State:
        """Return what `restore` takes, as tensors by name."""

    def restore(self, state: State) -> None:
        """Go on where a saved state stood."""


@dataclass(frozen=True)
class Kind:
    """A procedure that can be chosen.

    Parameters
    ----------
    says : str
        What it is, in one sentence, with its source.
    make : callable
        The seed of the training to a new procedure.
    needs : str or None
        Why it works only with one model at a time, whose items are in memory, on one device, with separate encoder and
        decoder; None if it works with all.
    """

    says: str
    make: Callable[[int], Procedure]
    needs: str | None = None


procedures: Registry[Kind] = Registry("procedure", "rosetta.training.procedures")
