"""Items are chosen as items, whether all inputs are read or only the chosen ones."""

from __future__ import annotations

import numpy as np
import pytest

from rosetta.arrays import Array, Floats, LazyArray
from rosetta.errors import SelectionError
from rosetta.origins import Recipe, SenderData
from rosetta.origins import observed as module
from rosetta.selection import select

RECIPE = Recipe(members=5, mix=3, draw="moments", residuals=False, reencoding_limit=1.5)


def _sender(inputs: Array, *, noise: float = 0.0) -> SenderData:
    latents = inputs[:, :2] + noise * np.random.default_rng(5).normal(size=(len(inputs), 2))

    def choose(
        latents: LazyArray, n: int, rng: np.random.Generator, *, exclude: Floats | None = None, items: object = None
    ) -> Array:
        return select(latents, n, rng, method="kmeans", exclude=exclude, sample=60).rows

    return SenderData(
        inputs=inputs, latents=latents.astype(np.float32), latents_sd=None, value_range=(-9.0, 9.0),
        encode=lambda x: x[:, :2], decode=None, select=choose, store=lambda x: x,
    )  # fmt: skip


@pytest.mark.parametrize("noise", [0.0, 1e-6])  # of the latents of equal inputs
@pytest.mark.parametrize("all_read", [1000, 50])
def test_copies_count_once_and_taken_items_do_not_come_again(
    monkeypatch: pytest.MonkeyPatch, all_read: int, noise: float
):
    monkeypatch.setattr(module, "ALL_READ", all_read)
    different = np.random.default_rng(0).normal(size=(60, 4)).astype(np.float32)
    sender = _sender(np.tile(different, (4, 1)), noise=noise)

    anchors = module.observed(sender, 30, np.random.default_rng(0), sender.inputs[:0], RECIPE)
    checks = module.observed(sender, 10, np.random.default_rng(1), anchors.inputs, RECIPE)

    both = np.concatenate([anchors.inputs, checks.inputs])
    assert len({row.tobytes() for row in both}) == 40
    assert {row.tobytes() for row in both} <= {row.tobytes() for row in different}
    assert (both == sender.inputs[np.concatenate([anchors.rows, checks.rows])]).all()


def test_too_few_different_inputs_are_told(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "ALL_READ", 50)
    sender = _sender(np.tile(np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32), (400, 1)), noise=1.0)

    with pytest.raises(SelectionError, match="only 5 different inputs were found for 30 points: most items are copies"):
        module.observed(sender, 30, np.random.default_rng(0), sender.inputs[:0], RECIPE)
