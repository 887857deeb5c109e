"""Anchors in a Lightning module: add one callback."""

import lightning
import torch
from digits import setting
from torch import Tensor, nn
from torch.utils.data import DataLoader

from rosetta.lightning import AnchorCallback


class VAE(lightning.LightningModule):
    """An ordinary variational autoencoder, without code for anchors."""

    def __init__(self, n_dims: int) -> None:
        super().__init__()
        self.n_dims = n_dims
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 2 * n_dims))
        self.decoder = nn.Sequential(nn.Linear(n_dims, 128), nn.ReLU(), nn.Linear(128, 64), nn.Unflatten(1, (8, 8)))

    def encode(self, inputs: Tensor) -> Tensor:
        """Return posterior means; the callback looks for this method by name."""
        return self.encoder(inputs)[:, : self.n_dims]

    def training_step(self, batch: Tensor) -> Tensor:
        """Return the negative evidence lower bound, a mean over the batch."""
        mean, log_variance = self.encoder(batch).chunk(2, dim=1)
        output = self.decoder(mean + (0.5 * log_variance).exp() * torch.randn_like(mean))
        error = 5 * (output - batch).square().flatten(1).sum(1)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        return (error + kl).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return Adam."""
        return torch.optim.Adam(self.parameters(), lr=1e-3)


def main() -> None:
    """Train Bob's model without anchors and with them."""
    alice = setting(__doc__)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    callbacks = {"without anchors": [], "with anchors": [AnchorCallback(alice.bundle)]}
    models = {}
    for name, chosen in callbacks.items():
        lightning.seed_everything(0)
        models[name] = VAE(alice.latents.shape[1])
        trainer = lightning.Trainer(max_epochs=alice.epochs, callbacks=chosen, **quiet)  # the only change
        trainer.fit(models[name], DataLoader(torch.from_numpy(alice.items), batch_size=64, shuffle=True))
    for name, model in models.items():
        with torch.no_grad():
            alice.show(name, lambda inputs, model=model: model.encode(torch.from_numpy(inputs)).numpy())


if __name__ == "__main__":
    main()
