"""β-TC-VAE: the KL divergence taken apart, and the part that ties latent dimensions together weighed by itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from rosetta.objectives.kinds import KL, Objective, Posterior, Term, objectives
from rosetta.schemas.record import NonNegative, Record

if TYPE_CHECKING:
    from torch import Tensor

LOG_2_PI = math.log(2 * math.pi)


class Settings(Record):
    """Weights of the three parts of the KL divergence; with all three at 1 this is the VAE."""

    tc_weight: NonNegative = Field(6.0, description="Weight of the total correlation among latent dimensions.")
    mi_weight: NonNegative = Field(1.0, description="Weight of the mutual information of items and latents.")
    marginal_weight: NonNegative = Field(1.0, description="Weight of each dimension's divergence from the prior.")


def measure(posterior: Posterior) -> Mapping[str, Tensor]:
    """Return estimates of the three parts by minibatch-weighted sampling (Chen et al. 2018, appendix C.1).

    log q(z) is about logsumexp over the batch of log q(z | xⱼ), less log(n_data · batch size), and log q(z_d) likewise
    for each dimension. The estimates are biased, less so the larger the batch.
    """
    import torch

    mean, log_variance, latents = (
        each.unsqueeze(-3) for each in (posterior.mean, posterior.log_variance, posterior.latents)
    )
    gap = latents.transpose(-3, -2) - mean  # of each sample (first axis) from each item (second), (…, n, n, n_dims)
    each = -0.5 * (gap.square() * (-log_variance).exp() + log_variance + LOG_2_PI)
    n_items = each.shape[-2]
    log_count = math.log(max(posterior.n_data, n_items) * n_items)
    joint = torch.logsumexp(each.sum(-1), dim=-1) - log_count
    product = (torch.logsumexp(each, dim=-2) - log_count).sum(-1)
    own = torch.diagonal(each.sum(-1), dim1=-2, dim2=-1)
    prior = -0.5 * (posterior.latents.square() + LOG_2_PI).sum(-1)
    return {
        "mutual_information": (own - joint).mean(-1),
        "total_correlation": (joint - product).mean(-1),
        "marginal_kl": (product - prior).mean(-1),
    }


# The three estimates add up to a sample of the KL divergence. The exact divergence replaces their sum, and each part is
# weighed by its weight less 1: the same in expectation, with less noise, and exactly the VAE where all weights are 1.
objectives.register("beta-tc-vae")(
    Objective(
        "reconstruction + mutual information + tc_weight · total correlation + marginal KL (Chen et al. 2018, eq. 4)",
        Settings,
        (
            KL,
            Term("mutual_information", "Mutual information, nats an item", lambda training, own: own.mi_weight - 1),
            Term("total_correlation", "Total correlation, nats an item", lambda training, own: own.tc_weight - 1),
            Term("marginal_kl", "Marginal KL, nats an item", lambda training, own: own.marginal_weight - 1),
        ),
        measure=measure,
    )
)
