"""The R-VAE paper's network for MNIST."""

from __future__ import annotations

from torch import nn

from rosetta.models import architectures
from rosetta.models.images import image_of_size
from rosetta.models.residual import doubling, halving, two_blocks


@architectures.register("resnet-mnist")
def resnet_mnist(input_shape: tuple[int, ...], latent_dim: int) -> tuple[nn.Module, nn.Module]:
    """Build the residual network for grey images of 28 × 28 pixels.

    Convolutions 1 → 16 → 32 (kernel 4, stride 2, padding 1: 28 → 14 → 7 pixels), two residual blocks of 32 channels
    with 64 hidden ones, and dense layers 1568 → 224 → latents; the decoder is the mirror image.

    Parameters
    ----------
    input_shape : tuple of int
        (28, 28), (28, 28, 1) or (1, 28, 28).
    latent_dim : int
        Number of latent dimensions; the paper's is 16.

    Raises
    ------
    ModelError
        If items are of another shape.

    Notes
    -----
    Martinez & Pearson, "Reproducible, incremental representation learning with Rosetta VAE", appendix C, gives the
    network as a drawing; the sizes above are those of the first author's prototype. Where neither says more, this is
    ours: the residual block's inside (`rosetta.models.residual.ResidualBlock`), a ReLU after every convolution and
    dense layer but the last of each half and those that a block follows, and one after the blocks. The prototype
    repeated one block by reference; here the two have weights of their own.
    """
    image = image_of_size(input_shape, "resnet-mnist", size=28, n_channels=1)
    encoder = nn.Sequential(
        image.to_channels(),
        halving(1, 16),
        nn.ReLU(),
        halving(16, 32),
        *two_blocks(32, 64),
        nn.Flatten(),
        nn.Linear(1568, 224),
        nn.ReLU(),
        nn.Linear(224, 2 * latent_dim),
    )
    decoder = nn.Sequential(
        nn.Linear(latent_dim, 224),
        nn.ReLU(),
        nn.Linear(224, 1568),
        nn.Unflatten(1, (32, 7, 7)),
        *two_blocks(32, 64),
        doubling(32, 16),
        nn.ReLU(),
        doubling(16, 1),
        image.to_items(),
    )
    return encoder, decoder
