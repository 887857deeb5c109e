"""What can be refused of a distillation before any work is done for it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from rosetta.credits import parse_creator, parse_licence
from rosetta.distillation.plan import Portion, portions_of
from rosetta.errors import UsageError
from rosetta.policies import check_promises
from rosetta.schemas.distill import DistillSettings
from rosetta.schemas.policy import Policy


def check_model(model: str | PathLike[str] | None, latents: Any, options: Mapping[str, object]) -> None:
    """Refuse both a model and latents, neither, and options of a model that is not there."""
    if (model is None) == (latents is None):
        raise UsageError(
            "a model and `latents` are both given: leave one of them out" if model is not None else
            "there is neither a model nor `latents`: one of them says where the items lie in the space"
        )  # fmt: skip
    idle = [name for name, value in options.items() if value is not None]
    if model is None and idle:
        raise UsageError(f"`{idle[0]}` has no effect with `latents`, where no model runs: leave it out")


def check_policy(rules: Policy, settings: DistillSettings) -> None:
    """Refuse what a policy forbids as far as the options tell."""
    portions = portions_of(settings)
    check_promises(
        rules, origins=[p.origin for p in portions], terms=settings.terms, license=parse_licence(settings.license),
        members=_promised(portions, settings), epsilon=settings.dp_epsilon,
        privacy=settings.privacy,
        reproducible=settings.reproducible,
    )  # fmt: skip


def check_words(settings: DistillSettings) -> None:
    """Refuse words that make no sense before any work is done for them."""
    parse_licence(settings.license)
    for text in settings.creators:
        parse_creator(text)


def check_public(portions: Sequence[Portion], points_from: Any) -> None:
    """Refuse public points without inputs, and inputs without public points."""
    is_wanted = any(each.origin == "public" for each in portions)
    if is_wanted and points_from is None:
        raise UsageError(
            "`origin='public'` takes its points from inputs that you may share: pass them as `points_from`"
        )
    if points_from is not None and not is_wanted:
        raise UsageError("`points_from` is for `origin='public'` only: add it, or leave the file out")


def _promised(portions: Sequence[Portion], settings: DistillSettings) -> dict[str, int]:
    """Return the smallest number of items behind a point, where the options say it before the making."""
    known = {"observed": 1, "mixed": settings.mix, "averaged": settings.members}
    return {each.origin: known[each.origin] for each in portions if each.origin in known}
