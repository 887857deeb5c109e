"""What changes as a training goes on: the learning rate and the share of β that counts."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Schedule:
    """How long, and how fast.

    Parameters
    ----------
    epochs : int
        Passes over the data.
    lr : float
        Adam's learning rate, at its largest.
    lr_schedule : str
        ``constant``; ``linear`` or ``cosine``, which end at 0.
    lr_warmup, kl_anneal : float
        Epochs over which the learning rate and the share of β rise linearly from 0.
    """

    epochs: int
    lr: float
    lr_schedule: Literal["constant", "linear", "cosine"] = "constant"
    lr_warmup: float = 0.0
    kl_anneal: float = 0.0

    @property
    def is_constant(self) -> bool:
        """Whether every step has the same learning rate and β."""
        return self.lr_schedule == "constant" and not self.lr_warmup and not self.kl_anneal

    def lr_at(self, epoch: float) -> float:
        """Return the learning rate when `epoch` passes over the data are done, which need be no whole number.

        A step's rate is that of its end while it warms up, so that the first one is not 0.
        """
        if epoch < self.lr_warmup:
            return self.lr * epoch / self.lr_warmup
        left = 1 - (epoch - self.lr_warmup) / max(self.epochs - self.lr_warmup, 1e-12)
        left = min(max(left, 0.0), 1.0)
        if self.lr_schedule == "linear":
            return self.lr * left
        if self.lr_schedule == "cosine":
            return self.lr * 0.5 * (1 - math.cos(math.pi * left))
        return self.lr

    def annealed(self, epoch: float) -> float:
        """Return the share of β that counts when `epoch` passes over the data are done."""
        return min(epoch / self.kl_anneal, 1.0) if self.kl_anneal else 1.0
