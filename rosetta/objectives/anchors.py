"""The anchor loss: the encoder puts the shared inputs at the shared latents (R-VAE paper, eq. 1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Literal, cast

from torch import Tensor, nn

from rosetta.errors import IncompatibleError, UsageError
from rosetta.objectives.dual_weight import HeldWeight
from rosetta.objectives.pairs import AnchorBatch, AnchorPool, Draws, Pairs, completed, encoder_error


class AnchorLoss(nn.Module):
    """weight · mean_k ‖z_k − μ(x_k)‖², to be added to any model's loss.

    Parameters
    ----------
    bundle : Bundle, or a sequence of them in one latent space
        Where the anchor pairs come from; check pairs are never used.
    weight : float or "auto"
        ``"auto"`` holds the root-mean-square anchor error at `tolerance`, as
        `rosetta.objectives.dual_weight.HeldWeight` says.
    tolerance : float
        Share of the space's total standard deviation (the root of the trace of its covariance).
    decoder_weight : float
        Weight of the decoder's error on the stored latents, for models that can say it.
    pair_weights : "uniform" or "share"
        ``"share"`` weighs each pair by the share of the sender's items that it stands for.
    noise : float
        Standard deviation of normal noise that is added to the anchors' inputs at every step.
    anchors_per_step : int
        Number of pairs drawn at each step, without replacement; all of them where there are no more.
    free_dims : int
        Latent dimensions that your encoder has beyond the bundle's, behind them: no anchor holds those.
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

    The state of a held weight and of the draws is part of `state_dict`; the pairs themselves are not.
    """

    def __init__(
        self,
        bundle: Pairs | Sequence[Pairs],
        *,
        weight: float | Literal["auto"] = "auto",
        tolerance: float = 0.05,
        decoder_weight: float = 0.0,
        pair_weights: Literal["uniform", "share"] = "uniform",
        noise: float = 0.0,
        anchors_per_step: int = 256,
        free_dims: int = 0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        _check_options(weight, pair_weights)
        _check_numbers(
            tolerance=tolerance, decoder_weight=decoder_weight, noise=noise, anchors_per_step=anchors_per_step,
            free_dims=free_dims,
            **({} if isinstance(weight, str) else {"weight": weight}),
        )  # fmt: skip
        bundles = list(bundle) if isinstance(bundle, list | tuple) else [cast("Pairs", bundle)]
        self.pool = AnchorPool(bundles, per_step=anchors_per_step, noise=noise, weighed=pair_weights == "share")
        self.held = HeldWeight(weight, (tolerance * self.pool.total_sd) ** 2)
        self.decoder_weight = decoder_weight
        self.free_dims = free_dims
        self._draws = Draws(seed)

    @property
    def weight(self) -> float:
        """The weight in force."""
        return float(self.held.log_weight.exp())

    @property
    def inputs(self) -> Tensor:
        """All anchors' inputs, float32, shape (n_anchors, …)."""
        return self.pool.inputs

    @property
    def latents(self) -> Tensor:
        """All anchors' stored latents, float32, shape (n_anchors, n_dims)."""
        return self.pool.latents

    @property
    def total_sd(self) -> float:
        """Total standard deviation of the space, the unit of the tolerance."""
        return self.pool.total_sd

    def draw(self) -> AnchorBatch:
        """Return the anchors of one step."""
        drawn = self.pool.draw(self._draws)
        return drawn._replace(inputs=drawn.inputs.clone())  # an encoder may work in place

    def forward(
        self,
        encode: Callable[[Tensor], Tensor],
        decoder_error: Callable[[Tensor, Tensor], Tensor] | None = None,
    ) -> Tensor:
        """Return the loss to add, a tensor without axes.

        Parameters
        ----------
        encode : callable
            Inputs, float32, shape (n_drawn, …), to posterior means, shape (n_drawn, n_dims + free_dims): the
            space's dimensions first. Never a sample.
        decoder_error : callable, optional
            Stored latents and inputs to the error of decoding the former, shape (n_drawn,), in the units
            of your own loss. Needed if `decoder_weight` is not 0. Free dimensions are completed with the encoder's
            own means.
        """
        drawn = self.draw()
        loss: Tensor
        means = encode(drawn.inputs)
        _check_means(means, drawn, self.free_dims)
        error = encoder_error(means, drawn)
        loss = self.held(error) * error
        if self.decoder_weight:
            if decoder_error is None:
                raise UsageError("decoder_weight is set, but no decoder_error was passed: the decoder term needs it")
            errors = decoder_error(completed(means, drawn), drawn.inputs)
            if errors.shape != drawn.latents.shape[:1]:
                raise IncompatibleError(
                    f"decoder_error gives shape {tuple(errors.shape)}, expected {tuple(drawn.latents.shape[:1])}: "
                    "one error for each pair, summed over the input"
                )
            loss = loss + self.decoder_weight * errors.mean()
        return loss

    def get_extra_state(self) -> dict[str, Tensor]:
        """Return the state of the draws, for `state_dict`."""
        return self._draws.state()

    def set_extra_state(self, state: Any) -> None:
        """Go on drawing where the saved loss stood."""
        self._draws.restore(state)


def _check_means(means: object, drawn: AnchorBatch, free_dims: int) -> None:
    if not isinstance(means, Tensor):
        raise IncompatibleError(
            f"the encoder gives a {type(means).__name__}, expected a tensor of posterior means: pass a function "
            "that returns the means alone, such as lambda inputs: encoder(inputs)[0]"
        )
    n_drawn, n_dims = drawn.latents.shape
    if means.shape != (n_drawn, n_dims + free_dims):
        found = f"the encoder gives latents of shape {tuple(means.shape)} for anchors with stored latents of shape "
        wanted = f"{(n_drawn, n_dims)} and free_dims={free_dims}" if free_dims else f"{(n_drawn, n_dims)}"
        n_more = means.shape[-1] - n_dims if means.shape[:-1] == (n_drawn,) else 0
        own = f"; if the last {n_more} dimensions are your own, pass free_dims={n_more}" if n_more > 0 else ""
        raise IncompatibleError(
            f"{found}{wanted}: it must return posterior means in the bundle's number of dimensions{own}"
        )


def _check_options(weight: float | str, pair_weights: str) -> None:
    if isinstance(weight, str) and weight != "auto":
        raise UsageError(f"the anchor weight is {weight!r}; expected a number or 'auto'")
    if pair_weights not in ("uniform", "share"):
        raise UsageError(f"pair_weights is {pair_weights!r}; expected 'uniform' or 'share'")


def _check_numbers(**numbers: float) -> None:
    for name, number in numbers.items():
        least = 1 if name == "anchors_per_step" else 0
        if not math.isfinite(number) or number < least or (name == "tolerance" and number == 0):
            raise UsageError(
                f"{name} is {number}; expected a finite number {'above' if name == 'tolerance' else 'from'} {least:g}"
            )
