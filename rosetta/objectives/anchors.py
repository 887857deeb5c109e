"""The anchor loss: the encoder puts the shared inputs at the shared latents (R-VAE paper, eq. 1)."""

from __future__ import annotations

import math
from collections.abc import Callable
from os import PathLike
from typing import Literal, NamedTuple, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from rosetta.arrays import Array, Floats
from rosetta.errors import IncompatibleError, UsageError

# The held weight is set by a proportional and an integral term on the log of error over tolerance. The integral
# alone (plain dual ascent) winds up while the error is still large and overshoots by orders of magnitude.
PROPORTIONAL, INTEGRAL = 2.0, 0.01  # of log weight: for each e-fold of error, and for each step and e-fold
SMOOTHING = 0.2  # share of the newest step in the smoothed error
LARGEST_EXCESS = 1.0  # e-folds that count at most
LOG_WEIGHT_BOUNDS = (math.log(1e-3), math.log(1e6))


class Pairs(Protocol):
    """Anchor pairs and the scale of their space; a `rosetta.Bundle` is one."""

    @property
    def anchor_inputs(self) -> Array:
        """Inputs, shape (n_anchors, …)."""

    @property
    def anchor_latents(self) -> Floats:
        """Latents, shape (n_anchors, n_dims)."""

    @property
    def latents_total_sd(self) -> float:
        """Total standard deviation of the space."""

    @property
    def space_id(self) -> str:
        """Identity of the space."""


class Drawn(NamedTuple):
    """The anchors of one step."""

    inputs: Tensor  # float32, shape (n_drawn, …)
    latents: Tensor  # float32, shape (n_drawn, n_dims)


class AnchorLoss(nn.Module):
    """weight · mean_k ‖z_k − μ(x_k)‖², to be added to any model's loss.

    Parameters
    ----------
    bundle : Bundle, or a sequence of them in one latent space
        Where the anchor pairs come from; check pairs are never used.
    weight : float or "auto"
        ``"auto"`` holds the root-mean-square anchor error at `tolerance`: at each training step the logarithm
        of the weight is set from the logarithm of error over tolerance and its sum over steps (dual ascent
        with a proportional term, as in Stooke, Achiam & Abbeel 2020, "Responsive safety in reinforcement
        learning by PID Lagrangian methods"), so that it adapts to the scale of the rest of the loss.
    tolerance : float
        Share of the space's total standard deviation (the root of the trace of its covariance).
    decoder_weight : float
        Weight of the decoder's error on the stored latents, for models that can say it.
    anchors_per_step : int
        Number of pairs drawn at each step, without replacement; all of them where there are no more.
    seed : int
        Seed of the draws.

    Notes
    -----
    The inputs are the bundle's, preprocessed as its manifest says; bring your own data to the same form. An
    encoder whose answer depends on the batch, as with BatchNorm or dropout, holds the tolerance in training
    mode only. With several bundles, all pairs count alike. The tolerance bounds the error on the anchors, not
    on other items.

    In a loop of your own::

        anchors = rosetta.AnchorLoss(rosetta.Bundle.open("alice.h5"))
        loss = my_loss(batch) + anchors(my_encoder)  # my_loss: a mean over the batch

    A held weight starts at 1 and moves by about an e-fold in 100 steps. If your loss is a sum over the batch,
    add ``len(batch) * anchors(my_encoder)``, so that it need not first climb to the batch's size.

    The state of a held weight is part of `state_dict`; the pairs themselves are not.
    """

    inputs: Tensor
    latents: Tensor
    log_weight: Tensor
    excess: Tensor  # smoothed logarithm of error over tolerance
    excess_sum: Tensor  # its sum over steps, times INTEGRAL

    def __init__(
        self,
        bundle: Pairs | list[Pairs] | tuple[Pairs, ...],
        *,
        weight: float | Literal["auto"] = "auto",
        tolerance: float = 0.05,
        decoder_weight: float = 0.0,
        anchors_per_step: int = 256,
        seed: int = 0,
    ) -> None:
        super().__init__()
        bundles = list(bundle) if isinstance(bundle, list | tuple) else [bundle]
        _check_options(bundles, weight, tolerance, decoder_weight, anchors_per_step)
        inputs = np.concatenate([np.asarray(b.anchor_inputs, dtype=np.float32) for b in bundles])
        latents = np.concatenate([np.asarray(b.anchor_latents, dtype=np.float32) for b in bundles])
        self.is_held = weight == "auto"
        self.decoder_weight = decoder_weight
        self.anchors_per_step = anchors_per_step
        self.total_sd = float(np.sqrt(np.mean([b.latents_total_sd**2 for b in bundles])))
        self.target = (tolerance * self.total_sd) ** 2
        self.register_buffer("inputs", torch.from_numpy(inputs), persistent=False)
        self.register_buffer("latents", torch.from_numpy(latents), persistent=False)
        initial = 1.0 if weight == "auto" else float(weight)
        log_weight = torch.tensor(math.log(initial) if initial else -math.inf)
        self.register_buffer("log_weight", log_weight, persistent=self.is_held)  # a given weight is not for loading
        self.register_buffer("excess", torch.zeros(()), persistent=self.is_held)
        self.register_buffer("excess_sum", torch.zeros(()), persistent=self.is_held)
        self._draws = torch.Generator().manual_seed(seed)

    @property
    def weight(self) -> float:
        """The weight in force."""
        return float(self.log_weight.exp())

    def draw(self) -> Drawn:
        """Return the anchors of one step."""
        if len(self.inputs) <= self.anchors_per_step:
            return Drawn(self.inputs.clone(), self.latents)  # an encoder may work in place
        rows = torch.randperm(len(self.inputs), generator=self._draws)[: self.anchors_per_step]
        rows = rows.to(self.inputs.device)
        return Drawn(self.inputs[rows], self.latents[rows])

    def encoder_error(self, means: Tensor, drawn: Drawn) -> Tensor:
        """Return mean_k ‖z_k − μ(x_k)‖² for the encoder's `means`, shape (n_drawn, n_dims), of the drawn inputs.

        Raises
        ------
        IncompatibleError
            If the encoder gives another shape than the stored latents have.
        """
        if not isinstance(means, Tensor):
            raise IncompatibleError(
                f"the encoder gives a {type(means).__name__}, expected a tensor of posterior means: pass a function "
                "that returns the means alone, such as lambda inputs: encoder(inputs)[0]"
            )
        if means.shape != drawn.latents.shape:
            raise IncompatibleError(
                f"the encoder gives latents of shape {tuple(means.shape)} for anchors with stored latents of shape "
                f"{tuple(drawn.latents.shape)}: it must return posterior means in the bundle's number of dimensions"
            )
        return (means - drawn.latents).square().sum(1).mean()

    def weighted(self, error: Tensor) -> Tensor:
        """Return weight · error, and while training move a held weight towards its tolerance."""
        if self.is_held and self.training and torch.is_grad_enabled():
            with torch.no_grad():
                excess = (error.detach() / self.target).log().mul(0.5).clamp(-LARGEST_EXCESS, LARGEST_EXCESS)
                excess = torch.where(excess.isnan(), self.excess, excess)  # a step that failed teaches nothing
                self.excess.lerp_(excess, SMOOTHING)
                self.excess_sum.add_(INTEGRAL * self.excess).clamp_(*LOG_WEIGHT_BOUNDS)
                self.log_weight.copy_(self.excess_sum + PROPORTIONAL * self.excess)
        return self.log_weight.exp() * error

    def forward(
        self,
        encode: Callable[[Tensor], Tensor],
        decoder_error: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Return the loss to add, a tensor without axes.

        Parameters
        ----------
        encode : callable
            Inputs, float32, shape (n_drawn, …), to posterior means, shape (n_drawn, n_dims). Never a sample.
        decoder_error : callable, optional
            Stored latents and inputs to the error of decoding the former, shape (n_drawn,), in the units
            of your own loss. Needed if `decoder_weight` is not 0.
        """
        drawn = self.draw()
        loss = self.weighted(self.encoder_error(encode(drawn.inputs), drawn))
        if self.decoder_weight:
            if decoder_error is None:
                raise UsageError("decoder_weight is set, but no decoder_error was passed: the decoder term needs it")
            errors = decoder_error(drawn.latents, drawn.inputs)
            if errors.shape != drawn.latents.shape[:1]:
                raise IncompatibleError(
                    f"decoder_error gives shape {tuple(errors.shape)}, expected {tuple(drawn.latents.shape[:1])}: "
                    "one error for each pair, summed over the input"
                )
            loss = loss + self.decoder_weight * errors.mean()
        return loss


def _check_options(
    bundles: list[Pairs], weight: float | str, tolerance: float, decoder_weight: float, anchors_per_step: int
) -> None:
    if not bundles:
        raise UsageError("AnchorLoss needs at least one bundle")
    for bundle in bundles:
        if isinstance(bundle, str | PathLike):
            raise UsageError(f"AnchorLoss takes opened bundles: pass rosetta.Bundle.open({str(bundle)!r})")
        if not len(bundle.anchor_inputs):
            raise IncompatibleError("a bundle has no anchor pairs: see what rosetta validate says of it")
        finite = np.isfinite(bundle.anchor_inputs).all() and np.isfinite(bundle.anchor_latents).all()
        if not finite or not 0 < bundle.latents_total_sd < math.inf:
            raise IncompatibleError(
                "a bundle has anchors that are no finite numbers, or a space without extent: see what rosetta validate "
                "says of it"
            )
    if isinstance(weight, str) and weight != "auto":
        raise UsageError(f"the anchor weight is {weight!r}; expected a number or 'auto'")
    numbers = {"tolerance": tolerance, "decoder_weight": decoder_weight, "anchors_per_step": anchors_per_step}
    numbers |= {} if isinstance(weight, str) else {"weight": weight}
    for name, number in numbers.items():
        least = {"tolerance": 0.0, "anchors_per_step": 1}.get(name, 0.0)
        if not math.isfinite(number) or number < least or (name == "tolerance" and number == 0):
            raise UsageError(
                f"{name} is {number}; expected a finite number {'above' if name == 'tolerance' else 'from'} {least:g}"
            )
    shapes = {(b.anchor_inputs.shape[1:], b.anchor_latents.shape[1:]) for b in bundles}
    if len(shapes) > 1:
        raise IncompatibleError(f"the bundles have inputs and latents of different shapes: {sorted(shapes)}")
    ids = {b.space_id for b in bundles}
    if len(ids) > 1:
        raise IncompatibleError(
            f"the bundles are of {len(ids)} latent spaces ({', '.join(sorted(ids))}): coordinates of different spaces "
            "do not agree. Train on one bundle first and distil the others' data with that model"
        )
