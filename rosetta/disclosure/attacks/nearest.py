"""Members lie nearer to the published points, by their numbers or by their latents."""

from __future__ import annotations

from rosetta.disclosure.attacks import Case, Scores, attack
from rosetta.disclosure.nearest import least_distances


@attack("nearest point", knows="bundle", says="the distance of an item from the nearest published input")
def nearest_inputs(case: Case) -> Scores:
    """Score by the nearest published input."""
    members, others = (-least_distances(side.inputs, case.inputs) for side in (case.members, case.others))
    return Scores(members, others)


@attack(
    "nearest latent",
    knows="bundle and the encoder",
    says="the distance of an item's latent from the nearest published latent",
)
def nearest_latents(case: Case) -> Scores | None:
    """Score by the nearest published latent."""
    members, others = case.members.latents, case.others.latents
    if members is None or others is None:
        return None
    return Scores(-least_distances(members, case.latents), -least_distances(others, case.latents))
