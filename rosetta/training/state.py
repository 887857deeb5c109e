"""Everything that a training needs to go on as if it had never stopped: tensors by name, and numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from rosetta.errors import TrainingError
from rosetta.training.divergence import Divergence
from rosetta.training.loop import Training


def capture(training: Training) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return the state between two steps, as tensors on the CPU by name and numbers that JSON can hold."""
    tensors: dict[str, Tensor] = {}
    for model, weights in enumerate(training.program.weights()):
        _put(tensors, f"weights.{model}", weights)
    for number, slots in training.optimizer.state_dict()["state"].items():
        _put(tensors, f"optimizer.{number}", slots)
    _put(tensors, "weighing", training.weighing.state_dict())
    if training.anchors:
        _put(tensors, "anchors", training.anchors.state())
    _put(tensors, "procedure", training.procedure.state())
    for model, (order, noise) in enumerate(training.epoch_began):
        _put(tensors, f"generators.{model}", {"order": order, "noise": noise})
    _put(tensors, "sums", training.watch.sums)
    numbers: dict[str, Any] = {
        "epoch": training.epoch,
        "step": training.step,
        "n_items": training.watch.n_items,
        "pass_s": training.pass_s,
        "spent_s": training.spent_s,
        "diverged": {str(model): list(where) for model, where in training.diverged.items()},
    }
    if training.patience:
        for model, best in enumerate(training.patience.weights):
            _put(tensors, f"best.{model}", best or {})
        numbers["patience"] = {
            name: list(getattr(training.patience, name)) for name in ("best_loss", "best_epoch", "stopped_at")
        }
    return tensors, numbers


def restore(training: Training, tensors: Mapping[str, Tensor], numbers: Mapping[str, Any]) -> None:
    """Bring a new training to a captured state; the interrupted epoch is drawn again, and what was done skipped.

    Raises
    ------
    TrainingError
        If the state is that of another training.
    """
    try:
        training.program.restore([_get(tensors, f"weights.{m}") for m in range(training.program.n_models)])
        slots = {n: _get(tensors, f"optimizer.{n}") for n in range(len(training.program.parameters))}
        optimizer = training.optimizer.state_dict()
        training.optimizer.load_state_dict({**optimizer, "state": {n: s for n, s in slots.items() if s}})
        training.weighing.load_state_dict(_get(tensors, "weighing"))
        if training.anchors:
            training.anchors.restore(_get(tensors, "anchors"))
        training.procedure.restore(_get(tensors, "procedure"))
        for model, generators in enumerate(training.generators):
            generators.order.set_state(tensors[f"generators.{model}.order"])
            generators.noise.set_state(tensors[f"generators.{model}.noise"])
        training.epoch_began = training.generator_states()
        training.epoch, training.step = numbers["epoch"], numbers["step"]
        training.pass_s, training.spent_s = numbers["pass_s"], numbers["spent_s"]
        training.diverged = {int(m): Divergence(*where) for m, where in numbers["diverged"].items()}
        training.watch = training.new_watch()
        training.watch.n_steps, training.watch.n_items = training.step, numbers["n_items"]
        training.watch.sums = _get(tensors, "sums")
        if training.patience:
            training.patience.weights = [
                {name: best.to(training.device) for name, best in _get(tensors, f"best.{m}").items()} or None
                for m in range(training.program.n_models)
            ]
            for name, values in numbers["patience"].items():
                setattr(training.patience, name, list(values))
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise TrainingError(
            f"the saved state is not that of this training: {error}; start anew with `force`"
        ) from error


def _put(tensors: dict[str, Tensor], prefix: str, named: Mapping[str, Tensor]) -> None:
    for name, tensor in named.items():
        # a copy in memory that is its own: the file format wants no two names for the same bytes
        tensors[f"{prefix}.{name}"] = torch.empty_like(tensor, device="cpu").copy_(tensor.detach()).contiguous()


def _get(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(prefix + ".")}
