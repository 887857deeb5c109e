"""Anchors in your own training loop: make the loss once, and add it to yours."""

import numpy as np
import torch
from digits import setting
from torch import Tensor, nn

import rosetta


class VAE(nn.Module):
    """An ordinary variational autoencoder, without code for anchors."""

    def __init__(self, n_dims: int) -> None:
        super().__init__()
        self.n_dims = n_dims
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 2 * n_dims))
        self.decoder = nn.Sequential(nn.Linear(n_dims, 128), nn.ReLU(), nn.Linear(128, 64), nn.Unflatten(1, (8, 8)))

    def encode(self, inputs: Tensor) -> Tensor:
        """Return posterior means."""
        return self.encoder(inputs)[:, : self.n_dims]

    def loss(self, inputs: Tensor) -> Tensor:
        """Return the negative evidence lower bound, a mean over the batch."""
        mean, log_variance = self.encoder(inputs).chunk(2, dim=1)
        output = self.decoder(mean + (0.5 * log_variance).exp() * torch.randn_like(mean))
        error = 5 * (output - inputs).square().flatten(1).sum(1)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        return (error + kl).mean()


def train(items: Tensor, n_dims: int, epochs: int, bundle: rosetta.Bundle | None) -> VAE:
    """Train Bob's model, anchored if a bundle is given."""
    torch.manual_seed(0)
    model = VAE(n_dims)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    anchors = rosetta.AnchorLoss(bundle) if bundle else None
    for _ in range(epochs):
        for rows in torch.randperm(len(items)).split(64):
            loss = model.loss(items[rows])
            if anchors is not None:
                loss = loss + anchors(model.encode)  # the only change in the loop
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return model


def main() -> None:
    """Train Bob's model without anchors and with them."""
    alice = setting(__doc__)
    for name, bundle in {"without anchors": None, "with anchors": alice.bundle}.items():
        model = train(torch.from_numpy(alice.items), alice.latents.shape[1], alice.epochs, bundle)

        @torch.no_grad()
        def encode(inputs: np.ndarray, model: VAE = model) -> np.ndarray:
            return model.encode(torch.from_numpy(inputs)).numpy()

        alice.show(name, encode)


if __name__ == "__main__":
    main()
