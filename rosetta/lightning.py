"""Anchors in anybody's Lightning model: a callback that adds the anchor loss to what `training_step` returns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from os import PathLike
from typing import Any

import torch
from torch import Tensor
from torch.nn import Module

from rosetta.bundle import Bundle
from rosetta.errors import IncompatibleError, MissingExtraError, UsageError
from rosetta.objectives.anchors import AnchorLoss
from rosetta.objectives.pairs import Pairs

try:
    from lightning.pytorch import Callback, LightningModule, Trainer
except ModuleNotFoundError as error:
    raise MissingExtraError("lightning", "lightning", "rosetta.lightning") from error

__all__ = ["AnchorCallback"]

OneBundle = Pairs | str | PathLike[str]
Encode = Callable[[Any, Tensor], Any]
Step = Callable[..., Any]

N_PROBED = 8  # anchors that the encoder is tried on before the first step
SAMPLED = 1e-3  # share of the space's extent by which an encoder that does not sample may differ from itself


class AnchorCallback(Callback):
    """Trains any `LightningModule` that has an encoder in the latent space of a bundle.

    Parameters
    ----------
    bundle : Bundle, path, or a list of them in one latent space
        Where the anchor pairs come from; paths are opened with `rosetta.Bundle.open`.
    encode : str or callable, optional
        How to get posterior means, shape (n_drawn, n_dims), from inputs, float32, shape (n_drawn, …): the
        module's attribute of that name, such as ``"vae.encoder"``, or a function of the module and the inputs.
        Without it, the module's `encode`, else its `encoder`.
    decoder_error : callable, optional
        A function of the module, stored latents and inputs that returns the errors of decoding the former, shape
        (n_drawn,), in the units of your own loss. Needed if `decoder_weight` is not 0.
    scale : float
        What the anchor loss is multiplied by: 1 for a loss that is a mean over the batch, the batch size for a sum.
    name : str
        Start of the names of what is logged, ``anchor_rms`` and ``anchor_weight``, and what tells several
        callbacks of one training apart in its checkpoints.
    **options
        The keywords of `rosetta.AnchorLoss`: ``weight``, ``tolerance``, ``decoder_weight``, ``seed`` and so on.

    Attributes
    ----------
    anchors : AnchorLoss
        The loss that is added.

    Raises
    ------
    UsageError
        If the module has no such encoder or optimises by hand.
    IncompatibleError
        If the encoder does not take the bundle's inputs, returns something else than their means in the
        bundle's dimensions, or samples; all seen before the first step.

    Notes
    -----
    While a fit lasts, the module's `training_step` is wrapped, so that the anchors pass through whatever its loss
    passes through: mixed precision, accumulation, clipping, DDP. `anchor_rms` is the root-mean-square
    distance to the stored latents as a share of the space's total standard deviation, the unit of the tolerance.
    A held weight moves once for each step of the optimiser. Every process of a distributed training draws the
    same anchors, so that their weights stay alike.

    ::

        trainer = lightning.Trainer(callbacks=[AnchorCallback("alice.h5")])
    """

    def __init__(
        self,
        bundle: OneBundle | Sequence[OneBundle],
        *,
        encode: str | Encode | None = None,
        decoder_error: Callable[[Any, Tensor, Tensor], Tensor] | None = None,
        scale: float = 1.0,
        name: str = "anchor",
        **options: Any,
    ) -> None:
        super().__init__()
        self.anchors = AnchorLoss(_opened(bundle), **options)
        self.anchors.held.register_forward_pre_hook(self._note)
        self.encode = encode
        self.decoder_error = decoder_error
        self.scale = scale
        self.name = name
        self._undo: Callable[[], None] = _nothing
        self._moved_at: int | None = None  # the optimiser's step at which a held weight last moved
        self._error = torch.zeros(())  # squared, of the last anchors

    @property
    def state_key(self) -> str:
        """The name that checkpoints know the state by."""
        return self._generate_state_key(name=self.name)

    def state_dict(self) -> dict[str, Any]:
        """Return a held weight and where the draws stand."""
        return {"anchors": self.anchors.state_dict(), "n_anchors": len(self.anchors.inputs)}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on from a checkpoint; a weight that is given now is not replaced by a held one from then."""
        if state_dict["n_anchors"] != len(self.anchors.inputs):
            raise IncompatibleError(
                f"the checkpoint was trained with {state_dict['n_anchors']} anchors, but this callback has "
                f"{len(self.anchors.inputs)}: go on with the same bundles, or start from the weights alone"
            )
        self.anchors.load_state_dict(state_dict["anchors"], strict=False)

    def on_fit_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Wrap the module's `training_step`."""
        if not pl_module.automatic_optimization:
            raise UsageError(
                f"{type(pl_module).__name__} optimises by hand, so that there is no returned loss to add the anchors "
                "to: add rosetta.AnchorLoss(bundle)(encoder) to the loss in your training_step, and leave this "
                "callback out"
            )
        self.anchors.to(pl_module.device)
        self._moved_at = None
        encode = _find_encoder(pl_module, self.encode)
        own, step = vars(pl_module).get("training_step"), pl_module.training_step

        def undo() -> None:
            if own is not None:
                pl_module.training_step = own  # type: ignore[method-assign]
            elif "training_step" in vars(pl_module):
                del pl_module.training_step

        # with several callbacks, the first one wraps the module's own step: it alone puts that back
        self._undo = _nothing if hasattr(own, "adds_anchors") else undo
        pl_module.training_step = self._anchored(step, encode, trainer, pl_module)  # type: ignore[method-assign]

    def on_exception(self, trainer: Trainer, pl_module: LightningModule, exception: BaseException) -> None:
        """Give the module its own `training_step` back."""
        self._unwrap()

    def teardown(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Give the module its own `training_step` back."""
        self._unwrap()

    def _unwrap(self) -> None:
        undo, self._undo = self._undo, _nothing
        undo()
        self.anchors.cpu()

    def _anchored(self, step: Step, encode: Encode, trainer: Trainer, module: LightningModule) -> Step:
        is_tried = False

        def training_step(*args: Any, **kwargs: Any) -> Any:
            nonlocal is_tried
            if not is_tried:
                self._try(encode, module)
                is_tried = True
            output = step(*args, **kwargs)
            if isinstance(output, Tensor):
                return output + self._loss(encode, trainer, module)
            if isinstance(output, Mapping) and isinstance(output.get("loss"), Tensor):
                return {**output, "loss": output["loss"] + self._loss(encode, trainer, module)}
            return output  # None skips the step; anything else is for Lightning to refuse

        # Lightning unwraps one layer to see whether the step takes the batch's number
        training_step.__wrapped__ = getattr(step, "__wrapped__", step)  # type: ignore[attr-defined]
        training_step.adds_anchors = True  # type: ignore[attr-defined]
        return training_step

    def _note(self, held: Module, errors: tuple[Tensor]) -> None:
        self._error = errors[0].detach()

    def _loss(self, encode: Encode, trainer: Trainer, module: LightningModule) -> Tensor:
        """Return what to add, and log where the anchors stand."""
        # the encoder stands still while gradients accumulate: a weight that moved on would run away from it
        self.anchors.train(trainer.global_step != self._moved_at)
        self._moved_at = trainer.global_step
        error = self.decoder_error
        loss: Tensor = self.scale * self.anchors(
            lambda inputs: _means(encode, module, inputs),
            None if error is None else lambda latents, inputs: error(module, *_cast(module, latents, inputs)).float(),
        )
        if not trainer.barebones:
            module.log(f"{self.name}_rms", self._error.sqrt() / self.anchors.total_sd)
            module.log(f"{self.name}_weight", self.anchors.held.log_weight.exp())
        return loss

    def _try(self, encode: Encode, module: LightningModule) -> None:
        """Make sure, without a trace, that the encoder takes the inputs and gives the same means each time."""
        inputs = self.anchors.inputs[:N_PROBED]
        modes = {part: part.training for part in module.modules()}
        module.eval()
        try:
            with torch.no_grad():
                first, second = (_means(encode, module, inputs.clone()) for _ in range(2))
        except (AttributeError, RuntimeError, TypeError, ValueError) as error:
            raise IncompatibleError(
                f"the encoder of {type(module).__name__} cannot take the bundle's inputs, float32 of shape "
                f"{tuple(inputs.shape)} ({error}): pass encode=, a function of the module and such inputs that brings "
                "them to the form that your encoder takes and returns posterior means"
            ) from error
        finally:
            for part, mode in modes.items():
                part.training = mode
            torch.clear_autocast_cache()  # older torch would reuse its casts, made without gradients, in this step
        if first.shape == second.shape and float((first - second).abs().max()) > SAMPLED * self.anchors.total_sd:
            raise IncompatibleError(
                f"the encoder of {type(module).__name__} gives different latents for the same inputs: it samples. "
                "Anchors hold posterior means: pass encode=, a function of the module and inputs that returns them"
            )


def _opened(bundle: OneBundle | Sequence[OneBundle]) -> list[Pairs]:
    if isinstance(bundle, Sequence) and not isinstance(bundle, str):
        return [pairs for each in bundle for pairs in _opened(each)]
    return [Bundle.open(bundle) if isinstance(bundle, str | PathLike) else bundle]


def _find_encoder(module: LightningModule, encode: str | Encode | None) -> Encode:
    """Return the function of the module and inputs that `encode` stands for."""
    if not isinstance(encode, str | None):
        return encode
    kind = type(module).__name__
    name = encode or next((n for n in ("encode", "encoder") if callable(getattr(module, n, None))), None)
    if name is None:
        raise UsageError(
            f"{kind} has neither an encode nor an encoder: pass encode=, the name of the attribute that gives "
            "posterior means, such as 'vae.encoder', or a function of the module and inputs"
        )
    find = attrgetter(name)
    try:
        is_function = callable(find(module))
    except AttributeError as error:
        raise UsageError(f"{kind} has no {name!r} ({error}): pass encode=, the name of its encoder") from error
    if not is_function:
        raise UsageError(f"{name!r} of {kind} is no function or module: pass encode=, the name of its encoder")
    return lambda module, inputs: find(module)(inputs)


def _cast(module: LightningModule, *tensors: Tensor) -> list[Tensor]:
    """Bring tensors to the precision of the module's weights."""
    return [tensor.to(module.dtype) for tensor in tensors]


def _means(encode: Encode, module: LightningModule, inputs: Tensor) -> Tensor:
    means = encode(module, *_cast(module, inputs))
    if not isinstance(means, Tensor):
        way = "[0]" if isinstance(means, tuple | list) else ".mean" if hasattr(means, "mean") else ".embedding"
        raise IncompatibleError(
            f"the encoder of {type(module).__name__} gives a {type(means).__name__}, expected a tensor of posterior "
            "means: pass encode=, a function that returns the means alone, such as "
            f"lambda module, inputs: module.encoder(inputs){way}"
        )
    return means.float()


def _nothing() -> None:
    pass
