"""The residual block of the networks for MNIST and birdsong, and the convolutions between such blocks."""

from __future__ import annotations

from torch import Tensor, nn


class ResidualBlock(nn.Module):
    """x + conv₁(relu(conv₃(relu(x)))), of van den Oord et al. (2017), which the R-VAE paper's networks are made of.

    The kernels are 3 × 3, then 1 × 1, without biases, so that height and width stay as they are.

    Parameters
    ----------
    n_channels : int
        Channels on the way in and out.
    n_hidden : int
        Channels between the two convolutions.
    """

    def __init__(self, n_channels: int, n_hidden: int) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            nn.ReLU(),
            nn.Conv2d(n_channels, n_hidden, kernel_size=3, padding=1, bias=False),
            nn.ReLU(),
            nn.Conv2d(n_hidden, n_channels, kernel_size=1, bias=False),
        )

    def forward(self, images: Tensor) -> Tensor:
        """Return shape (n_items, n_channels, height, width), that of `images`."""
        residue: Tensor = self.branch(images)
        return images + residue


def two_blocks(n_channels: int, n_hidden: int) -> list[nn.Module]:
    """Return two residual blocks, each with weights of its own, and the ReLU that ends them."""
    # the published prototype put one block into the list twice, so that its "two" were one
    return [ResidualBlock(n_channels, n_hidden), ResidualBlock(n_channels, n_hidden), nn.ReLU()]


def halving(n_in: int, n_out: int) -> nn.Module:
    """Return a convolution that halves height and width."""
    return nn.Conv2d(n_in, n_out, kernel_size=4, stride=2, padding=1)


def doubling(n_in: int, n_out: int) -> nn.Module:
    """Return a transposed convolution that doubles height and width."""
    return nn.ConvTranspose2d(n_in, n_out, kernel_size=4, stride=2, padding=1)
