"""DIP-VAE II: latents whose covariance over items is held near the identity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import Field

from rosetta.objectives.kinds import KL, Objective, Posterior, Term, objectives
from rosetta.schemas.record import NonNegative, Record

if TYPE_CHECKING:
    from torch import Tensor


class Settings(Record):
    """Weights of the two penalties; with both at 0 this is the VAE."""

    off_diagonal_weight: NonNegative = Field(5.0, description="Weight of squared covariances between dimensions.")
    diagonal_weight: NonNegative = Field(5.0, description="Weight of squared differences of variances from 1.")


def measure(posterior: Posterior) -> Mapping[str, Tensor]:
    """Return both penalties on the covariance of q(z): that of the means, and the mean posterior variances.

    Cov[z] = E[diag σ²(x)] + Cov[μ(x)] over the batch (Kumar et al. 2018, eq. 7).
    """
    import torch

    centred = posterior.mean - posterior.mean.mean(-2, keepdim=True)
    covariance = centred.transpose(-1, -2) @ centred / centred.shape[-2]
    covariance = covariance + torch.diag_embed(posterior.log_variance.exp().mean(-2))
    diagonal = torch.diagonal(covariance, dim1=-2, dim2=-1)
    return {
        "covariances": covariance.square().sum((-2, -1)) - diagonal.square().sum(-1),
        "variances": (diagonal - 1).square().sum(-1),
    }


objectives.register("dip-vae-ii")(
    Objective(
        "the VAE's loss + penalties on the covariance of latents over items (Kumar et al. 2018, eq. 7)",
        Settings,
        (
            KL,
            Term(
                "covariances",
                "Squared covariances of latents",
                lambda training, own: own.off_diagonal_weight,
                unit="latent units to the fourth",
            ),
            Term(
                "variances",
                "Squared differences of variances from 1",
                lambda training, own: own.diagonal_weight,
                unit="latent units to the fourth",
            ),
        ),
        measure=measure,
    )
)
