"""What `rosetta objectives` prints."""

from __future__ import annotations

from rosetta.schemas.record import Record, Text


class ObjectiveSetting(Record):
    """A setting of an objective's own."""

    name: Text
    default: float | int | str | bool | None
    description: Text | None


class ObjectiveTerm(Record):
    """A term of an objective's loss."""

    name: Text
    title: Text
    unit: Text
    over: Text  # items, or anchors
    is_of_elbo: bool


class ObjectiveEntry(Record):
    """An objective that a training can minimise."""

    name: Text
    description: Text
    settings: tuple[ObjectiveSetting, ...]
    terms: tuple[ObjectiveTerm, ...]


class ObjectiveCatalogue(Record):
    """`rosetta objectives`."""

    objectives: tuple[ObjectiveEntry, ...]
