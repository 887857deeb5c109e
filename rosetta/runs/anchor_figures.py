"""What a trained model makes of the bundles' pairs: of all anchors, and of the check pairs that no step saw."""

from __future__ import annotations

import numpy as np
import torch

from rosetta.models.vae import EMBED_ROWS, VAE, encode_array
from rosetta.objectives.elbo import sample
from rosetta.objectives.pairs import AnchorPool
from rosetta.runs.job import Job


@torch.no_grad()
def anchored_figures(job: Job, model: VAE, pool: AnchorPool | None) -> dict[str, float | None]:
    """Return what FinalFigures says of the bundles' pairs, by its names for it; nothing without bundles."""
    if pool is None:
        return {}
    model.eval().to(pool.inputs.device)
    generator = torch.Generator().manual_seed(0)  # one posterior sample an item, the same at every call
    squares, misfit, n_dims = 0.0, 0.0, pool.latents.shape[1]
    for inputs, latents in zip(*(torch.split(each, EMBED_ROWS) for each in (pool.inputs, pool.latents)), strict=True):
        mean, log_variance = model.encode(inputs)
        latent = sample(mean, log_variance, torch.randn(mean.shape, generator=generator).to(mean.device))
        squares += float((mean[:, :n_dims] - latents).square().sum())
        misfit -= float(model.likelihood.log_prob(model.decoder(latent), inputs).sum())
    return {
        "anchor_rms": (squares / len(pool)) ** 0.5 / pool.total_sd,
        "check_rms": _check_rms(job, model, pool.total_sd),
        "anchor_reconstruction": misfit / len(pool),
    }


def _check_rms(job: Job, model: VAE, total_sd: float) -> float | None:
    """Return the root-mean-square error over all check pairs, as a share of the space's standard deviation."""
    squares, n_checks = 0.0, 0
    for bundle in job.bundles:
        stored = bundle.check_latents
        if len(stored):
            found = encode_array(model, bundle.check_inputs)[0][:, : stored.shape[1]]
            squares += float(np.square(found - stored.astype(np.float64)).sum())
            n_checks += len(stored)
    return (squares / n_checks) ** 0.5 / total_sd if n_checks else None
