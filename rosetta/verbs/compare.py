"""How far two latent spaces are from each other, on the same items."""

from __future__ import annotations

from collections.abc import Mapping
from os import PathLike
from typing import Any

import numpy as np

from rosetta.arrays import Array, Floats
from rosetta.errors import UsageError
from rosetta.inputs.matching import Features
from rosetta.metrics import agreement, check_paired, distortion, similarity
from rosetta.schemas.reports import CompareNull, CompareReport, LinearMap
from rosetta.sources import read_items

N_PERMUTATIONS = 100

Latents = str | PathLike[str] | Array


def compare(
    a: Latents,
    b: Latents,
    *,
    data: Any = None,
    features: Features = None,
    preprocess: str | None = None,
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
    allow_code : str, optional
        The ``package.module:factory`` that may be imported, for runs whose network is somebody's own.
    preprocess, allow_pickle : optional
        For models of others, as in `distill`.

    Returns
    -------
    CompareReport
        Distortions (0 is best), CKA and Procrustes similarity (1 is best), the linear map, and the same
        figures for permuted rows.

    Raises
    ------
    RosettaError
        If the latents do not belong together, or the data does not fit a model.
    """
    how = {"preprocess": preprocess, "device": device, "allow_code": allow_code, "allow_pickle": allow_pickle}
    reference, other = (_latents(each, data, features, how) for each in (a, b))
    check_paired(reference, other)
    rng = np.random.default_rng(seed)
    same_width = reference.shape[1] == other.shape[1]
    fit = distortion.fit_linear_map(reference, other)
    spectrum = distortion.singular_values(fit.matrix)
    return CompareReport(
        n_items=len(reference),
        unmapped_distortion=distortion.unmapped_distortion(reference, other) if same_width else None,
        unmapped_interval=agreement.bootstrap_interval(reference, other, rng) if same_width else None,
        distortion=fit.distortion,
        log_distortion=float(np.log(fit.distortion)) if fit.distortion > 0 else None,
        cka=similarity.linear_cka(reference, other),
        procrustes=similarity.procrustes_similarity(reference, other),
        linear_map=LinearMap(
            singular_values=tuple(float(v) for v in spectrum),
            effective_rank=distortion.effective_rank(spectrum),
            distance_from_identity=distortion.distance_from_identity(fit.matrix),
            offset_norm=float(np.linalg.norm(fit.offset)),
        ),
        null=_null(reference, other, rng),
        notes=_notes(len(reference), len(spectrum)),
    )


def _notes(n_items: int, n_dims: int) -> tuple[str, ...]:
    few = n_items < 2 * n_dims
    return (f"a linear map can fit {n_items} items whatever they are: compare on more",) if few else ()


def _latents(source: Latents, data: Any, features: Features, how: Mapping[str, Any]) -> Floats:
    if not isinstance(source, str | PathLike):
        return read_items(source)
    from rosetta.inputs.models import is_model

    if data is not None:
        if not is_model(source):
            raise UsageError(f"`data` is for models, but {source} is not one: leave `data` out to compare latents")
        from rosetta.verbs.embed import latents_of

        return latents_of(source, data, features=features, **how)
    if is_model(source):
        raise UsageError(f"{source} is a model: pass `data` with the items to compare the models on")
    return read_items(str(source))


def _null(reference: Floats, other: Floats, rng: np.random.Generator) -> CompareNull:
    def mean(metric: agreement.Metric) -> float:
        return float(agreement.permuted(metric, reference, other, rng, n_permutations=N_PERMUTATIONS).mean())

    same_width = reference.shape[1] == other.shape[1]
    return CompareNull(
        unmapped_distortion=mean(distortion.unmapped_distortion) if same_width else None,
        distortion=mean(lambda z1, z2: distortion.fit_linear_map(z1, z2).distortion),
        cka=mean(similarity.linear_cka),
        procrustes=mean(similarity.procrustes_similarity),
    )
