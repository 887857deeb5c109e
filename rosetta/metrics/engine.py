"""Metrics register here: each says what it needs, and is measured wherever that is at hand."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from rosetta.arrays import Floats
from rosetta.errors import MetricError, UsageError
from rosetta.registry import Registry
from rosetta.schemas.metrics import Direction, MetricEntry, MetricValue, NeedName

N_BOOTSTRAP = 1000  # resamples of items, for metrics with one value an item

Measure = Callable[..., Any]  # from the arrays that the metric needs to a float, or to one value an item
Interval = Callable[..., tuple[float, float]]  # from the same arrays and a generator


@dataclass(frozen=True)
class Evidence:
    """What there is to measure; None or empty for what there is not.

    Parameters
    ----------
    reference, other : float array, shape (n_items, n_dims)
        Latents of two models, of the same items in the same order.
    reference_sds : float array, shape (n_items, n_dims)
        Posterior standard deviations of the reference, for ceilings.
    latents : float array, shape (n_items, n_dims)
        Latents of the one model that is judged.
    replicates : tuple of R float arrays, shape (n_items, n_dims) each
        Latents of several trainings that differ by their seed alone.
    labels : int array, shape (n_items,)
        The class of each item.
    factors : float array, shape (n_items, n_factors)
        What generated each item, where it is known.
    decode : callable
        From the latents of the model that is judged, shape (n_items, n_dims), to inputs, shape (n_items, …).
    layers : tuple of two mappings from str to float array, shape (n_items, …)
        Activations of the two models' layers, by their names.
    """

    reference: Floats | None = None
    other: Floats | None = None
    reference_sds: Floats | None = None
    latents: Floats | None = None
    replicates: tuple[Floats, ...] | None = None
    labels: npt.NDArray[Any] | None = None
    factors: Floats | None = None
    decode: Callable[[Floats], Floats] | None = None
    layers: tuple[Mapping[str, Floats], Mapping[str, Floats]] | None = None

    @property
    def n_items(self) -> int:
        """Number of items; 0 if there is nothing."""
        arrays = (self.reference, self.latents, *(self.replicates or ()), self.labels, self.factors)
        return next((len(array) for array in arrays if array is not None), 0)

    def rows(self, rows: npt.NDArray[np.intp]) -> Evidence:
        """Return the evidence on some of the items."""

        def of(array: Any) -> Any:
            return None if array is None else array[rows]

        return replace(
            self,
            **{name: of(getattr(self, name)) for name in ROWS},
            replicates=None if self.replicates is None else tuple(map(of, self.replicates)),
            layers=self.layers and (_of_each(self.layers[0], rows), _of_each(self.layers[1], rows)),
        )


def _of_each(layers: Mapping[str, Floats], rows: npt.NDArray[np.intp]) -> dict[str, Floats]:
    return {name: array[rows] for name, array in layers.items()}


ROWS = ("reference", "other", "reference_sds", "latents", "labels", "factors")


class Need(NamedTuple):
    """Something that a metric may need."""

    arguments: tuple[str, ...]  # fields of the evidence that the metric's function is called with, in this order
    text: str
    permuted: str | None = None  # the argument whose rows are put in random order for the null


NEEDS: dict[NeedName, Need] = {
    "two latents": Need(("reference", "other"), "latents of the same items from two models", "other"),
    "equal width": Need((), "the same number of dimensions in both"),
    "latents": Need(("latents",), "latents of one model"),
    "replicates": Need(("replicates",), "latents of several trainings that differ by their seed"),
    "labels": Need(("labels",), "the items' classes", "labels"),
    "factors": Need(("factors",), "the items' generating factors", "factors"),
    "decoder": Need(("decode",), "the model's decoder"),
    "layers": Need(("layers",), "activations of two models' layers"),
}


@dataclass(frozen=True)
class Metric:
    """A metric of the catalogue; called with the arrays that it needs, it returns its value."""

    name: str
    label: str
    text: str
    measure: Measure
    needs: tuple[NeedName, ...]
    direction: Direction
    range: tuple[float | None, float | None]
    citation: str
    n_permutations: int
    interval: Interval | Literal["items"] | None
    has_ceiling: bool
    max_items: int | None

    def __call__(self, *arrays: Any) -> float:
        """Return the value: the mean, where the function returns one value an item."""
        return float(np.mean(self.measure(*arrays)))

    @property
    def arguments(self) -> tuple[str, ...]:
        """Fields of the evidence that it is called with."""
        return tuple(name for need in self.needs for name in NEEDS[need].arguments)

    @property
    def permuted(self) -> str | None:
        """The argument whose rows are put in random order for the null."""
        return next((NEEDS[need].permuted for need in self.needs if NEEDS[need].permuted), None)

    def entry(self) -> MetricEntry:
        """Return it as it stands in the catalogue."""
        return MetricEntry(
            metric=self.name, label=self.label, text=self.text, needs=self.needs, direction=self.direction,
            range=self.range, has_null=self.n_permutations > 0, has_ceiling=self.has_ceiling,
            has_interval=self.interval is not None, max_items=self.max_items, citation=self.citation,
        )  # fmt: skip


metrics: Registry[Metric] = Registry("metric", "rosetta.metrics")


def metric(
    name: str,
    *,
    label: str,
    needs: Iterable[NeedName],
    direction: Direction,
    range: tuple[float | None, float | None],
    citation: str,
    n_permutations: int = 0,
    interval: Interval | Literal["items"] | None = None,
    has_ceiling: bool = False,
    max_items: int | None = None,
) -> Callable[[Measure], Metric]:
    """Return a decorator that adds a metric to the catalogue; the function's docstring becomes its entry.

    Parameters
    ----------
    name, label : str
        What it is called on the command line and in JSON, and in tables.
    needs : sequence of str
        Keys of `NEEDS`, in the order in which the function takes their arrays.
    direction : {"lower", "higher", "neither"}
        Which values are better.
    range : (float or None, float or None)
        The least and the greatest value that there can be; None where there is no bound.
    citation : str
        Where it is defined.
    n_permutations : int
        Random orders of the rows that its null is the mean of; 0 for no null.
    interval : callable or "items", optional
        What returns the 95 % interval, given the same arrays and a generator. With ``"items"`` the function returns
        one value an item, the metric is their mean, and its interval comes from resampling them.
    has_ceiling : bool
        Whether its value for the reference and a draw from the reference's own posterior says how good it can get.
    max_items : int, optional
        Items that it looks at, where its cost grows faster than their number: a random sample is taken of more.

    Raises
    ------
    ValueError
        If the name is taken, there is no docstring, or it asks for a null or a ceiling that its needs do not allow.
    """

    def add(measure: Measure) -> Metric:
        text = _lead(inspect.cleandoc(measure.__doc__ or ""))
        made = Metric(
            name, label, text, measure, tuple(needs), direction, range, citation, n_permutations, interval,
            has_ceiling, max_items,
        )  # fmt: skip
        if not text:
            raise ValueError(f"the metric {name!r} has no docstring, which is its entry in the catalogue")
        if unknown := [need for need in made.needs if need not in NEEDS]:
            raise ValueError(f"the metric {name!r} needs {unknown[0]!r}; known needs: {', '.join(NEEDS)}")
        if n_permutations and made.permuted is None:
            raise ValueError(f"the metric {name!r} has no rows whose order could be permuted for a null")
        if has_ceiling and "two latents" not in made.needs:
            raise ValueError(f"the metric {name!r} has a ceiling, but compares no two latents")
        return metrics.register(name)(made)

    return add


def _lead(docstring: str) -> str:
    """Return what stands before the first section of a docstring, on one line."""
    lines = docstring.splitlines()
    sections = (i - 1 for i, line in enumerate(lines) if line and not line.strip("-"))
    return " ".join(" ".join(lines[: next(sections, len(lines))]).split())


def catalogue() -> tuple[Metric, ...]:
    """Return every metric, those where lower is better first."""
    known = (metrics.get(name) for name in metrics)
    return tuple(sorted(known, key=lambda each: (each.direction != "lower", each.name)))


def named(names: Iterable[str] | None) -> tuple[Metric, ...]:
    """Return the metrics with these names, in this order; all if there are none; UsageError with the nearest name."""
    if names is None:
        return catalogue()
    wanted = tuple(dict.fromkeys(name.strip() for name in names))
    if not wanted or not all(wanted):
        raise UsageError(f"no metric is named; known: {', '.join(each.name for each in catalogue())}")
    return tuple(metrics.get(name) for name in wanted)


def missing(metric: Metric, evidence: Evidence) -> str | None:
    """Return what a metric needs and there is not, in words; None if nothing is missing."""
    absent = [NEEDS[need].text for need in metric.needs if not _is_met(need, evidence)]
    return f"needs {' and '.join(absent)}" if absent else None


def _is_met(need: NeedName, evidence: Evidence) -> bool:
    if need == "equal width":
        a, b = evidence.reference, evidence.other
        return a is not None and b is not None and a.shape[1:] == b.shape[1:]
    return all(getattr(evidence, name) is not None for name in NEEDS[need].arguments)


def measure(metric: Metric, evidence: Evidence, rng: np.random.Generator) -> MetricValue:
    """Return a metric's value with what it declares beside it: interval, null and ceiling.

    Raises
    ------
    MetricError
        If something that it needs is missing, if it is not defined for these arrays, or if it returns NaN.
    """
    if (lack := missing(metric, evidence)) is not None:
        raise MetricError(f"{metric.name} {lack}")
    sampling, resampling, shuffling, drawing = rng.spawn(4)  # so that none depends on whether the others are made
    if metric.max_items is not None and evidence.n_items > metric.max_items:
        evidence = evidence.rows(np.sort(sampling.permutation(evidence.n_items)[: metric.max_items]))
    arrays = {name: getattr(evidence, name) for name in metric.arguments}
    measured = np.asarray(metric.measure(*arrays.values()), dtype=np.float64)
    value = float(measured.mean())
    if not math.isfinite(value):
        raise MetricError(f"{metric.name} is {value} for these {evidence.n_items} items: it is not defined for them")
    return MetricValue(
        metric=metric.name,
        label=metric.label,
        value=value,
        interval=_interval(metric, measured, arrays, resampling),
        null=_null(metric, arrays, shuffling),
        ceiling=_ceiling(metric, arrays, evidence.reference_sds, drawing),
        direction=metric.direction,
        range=metric.range,
        n_items=evidence.n_items,
        citation=metric.citation,
    )


def _interval(
    metric: Metric, measured: npt.NDArray[np.float64], arrays: Mapping[str, Any], rng: np.random.Generator
) -> tuple[float, float] | None:
    if metric.interval is None:
        return None
    if metric.interval != "items":
        return metric.interval(*arrays.values(), rng)
    if measured.ndim != 1:
        raise MetricError(f"{metric.name} has an interval over items, but returns {measured.ndim} axes: expected one")
    n_items = len(measured)
    means = [measured[rng.integers(n_items, size=n_items)].mean() for _ in range(N_BOOTSTRAP)]
    low, high = np.percentile(means, [2.5, 97.5])
    return float(low), float(high)


def _null(metric: Metric, arrays: Mapping[str, Any], rng: np.random.Generator) -> float | None:
    if not metric.n_permutations or metric.permuted is None:
        return None
    rows = arrays[metric.permuted]
    drawn = [
        metric(*{**arrays, metric.permuted: rows[rng.permutation(len(rows))]}.values())
        for _ in range(metric.n_permutations)
    ]
    return float(np.mean(drawn))


def _ceiling(metric: Metric, arrays: Mapping[str, Any], sds: Floats | None, rng: np.random.Generator) -> float | None:
    if not metric.has_ceiling or sds is None:
        return None
    reference = arrays["reference"]
    return metric(*{**arrays, "other": reference + sds * rng.standard_normal(reference.shape)}.values())
