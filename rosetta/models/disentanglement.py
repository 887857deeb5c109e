"""The convolutional network that the literature on disentanglement compares its methods on."""

from __future__ import annotations

from torch import nn

from rosetta.models import architectures
from rosetta.models.images import image_of_size
from rosetta.models.residual import doubling, halving


@architectures.register("disentanglement")
def disentanglement(input_shape: tuple[int, ...], latent_dim: int) -> tuple[nn.Module, nn.Module]:
    """Build the network for images of 64 × 64 pixels and any number of channels.

    The encoder's convolutions go to 32, 32, 64 and 64 channels (kernels 4, 4, 2, 2, stride 2), then come dense layers
    1024 → 256 → latents. The decoder has dense layers latents → 256 → 1024 and transposed convolutions 64, 32, 32 and
    the image's channels (kernel 4, stride 2). A ReLU follows each layer but the last of each half.

    Parameters
    ----------
    input_shape : tuple of int
        (64, 64), (64, 64, channels) or (channels, 64, 64).
    latent_dim : int
        Number of latent dimensions; the literature's is 10.

    Raises
    ------
    ModelError
        If items are of another shape.

    Notes
    -----
    Locatello et al. (2019), "Challenging common assumptions in the unsupervised learning of disentangled
    representations", whose kernels of the third and fourth convolution are 2, after Higgins et al. (2017), "β-VAE",
    and Burgess et al. (2018), "Understanding disentangling in β-VAE", whose kernels are 4.
    """
    image = image_of_size(input_shape, "disentanglement", size=64)
    encoder = nn.Sequential(
        image.to_channels(),
        halving(image.n_channels, 32),
        nn.ReLU(),
        halving(32, 32),
        nn.ReLU(),
        nn.Conv2d(32, 64, kernel_size=2, stride=2),
        nn.ReLU(),
        nn.Conv2d(64, 64, kernel_size=2, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(1024, 256),
        nn.ReLU(),
        nn.Linear(256, 2 * latent_dim),
    )
    decoder = nn.Sequential(
        nn.Linear(latent_dim, 256),
        nn.ReLU(),
        nn.Linear(256, 1024),
        nn.ReLU(),
        nn.Unflatten(1, (64, 4, 4)),
        doubling(64, 64),
        nn.ReLU(),
        doubling(64, 32),
        nn.ReLU(),
        doubling(32, 32),
        nn.ReLU(),
        doubling(32, image.n_channels),
        image.to_items(),
    )
    return encoder, decoder
