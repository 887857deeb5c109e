"""What a training can minimise, for people who ask."""

from __future__ import annotations

from rosetta.objectives.kinds import Objective
from rosetta.objectives.kinds import objectives as known
from rosetta.schemas.objectives import ObjectiveCatalogue, ObjectiveEntry, ObjectiveSetting, ObjectiveTerm


def objectives(name: str | None = None) -> ObjectiveCatalogue:
    """Return all objectives, or the one called `name`; UsageError if there is none."""
    names = sorted(known) if name is None else [name]
    return ObjectiveCatalogue(objectives=tuple(_entry(each, known.get(each)) for each in names))


def _entry(name: str, objective: Objective) -> ObjectiveEntry:
    return ObjectiveEntry(
        name=name,
        description=objective.says,
        settings=tuple(
            ObjectiveSetting(name=each, default=field.default, description=field.description)
            for each, field in objective.settings.model_fields.items()
        ),
        terms=tuple(
            ObjectiveTerm(name=term.name, title=term.title, unit=term.unit, over=term.over, is_of_elbo=term.is_of_elbo)
            for term in objective.terms
        ),
    )
