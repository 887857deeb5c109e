"""What each term counts for in the loss, and the anchors that a step sees: for one model, or for several at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from rosetta.objectives.dual_weight import HeldWeight
from rosetta.objectives.pairs import AnchorBatch, AnchorPool, Draws


class Balance(nn.Module):
    """loss = reconstruction + β · KL + anchor weight · anchor error + the other terms by their weights.

    Parameters
    ----------
    betas : sequence of float
        Weight of the KL divergence, one for each model that trains; 1 gives the evidence lower bound.
    held : HeldWeight, optional
        The anchors' weight, with as many values.
    others : mapping
        Weights of further terms by name.
    """

    betas: Tensor

    def __init__(self, betas: Sequence[float], *, held: HeldWeight | None, others: Mapping[str, float]) -> None:
        super().__init__()
        self.register_buffer("betas", torch.tensor(betas[0] if len(betas) == 1 else list(betas)), persistent=False)
        self.held = held
        self.others = dict(others)

    def forward(self, terms: Mapping[str, Tensor], *, annealed: float) -> Tensor:
        """Return the loss, of the terms' own shape; a share `annealed` of β counts."""
        loss = torch.addcmul(terms["reconstruction"], self.betas * annealed, terms["kl"])
        if self.held is not None:
            loss = torch.addcmul(loss, self.held(terms["anchor_error"]), terms["anchor_error"])
        for name, weight in self.others.items():
            loss = loss + weight * terms[name]
        return loss

    @property
    def anchor_weights(self) -> Tensor | None:
        """The anchors' weights in force, of shape () or (n_models,)."""
        return None if self.held is None else self.held.log_weight.exp()


class Anchors:
    """The anchors of each step: one draw, or one for each of several models."""

    def __init__(self, pool: AnchorPool, seeds: Sequence[int]) -> None:
        self.pool = pool
        self._draws = [Draws(seed) for seed in seeds]

    @property
    def axes(self) -> AnchorBatch:
        """Along which axis of `draw`'s fields the models stand: None where all see the same, or there is nothing."""
        shared = len(self._draws) == 1 or self.pool.is_same_at_every_step
        drawn = self.pool.draw(Draws(0))
        return AnchorBatch(*(None if shared or field is None else 0 for field in drawn))  # type: ignore[arg-type]

    def draw(self) -> AnchorBatch:
        """Return the anchors of one step; with a leading axis where each model draws its own."""
        if len(self._draws) == 1 or self.pool.is_same_at_every_step:
            return self.pool.draw(self._draws[0])
        drawn = [self.pool.draw(draws) for draws in self._draws]
        fields = [None if parts[0] is None else torch.stack(parts) for parts in zip(*drawn, strict=True)]
        return AnchorBatch(*fields)  # type: ignore[arg-type]  # only what is optional is None

    def state(self) -> dict[str, Tensor]:
        """Return what `restore` takes, as tensors by name."""
        return {
            f"{number}.{name}": tensor
            for number, draws in enumerate(self._draws)
            for name, tensor in draws.state().items()
        }

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Go on where the draws that `state` is of stood."""
        for number, draws in enumerate(self._draws):
            draws.restore({name: state[f"{number}.{name}"] for name in draws.state()})
