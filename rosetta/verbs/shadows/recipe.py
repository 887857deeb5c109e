"""How a bundle's points were made, as its manifest tells: what shadow senders repeat."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import JsonValue, ValidationError

from rosetta.errors import UsageError
from rosetta.schemas.audit import Disclosure
from rosetta.schemas.distill import DistillSettings
from rosetta.schemas.manifest import Manifest
from rosetta.schemas.record import PrivacyLevel

TOLD = ("members", "mix", "draw")  # of an origin, that are settings too


def recipe_of(manifest: Manifest, *, seed: int = 0) -> DistillSettings:
    """Return settings that make points of the same origins, in the same numbers and ways.

    What a manifest does not tell is as by default: the limit of re-encoding, and the method that chooses items.

    Raises
    ------
    UsageError
        For points of public inputs, which are not in the data.
    """
    told = manifest.provenance.selection.settings
    origins = _counts(manifest, told.get("origins"))
    if "public" in origins:
        raise UsageError("the bundle has points of public inputs, which shadow senders cannot make: they lack them")
    settings: dict[str, Any] = {
        "origin": tuple(f"{name}={each['n_anchors']}" for name, each in origins.items() if each["n_anchors"]),
        "checks": sum(int(each["n_checks"]) for each in origins.values()),
        "residuals": bool(origins.get("decoded", {}).get("residuals")) or "decoded" not in origins,
    }
    for each in origins.values():
        settings |= {name: each[name] for name in TOLD if each.get(name) is not None}
    if (privacy := told.get("privacy")) in get_args(PrivacyLevel):
        settings["privacy"] = privacy
    settings |= _differential(manifest)
    words = {"license": "LicenseRef-shadow", "title": "A shadow", "creators": ("A shadow sender",)}
    return DistillSettings(**settings, **words, seed=seed)


def _counts(manifest: Manifest, told: JsonValue) -> dict[str, dict[str, Any]]:
    """Return what is told of each origin, at least how many pairs are anchors and how many checks."""
    found: dict[str, dict[str, Any]] = {}
    for entry in manifest.content.origins:
        each = told.get(entry.origin) if isinstance(told, Mapping) else None
        known = dict(each) if isinstance(each, Mapping) else {}
        n_pairs = found.get(entry.origin, {}).get("n_pairs", 0) + entry.n_pairs
        anchors = known.get("n_anchors")
        n_anchors = anchors if isinstance(anchors, int) else n_pairs
        found[entry.origin] = known | {
            "n_pairs": n_pairs, "n_anchors": n_anchors, "n_checks": max(n_pairs - n_anchors, 0),
        }  # fmt: skip
    return found


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
