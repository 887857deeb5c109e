"""The catalogue of metrics, and what a metric's value is reported as."""

from __future__ import annotations

from typing import Literal

from rosetta.schemas.record import Positive, Record, Text

Direction = Literal["lower", "higher", "neither"]
NeedName = Literal["two latents", "equal width", "latents", "replicates", "labels", "factors", "decoder", "layers"]


class MetricValue(Record):
    """A metric's value, with what it is to be judged by.

    `interval` is the 95 % bootstrap interval over items; `null` the mean with the pairing of rows permuted; `ceiling`
    the value for a draw from the reference's own posterior. Each is null where the metric has none, or where what it
    takes is not known. `range` is the least and the greatest value that there can be, null where there is no bound.
    `n_items` is smaller than the number of items where the metric looked at a random sample.
    """

    metric: str
    label: Text
    value: float
    interval: tuple[float, float] | None
    null: float | None
    ceiling: float | None
    direction: Direction  # which values are better
    range: tuple[float | None, float | None]
    n_items: Positive
    citation: Text


class SkippedMetric(Record):
    """A metric that was not measured, and why."""

    metric: str
    reason: Text


class MetricEntry(Record):
    """One metric of the catalogue."""

    metric: str
    label: Text
    text: Text
    needs: tuple[NeedName, ...]
    direction: Direction
    range: tuple[float | None, float | None]
    has_null: bool
    has_ceiling: bool
    has_interval: bool
    max_items: Positive | None  # that it looks at; a random sample is taken of more
    citation: Text


class MetricCatalogue(Record):
    """`rosetta metrics`."""

    metrics: tuple[MetricEntry, ...]
