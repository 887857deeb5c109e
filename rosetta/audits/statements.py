"""What a manifest and the arrays of a bundle tell beside its points, as attacks take it."""

from __future__ import annotations

import json
from collections.abc import Mapping

from pydantic import JsonValue, ValidationError

from rosetta.arrays import Floats
from rosetta.bundle import Bundle
from rosetta.disclosure.earlier import Statistics
from rosetta.disclosure.replay import Draws
from rosetta.errors import IncompatibleError
from rosetta.schemas.audit import Disclosure, PrivacyAccount


def draws_of(bundle: Bundle, n_items: int) -> Draws | None:
    """Return what is known of the draws of a bundle's points; None where nothing says that they can be repeated."""
    selection = bundle.manifest.provenance.selection
    if selection.seed is None and selection.settings.get("reproducible") is not True:
        return None
    mix = members_of(selection.settings).get("mixed", 3)
    declared = bundle.manifest.provenance.data.n_items
    span = bundle.manifest.content.input.value_range
    return Draws(selection.seed, bundle.is_anchor, n_items if declared is None else declared, span, mix)


def statistics_of(bundle: Bundle, name: str) -> Statistics:
    """Return the statistics that a bundle tells of its items."""
    constants: dict[str, tuple[Floats, Floats]] = {}
    for number, step in enumerate(bundle.manifest.content.preprocessing):
        if {"mean", "sd"} <= set(step.arrays):
            mean, sd = (bundle.arrays[step.arrays[which]] for which in ("mean", "sd"))
            constants[f"{number + 1} ({step.name})"] = mean.reshape(-1), sd.reshape(-1)
    return Statistics(
        name, bundle.manifest.provenance.data.n_items, bundle.space_mean, bundle.space_covariance, constants
    )


def check_same_space(bundle: Bundle, earlier: Bundle, name: str) -> None:
    """Raise IncompatibleError if an earlier bundle is of another space."""
    if earlier.space_id != bundle.space_id:
        raise IncompatibleError(
            f"`earlier={name!r}` is of another latent space: its numbers are in other coordinates, and their "
            "difference tells nothing. Pass bundles that were distilled from the same model"
        )


def members_of(settings: Mapping[str, JsonValue]) -> dict[str, int]:
    """Return the smallest number of items behind a point, by origin, as far as a manifest's settings tell."""
    origins = settings.get("origins")
    found = {}
    for origin, told in origins.items() if isinstance(origins, dict) else ():
        number = told.get("members", told.get("mix")) if isinstance(told, dict) else None
        if isinstance(number, int) and not isinstance(number, bool) and number > 0:
            found[origin] = number
    return found


def accounts_of(bundle: Bundle) -> tuple[PrivacyAccount, ...]:
    """Return the accounts of differential privacy in the manifest; none if they cannot be read."""
    try:
        return Disclosure.model_validate_json(json.dumps(bundle.manifest.provenance.disclosure_audit or {})).privacy
    except ValidationError:
        return ()
