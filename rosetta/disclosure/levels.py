"""What a bundle says beside its points, at each level of `privacy`: rounded, or left out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from pydantic import JsonValue

from rosetta.arrays import Array, Floats
from rosetta.rounding import FEW, Doubles, coarse_count, coarse_moments, to_digits, to_octaves
from rosetta.schemas.audit import AttackSummary, AuditSummary, DisclosureAudit, OriginVerdict
from rosetta.schemas.manifest import Coverage
from rosetta.schemas.record import PrivacyLevel

SEEDS = ("seed", "random_state")  # of a training: they say which items were held out
SMALL_CELL = 2.0  # what a pair with fewer than FEW items, or none, counts as
MONTH, DAY = len("2026-01"), len("2026-01-02")


class Row(NamedTuple):
    """What is said of one thing at each level, for the table in docs/disclosure.md."""

    what: str
    strict: str
    standard: str
    open: str


TABLE = (
    Row("seed of the draws", "no", "no", "no"),
    Row("that the draws can be repeated (`reproducible`)", "yes", "yes", "yes"),
    Row("number of items", "no", "two digits, in tens below 100", "exact"),
    Row("mean and covariance of the space", "no", "on a grid that one item hardly moves", "exact"),
    Row("weights of pairs", "no", "powers of two; fewer than 5 items, or none, count as 2", "exact"),
    Row("coverage: largest gap", "no", "no", "exact"),
    Row("coverage: other figures", "no", "two digits", "exact"),
    Row("audit: verdicts", "yes", "yes", "yes"),
    Row("audit: how well attacks did", "no", "two digits", "exact"),
    Row("audit: distances, counts, reasons", "no", "no", "exact"),
    Row("making of points: settings", "yes", "yes", "yes"),
    Row("making of points: members behind a point", "the number requested", "the number requested", "exact"),
    Row("making of points: other figures", "no", "two digits; counts below 5 are left out", "exact"),
    Row("training: settings", "yes", "yes", "yes"),
    Row("training: seed", "no", "no", "yes"),
    Row("training: held-out ELBO", "no", "two digits", "exact"),
    Row("time", "month", "day", "second"),
    Row("software", "Rosetta's version", "with versions of libraries", "with versions of libraries"),
)


def coarse_n_items(n_items: int, level: PrivacyLevel) -> int | None:
    """Return the number of items as it is told."""
    return {"strict": None, "standard": coarse_count(n_items), "open": n_items}[level]


def coarse_time(time: str, level: PrivacyLevel) -> str:
    """Return a time such as ``2026-01-02T03:04:05Z`` at the start of its month, of its day, or as it is."""
    rounded = {"strict": f"{time[:MONTH]}-01T00:00:00Z", "standard": f"{time[:DAY]}T00:00:00Z", "open": time}
    return rounded[level]


def coarse_space(
    mean: Doubles, covariance: Doubles, n_items: int, level: PrivacyLevel
) -> tuple[Doubles, Doubles] | None:
    """Return the moments of the space as they are told, float64, shapes (n_dims,) and (n_dims, n_dims)."""
    if level == "strict":
        return None
    return (mean, covariance) if level == "open" else coarse_moments(mean, covariance, n_items)


def coarse_weights(counts: Array, level: PrivacyLevel) -> Floats | None:
    """Return the share of items of each pair, rounded so that empty cells cannot be told from small ones.

    Parameters
    ----------
    counts : int array, shape (n_pairs,)
        Items nearest to each pair.
    level : str
        ``standard`` counts fewer than five items, or none, as two, and more as the nearest power of two.

    Returns
    -------
    float64 array, shape (n_pairs,), or None
        It sums to 1. None where nothing is told.
    """
    if level == "strict":
        return None
    told = np.asarray(counts, np.float64)
    if level == "standard":
        told = np.where(told < FEW, SMALL_CELL, to_octaves(np.maximum(told, FEW)))
    shares: Floats = told / told.sum()
    return shares


def coarse_coverage(coverage: Coverage, level: PrivacyLevel) -> Coverage | None:
    """Return figures of coverage as they are told."""
    if level == "strict":
        return None
    if level == "open":
        return coverage
    told = {name: to_digits(value) for name, value in coverage.model_dump(exclude_none=True).items()}
    return Coverage(**{name: value for name, value in told.items() if name != "largest_gap"})


def coarse_elbo(elbo: float | None, level: PrivacyLevel) -> float | None:
    """Return the held-out ELBO, in nats an item, as it is told."""
    if elbo is None or level == "strict":
        return None
    return elbo if level == "open" else to_digits(elbo)


def coarse_training(settings: Mapping[str, JsonValue], level: PrivacyLevel) -> dict[str, JsonValue]:
    """Return a training's settings without what says which items it drew or held out."""
    return {name: value for name, value in settings.items() if level == "open" or name not in SEEDS}


def coarse_figures(
    figures: Mapping[str, JsonValue], level: PrivacyLevel, *, members: int | None = None
) -> dict[str, JsonValue]:
    """Return what is told of how an origin's points came out.

    Parameters
    ----------
    figures : mapping
        Settings, which are words and truth values, ``members``, ``mix``, and figures that were measured.
    members : int, optional
        The members behind a point that were asked for: told in place of how many there were.
    """
    if level == "open":
        return dict(figures)
    told: dict[str, JsonValue] = {}
    for name, value in figures.items():
        if name == "members" and isinstance(value, int):
            told[name] = value if members is None else min(value, members)
        elif name == "mix" or isinstance(value, str | bool):
            told[name] = value
        elif level == "standard" and isinstance(value, float):
            told[name] = to_digits(value)
        elif level == "standard" and isinstance(value, int) and value >= FEW:
            told[name] = round(to_digits(value))
    return told


def coarse_audit(audit: DisclosureAudit, level: PrivacyLevel) -> DisclosureAudit | AuditSummary:
    """Return the audit as the manifest tells it."""
    if level == "open":
        return audit
    found: dict[str, Any] = audit.model_dump()
    attacks = [each for name in ("membership", "attacks") for each in found.get(name, ())] if level != "strict" else []
    return AuditSummary(
        origins=tuple(OriginVerdict(origin=each.origin, verdict=each.verdict) for each in audit.origins),
        attacks=tuple(_summary(each) for each in attacks),
    )


def _summary(attack: Mapping[str, Any]) -> AttackSummary:
    figures = ("auc", "advantage", "caught_at_1_percent")
    told = {name: to_digits(attack[name]) for name in figures if isinstance(attack.get(name), float)}
    return AttackSummary(attack=attack["attack"], **told)


def coarse_software(software: Mapping[str, str], level: PrivacyLevel) -> dict[str, str]:
    """Return names and versions of software as they are told."""
    return {name: version for name, version in software.items() if level != "strict" or name == "rosetta"}
