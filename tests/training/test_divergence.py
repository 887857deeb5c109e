"""The means of an epoch's terms are exact, and the first term that is no number is found."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from rosetta.training.divergence import STEPS_A_LOOK, Divergence, DivergenceWatch


def _alone(tensor: torch.Tensor) -> torch.Tensor:
    return tensor


def _terms(n_steps: int, n_models: int | None = None) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    shape = (n_steps,) if n_models is None else (n_steps, n_models)
    # of all sizes, so that sums in double precision are rounded
    return list(torch.randn(shape, generator=generator) * 10.0 ** (12 * torch.rand(shape, generator=generator) - 6))


def test_means_weigh_each_step_by_its_items():
    watch, terms, counts = DivergenceWatch(1, _alone), _terms(120), [32] * 119 + [5]

    for term, n_items in zip(terms, counts, strict=True):
        watch.add({"kl": term}, n_items)
        if watch.is_due:
            assert watch.look() == []
    watch.look()

    exact = sum(Fraction(float(t)) * n for t, n in zip(terms, counts, strict=True)) / sum(counts)
    assert watch.means(1)[0]["kl"] == pytest.approx(float(exact), rel=1e-14)
    assert (watch.n_steps, watch.n_items) == (120, sum(counts))


@pytest.mark.parametrize("n_models", [None, 3])
def test_sums_are_the_same_to_the_last_bit_whenever_one_looks(n_models: int | None):
    terms = _terms(200, n_models)

    def sums(looks: set[int]) -> torch.Tensor:
        watch = DivergenceWatch(1, _alone)
        for number, term in enumerate(terms, start=1):
            watch.add({"kl": term}, 32)
            if number in looks:
                watch.look()
        watch.look()
        return watch.sums["kl"]

    for looks in ({50, 100, 150}, {1, 2, 3}, {77}, set(range(200))):
        assert torch.equal(sums(set()), sums(looks))


def test_it_is_time_to_look_after_so_many_steps():
    watch = DivergenceWatch(1, _alone)

    for _ in range(STEPS_A_LOOK - 1):
        watch.add({"kl": torch.tensor(1.0)}, 1)
    assert not watch.is_due
    watch.add({"kl": torch.tensor(1.0)}, 1)
    assert watch.is_due
    watch.look()
    assert not watch.is_due


def test_the_first_step_that_is_no_number_is_named_with_its_term():
    watch = DivergenceWatch(7, _alone)
    for number in range(1, 11):
        watch.add({"reconstruction": torch.tensor(math.nan if number >= 6 else 1.0), "kl": torch.tensor(1.0)}, 1)
        if number == 4:
            assert watch.look() == []

    (found,) = watch.look()

    assert found[:4] == (0, 7, 6, "reconstruction")
    assert math.isnan(found.value)
    assert watch.look() == []


def test_of_two_terms_the_one_that_failed_earlier_is_named():
    watch = DivergenceWatch(1, _alone)
    for number in (1, 2, 3):
        terms = {"reconstruction": math.nan if number == 3 else 1.0, "kl": math.inf if number == 2 else 1.0}
        watch.add({name: torch.tensor(value) for name, value in terms.items()}, 1)

    assert watch.look() == [Divergence(0, 1, 2, "kl", math.inf)]


def test_each_model_has_its_own_first_failure():
    watch = DivergenceWatch(1, _alone)
    watch.add({"kl": torch.tensor([1.0, 1.0, 1.0])}, 1)
    watch.add({"kl": torch.tensor([1.0, 1.0, -math.inf])}, 1)
    watch.add({"kl": torch.tensor([math.inf, 1.0, 1.0])}, 1)

    assert watch.look() == [Divergence(0, 1, 3, "kl", math.inf), Divergence(2, 1, 2, "kl", -math.inf)]


def test_terms_of_several_processes_are_averaged():
    watch = DivergenceWatch(1, lambda tensor: tensor + 1)
    watch.add({"kl": torch.tensor(2.0)}, 10)
    watch.look()

    assert watch.means(1) == [{"kl": 3.0}]
