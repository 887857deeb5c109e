"""The encoder is trained ahead of the decoder until it no longer lags behind (He et al. 2019)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rosetta.training.procedures import Kind, State, procedures

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from rosetta.training.items import Batch, InMemory
    from rosetta.training.loop import Training

MOST_INNER_STEPS = 100
STEPS_A_LOOK = 10  # of the inner loop, whose mean loss is compared with that of as many before
N_MEASURED = 2000  # held-out items that the mutual information is estimated on, at most


class Aggressive:
    """Before each step of the decoder, steps of the encoder alone, on random batches, until their loss stops falling.

    Once the mutual information between held-out items and their latents is smaller after an epoch than after the one
    before, the decoder and the encoder step together for the rest of the training (He et al. 2019, algorithm 1).

    Parameters
    ----------
    seed : int
        Of the inner batches.
    """

    def __init__(self, seed: int) -> None:
        import torch

        self.is_on, self.information = True, float("-inf")
        self.generator = torch.Generator().manual_seed(seed)

    def step(self, training: Training, batch: Batch) -> None:
        """Take the encoder's steps, then one of the decoder; when switched off, one of both."""
        if not self.is_on:
            terms = training.descend(batch)
        else:
            self._train_encoder(training, batch.n_items)
            terms = training.descend(batch, only=lambda name: not is_encoder(name))
        training.watch.add(terms, batch.n_items)

    def _train_encoder(self, training: Training, n_items: int) -> None:
        before, total = float("inf"), 0.0
        for number in range(1, MOST_INNER_STEPS + 1):
            terms = training.descend(self._drawn(training, n_items), only=is_encoder)
            total += float(training.weighing(terms, annealed=1.0).detach())
            if number % STEPS_A_LOOK == 0:
                if not total < before:  # a loss that is no number ends the loop too
                    return
                before, total = total, 0.0

    def _drawn(self, training: Training, n_items: int) -> Batch:
        """Return a batch of random items."""
        import torch

        from rosetta.training.items import Batch

        items: InMemory = training.items  # type: ignore[assignment]  # the training has seen to it
        rows = items.rows[torch.randint(items.n_items, (n_items,), generator=self.generator).to(items.rows.device)]
        noise = torch.randn(n_items, items.n_dims, generator=self.generator).to(items.inputs.device)
        return Batch(items.inputs[rows], noise, n_items)

    def end_epoch(self, training: Training) -> None:
        """Measure the mutual information, and switch off for good if it no longer rises."""
        import torch

        if not self.is_on:
            return
        held_out = training.held_out
        rows = held_out.rows[:N_MEASURED]
        training.program.train(False)
        with torch.no_grad():
            mean, log_variance = training.program.encode(held_out.inputs[rows])
        found = float(mutual_information(mean, log_variance, held_out.noise[: len(rows)]))
        self.is_on, self.information = found > self.information, found

    def state(self) -> State:
        """Return whether it is on, the mutual information, and the state of the draws."""
        import torch

        numbers = torch.tensor([float(self.is_on), self.information], dtype=torch.float64)
        return {"numbers": numbers, "generator": self.generator.get_state()}

    def restore(self, state: State) -> None:
        """Go on where a saved state stood."""
        is_on, self.information = state["numbers"].tolist()
        self.is_on = bool(is_on)
        self.generator.set_state(state["generator"])


def is_encoder(name: str) -> bool:
    """Whether a parameter of this name is the encoder's."""
    return name.startswith("model.encoder.")


def mutual_information(mean: Tensor, log_variance: Tensor, noise: Tensor) -> torch.Tensor:
    """Return an estimate of the mutual information of items and latents in nats, shape ().

    The mean over items of log q(zᵢ | xᵢ) − log (1/n) Σⱼ q(zᵢ | xⱼ), with a sample zᵢ of each posterior (He et al. 2019,
    appendix; Hoffman & Johnson 2016). At most log(n).

    Parameters
    ----------
    mean, log_variance, noise : float tensor, shape (n_items, n_dims)
    """
    import math

    import torch

    latents = mean + (0.5 * log_variance).exp() * noise
    gap = latents[:, None] - mean[None]
    each = -0.5 * (gap.square() * (-log_variance).exp()[None] + log_variance[None]).sum(-1)
    return (each.diagonal() - torch.logsumexp(each, dim=1) + math.log(len(mean))).mean()


procedures.register("aggressive")(
    Kind(
        "steps of the encoder alone until their loss stops falling, then one of the decoder (He et al. 2019)",
        Aggressive,
        needs="the encoder takes steps of its own on items drawn at random",
    )
)
