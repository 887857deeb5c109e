"""How a bundle's points were made, as its manifest tells: what shadow senders repeat."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import ValidationError

from rosetta.errors import UsageError
from rosetta.schemas.audit import Disclosure
from rosetta.schemas.distill import DistillSettings
from rosetta.schemas.manifest import Manifest
from rosetta.schemas.record import PrivacyLevel

TOLD = {"averaged": "members", "mixed": "mix", "decoded": "draw"}  # of an origin, that is a setting too


def recipe_of(manifest: Manifest, n_anchors: int, *, seed: int = 0) -> DistillSettings:
    """Return settings that make points of the same origins, in the same numbers and ways.

    What a manifest does not tell is as by default: the limit of re-encoding, and the method that chooses items.

    Raises
    ------
    UsageError
        For points of public inputs, which are not in the data.
    """
    counts, told = _counts(manifest, n_anchors), _told(manifest)
    if "public" in counts:
        raise UsageError("the bundle has points of public inputs, which shadow senders cannot make: they lack them")
    alone = {name: checks for name, (anchors, checks) in counts.items() if not anchors}  # `observed_checks`
    settings: dict[str, Any] = {
        "origin": tuple(f"{name}={anchors}" for name, (anchors, _) in counts.items() if anchors),
        "checks": sum(checks for name, (_, checks) in counts.items() if name not in alone),
        "observed_checks": alone.get("observed", 0),
        "residuals": "decoded" not in counts or told.get("decoded", {}).get("residuals") is True,
    }
    settings |= {name: value for origin, name in TOLD.items() if (value := told.get(origin, {}).get(name)) is not None}
    if (privacy := manifest.provenance.selection.settings.get("privacy")) in get_args(PrivacyLevel):
        settings["privacy"] = privacy
    settings |= _differential(manifest)
    words: dict[str, Any] = {"license": "LicenseRef-shadow", "title": "A shadow", "creators": ("A shadow sender",)}
    return DistillSettings(**settings, **words, seed=seed)


def _counts(manifest: Manifest, n_anchors: int) -> dict[str, tuple[int, int]]:
    """Return how many anchors and how many check pairs are of each origin: the anchors come first."""
    found: dict[str, tuple[int, int]] = {}
    first = 0
    for entry in manifest.content.origins:
        of_these = min(max(n_anchors - first, 0), entry.n_pairs)
        anchors, checks = found.get(entry.origin, (0, 0))
        found[entry.origin] = (anchors + of_these, checks + entry.n_pairs - of_these)
        first += entry.n_pairs
    return found


def _told(manifest: Manifest) -> dict[str, Mapping[str, Any]]:
    """Return what is told of each origin's ways."""
    told = manifest.provenance.selection.settings.get("origins")
    return {name: each for name, each in told.items() if isinstance(each, Mapping)} if isinstance(told, Mapping) else {}


def _differential(manifest: Manifest) -> dict[str, float]:
    """Return the settings of differential privacy, where the points have it."""
    try:
        said = json.dumps(manifest.provenance.disclosure_audit or {})
        accounts = Disclosure.model_validate_json(said).privacy
    except ValidationError:
        return {}
    if not accounts:
        return {}
    return {
        "dp_epsilon": sum(each.epsilon for each in accounts),
        "dp_delta": sum(each.delta for each in accounts),
        "dp_norm": accounts[0].norm_bound,
    }
