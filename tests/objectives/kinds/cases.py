"""What tests of objectives share."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

import rosetta
from rosetta.models.checkpoint import load_run
from rosetta.objectives.kinds import Posterior

QUICK: dict[str, Any] = {"latent_dim": 3, "hidden": (16,), "epochs": 4, "batch_size": 50, "device": "cpu"}
ITEMS = np.random.default_rng(0).random((300, 12)).astype(np.float32)


def posterior(seed: int = 0, n_items: int = 7, n_dims: int = 3, *, n_data: int = 200) -> Posterior:
    """A batch of random posteriors with a sample of each, float64."""
    generator = torch.Generator().manual_seed(seed)
    mean, log_variance, noise = (
        torch.randn(n_items, n_dims, generator=generator, dtype=torch.float64) for _ in range(3)
    )
    return Posterior(mean, log_variance, mean + (0.5 * log_variance).exp() * noise, n_data)


def side_by_side(*each: Posterior) -> Posterior:
    """Several batches along a first axis."""
    fields = [torch.stack([getattr(one, name) for one in each]) for name in ("mean", "log_variance", "latents")]
    return Posterior(*fields, each[0].n_data)


def trained(folder: Any, **settings: Any) -> Any:
    """Train quickly, and return the run."""
    rosetta.train(ITEMS, folder, **(QUICK | settings))
    return load_run(folder)


def same_weights(first: Any, second: Any) -> bool:
    """Whether two runs have the same weights to the last bit."""
    return first.record.weights_sha256 == second.record.weights_sha256
