"""The means of an epoch's terms, and a look at each step's: the first that is no finite number stops the training."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

STEPS_A_LOOK = 50  # terms stay on the device until this many steps are there: looking waits for it


class Divergence(NamedTuple):
    """Where a term became no finite number."""

    model: int
    epoch: int
    step: int  # of the epoch, from 1
    term: str
    value: float


USUAL = "a smaller `lr`, `clip=1`, inputs of a smaller range (`preprocess='standardize'`) or a smaller `precision`"


def explain(divergence: Divergence, n_models: int, advice: Mapping[str, str]) -> str:
    """Return where a training diverged and what to try, by the term's own `advice` where it has one."""
    which = f" of model {divergence.model} of {n_models}" if n_models > 1 else ""
    return (
        f"the training diverged: in epoch {divergence.epoch}, step {divergence.step}, the "
        f"{divergence.term.replace('_', ' ')}{which} became {divergence.value}. Try "
        + advice.get(divergence.term, USUAL)
    )


class DivergenceWatch:
    """Sums of terms over the steps of an epoch.

    Parameters
    ----------
    epoch : int
        Its number, for messages.
    average : callable
        Tensor to its mean over all processes.
    """

    def __init__(self, epoch: int, average: Callable[[Tensor], Tensor]) -> None:
        self.epoch = epoch
        self.n_steps = 0
        self.n_items = 0
        self.sums: dict[str, Tensor] = {}
        self._average = average
        self._waiting: list[tuple[Mapping[str, Tensor], int]] = []

    def add(self, terms: Mapping[str, Tensor], n_items: int) -> None:
        """Take the terms of a step over `n_items` items."""
        self._waiting.append(({name: term.detach() for name, term in terms.items()}, n_items))
        self.n_steps += 1
        self.n_items += n_items

    @property
    def is_due(self) -> bool:
        """Whether it is time to `look`."""
        return len(self._waiting) >= STEPS_A_LOOK

    def look(self) -> list[Divergence]:
        """Add what waits to the sums, and return each model's first term that is no finite number."""
        if not self._waiting:
            return []
        first = self.n_steps - len(self._waiting) + 1
        counts = torch.tensor([n_items for _, n_items in self._waiting], dtype=torch.float64)
        found: dict[int, Divergence] = {}
        for name in self._waiting[0][0]:
            steps = self._average(torch.stack([terms[name] for terms, _ in self._waiting])).cpu().double()
            before = self.sums.get(name, torch.zeros_like(steps[0]))
            added = steps * counts.reshape(-1, *[1] * (steps.ndim - 1))
            # one after another: the sums are then the same to the last bit whenever one looked, or was interrupted
            self.sums[name] = torch.cat([before[None], added]).cumsum(0)[-1]
            by_model = steps.reshape(len(counts), -1)
            for model in (~by_model.isfinite()).any(0).nonzero().flatten().tolist():
                step = int((~by_model[:, model].isfinite()).nonzero()[0])
                divergence = Divergence(model, self.epoch, first + step, name, float(by_model[step, model]))
                if model not in found or divergence.step < found[model].step:
                    found[model] = divergence
        self._waiting.clear()
        return [found[model] for model in sorted(found)]

    def means(self, n_models: int) -> list[dict[str, float]]:
        """Return the means over the items so far, of each model."""
        flat = {name: (sums / self.n_items).reshape(-1).tolist() for name, sums in self.sums.items()}
        return [{name: values[model] for name, values in flat.items()} for model in range(n_models)]
