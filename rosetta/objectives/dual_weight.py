"""The anchors' weight: given, or held so that the anchor error stays at its tolerance."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

# The held weight is set by a proportional and an integral term on the log of error over tolerance. The integral
# alone (plain dual ascent) winds up while the error is still large and overshoots by orders of magnitude.
PROPORTIONAL, INTEGRAL = 2.0, 0.01  # of log weight: for each e-fold of error, and for each step and e-fold
SMOOTHING = 0.2  # share of the newest step in the smoothed error
LARGEST_EXCESS = 1.0  # e-folds that count at most
LOG_WEIGHT_BOUNDS = (math.log(1e-3), math.log(1e6))


class HeldWeight(nn.Module):
    """One weight, or one for each of several models that train side by side.

    Parameters
    ----------
    weight : float or "auto", or a sequence of them
        ``"auto"`` holds the root-mean-square anchor error at its target: at each training step the logarithm of the
        weight is set from the logarithm of error over target and its sum over steps (dual ascent with a proportional
        term, as in Stooke, Achiam & Abbeel 2020, "Responsive safety in reinforcement learning by PID Lagrangian
        methods"), so that it adapts to the scale of the rest of the loss.
    target : float, or a sequence of them
        Squared error to hold, in latent units, squared.
    """

    log_weight: Tensor
    excess: Tensor  # smoothed logarithm of error over tolerance
    excess_sum: Tensor  # its sum over steps, times INTEGRAL
    target: Tensor
    is_held: Tensor

    def __init__(
        self, weight: float | Literal["auto"] | Sequence[float | str], target: float | Sequence[float]
    ) -> None:
        super().__init__()
        given = torch.tensor(_numbers(weight))
        is_held = given.isnan()
        self.n_held = int(is_held.sum())
        self.is_mixed = 0 < self.n_held < is_held.numel()
        persistent = bool(self.n_held)  # a given weight is not for loading
        self.register_buffer("log_weight", torch.where(is_held, 1.0, given).log(), persistent=persistent)
        self.register_buffer("excess", torch.zeros(is_held.shape), persistent=persistent)
        self.register_buffer("excess_sum", torch.zeros(is_held.shape), persistent=persistent)
        self.register_buffer("target", torch.tensor(target), persistent=False)
        self.register_buffer("is_held", is_held, persistent=False)

    def forward(self, error: Tensor) -> Tensor:
        """Return the weight for a step with this mean squared `error`, moved first if it is held and in training."""
        if self.n_held and self.training and torch.is_grad_enabled():
            with torch.no_grad():
                excess = (error.detach() / self.target).log().mul(0.5).clamp(-LARGEST_EXCESS, LARGEST_EXCESS)
                excess = torch.where(excess.isnan(), self.excess, excess)  # a step that failed teaches nothing
                self.excess.lerp_(excess, SMOOTHING)
                self.excess_sum.add_(INTEGRAL * self.excess).clamp_(*LOG_WEIGHT_BOUNDS)
                moved = self.excess_sum + PROPORTIONAL * self.excess
                self.log_weight.copy_(torch.where(self.is_held, moved, self.log_weight) if self.is_mixed else moved)
        return self.log_weight.exp()


def _numbers(weight: float | str | Sequence[float | str]) -> float | list[float]:
    """Return weights as numbers, NaN for those that are held."""
    if isinstance(weight, str):
        return math.nan
    return [math.nan if isinstance(w, str) else float(w) for w in weight] if isinstance(weight, Sequence) else weight
