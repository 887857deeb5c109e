"""How far two latent spaces are from each other, on the same items."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

import numpy as np

from rosetta.arrays import Array, Floats
from rosetta.errors import MetricError, UsageError
from rosetta.inputs.matching import Features
from rosetta.metrics import check_paired, linear_map
from rosetta.metrics.engine import Evidence, measure, missing, named
from rosetta.schemas.metrics import MetricValue, SkippedMetric
from rosetta.schemas.reports import CompareReport, LinearMap
from rosetta.sources import read_items

Latents = str | PathLike[str] | Array


def compare(
    a: Latents,
    b: Latents,
    *,
    data: Any = None,
    features: Features = None,
    preprocess: str | None = None,
    metrics: Sequence[str] | None = None,
    seed: int = 0,
    device: str = "auto",
    allow_code: str | None = None,
    allow_pickle: bool = False,
) -> CompareReport:
    """Compare latents `b` with the reference `a`.

    Parameters
    ----------
    a, b : path or array, shape (n_items, n_dims)
        Latents of the same items in the same order: arrays, or files of them; models, as `distill`
        takes them, if `data` is given.
    data : what `rosetta.Source` takes, shape (n_items, …), optional
        Items to embed with both models, in their latent spaces' dimensions alone.
    metrics : sequence of str, optional
        Names in the catalogue (`rosetta metrics`), in the order to report them. By default, every metric whose needs
        are met: latents of two models and those of `b` alone always are.
    allow_code : str, optional
        The ``package.module:factory`` that may be imported, for runs whose network is somebody's own.
    preprocess, allow_pickle : optional
        For models of others, as in `distill`.

    Returns
    -------
    CompareReport
        A value for each metric, and the linear map if `fvu_mapped` is among them.

    Raises
    ------
    UsageError
        If there is no metric of a name that is asked for.
    MetricError
        If the latents do not belong together, or a metric that is asked for cannot be measured on them.
    RosettaError
        If the data does not fit a model.
    """
    chosen = named(metrics)
    how = {"preprocess": preprocess, "device": device, "allow_code": allow_code, "allow_pickle": allow_pickle}
    reference, other = (_latents(each, data, features, how) for each in (a, b))
    check_paired(reference.means, other.means)
    evidence = Evidence(reference.means, other.means, reference_sds=reference.sds, latents=other.means)
    values: list[MetricValue] = []
    skipped: list[SkippedMetric] = []
    for metric in chosen:
        rng = np.random.default_rng([seed, *metric.name.encode()])  # its figures are the same, whatever is beside it
        try:
            values.append(measure(metric, evidence, rng))
        except MetricError as error:
            if metrics is not None:
                raise
            reason = (missing(metric, evidence) or str(error)).removeprefix(f"{metric.name} ")
            skipped.append(SkippedMetric(metric=metric.name, reason=reason))
    has_map = any(each.metric == "fvu_mapped" for each in values)
    fitted = _linear_map(reference.means, other.means) if has_map else None
    return CompareReport(
        n_items=len(reference.means),
        metrics=tuple(values),
        skipped=tuple(skipped),
        linear_map=fitted,
        notes=_notes(len(reference.means), fitted),
    )


def _notes(n_items: int, fitted: LinearMap | None) -> tuple[str, ...]:
    few = fitted is not None and n_items < 2 * len(fitted.singular_values)
    return (f"a linear map can fit {n_items} items whatever they are: compare on more",) if few else ()


@dataclass(frozen=True)
class _Embedded:
    means: Floats
    sds: Floats | None = None


def _latents(source: Latents, data: Any, features: Features, how: Mapping[str, Any]) -> _Embedded:
    if not isinstance(source, str | PathLike):
        return _Embedded(read_items(source))
    from rosetta.inputs.models import is_model

    if data is not None:
        if not is_model(source):
            raise UsageError(f"`data` is for models, but {source} is not one: leave `data` out to compare latents")
        from rosetta.verbs.embed import posterior_of

        return _Embedded(*posterior_of(source, data, features=features, **how))
    if is_model(source):
        raise UsageError(f"{source} is a model: pass `data` with the items to compare the models on")
    return _Embedded(read_items(str(source)))


def _linear_map(reference: Floats, other: Floats) -> LinearMap:
    fit = linear_map.fit_linear_map(reference, other)
    spectrum = linear_map.singular_values(fit.matrix)
    return LinearMap(
        singular_values=tuple(float(v) for v in spectrum),
        effective_rank=linear_map.effective_rank(spectrum),
        distance_from_identity=linear_map.distance_from_identity(fit.matrix),
        offset_norm=float(np.linalg.norm(fit.offset)),
    )
