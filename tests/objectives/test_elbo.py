"""Each term of the loss is its formula, alone and for several models at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from rosetta.schemas.run import RunConfig, TrainSettings
from torch.distributions import Normal, kl_divergence

import rosetta
from rosetta.errors import IncompatibleError
from rosetta.models.side_by_side import VAEsSideBySide
from rosetta.models.vae import VAE, build_vae
from rosetta.objectives.balance import Anchors, Balance
from rosetta.objectives.dual_weight import HeldWeight
from rosetta.objectives.elbo import AnchoredELBO
from rosetta.objectives.pairs import AnchorPool
from rosetta.training.programs import Program, SideBySide, SingleModel, Stacked
from tests import builders


@pytest.fixture
def bundle(tmp_path: Path) -> rosetta.Bundle:
    return rosetta.Bundle.open(builders.write(tmp_path / "b.h5"))


def _model(seed: int = 0, n_dims: int = 3) -> VAE:
    settings = TrainSettings(hidden=(8,), seed=seed)
    return build_vae(RunConfig(input_shape=(4, 5), latent_dim=n_dims, value_range=(0.0, 1.0), settings=settings))


def _batch(*leading: int, n_dims: int = 3) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return torch.rand(*leading, 6, 4, 5, generator=generator), torch.randn(*leading, 6, n_dims, generator=generator)


@pytest.mark.parametrize("n_dims", [3, 5])  # the bundle's, and two free ones beside them
def test_the_terms_are_those_of_torchs_own_distributions(bundle: rosetta.Bundle, n_dims: int):
    model = _model(n_dims=n_dims)
    pool = AnchorPool([bundle], per_step=256, with_sd=True, latent_noise=n_dims)
    (inputs, noise), anchors = _batch(n_dims=n_dims), Anchors(pool, [0]).draw()

    terms = AnchoredELBO(model, also={"anchor_decoder"})(inputs, noise, anchors)

    def posterior(x: torch.Tensor) -> Normal:
        mean, log_variance = model.encode(x)
        return Normal(mean, (log_variance / 2).exp())

    def misfit(latents: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return -Normal(model.decoder(latents), 10.0**-0.5).log_prob(x).flatten(1).sum(1)

    q, stored = posterior(inputs), Normal(anchors.latents, anchors.latents_sd)
    of_anchors = posterior(anchors.inputs)
    in_space = Normal(of_anchors.loc[:, :3], of_anchors.scale[:, :3])
    placed = torch.cat([anchors.latents, of_anchors.loc[:, 3:]], dim=1)
    prior = Normal(0.0, 1.0)
    expected = {
        "reconstruction": misfit(q.loc + q.scale * noise, inputs).mean(),
        "kl": kl_divergence(q, prior).sum(1).mean(),
        "anchor_error": (in_space.loc - anchors.latents).square().sum(1).mean(),
        "anchor_decoder": misfit(placed, anchors.inputs).mean(),
        "anchor_spread": kl_divergence(stored, in_space).sum(1).mean(),
        "anchor_elbo": misfit(of_anchors.loc + of_anchors.scale * anchors.noise, anchors.inputs).mean()
        + kl_divergence(of_anchors, prior).sum(1).mean(),
    }
    assert terms.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(terms[name], value, rtol=1e-4, atol=1e-4, msg=name)


def test_the_loss_weighs_each_term(bundle: rosetta.Bundle):
    terms = {name: torch.tensor(float(number)) for number, name in enumerate(
        ("reconstruction", "kl", "anchor_error", "anchor_decoder", "anchor_spread"), start=1)}  # fmt: skip
    balance = Balance({"kl": [2.0]}, held=HeldWeight(4.0, 1.0), others={"anchor_decoder": 0.5, "anchor_spread": 3.0})

    assert float(balance(terms, annealed=0.25)) == pytest.approx(1 + 2 * 0.25 * 2 + 4 * 3 + 0.5 * 4 + 3 * 5)


def test_weights_held_side_by_side_are_those_held_alone():
    errors = torch.rand(200, 3, generator=torch.Generator().manual_seed(0)) * 3
    together = HeldWeight(["auto", 2.5, "auto"], [0.5, 0.5, 2.0])
    alone = [HeldWeight(weight, target) for weight, target in (("auto", 0.5), (2.5, 0.5), ("auto", 2.0))]

    for error in errors:
        weights = together(error)
        singles = [held(error[number]) for number, held in enumerate(alone)]

    torch.testing.assert_close(weights, torch.stack(singles))
    assert float(weights[1]) == pytest.approx(2.5)
    assert float(weights[0]) != pytest.approx(1)


def _stacked(objectives: list[AnchoredELBO], axes: object) -> Program:
    return Stacked(objectives, axes=axes)


def _side_by_side(objectives: list[AnchoredELBO], axes: object) -> Program:
    joined = VAEsSideBySide.of([objective.model for objective in objectives])
    return SideBySide(
        AnchoredELBO(joined, also=objectives[0].also), len(objectives),
        weights_of=lambda number: {f"model.{name}": tensor for name, tensor in joined.weights(number).items()},
        take=lambda weights: joined.take([{n.removeprefix("model."): t for n, t in each.items()} for each in weights]),
    )  # fmt: skip


@pytest.mark.parametrize("join", [_stacked, _side_by_side])
@pytest.mark.parametrize(
    ("per_step", "noise", "latent_noise", "n_dims"),
    [(256, 0.0, 0, 3), (5, 0.0, 0, 3), (256, 0.1, 0, 3), (5, 0.1, 3, 3), (256, 0.0, 0, 5), (5, 0.1, 5, 5)],
)
def test_models_side_by_side_give_the_terms_and_gradients_of_each_alone(
    bundle: rosetta.Bundle, join: Callable[..., Program], per_step: int, noise: float, latent_noise: int, n_dims: int
):
    models = [_model(seed, n_dims) for seed in range(3)]
    objectives = [AnchoredELBO(model, also={"anchor_decoder"}) for model in models]
    pool = AnchorPool([bundle], per_step=per_step, noise=noise, with_sd=True, latent_noise=latent_noise)
    inputs, noises = _batch(3, n_dims=n_dims)
    side_by_side, alone = Anchors(pool, [4, 5, 6]), [Anchors(pool, [seed]) for seed in (4, 5, 6)]
    program = join(objectives, side_by_side.axes)
    optimizer = torch.optim.SGD(program.parameters, lr=1.0)

    for _ in range(2):
        drawn, singles = side_by_side.draw(), [each.draw() for each in alone]
        together = program(inputs, noises, drawn)
        sum(term.sum() for term in together.values()).backward()
        before = program.weights()
        optimizer.step()
        optimizer.zero_grad()
        after = program.weights()
        program.restore(before)
        for number, objective in enumerate(objectives):
            objective.zero_grad()
            terms = SingleModel(objective)(inputs[number], noises[number], singles[number])
            sum(terms.values()).backward()
            for name, term in terms.items():
                torch.testing.assert_close(together[name][number], term, rtol=1e-4, atol=1e-5, msg=name)
            for name, parameter in objective.named_parameters():
                gradient = before[number][name] - after[number][name]
                torch.testing.assert_close(gradient, parameter.grad, rtol=1e-4, atol=1e-4, msg=name)


@pytest.mark.parametrize("join", [_stacked, _side_by_side])
def test_weights_survive_being_stacked_and_given_back(join: Callable[..., Program]):
    objectives = [AnchoredELBO(_model(seed)) for seed in range(3)]
    program = join(objectives, None)

    for objective, weights in zip(objectives, program.weights(), strict=True):
        assert weights.keys() == objective.state_dict().keys()
        assert all((weights[name] == tensor).all() for name, tensor in objective.state_dict().items())
    program.restore(list(reversed(program.weights())))
    assert all((program.weights()[0][name] == tensor).all() for name, tensor in objectives[2].state_dict().items())


def test_draws_of_models_side_by_side_go_on_where_they_stood(bundle: rosetta.Bundle):
    pool = AnchorPool([bundle], per_step=5, noise=0.1)
    anchors, again = Anchors(pool, [1, 2]), Anchors(pool, [1, 2])
    for _ in range(7):
        anchors.draw()

    again.restore(anchors.state())

    for _ in range(5):
        for mine, theirs in itertools.zip_longest(anchors.draw(), again.draw()):
            assert (mine is None and theirs is None) or (mine == theirs).all()


@pytest.mark.parametrize(
    ("absent", "options", "words"),
    [("/pairs/latents_sd", {"with_sd": True}, "standard deviations"), ("/pairs/weights", {"weighed": True}, "share")],
)
def test_what_a_bundle_does_not_say_cannot_be_asked_for(
    tmp_path: Path, absent: str, options: dict[str, bool], words: str
):
    values = {path: array for path, array in builders.arrays().items() if path != absent}
    bundle = rosetta.Bundle.open(builders.write(tmp_path / "b.h5", values))

    with pytest.raises(IncompatibleError, match=words):
        AnchorPool([bundle], per_step=5, **options)
    assert np.isfinite(AnchorPool([bundle], per_step=5).total_sd)
