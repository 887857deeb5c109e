"""The weight of a pair is the share of items nearest to it: times their number, a count of who was there."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Floats
from rosetta.disclosure.attacks import Case, Scores, attack
from rosetta.disclosure.nearest import nearest_items
from rosetta.disclosure.search import Doubles

N_EXPECTED = 20_000  # latents drawn to know how many items a pair would have by its place alone


@attack(
    "pair weights",
    knows="bundle and the encoder",
    says="the weight of the pair whose latent is nearest to that of an item",
    of_bundle=True,
)
def weights(case: Case) -> Scores | None:
    """Score by the weight of the nearest pair under the sender's encoder."""
    if case.weights is None or case.members.latents is None or case.others.latents is None:
        return None
    return _scores(case, case.weights, case.members.latents, case.others.latents)


@attack(
    "pair weights, extracted encoder",
    knows="bundle",
    says="the weight of the pair nearest to an item by an encoder trained from the pairs",
    of_bundle=True,
)
def weights_stolen(case: Case) -> Scores | None:
    """Score by the weight of the nearest pair under the stolen encoder."""
    if case.weights is None:
        return None
    return _scores(case, case.weights, *case.stolen_latents)


def _scores(case: Case, shares: Floats, members: Floats, others: Floats) -> Scores:
    """Return two rules: the count against what the pair's place lets expect, and the count."""
    counts = shares.astype(np.float64) * case.n_items
    drawn = case.rng(5).multivariate_normal(
        case.latents.mean(axis=0, dtype=np.float64), np.atleast_2d(np.cov(case.latents.astype(np.float64).T)),
        size=N_EXPECTED, method="eigh",
    )  # fmt: skip
    expected = np.bincount(_cells(case, drawn), minlength=len(counts)) * case.n_items / N_EXPECTED
    rules: Doubles = np.column_stack([np.log((counts + 0.5) / (expected + 0.5)), counts])
    cells = _cells(case, members), _cells(case, others)
    empty = counts[cells[1]] < 0.5
    return Scores(rules[cells[0]], rules[cells[1]], {"outsiders_in_empty_cells": float(empty.mean())})


def _cells(case: Case, latents: Floats) -> np.ndarray:
    return nearest_items(latents.astype(np.float32), case.latents.astype(np.float32)).rows
