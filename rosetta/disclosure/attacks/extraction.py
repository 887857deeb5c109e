"""An encoder and a decoder are trained from the pairs: they reproduce best what the sender's model had learned."""

from __future__ import annotations

import numpy as np

from rosetta.disclosure.attacks import Case, Scores, attack, log_errors
from rosetta.disclosure.components import Components
from rosetta.disclosure.search import Doubles, Singles, as_rows

KEPT = 0.9  # of the reference's variance, that its components keep


@attack(
    "extracted model",
    knows="bundle",
    says="how well an encoder and a decoder trained from the pairs reproduce an item",
)
def reconstruction(case: Case) -> Scores:
    """Score by the error of reconstruction."""
    members, others = case.stolen_errors
    return Scores(-members, -others)


@attack(
    "displaced latent",
    knows="bundle and the encoder",
    says="how far an encoder trained from the pairs puts an item from where the sender's does",
)
def displacement(case: Case) -> Scores | None:
    """Score by the distance between the stolen latent and the sender's."""
    if case.members.latents is None or case.others.latents is None:
        return None
    first, second = case.stolen_latents
    return Scores(
        -log_errors(first, case.members.latents.astype(np.float32)),
        -log_errors(second, case.others.latents.astype(np.float32)),
    )


@attack(
    "extracted model, calibrated",
    knows="bundle and like items",
    says="how much better a model trained from the pairs reproduces an item than one fitted to like items does",
)
def calibrated(case: Case) -> Scores | None:
    """Score by the error of the stolen networks less that of a reference, which has not seen the scored outsiders."""
    fits = case.fits
    if fits is None:
        return None
    members, others = (-each for each in case.stolen_errors)
    for reference, scored, left in fits:
        members[scored] += _errors(reference, case.members.inputs[scored])
        others[left] += _errors(reference, case.others.inputs[left])
    return Scores(members, others)


def _errors(reference: Components, inputs: Singles) -> Doubles:
    """Return the log errors of inputs under the first components of a reference, shape (n_inputs,)."""
    shares = np.cumsum(reference.variances) / reference.variances.sum()
    vectors = reference.vectors[:, : int(np.searchsorted(shares, KEPT)) + 1]
    return log_errors(inputs, as_rows(reference.mean + ((inputs - reference.mean) @ vectors) @ vectors.T))
