"""The R-VAE paper's network for birdsong."""

from __future__ import annotations

from torch import nn

from rosetta.models import architectures
from rosetta.models.images import image_of_size
from rosetta.models.residual import doubling, halving, two_blocks


@architectures.register("resnet-birdsong")
def resnet_birdsong(input_shape: tuple[int, ...], latent_dim: int) -> tuple[nn.Module, nn.Module]:
    """Build the residual network for spectrograms of 128 × 128.

    Convolutions 1 → 12 → 24 (kernel 4, stride 2, padding 1: 128 → 64 → 32), two residual blocks of 24 channels with
    48 hidden ones, convolutions 24 → 48 → 96 (32 → 16 → 8), two residual blocks of 96 with 192, and dense layers
    6144 → 1568 → 224 → latents; the decoder is the mirror image.

    Parameters
    ----------
    input_shape : tuple of int
        (128, 128), (128, 128, 1) or (1, 128, 128).
    latent_dim : int
        Number of latent dimensions; the paper's is 32.

    Raises
    ------
    ModelError
        If items are of another shape.

    Notes
    -----
    Martinez & Pearson, "Reproducible, incremental representation learning with Rosetta VAE", appendices C and F, give
    the order of convolutions and residual blocks; the sizes above are those of the first author's prototype. What is
    ours is the same as in `rosetta.models.residual_mnist.resnet_mnist`.
    """
    image = image_of_size(input_shape, "resnet-birdsong", size=128, n_channels=1)
    encoder = nn.Sequential(
        image.to_channels(),
        halving(1, 12),
        nn.ReLU(),
        halving(12, 24),
        *two_blocks(24, 48),
        halving(24, 48),
        nn.ReLU(),
        halving(48, 96),
        *two_blocks(96, 192),
        nn.Flatten(),
        nn.Linear(6144, 1568),
        nn.ReLU(),
        nn.Linear(1568, 224),
        nn.ReLU(),
        nn.Linear(224, 2 * latent_dim),
    )
    decoder = nn.Sequential(
        nn.Linear(latent_dim, 224),
        nn.ReLU(),
        nn.Linear(224, 1568),
        nn.ReLU(),
        nn.Linear(1568, 6144),
        nn.Unflatten(1, (96, 8, 8)),
        *two_blocks(96, 192),
        doubling(96, 48),
        nn.ReLU(),
        doubling(48, 24),
        *two_blocks(24, 48),
        doubling(24, 12),
        nn.ReLU(),
        doubling(12, 1),
        image.to_items(),
    )
    return encoder, decoder
