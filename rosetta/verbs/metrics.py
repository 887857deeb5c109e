"""The catalogue of metrics, for people who ask."""

from __future__ import annotations

from rosetta.metrics.engine import catalogue, named
from rosetta.schemas.metrics import MetricCatalogue


def metrics(name: str | None = None) -> MetricCatalogue:
    """Return every metric, or the one with this name; UsageError with the nearest name if there is none."""
    found = catalogue() if name is None else named([name])
    return MetricCatalogue(metrics=tuple(metric.entry() for metric in found))
