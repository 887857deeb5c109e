"""The loop agrees with a hand-written one, step by step."""

from __future__ import annotations

import pytest
import torch
from rosetta.schemas.run import RunConfig, TrainSettings

from rosetta.errors import TrainingError
from rosetta.models.vae import VAE, build_vae
from rosetta.objectives.elbo import AnchoredELBO
from rosetta.training.loop import Epoch, Progress, evaluate, fit

CPU = torch.device("cpu")


def _model() -> VAE:
    settings = TrainSettings(hidden=(16,))
    return build_vae(RunConfig(input_shape=(6,), latent_dim=2, value_range=(0.0, 1.0), settings=settings))


def _fit(model: VAE, inputs: torch.Tensor, *, epochs: int = 3, batch_size: int = 10, lr: float = 1e-2) -> list[Epoch]:
    seen: list[Epoch] = []
    fit(
        AnchoredELBO(model, beta=0.5, anchors=None), inputs, inputs[:7],
        n_dims=2, epochs=epochs, batch_size=batch_size, lr=lr, seed=3, device=CPU,
        on_epoch=seen.append, on_progress=lambda progress: None,
    )  # fmt: skip
    return seen


def test_training_is_adam_on_the_mean_loss_of_shuffled_batches():
    inputs = torch.rand(35, 6, generator=torch.Generator().manual_seed(0))
    model, twin = _model(), _model()

    _fit(model, inputs)

    optimizer = torch.optim.Adam(twin.parameters(), lr=1e-2)
    order, noises = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    for _ in range(3):
        permutation = torch.randperm(35, generator=order)
        noise = torch.randn(35, 2, generator=noises)
        for batch in range(4):
            rows = permutation[10 * batch : 10 * batch + 10]
            mean, log_variance = twin.encoder(inputs[rows]).chunk(2, 1)
            latents = mean + (log_variance / 2).exp() * noise[10 * batch : 10 * batch + 10]
            normal = torch.distributions.Normal(twin.decoder(latents), 10.0**-0.5)
            kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum(1) / 2
            loss = (-normal.log_prob(inputs[rows]).sum(1) + 0.5 * kl).mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    for ours, theirs in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_the_same_seed_gives_the_same_weights():
    inputs = torch.rand(35, 6)
    one, two = _model(), _model()

    _fit(one, inputs)
    _fit(two, inputs)

    assert all((a == b).all() for a, b in zip(one.parameters(), two.parameters(), strict=True))


def test_each_epoch_reports_its_means_and_those_of_the_held_out_items():
    inputs = torch.rand(35, 6)
    model = _model()

    epochs = _fit(model, inputs, epochs=4)

    assert [e.number for e in epochs] == [1, 2, 3, 4]
    assert epochs[-1].training.elbo > epochs[0].training.elbo
    again = evaluate(AnchoredELBO(model, beta=0.5, anchors=None), inputs[:7], n_dims=2, seed=3, device=CPU)
    assert epochs[-1].validation == pytest.approx(again)


def test_progress_ends_with_all_rows_done():
    seen: list[Progress] = []
    fit(
        AnchoredELBO(_model(), beta=1.0, anchors=None), torch.rand(30, 6), None,
        n_dims=2, epochs=2, batch_size=8, lr=1e-3, seed=0, device=CPU,
        on_epoch=lambda epoch: None, on_progress=seen.append,
    )  # fmt: skip

    assert seen[-1].n_rows_done == seen[-1].n_rows == 60


def test_a_loss_that_is_no_number_stops_the_training_with_advice():
    with pytest.raises(TrainingError, match="in epoch 1 the reconstruction became .*smaller --lr"):
        _fit(_model(), torch.full((20, 6), 1e30))
