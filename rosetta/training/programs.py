"""One model's forward pass, or that of several models of one architecture at once."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

Terms = dict[str, Tensor]


class Program(Protocol):
    """What the loop trains."""

    @property
    def parameters(self) -> list[nn.Parameter]:
        """What is optimised."""

    @property
    def n_models(self) -> int:
        """Number of models that train side by side."""

    def __call__(self, inputs: Tensor, noise: Tensor, anchors: Any | None) -> Terms:
        """Return the terms of a step, tensors of shape (), or (n_models,) where there are several."""

    def train(self, mode: bool) -> None:
        """Turn to training, or to evaluation."""

    def named_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """Return what is optimised with names, in the order of `parameters`."""

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return posterior means and log-variances of the one model there is, each of shape (n_items, n_dims)."""

    def weights(self) -> list[dict[str, Tensor]]:
        """Return each model's parameters and buffers by name, detached."""

    def restore(self, weights: Sequence[Mapping[str, Tensor]]) -> None:
        """Take each model's parameters and buffers."""


class SingleModel:
    """One module, as it is.

    Parameters
    ----------
    objective : module
        Called with inputs, noise and anchors; returns terms by name. It is trained in place.
    wrapped : module, optional
        What is called in its place in training: the same, compiled or for several processes.
    """

    n_models = 1

    def __init__(self, objective: nn.Module, wrapped: nn.Module | None = None) -> None:
        self.objective = objective
        self.parameters = list(objective.parameters())
        self._wrapped = objective if wrapped is None else wrapped

    def __call__(self, inputs: Tensor, noise: Tensor, anchors: Any | None) -> Terms:
        """Return the terms of a step, tensors without axes."""
        module = self._wrapped if self.objective.training else self.objective
        terms: Terms = module(inputs, noise) if anchors is None else module(inputs, noise, anchors)
        return terms

    def train(self, mode: bool) -> None:
        """Turn to training, or to evaluation."""
        self._wrapped.train(mode)
        self.objective.train(mode)

    def named_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """Return what is optimised with names."""
        return list(self.objective.named_parameters())

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return posterior means and log-variances, each of shape (n_items, n_dims)."""
        model: Any = self.objective.model
        mean, log_variance = model.encode(inputs)
        return mean, log_variance

    def weights(self) -> list[dict[str, Tensor]]:
        """Return the parameters and buffers by name."""
        return [{name: tensor.detach().clone() for name, tensor in self.objective.state_dict().items()}]

    def restore(self, weights: Sequence[Mapping[str, Tensor]]) -> None:
        """Take parameters and buffers."""
        self.objective.load_state_dict(dict(weights[0]))


class SideBySide:
    """Several models in one module, whose terms have an axis n_models.

    Parameters
    ----------
    objective : module
        Called with inputs, noise and anchors; returns terms by name.
    n_models : int
        Number of models.
    weights_of, take : callable
        Number of a model to its parameters by name; and those of all models, to be taken.
    """

    def __init__(
        self,
        objective: nn.Module,
        n_models: int,
        *,
        weights_of: Callable[[int], dict[str, Tensor]],
        take: Callable[[Sequence[Mapping[str, Tensor]]], None],
        compiled: bool = False,
    ) -> None:
        self.n_models = n_models
        self.objective = objective
        self.parameters = list(objective.parameters())
        self._weights_of, self._take = weights_of, take
        self._called = torch.compile(objective) if compiled else objective

    def __call__(self, inputs: Tensor, noise: Tensor, anchors: Any | None) -> Terms:
        """Return the terms of a step, tensors of shape (n_models,)."""
        module = self._called if self.objective.training else self.objective
        terms: Terms = module(inputs, noise, anchors)
        return terms

    def train(self, mode: bool) -> None:
        """Turn to training, or to evaluation."""
        self.objective.train(mode)

    def named_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """Return what is optimised with names."""
        return list(self.objective.named_parameters())

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Refuse: there are several models."""
        raise NotImplementedError("several models do not encode as one")

    def weights(self) -> list[dict[str, Tensor]]:
        """Return each model's parameters by name."""
        return [self._weights_of(number) for number in range(self.n_models)]

    def restore(self, weights: Sequence[Mapping[str, Tensor]]) -> None:
        """Take each model's parameters."""
        self._take(weights)


class Stacked:
    """Several modules of one architecture as one, their parameters stacked along a first axis (`torch.func`).

    Parameters
    ----------
    objectives : sequence of modules
        The models; they are not changed. `weights` gives what became of each.
    axes : object
        For the anchors' fields, the axis along which the models stand, or None.
    """

    def __init__(self, objectives: Sequence[nn.Module], *, axes: Any | None, compiled: bool = False) -> None:
        self.n_models = len(objectives)
        self._base = copy.deepcopy(objectives[0]).to("meta")
        states = [dict(each.named_parameters()) | dict(each.named_buffers()) for each in objectives]
        trained = dict(objectives[0].named_parameters())
        self._saved = set(objectives[0].state_dict())
        # a matrix is kept transposed: the product of a batch with it is then one of rows with rows, twice as fast
        self._transposed = {name for name, parameter in trained.items() if parameter.ndim == 2}
        self._parameters = {name: nn.Parameter(self._stack(name, states)) for name in trained}
        self._buffers = {name: self._stack(name, states) for name in states[0] if name not in trained}
        self._alone, self._anchored = (vmap(self._one, in_dims=(0, 0, 0, 0, *more)) for more in ((), (axes,)))
        if compiled:
            self._alone, self._anchored = torch.compile(self._alone), torch.compile(self._anchored)

    @property
    def parameters(self) -> list[nn.Parameter]:
        """The stacked parameters."""
        return list(self._parameters.values())

    def __call__(self, inputs: Tensor, noise: Tensor, anchors: Any | None) -> Terms:
        """Return the terms of a step, tensors of shape (n_models,)."""
        parameters = {name: self._turned(name, tensor) for name, tensor in self._parameters.items()}
        arguments = (parameters, self._buffers, inputs, noise)
        terms: Terms = self._alone(*arguments) if anchors is None else self._anchored(*arguments, anchors)
        return terms

    def train(self, mode: bool) -> None:
        """Turn to training, or to evaluation."""
        self._base.train(mode)

    def named_parameters(self) -> list[tuple[str, nn.Parameter]]:
        """Return what is optimised with names."""
        return list(self._parameters.items())

    def encode(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Refuse: there are several models."""
        raise NotImplementedError("several models do not encode as one")

    def weights(self) -> list[dict[str, Tensor]]:
        """Return each model's parameters and buffers by name."""
        named = {name: self._turned(name, tensor.detach()) for name, tensor in self._parameters.items()} | self._buffers
        return [
            {
                name: tensor[number].clone(memory_format=torch.contiguous_format)
                for name, tensor in named.items()
                if name in self._saved
            }
            for number in range(self.n_models)
        ]

    def restore(self, weights: Sequence[Mapping[str, Tensor]]) -> None:
        """Take each model's parameters and buffers."""
        with torch.no_grad():
            for name, tensor in (self._parameters | self._buffers).items():
                if name in self._saved:
                    tensor.copy_(self._stack(name, weights))

    def _one(self, parameters: Terms, buffers: Terms, inputs: Tensor, noise: Tensor, *anchors: Any) -> Terms:
        terms: Terms = functional_call(self._base, (parameters, buffers), (inputs, noise, *anchors))
        return terms

    def _stack(self, name: str, states: Sequence[Mapping[str, Tensor]]) -> Tensor:
        return self._turned(name, torch.stack([state[name].detach() for state in states])).contiguous()

    def _turned(self, name: str, tensor: Tensor) -> Tensor:
        return tensor.transpose(-1, -2) if name in self._transposed else tensor


@torch.no_grad()
def clip(parameters: Sequence[nn.Parameter], largest: float, *, n_models: int = 1) -> None:
    """Scale each model's gradient down to the norm `largest`, where it is longer.

    Parameters
    ----------
    parameters : sequence of parameters
        With their gradients; where there are several models, their first axis is that of the models.
    """
    gradients = [p.grad for p in parameters if p.grad is not None]
    if n_models == 1:
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients]))
    else:
        squares = torch.stack([g.reshape(n_models, -1).square().sum(1) for g in gradients])
        norm = squares.sum(0).sqrt()
    factor = (largest / (norm + 1e-6)).clamp(max=1.0)
    for gradient in gradients:
        gradient.mul_(factor if n_models == 1 else factor.reshape(-1, *[1] * (gradient.ndim - 1)))
