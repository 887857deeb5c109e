"""Anchor pairs as tensors, and which of them a step sees."""

from __future__ import annotations

import math
from collections.abc import Sequence
from os import PathLike
from typing import NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from rosetta.arrays import Array, Floats
from rosetta.errors import IncompatibleError, UsageError


class Pairs(Protocol):
    """Anchor pairs and the scale of their space; a `rosetta.Bundle` is one."""

    @property
    def anchor_inputs(self) -> Array:
        """Inputs, shape (n_anchors, …)."""

    @property
    def anchor_latents(self) -> Floats:
        """Latents, shape (n_anchors, n_dims)."""

    @property
    def anchor_latents_sd(self) -> Floats | None:
        """Posterior standard deviations, shape (n_anchors, n_dims), if they are known."""

    @property
    def anchor_weights(self) -> Floats | None:
        """Share of the sender's items that each pair stands for, shape (n_anchors,), if it is known."""

    @property
    def latents_total_sd(self) -> float:
        """Total standard deviation of the space."""

    @property
    def space_id(self) -> str:
        """Identity of the space."""


class AnchorBatch(NamedTuple):
    """The anchors of one step; with a leading axis where models that train side by side drew each their own."""

    inputs: Tensor  # float32, shape (n_drawn, …)
    latents: Tensor  # float32, shape (n_drawn, n_dims)
    latents_sd: Tensor | None = None  # float32, shape (n_drawn, n_dims)
    shares: Tensor | None = None  # float32, shape (n_drawn,), 1 on average over all anchors
    noise: Tensor | None = None  # standard normal, shape (n_drawn, n_all_dims): the model's own dimensions too


class Draws:
    """Rows and noise for the steps of one training: its state can be saved.

    All rows come up equally often: a permutation of them is used up before the next is drawn.
    """

    def __init__(self, seed: int) -> None:
        self._generator = torch.Generator().manual_seed(seed)
        self._order = torch.empty(0, dtype=torch.int64)
        self._used = 0

    def rows(self, n_rows: int, n_drawn: int) -> Tensor:
        """Return `n_drawn` of `n_rows` row numbers, without replacement."""
        if self._used + n_drawn > len(self._order):
            self._order, self._used = torch.randperm(n_rows, generator=self._generator), 0
        self._used += n_drawn
        return self._order[self._used - n_drawn : self._used]

    def normal(self, *shape: int) -> Tensor:
        """Return standard normal numbers."""
        return torch.randn(*shape, generator=self._generator)

    def state(self) -> dict[str, Tensor]:
        """Return what `restore` takes."""
        return {"generator": self._generator.get_state(), "order": self._order, "used": torch.tensor(self._used)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """Go on where the draws that `state` is of stood."""
        self._generator.set_state(state["generator"].cpu())
        self._order, self._used = state["order"].cpu(), int(state["used"])


class AnchorPool(nn.Module):
    """All anchor pairs of one or more bundles of one latent space.

    Parameters
    ----------
    bundles : sequence of Pairs
        Their anchors; check pairs are never used.
    per_step : int
        Number of pairs that a step sees; all of them where there are no more.
    noise : float
        Standard deviation of the noise on anchor inputs, in their own units.
    weighed, with_sd : bool
        Whether `AnchorBatch` carries shares and posterior standard deviations.
    latent_noise : int
        Number of the model's latent dimensions that `AnchorBatch` carries noise for, to sample its posterior;
        0 for none.

    Raises
    ------
    UsageError, IncompatibleError
        If there is no bundle, a bundle that cannot anchor, several that do not belong together, or one without the
        shares or standard deviations that are asked for.
    """

    inputs: Tensor
    latents: Tensor
    latents_sd: Tensor | None
    shares: Tensor | None

    def __init__(
        self,
        bundles: Sequence[Pairs],
        *,
        per_step: int,
        noise: float = 0.0,
        weighed: bool = False,
        with_sd: bool = False,
        latent_noise: int = 0,
    ) -> None:
        super().__init__()
        inputs = [bundle.anchor_inputs for bundle in _opened(bundles)]  # once: a bundle copies them at each call
        _check_bundles(bundles, inputs)
        self.per_step = per_step
        self.noise = noise
        self.latent_noise = latent_noise
        self.total_sd = float(np.sqrt(np.mean([b.latents_total_sd**2 for b in bundles])))
        arrays = {
            "inputs": inputs,
            "latents": [b.anchor_latents for b in bundles],
            "latents_sd": [b.anchor_latents_sd for b in bundles] if with_sd else None,
            "shares": [_shares(b) for b in bundles] if weighed else None,
        }
        for name, parts in arrays.items():
            self.register_buffer(name, None if parts is None else _joined(name, parts), persistent=False)

    def __len__(self) -> int:
        return len(self.inputs)

    @property
    def n_drawn(self) -> int:
        """Number of pairs that a step sees."""
        return min(self.per_step, len(self))

    @property
    def is_same_at_every_step(self) -> bool:
        """Whether nothing about a step's anchors is drawn."""
        return len(self) <= self.per_step and not self.noise and not self.latent_noise

    def draw(self, draws: Draws) -> AnchorBatch:
        """Return the anchors of one step."""
        device = self.inputs.device
        inputs, latents, latents_sd, shares = self.inputs, self.latents, self.latents_sd, self.shares
        if len(self) > self.per_step:
            rows = draws.rows(len(self), self.per_step).to(device)
            inputs, latents = inputs[rows], latents[rows]
            latents_sd = None if latents_sd is None else latents_sd[rows]
            shares = None if shares is None else shares[rows]
        if self.noise:
            inputs = inputs + self.noise * draws.normal(*inputs.shape).to(device)
        noise = draws.normal(len(latents), self.latent_noise).to(device) if self.latent_noise else None
        return AnchorBatch(inputs, latents, latents_sd, shares, noise)


def encoder_error(means: Tensor, drawn: AnchorBatch) -> Tensor:
    """Return mean_k w_k ‖z_k − μ(x_k)‖² for the encoder's `means`, shape (…, n_drawn, n_all_dims).

    The first n_dims of them are the space's; further ones are the model's own, and free.
    """
    errors = (means[..., : drawn.latents.shape[-1]] - drawn.latents).square().sum(-1)
    return (errors if drawn.shares is None else errors * drawn.shares).mean(-1)


def completed(means: Tensor, drawn: AnchorBatch) -> Tensor:
    """Return the stored latents with the model's own dimensions of `means` behind them, of the shape of `means`.

    These pass their gradient, so that the encoder, too, learns from decoding the sender's kind of item: cut off, the
    same anchors missed 0.03 more of the variance of the sender's other digits at a decoder weight of 1, and no less
    at 0.1.
    """
    n_dims = drawn.latents.shape[-1]
    latents = drawn.latents.expand(*means.shape[:-1], n_dims)
    return latents if means.shape[-1] == n_dims else torch.cat([latents, means[..., n_dims:]], dim=-1)


def _joined(name: str, parts: Sequence[Array | None]) -> Tensor:
    if any(part is None for part in parts):
        raise IncompatibleError(
            "a bundle does not say the posterior's standard deviations, which the spread term needs: leave it out, or "
            "ask the sender to distil again"
            if name == "latents_sd"
            else "a bundle does not say what share of the sender's items each pair stands for: leave the pair weights "
            "uniform, or ask the sender to distil again"
        )
    return torch.from_numpy(np.concatenate([np.asarray(part, dtype=np.float32) for part in parts]))


def _shares(bundle: Pairs) -> Floats | None:
    """Return the shares scaled to 1 on average; every bundle counts by its number of pairs."""
    shares = bundle.anchor_weights
    if shares is None:
        return None
    if not shares.sum() > 0:
        raise IncompatibleError("a bundle's anchors stand for none of the sender's items: leave the weights uniform")
    return np.asarray(shares / shares.mean())


def _opened(bundles: Sequence[Pairs]) -> Sequence[Pairs]:
    if not bundles:
        raise UsageError("AnchorLoss needs at least one bundle")
    for bundle in bundles:
        if isinstance(bundle, str | PathLike):
            raise UsageError(f"AnchorLoss takes opened bundles: pass rosetta.Bundle.open({str(bundle)!r})")
    return bundles


def _check_bundles(bundles: Sequence[Pairs], all_inputs: Sequence[Array]) -> None:
    for bundle, inputs in zip(bundles, all_inputs, strict=True):
        if not len(inputs):
            raise IncompatibleError("a bundle has no anchor pairs: see what rosetta validate says of it")
        finite = np.isfinite(inputs).all() and np.isfinite(bundle.anchor_latents).all()
        if not finite or not 0 < bundle.latents_total_sd < math.inf:
            raise IncompatibleError(
                "a bundle has anchors that are no finite numbers, or a space without extent: see what rosetta validate "
                "says of it"
            )
    shapes = {(x.shape[1:], b.anchor_latents.shape[1:]) for b, x in zip(bundles, all_inputs, strict=True)}
    if len(shapes) > 1:
        raise IncompatibleError(f"the bundles have inputs and latents of different shapes: {sorted(shapes)}")
    ids = {b.space_id for b in bundles}
    if len(ids) > 1:
        raise IncompatibleError(
            f"the bundles are of {len(ids)} latent spaces ({', '.join(sorted(ids))}): coordinates of different spaces "
            "do not agree. Align them first: train on one bundle, distil the others' data with that model, and use the "
            "bundle that this gives"
        )
