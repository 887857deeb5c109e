"""What each term counts for in the loss, and the anchors that a step sees: for one model, or for several at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence

import torch
from torch import Tensor, nn

from rosetta.objectives.dual_weight import HeldWeight
from rosetta.objectives.pairs import AnchorBatch, AnchorPool, Draws


class Balance(nn.Module):
    """loss = reconstruction + Σ weight · term + anchor weight · anchor error + further terms of the anchors.

    Parameters
    ----------
    weights : mapping of str to sequence of float
        What each term over items counts for, one number for each model that trains.
    held : HeldWeight, optional
        The anchors' weight, with as many values.
    others : mapping
        Weights of further terms over anchors by name.
    annealed : collection of str
        Terms whose weight rises from 0 with the share that a step is given.
    derive : callable, optional
        The terms and the number of passes over the data done to terms that follow from them.
    measured : collection of str
        Terms over items beside the reconstruction error and the KL divergence.
    """

    def __init__(
        self,
        weights: Mapping[str, Sequence[float]],
        *,
        held: HeldWeight | None,
        others: Mapping[str, float],
        annealed: Collection[str] = ("kl",),
        derive: Callable[[Mapping[str, Tensor], float], Mapping[str, Tensor]] | None = None,
        measured: Collection[str] = (),
    ) -> None:
        super().__init__()
        for name, each in weights.items():
            value = torch.tensor(each[0] if len(each) == 1 else list(each))
            self.register_buffer(f"weight_{name}", value, persistent=False)
        self.names = tuple(weights)
        self.annealed = frozenset(annealed)
        self.held = held
        self.others = dict(others)
        self._derive = derive
        self.over_items = frozenset({"reconstruction", "kl", *measured, *weights})

    def derived(self, terms: Mapping[str, Tensor], *, position: float) -> Mapping[str, Tensor]:
        """Return the terms that follow from others when `position` passes over the data are done."""
        return {} if self._derive is None else self._derive(terms, position)

    def forward(self, terms: Mapping[str, Tensor], *, annealed: float) -> Tensor:
        """Return the loss, of the terms' own shape; a share `annealed` of the weights that are annealed counts."""
        loss = self._of_items(terms, annealed)
        if self.held is not None:
            loss = torch.addcmul(loss, self.held(terms["anchor_error"]), terms["anchor_error"])
        for name, weight in self.others.items():
            loss = loss + weight * terms[name]
        return loss

    def held_out_losses(self, measured: Sequence[Mapping[str, float]], *, position: float) -> list[float]:
        """Return each model's loss without anchors, from its means over held-out items: what early stopping watches."""
        device = self.get_buffer(f"weight_{self.names[0]}").device if self.names else torch.device("cpu")
        values = {name: [each[name] for each in measured] for name in measured[0]}
        terms = {
            name: torch.tensor(each[0] if len(each) == 1 else each, dtype=torch.float64, device=device)
            for name, each in values.items()
        }
        terms |= self.derived(terms, position=position)
        losses: list[float] = self._of_items(terms, 1.0).reshape(-1).tolist()
        return losses

    def _of_items(self, terms: Mapping[str, Tensor], annealed: float) -> Tensor:
        loss = terms["reconstruction"]
        for name in self.names:
            weight = self.get_buffer(f"weight_{name}").to(loss.dtype)
            loss = torch.addcmul(loss, weight * annealed if name in self.annealed else weight, terms[name])
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
