"""The receiver's proof: does a model put the check pairs, which no training saw, where the sender did?"""

from __future__ import annotations

from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np

from rosetta import preprocessing
from rosetta.adapters import Adapted
from rosetta.adapters.probe import PROBED, check_encoder
from rosetta.arrays import Floats
from rosetta.bundle import Bundle
from rosetta.errors import IncompatibleError, UsageError
from rosetta.files import Paths
from rosetta.inputs.models import open_model
from rosetta.metrics import agreement
from rosetta.metrics.fvu import bootstrap_interval, fvu
from rosetta.rules.meaning import LEAST_CHECKS, LEAST_SPREAD
from rosetta.schemas.manifest import OriginName
from rosetta.schemas.reports import CheckReport, Interval, OriginAgreement
from rosetta.validation.opening import open_valid
from rosetta.validation.signers import signers_of, trust_if_any

THRESHOLD = 0.5
LARGEST_P_VALUE = 0.01

NOT_DATA = "these check pairs are not data; real items agree less well than they do"


def check(
    model: str | PathLike[str],
    bundle: str | PathLike[str],
    *,
    threshold: float = THRESHOLD,
    seed: int = 0,
    device: str = "auto",
    allow_code: str | None = None,
    allow_pickle: bool = False,
    trusted_keys: Paths = (),
    trust_file: str | PathLike[str] | None = None,
) -> CheckReport:
    """Return a verdict on whether a run's model is in the bundle's latent space.

    Parameters
    ----------
    model : path
        The receiver's model: a run folder, or a model of others as `distill` takes it.
    bundle : path
        The bundle that the space is known from.
    threshold : float
        Largest fraction of variance unexplained (fvu), at the upper end of its 95 % interval, that counts as aligned.
    allow_code : str, optional
        The ``package.module:factory`` that may be imported, for a run whose network is somebody's own.
    allow_pickle : bool
        Read a model that is a pickle, which can run code.
    trusted_keys, trust_file : optional
        As in `verify`: where one is given, the bundle must be signed by one of these keys.

    Notes
    -----
    The verdict is "aligned" if the interval's upper end is at most `threshold` and the true pairing does
    better than at least 99 % of permuted ones. It is "not proven" if the check pairs agree, but have less than
    a third of the variance of the sender's latents. It speaks of the bundle's kind of points: decoded ones are
    smoother than data, so real items agree less well than they do. Where the check pairs are of several kinds, each
    kind has a figure of its own, relative to its own variance.

    Of a model with free dimensions, those of the space are compared.

    Raises
    ------
    RosettaError
        If the bundle has fewer than eight check pairs, or does not fit the model; SignatureError if it is not
        signed by a trusted key where there are any.
    """
    if not 0 < threshold <= 1:
        raise UsageError(f"`threshold` is {threshold:g}; expected a share of variance above 0 and up to 1")
    trust = trust_if_any(trusted_keys, trust_file)
    opened = open_model(model, device=device, allow_code=allow_code, allow_pickle=allow_pickle)
    pairs = open_valid(Path(bundle))
    signers = signers_of(bundle, pairs, trust)
    _refuse_differences(opened, pairs)
    stored = pairs.check_latents
    if len(stored) < LEAST_CHECKS:
        raise IncompatibleError(
            f"the bundle has {len(stored)} check pairs, and {LEAST_CHECKS} are the least that a verdict can rest on: "
            "ask the sender to distil with `checks=32`"
        )
    found = _encoded(opened, pairs)
    report = _judge(pairs, found, threshold, np.random.default_rng(seed))
    notes = () if {"observed", "public"} & set(report.origins) else (NOT_DATA,)
    return report.model_copy(update={"signed_by": signers, "notes": notes})


def _judge(pairs: Bundle, found: Floats, threshold: float, rng: np.random.Generator) -> CheckReport:
    stored = pairs.check_latents
    low, high = bootstrap_interval(stored, found, rng)
    null, p_value = agreement.permutation_null(stored, found, rng)
    spread = _spread(pairs)
    verdict: Literal["aligned", "not aligned", "not proven"] = "not aligned"
    if p_value > LARGEST_P_VALUE:
        reason = f"a random pairing does as well in {p_value:.1%} of tries: the latents are unrelated as they are"
    elif high > threshold:
        reason = f"the interval reaches {high:.3f}, above the threshold of {threshold:g}"
    elif spread is not None and spread < LEAST_SPREAD:
        verdict = "not proven"
        reason = f"the check pairs agree, but span only {spread:.0%} of the variance of the sender's latents"
    else:
        verdict = "aligned"
        reason = (
            f"the interval ends at {high:.3f}, within the threshold of {threshold:g}; random pairing gives {null:.2f}"
        )
    rms = float(np.sqrt(((stored.astype(np.float64) - found) ** 2).sum(axis=1).mean()))
    return CheckReport(
        verdict=verdict,
        reason=reason,
        n_checks=len(stored),
        origins=tuple(dict.fromkeys(_origins(pairs))),
        by_origin=_by_origin(_origins(pairs), stored, found),
        spread=spread,
        fvu=Interval(value=fvu(stored, found), low=low, high=high),
        null=null,
        p_value=p_value,
        threshold=threshold,
        rms_over_sd=rms / pairs.latents_total_sd,
        retrieval_top1=agreement.retrieval_top1(stored, found),
        content_id=pairs.content_id,
    )


def _origins(pairs: Bundle) -> list[OriginName]:
    """Return the origin of each check pair."""
    each = [entry.origin for entry in pairs.manifest.content.origins for _ in range(entry.n_pairs)]
    return [origin for origin, is_anchor in zip(each, pairs.is_anchor, strict=True) if not is_anchor]


def _by_origin(origins: list[OriginName], stored: Floats, found: Floats) -> tuple[OriginAgreement, ...]:
    """Return a figure for each origin of enough check pairs, if they are of several; observed items come first."""
    known = sorted(dict.fromkeys(origins), key=lambda origin: origin != "observed")
    rows = {origin: np.array([each == origin for each in origins]) for origin in known}
    return tuple(
        OriginAgreement(
            origin=origin,
            n_checks=int(of.sum()),
            fvu=fvu(stored[of], found[of]),
        )
        for origin, of in rows.items()
        if len(known) > 1 and of.sum() >= LEAST_CHECKS and stored[of].std(axis=0).any()
    )


def _spread(pairs: Bundle) -> float | None:
    """Return the check latents' variance as a share of the space's."""
    covariance = pairs.space_covariance
    if covariance is None or not (total := float(np.trace(covariance))) > 0:
        return None
    return float(pairs.check_latents.var(axis=0, dtype=np.float64).sum()) / total


def _encoded(model: Adapted, pairs: Bundle) -> Floats:
    """Return where the model puts the check inputs, in the space's dimensions."""
    n_all, n_dims = check_encoder(model, pairs.check_inputs[:PROBED]), pairs.manifest.content.space.n_dims
    if n_all < n_dims or (model.space_dims is None and n_all != n_dims):
        raise IncompatibleError(
            "the bundle does not fit the model:\n"
            f"  - latent dimensions: {n_all} in {model.kind}, {n_dims} in the bundle"
        )
    return model.encode(pairs.check_inputs)[0][:, :n_dims]


def _refuse_differences(model: Adapted, pairs: Bundle) -> None:
    """Refuse a model that says that it takes other inputs than the bundle's; what it does not say is not looked at."""
    content = pairs.manifest.content
    steps = (
        None if model.steps is None else preprocessing.describe(model.steps),
        preprocessing.describe_records(content.preprocessing),
    )
    differences = [
        f"{name}: {ours} in {model.kind}, {bundle} in the bundle"
        for name, ours, bundle in (
            ("input shape", model.input_shape, content.input.shape),
            ("latent dimensions", model.space_dims, content.space.n_dims),
            ("preprocessing", *steps),
        )
        if ours is not None and ours != bundle
    ]
    if model.steps is not None and model.feature_names != content.input.feature_names:
        differences.append(f"feature names: those of {model.kind} are not those of the bundle")
    if differences:
        raise IncompatibleError("the bundle does not fit the model:\n  - " + "\n  - ".join(differences))
