"""Not an attack on a bundle: what somebody would find out who had the sender's model itself."""

from __future__ import annotations

from rosetta.disclosure.attacks import Case, Scores, attack, log_errors


@attack(
    "the sender's own model",
    knows="the sender's own model",
    says="how well the sender's own model reproduces an item",
    is_ceiling=True,
)
def ceiling(case: Case) -> Scores | None:
    """Score by the error of reconstruction of the sender's model."""
    members, others = case.members, case.others
    if members.rebuilt is None or others.rebuilt is None:
        return None
    return Scores(-log_errors(members.inputs, members.rebuilt), -log_errors(others.inputs, others.rebuilt))
