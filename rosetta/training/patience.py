"""Early stopping: each model keeps the weights of its best epoch, and stops when no better one comes."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor

from rosetta.training.programs import Program


class Patience:
    """The best epoch of each model so far.

    Parameters
    ----------
    patience : int
        Epochs without a better loss after which a model has stopped.
    n_models : int
        Number of models that train side by side.
    """

    def __init__(self, patience: int, n_models: int) -> None:
        self.patience = patience
        self.best_loss: list[float | None] = [None] * n_models
        self.best_epoch = [0] * n_models
        self.stopped_at: list[int | None] = [None] * n_models
        self.weights: list[dict[str, Tensor] | None] = [None] * n_models

    def see(self, epoch: int, losses: Sequence[float | None], program: Program) -> None:
        """Take each model's loss after `epoch`; None does not count, neither as better nor as worse."""
        better = [
            loss is not None and stopped is None and (best is None or loss < best)
            for loss, best, stopped in zip(losses, self.best_loss, self.stopped_at, strict=True)
        ]
        weights = program.weights() if any(better) else []
        for model, loss in enumerate(losses):
            if better[model]:
                self.best_loss[model], self.best_epoch[model], self.weights[model] = loss, epoch, weights[model]
            waited = epoch - self.best_epoch[model]
            if self.stopped_at[model] is None and self.best_loss[model] is not None and waited >= self.patience:
                self.stopped_at[model] = epoch

    @property
    def has_stopped(self) -> bool:
        """Whether every model has stopped."""
        return all(stopped is not None for stopped in self.stopped_at)

    def restore_best(self, program: Program) -> None:
        """Give each model the weights of its best epoch."""
        last = program.weights()
        program.restore([now if best is None else best for now, best in zip(last, self.weights, strict=True)])
