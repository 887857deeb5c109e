"""Train an encoder with differential privacy (DP-SGD, by Opacus) and write a run folder for `rosetta distill`."""

import argparse
import math
import sys
import time
import warnings
from pathlib import Path

import torch
from rosetta.schemas.run import DataSummary, FinalFigures, RunConfig, RunRecord, TrainSettings
from sklearn.datasets import load_digits
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from rosetta.errors import RosettaError
from rosetta.files import check_output
from rosetta.models.checkpoint import weights_digest, write_run
from rosetta.models.vae import VAE, build_vae
from rosetta.objectives.elbo import kl_divergence, sample
from rosetta.privacy.mechanism import noise_multiplier
from rosetta.runs.records import new_space_id
from rosetta.software import now, versions

try:
    from opacus import PrivacyEngine
except ModuleNotFoundError as error:
    sys.exit(f"this example needs opacus ({error}). Install it with: pip install 'rosetta-points[privacy]'")

CLIP = 1.0  # largest norm of an item's gradient; with Adam, any value that clips all gradients has the same effect


class NegativeELBO(nn.Module):
    """The loss of each item in nats, (n_items, …) to (n_items,), so that Opacus can clip each item's gradient."""

    def __init__(self, model: VAE) -> None:
        super().__init__()
        self.model = model

    def forward(self, inputs: Tensor) -> Tensor:
        """Return reconstruction + KL of every item."""
        return sum(self.terms(inputs))

    def terms(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return the reconstruction error, constants included, and the KL divergence of every item."""
        mean, log_variance = self.model.encode(inputs)
        output = self.model.decoder(sample(mean, log_variance, torch.randn_like(mean)))
        return -self.model.likelihood.log_prob(output, inputs), kl_divergence(mean, log_variance)


def train(items: Tensor, config: RunConfig, *, noise: float | None) -> VAE:
    """Train a VAE with Adam, all items in each step; with differential privacy if noise (in units of CLIP) is given."""
    settings = config.settings
    model = build_vae(config)
    loss: nn.Module = NegativeELBO(model)
    torch.seed()  # from the system: anyone who knew the seed could subtract the noise
    optimizer = torch.optim.Adam(loss.parameters(), lr=settings.lr)
    loader = DataLoader(TensorDataset(items), batch_size=len(items))
    if noise is not None:
        # each item's gradient is clipped, and noise is added to the sum
        loss, optimizer, loader = PrivacyEngine().make_private(
            module=loss, optimizer=optimizer, data_loader=loader, noise_multiplier=noise, max_grad_norm=CLIP,
            poisson_sampling=False,
        )  # fmt: skip
    for _ in range(settings.epochs):
        for (batch,) in loader:
            optimizer.zero_grad()
            loss(batch).mean().backward()
            optimizer.step()
    return model


def noise_for(epsilon: float, delta: float, n_steps: int) -> float:
    """Return the noise of each step, in units of CLIP, for the replacement of one item, as in a bundle's account.

    Replacing an item moves the sum of clipped gradients by up to 2 CLIP, and each step uses its share of the budget.
    This is valid if every step uses all items. For random batches use `opacus.accountants`, which define neighbours
    differently: data sets of which one has an item more.
    """
    return 2 * math.sqrt(n_steps) * noise_multiplier(epsilon, delta)


@torch.no_grad()
def measure(model: VAE, unseen: Tensor) -> FinalFigures:
    """Return means over items that the model was not trained on."""
    torch.manual_seed(0)
    reconstruction, kl = (float(each.mean()) for each in NegativeELBO(model).terms(unseen))
    return FinalFigures(elbo=-(reconstruction + kl), reconstruction=reconstruction, kl=kl)


def save(folder: Path, model: VAE, config: RunConfig, final: FinalFigures, data: DataSummary, elapsed_s: float) -> None:
    """Write the run folder."""
    digest = weights_digest(model)
    n_rows = config.settings.epochs * (data.n_items - data.n_validation)
    record = RunRecord(
        created=now(),
        objective="vae",
        space_id=new_space_id(digest),
        data=data,
        n_parameters=sum(p.numel() for p in model.parameters()),
        weights_sha256=digest,
        epochs=config.settings.epochs,
        elapsed_s=elapsed_s,
        rows_per_s=n_rows / elapsed_s,
        final=final,
        software=versions("torch", "numpy", "opacus"),
    )
    folder.mkdir()
    write_run(folder, model, config, record, step_arrays={})


def main() -> None:
    """Train without and with privacy, print figures of both on held-out digits, and save the private model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("-o", "--output", type=Path, default=Path("private-encoder"), help="the run folder to write")
    parser.add_argument("--epsilon", type=float, default=8.0, help="epsilon")
    parser.add_argument("--delta", type=float, default=1e-4, help="delta: well below 1 / (number of items)")
    parser.add_argument("--epochs", type=int, default=150, help="epochs; each uses part of the budget")
    options = parser.parse_args()
    if options.output.exists():
        parser.error(f"{options.output} exists already: choose another name with -o")
    check_output(options.output, force=False)
    digits = load_digits()
    images = torch.from_numpy(digits.images[digits.target < 5] / 16).float()
    unseen, items = images[:180], images[180:]
    # noise is added to every weight at every step, so use few steps with all items each, and a small network
    settings = TrainSettings(
        latent_dim=4, hidden=(64,), epochs=options.epochs, batch_size=len(items), lr=1e-2, validation=0.2
    )
    config = RunConfig(input_shape=(8, 8), latent_dim=4, value_range=(0.0, 1.0), settings=settings)
    needed = noise_for(options.epsilon, options.delta, options.epochs)
    print("                 ELBO  reconstruction   (nats per item, held-out digits)")
    for name, noise in (("without privacy", None), ("with privacy", needed)):
        start = time.monotonic()
        model = train(items, config, noise=noise)
        final = measure(model, unseen)
        print(f"{name:<15}{final.elbo:>7.2f}{final.reconstruction:>10.2f}")
    print(
        f"epsilon {options.epsilon:g}, delta {options.delta:g} if one item is replaced: noise of {needed:.2f} per step"
    )
    data = DataSummary(n_items=len(images), n_validation=len(unseen), dtype="float32", shape=(8, 8))
    save(options.output, model, config, final, data, time.monotonic() - start)
    print(f"wrote {options.output}")


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # Opacus warns at every start that its random numbers are not cryptographic
    try:
        main()
    except RosettaError as error:
        sys.exit(f"error: {error}")
