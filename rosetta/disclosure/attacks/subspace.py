"""Noise that has the span of the items, or of what a decoder leaves out of them, is shared by members alone."""

from __future__ import annotations

import numpy as np

from rosetta.disclosure.attacks import Case, Scores, attack
from rosetta.disclosure.components import Components, components_of, first_of, span_scores
from rosetta.disclosure.search import Doubles, Singles

N_NUMBERS = 10  # of components that are tried
N_CALIBRATED = 5  # the same, where like items are compared with


@attack("subspace of the points", knows="bundle", says="how an item lies within and outside the span of the inputs")
def subspace(case: Case) -> Scores:
    """Score by the distance within, and outside of, the first principal components of the published inputs."""
    return _scores(case.components, case.members.inputs, case.others.inputs, case.n_items)


@attack(
    "subspace of the residuals",
    knows="bundle",
    says="how what a decoder leaves out of an item, one trained from the pairs, lies within the span of what it leaves "
    "out of the inputs",
)
def residual_subspace(case: Case) -> Scores:
    """The same, of what the stolen decoder leaves out of the inputs and of the items."""
    left = case.inputs - case.stolen.decode(case.latents)
    components = components_of(left, case.effort.n_components, case.rng(2))
    members, others = (
        side.inputs - case.stolen.decode(latents)
        for side, latents in zip((case.members, case.others), case.stolen_latents, strict=True)
    )
    return _scores(components, members, others, case.n_items)


@attack(
    "subspace of the points, calibrated",
    knows="bundle and like items",
    says="how much nearer an item lies to the span of the inputs than to that of like items",
)
def calibrated_subspace(case: Case) -> Scores | None:
    """Score by the distance from the span of the inputs, less that from as many components of like items."""
    fits = case.fits
    if fits is None:
        return None
    known = (case.components, *(fit.reference for fit in fits))
    most = max(min(len(each.variances) for each in known) // 2, 1)
    numbers = sorted({round(each) for each in np.geomspace(min(5, most), most, N_CALIBRATED)}, reverse=True)

    def outside(components: Components, rows: Singles) -> Doubles:
        return span_scores(first_of(components, most), rows, numbers)[:, len(numbers) :]

    members, others = (outside(case.components, side.inputs) for side in (case.members, case.others))
    for reference, scored, left in fits:
        members[scored] -= outside(reference, case.members.inputs[scored])
        others[left] -= outside(reference, case.others.inputs[left])
    return Scores(members, others)


def _scores(components: Components, members: Singles, others: Singles, n_items: int) -> Scores:
    """Return the scores by every rule and by its opposite: which tells members is not known beforehand."""
    most = len(components.variances)
    numbers = {round(each) for each in np.geomspace(min(5, most), most, N_NUMBERS)}
    if n_items - 1 < most:
        numbers.add(n_items - 1)  # what n items span
    rules = sorted(numbers, reverse=True)
    first, second = (span_scores(components, rows, rules) for rows in (members, others))
    return Scores(np.concatenate([first, -first], axis=1), np.concatenate([second, -second], axis=1))
