"""A lean training loop: tensors stay in memory and are indexed, there is no loader for each item."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple, Protocol

import torch
from torch import Tensor, nn

from rosetta.errors import TrainingError

if TYPE_CHECKING:
    from lightning_fabric import Fabric

PROGRESS_EVERY_S = 0.1


class StepTerms(Protocol):
    """What an objective returns for a batch: tensors without axes."""

    @property
    def loss(self) -> Tensor:
        """What is minimised."""

    @property
    def reconstruction(self) -> Tensor:
        """Expected negative log-likelihood."""

    @property
    def kl(self) -> Tensor:
        """KL divergence from the prior."""

    @property
    def anchor_error(self) -> Tensor:
        """Mean squared distance between stored and new latents."""


class Means(NamedTuple):
    """Means over items, in nats an item; the anchor error in latent units, squared."""

    reconstruction: float
    kl: float
    anchor_error: float

    @property
    def elbo(self) -> float:
        """The evidence lower bound, whatever β the training uses."""
        return -(self.reconstruction + self.kl)


class Epoch(NamedTuple):
    """What one pass over the data gave."""

    number: int  # from 1
    n_rows: int
    elapsed_s: float  # of this epoch's steps alone
    training: Means
    validation: Means | None


class Progress(NamedTuple):
    """Where a training stands."""

    epoch: int
    n_rows_done: int
    n_rows: int
    rows_per_s: float


def fit(
    objective: nn.Module,
    inputs: Tensor,
    validation: Tensor | None,
    *,
    n_dims: int,
    epochs: int,
    batch_size: int,
    lr: float,
    seed: int,
    device: torch.device,
    on_epoch: Callable[[Epoch], None],
    on_progress: Callable[[Progress], None],
) -> None:
    """Train `objective` in place with Adam.

    Parameters
    ----------
    objective : module
        Called with inputs, shape (n_items, …), and standard normal noise, shape (n_items, n_dims); returns
        terms of which the first is minimised.
    inputs, validation : float32 tensor, shape (n_items, …)
        Items to train on, and items to measure on after every epoch, if any.
    n_dims : int
        Latent dimensions, the width of the noise.
    seed : int
        Seed of the order of items and of the noise.

    Raises
    ------
    TrainingError
        If the loss is no longer a finite number, at the end of the epoch in which that happened.
    """
    fabric = _fabric(device)
    optimizer = torch.optim.Adam(objective.parameters(), lr=lr, fused=device.type in ("cpu", "cuda"))
    module, optimizer = fabric.setup(objective, optimizer)
    inputs = inputs.to(device)
    order = torch.Generator().manual_seed(seed)
    noises = torch.Generator(device).manual_seed(seed)
    n_items, done, spent = len(inputs), 0, 0.0
    last_report = time.perf_counter()
    for number in range(1, epochs + 1):
        started = time.perf_counter()
        module.train()
        permutation = torch.randperm(n_items, generator=order).to(device)
        noise = torch.randn(n_items, n_dims, generator=noises, device=device)
        sums = torch.zeros(3, device=device)
        for start in range(0, n_items, batch_size):
            rows = permutation[start : start + batch_size]
            terms: StepTerms = module(inputs[rows], noise[start : start + batch_size])
            fabric.backward(terms.loss)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            sums += torch.stack([terms.reconstruction, terms.kl, terms.anchor_error]).detach() * len(rows)
            done += len(rows)
            if (now := time.perf_counter()) - last_report > PROGRESS_EVERY_S:
                last_report = now
                on_progress(Progress(number, done, n_items * epochs, done / (spent + now - started)))
        means = Means(*(sums / n_items).tolist())  # waits for the device, so the time below is true
        elapsed = time.perf_counter() - started
        spent += elapsed
        _check_finite(means, f"in epoch {number}")
        held_out = (
            None if validation is None else evaluate(objective, validation, n_dims=n_dims, seed=seed, device=device)
        )
        on_epoch(Epoch(number, n_items, elapsed, means, held_out))
    on_progress(Progress(epochs, done, n_items * epochs, done / max(spent, 1e-9)))


@torch.no_grad()
def evaluate(
    objective: nn.Module, inputs: Tensor, *, n_dims: int, seed: int, device: torch.device, block: int = 4096
) -> Means:
    """Return the terms' means over `inputs`, with one posterior sample an item, the same at every call."""
    objective.eval()
    noise = torch.randn(len(inputs), n_dims, generator=torch.Generator().manual_seed(seed))
    sums = torch.zeros(3, dtype=torch.float64)
    for start in range(0, len(inputs), block):
        batch = inputs[start : start + block].to(device)
        terms: StepTerms = objective(batch, noise[start : start + block].to(device))
        sums += torch.stack([terms.reconstruction, terms.kl, terms.anchor_error]).double().cpu() * len(batch)
    means = Means(*(sums / len(inputs)).tolist())
    _check_finite(means, "at the end of an epoch")
    return means


def _check_finite(means: Means, where: str) -> None:
    for term, value in means._asdict().items():
        if not math.isfinite(value):
            raise TrainingError(
                f"the training diverged: {where} the {term.replace('_', ' ')} became {value}. "
                "Try a smaller --lr, inputs of a smaller range (--preprocess) or a smaller --precision; "
                "nothing was written"
            )


def _fabric(device: torch.device) -> Fabric:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # on import it warns about its own deprecations
        from lightning_fabric import Fabric
    return Fabric(accelerator={"mps": "mps", "cuda": "cuda"}.get(device.type, "cpu"), devices=1)
