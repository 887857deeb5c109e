"""Each model keeps the weights of its best epoch, and stops when no better one comes."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from rosetta.training.patience import Patience
from rosetta.training.programs import SingleModel, Stacked


class _Number(nn.Module):
    """A model with one weight."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(value))

    def forward(self, inputs: torch.Tensor, noise: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": self.weight * inputs.sum()}


def _set(program: SingleModel | Stacked, value: float) -> None:
    with torch.no_grad():
        for parameter in program.parameters:
            parameter.fill_(value)


def _see(losses: Sequence[Sequence[float | None]], patience: int) -> tuple[Patience, list[float]]:
    """Show epochs' losses, each model's weight being the epoch; return the weights at the end."""
    n_models = len(losses[0])
    program = SingleModel(_Number(0.0)) if n_models == 1 else Stacked([_Number(0.0)] * n_models, axes=None)
    watching = Patience(patience, n_models)
    for epoch, each in enumerate(losses, start=1):
        if watching.has_stopped:
            break
        _set(program, float(epoch))
        watching.see(epoch, each, program)
    watching.restore_best(program)
    return watching, [float(weights["weight"]) for weights in program.weights()]


def test_the_best_epochs_weights_come_back_after_so_many_worse_ones():
    watching, weights = _see([[3.0], [2.0], [2.5], [2.4], [1.0]], 2)

    assert weights == [2.0]
    assert (watching.best_epoch, watching.best_loss, watching.stopped_at) == ([2], [2.0], [4])


def test_an_equal_loss_is_no_better_one():
    assert _see([[2.0], [2.0], [2.0], [1.0]], 2)[0].stopped_at == [3]


def test_a_training_that_goes_on_getting_better_never_stops():
    watching, weights = _see([[float(-epoch)] for epoch in range(10)], 1)

    assert not watching.has_stopped
    assert weights == [10.0]


def test_epochs_that_do_not_count_are_neither_better_nor_waited_for():
    watching, weights = _see([[None], [None], [None], [5.0], [None], [4.0], [4.5], [4.5]], 2)

    assert weights == [6.0]
    assert watching.stopped_at == [8]


def test_without_any_epoch_that_counts_the_last_weights_stay():
    watching, weights = _see([[None], [None], [None]], 1)

    assert not watching.has_stopped
    assert weights == [3.0]


def test_models_stop_each_for_itself_and_a_stopped_one_does_not_change():
    watching, weights = _see([[1.0, 3.0], [2.0, 2.0], [0.0, 1.0], [0.0, 2.0], [0.0, 9.0]], 1)

    assert watching.stopped_at == [2, 4]
    assert watching.has_stopped
    assert weights == [1.0, 3.0]
