"""How well a model does on items that it is not trained on."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from rosetta.training.programs import Program, Terms

ACTIVE = 0.01  # variance of a dimension's posterior means, above which it says something of the items


class HeldOut(NamedTuple):
    """Items to measure on after every epoch: each model's own, with a posterior sample that is always the same."""

    inputs: Tensor  # float32, shape (n_all, …)
    rows: Tensor  # int64, shape (n_items,) or (n_models, n_items)
    noise: Tensor  # standard normal, shape (n_items, n_dims) or (n_models, n_items, n_dims)
    counts: bool  # whether they were held out; else a sample of those trained on, for the active units alone


@torch.no_grad()
def evaluate(program: Program, held_out: HeldOut, *, block: int = 4096) -> tuple[list[dict[str, float]], list[int]]:
    """Return each model's means over the held-out items, and its number of active units.

    One posterior sample an item, the same at every call.
    """
    program.train(False)
    n_items = held_out.rows.shape[-1]
    sums: Terms = {}
    for start in range(0, n_items, max(block // program.n_models, 1)):
        part = slice(start, start + max(block // program.n_models, 1))
        rows = held_out.rows[..., part]
        terms = program(held_out.inputs[rows], held_out.noise[..., part, :], None)
        for name, term in terms.items():
            values = term.cpu().double() * (1 if name == "moments" else rows.shape[-1])
            sums[name] = sums[name] + values if name in sums else values
    moments = (sums.pop("moments") / n_items).reshape(program.n_models, 2, -1)
    n_active = ((moments[:, 1] - moments[:, 0].square()) > ACTIVE).sum(1).tolist()
    flat = {name: (each / n_items).reshape(-1).tolist() for name, each in sums.items()}
    return [{name: values[m] for name, values in flat.items()} for m in range(program.n_models)], n_active
