"""Learning rates and shares of β, by hand; and gradients clipped as PyTorch clips them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from rosetta.training.programs import clip
from rosetta.training.schedule import Schedule


def test_without_a_schedule_every_step_is_alike():
    schedule = Schedule(10, 0.5)

    assert schedule.is_constant
    assert [schedule.lr_at(epoch) for epoch in (0, 3.3, 10)] == [0.5] * 3
    assert [schedule.annealed(epoch) for epoch in (0, 3.3, 10)] == [1.0] * 3


@pytest.mark.parametrize(
    ("kind", "epochs_and_rates"),
    [
        ("constant", [(0.5, 0.2), (1, 0.4), (2, 0.8), (3, 0.8), (10, 0.8)]),
        ("linear", [(0.5, 0.2), (1, 0.4), (2, 0.8), (4, 0.6), (6, 0.4), (10, 0.0)]),
        ("cosine", [(1, 0.4), (2, 0.8), (4, 0.4 * (1 + math.cos(math.pi / 4))), (6, 0.4), (8, 0.4 - 0.4 * 2**-0.5),
                    (10, 0.0)]),
    ],
)  # fmt: skip
def test_the_rate_rises_over_two_epochs_of_ten_and_falls_over_eight(
    kind: str, epochs_and_rates: list[tuple[float, float]]
):
    schedule = Schedule(10, 0.8, lr_schedule=kind, lr_warmup=2.0)

    assert not schedule.is_constant
    for epoch, rate in epochs_and_rates:
        assert schedule.lr_at(epoch) == pytest.approx(rate, abs=1e-12)


def test_a_warm_up_over_all_epochs_ends_at_the_full_rate():
    assert Schedule(3, 0.9, lr_warmup=3.0).lr_at(3) == 0.9
    assert Schedule(3, 0.9, lr_warmup=3.0, lr_schedule="linear").lr_at(2.9) == pytest.approx(0.87)


def test_beta_counts_fully_after_its_annealing():
    schedule = Schedule(10, 0.1, kl_anneal=4.0)

    assert not schedule.is_constant
    assert [schedule.annealed(epoch) for epoch in (1, 2, 4, 7)] == [0.25, 0.5, 1.0, 1.0]


def _with_gradients(n_models: int | None, scale: float) -> list[nn.Parameter]:
    generator = torch.Generator().manual_seed(0)
    parameters = []
    for shape in ((4, 3), (5,), ()):
        parameter = nn.Parameter(torch.zeros(shape if n_models is None else (n_models, *shape)))
        parameter.grad = scale * torch.randn(parameter.shape, generator=generator)
        parameters.append(parameter)
    return parameters


@pytest.mark.parametrize("scale", [10.0, 1e-3, 0.0])
def test_clipping_is_that_of_torch(scale: float):
    ours, theirs = _with_gradients(None, scale), _with_gradients(None, scale)

    clip(ours, 0.7)
    nn.utils.clip_grad_norm_(theirs, 0.7)

    for one, two in zip(ours, theirs, strict=True):
        torch.testing.assert_close(one.grad, two.grad)


def test_each_model_is_clipped_for_itself():
    stacked = _with_gradients(3, 1.0)
    with torch.no_grad():
        for parameter in stacked:
            parameter.grad[1] *= 1e-3  # type: ignore[index]
            parameter.grad[2] *= 1e3  # type: ignore[index]
    before = [parameter.grad.clone() for parameter in stacked]  # type: ignore[union-attr]

    clip(stacked, 0.7, n_models=3)

    for model in range(3):
        alone = [nn.Parameter(torch.zeros(gradient.shape[1:])) for gradient in before]
        for parameter, gradient in zip(alone, before, strict=True):
            parameter.grad = gradient[model].clone()
        nn.utils.clip_grad_norm_(alone, 0.7)
        for parameter, one in zip(stacked, alone, strict=True):
            torch.testing.assert_close(parameter.grad[model], one.grad)  # type: ignore[index]
