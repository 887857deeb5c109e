"""The loop agrees with a hand-written one, step by step."""

from __future__ import annotations

import pytest
import torch
from rosetta.schemas.run import RunConfig, TrainSettings

from rosetta.errors import TrainingError
from rosetta.models.vae import VAE, build_vae
from rosetta.objectives.balance import Balance
from rosetta.objectives.elbo import AnchoredELBO
from rosetta.training.devices import make_fabric
from rosetta.training.items import InMemory
from rosetta.training.loop import Training
from rosetta.training.measuring import HeldOut, evaluate
from rosetta.training.plan import Epoch, Plan, Progress
from rosetta.training.programs import SingleModel, clip
from rosetta.training.schedule import Schedule

CPU = torch.device("cpu")


class Never:
    """Keeps nothing and stops never."""

    must_stop = False

    def is_due(self, epoch: int, *, ends: bool) -> bool:
        return False

    def keep(self, training: Training) -> None:
        raise AssertionError("it was never due")


def _model() -> VAE:
    settings = TrainSettings(hidden=(16,))
    return build_vae(RunConfig(input_shape=(6,), latent_dim=2, value_range=(0.0, 1.0), settings=settings))


def _held_out(inputs: torch.Tensor, n_items: int) -> HeldOut:
    noise = torch.randn(n_items, 2, generator=torch.Generator().manual_seed(3))
    return HeldOut(inputs, torch.arange(n_items), noise, counts=True)


def _training(
    model: VAE, inputs: torch.Tensor, *, schedule: Schedule, batch_size: int = 10, beta: float = 0.5, **plan: object
) -> Training:
    return Training(
        SingleModel(AnchoredELBO(model)),
        Balance({"kl": [beta]}, held=None, others={}),
        None,
        InMemory(inputs, torch.arange(len(inputs)), n_dims=2),
        _held_out(inputs, 7),
        plan=Plan(schedule, batch_size, **plan),
        seeds=[3],
        device=CPU,
        fabric=make_fabric(CPU, devices=1, nodes=1, precision_mode="32"),
    )


def _fit(model: VAE, inputs: torch.Tensor, *, epochs: int = 3, lr: float = 1e-2, **more: object) -> list[Epoch]:
    seen: list[Epoch] = []
    training = _training(model, inputs, schedule=Schedule(epochs, lr), **more)
    training.run(seen.extend, lambda progress: None, Never())
    return seen


@pytest.mark.parametrize("norm", [None, 0.5])
def test_training_is_adam_on_the_mean_loss_of_shuffled_batches(norm: float | None):
    inputs = torch.rand(35, 6, generator=torch.Generator().manual_seed(0))
    model, twin = _model(), _model()
    schedule = Schedule(3, 1e-2, lr_schedule="cosine", lr_warmup=1, kl_anneal=2)

    _training(model, inputs, schedule=schedule, clip=norm).run(lambda epochs: None, lambda progress: None, Never())

    optimizer = torch.optim.Adam(twin.parameters(), lr=1e-2)
    order, noises = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    for epoch in range(3):
        permutation = torch.randperm(35, generator=order)
        noise = torch.randn(35, 2, generator=noises)
        for batch in range(4):
            done = epoch + min(10 * batch + 10, 35) / 35
            rows = permutation[10 * batch : 10 * batch + 10]
            mean, log_variance = twin.encoder(inputs[rows]).chunk(2, 1)
            latents = mean + (log_variance / 2).exp() * noise[10 * batch : 10 * batch + 10]
            normal = torch.distributions.Normal(twin.decoder(latents), 10.0**-0.5)
            kl = (mean**2 + log_variance.exp() - 1 - log_variance).sum(1) / 2
            loss = (-normal.log_prob(inputs[rows]).sum(1) + 0.5 * min(done / 2, 1) * kl).mean()
            optimizer.zero_grad()
            loss.backward()
            if norm is not None:
                torch.nn.utils.clip_grad_norm_(twin.parameters(), norm)
            optimizer.param_groups[0]["lr"] = schedule.lr_at(done)
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

    elbos = [-(e.training["reconstruction"] + e.training["kl"]) for e in epochs]
    ((again,), n_active) = evaluate(SingleModel(AnchoredELBO(model)), _held_out(inputs, 7))
    assert [e.number for e in epochs] == [1, 2, 3, 4]
    assert elbos[-1] > elbos[0]
    assert epochs[-1].validation == pytest.approx(again)
    with torch.no_grad():
        variances = model.encode(inputs[:7])[0].var(0, correction=0)
    assert epochs[-1].n_active == n_active[0] == int((variances > 0.01).sum())


def test_evaluation_in_blocks_is_evaluation_at_once():
    inputs = torch.rand(35, 6)
    program, held_out = SingleModel(AnchoredELBO(_model())), _held_out(inputs, 35)

    blocks, at_once = evaluate(program, held_out, block=4), evaluate(program, held_out)

    assert blocks[0][0] == pytest.approx(at_once[0][0], rel=1e-5)
    assert blocks[1] == at_once[1]


def test_progress_is_reported_within_an_epoch(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rosetta.training.loop.PROGRESS_EVERY_S", 0.0)
    seen: list[Progress] = []
    training = _training(_model(), torch.rand(30, 6), schedule=Schedule(2, 1e-3), batch_size=8)

    training.run(lambda epochs: None, seen.append, Never())

    assert [p.n_rows_done for p in seen] == [8, 16, 24, 30, 38, 46, 54, 60]
    assert seen[-1].n_rows == 60


def test_a_loss_that_is_no_number_stops_the_training_with_step_term_and_advice():
    inputs = torch.rand(20, 6)
    inputs[4] = 1e30

    with pytest.raises(TrainingError, match=r"in epoch 1, step \d, the reconstruction became (inf|nan).*smaller `lr`"):
        _fit(_model(), inputs)


def test_gradients_of_models_side_by_side_are_clipped_each_by_its_own_norm():
    def parameters(n_models: int) -> list[torch.nn.Parameter]:
        made = [torch.nn.Parameter(torch.zeros(n_models, 4, 3)), torch.nn.Parameter(torch.zeros(n_models, 5))]
        for parameter in made:
            parameter.grad = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(parameter.ndim))
            parameter.grad[0] *= 1e-3
        return made

    together, alone = parameters(3), parameters(3)
    clip(together, 1.5, n_models=3)

    for model in range(3):
        single = [torch.nn.Parameter(p[model].detach()) for p in alone]
        for mine, whole in zip(single, alone, strict=True):
            mine.grad = whole.grad[model].clone()
        torch.nn.utils.clip_grad_norm_(single, 1.5)
        for mine, whole in zip(single, together, strict=True):
            torch.testing.assert_close(mine.grad, whole.grad[model])
