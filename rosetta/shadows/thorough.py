"""`audit` with `thorough`: attacks calibrated by shadow senders, the strongest that are known of their kind."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch

from rosetta.arrays import Array, Floats
from rosetta.disclosure.roc import separation
from rosetta.inputs.matching import Features
from rosetta.inputs.streaming import inputs_digest
from rosetta.metrics import Doubles, lira
from rosetta.schemas.separation import Separation
from rosetta.schemas.shadows import ShadowAttack, ShadowAudit
from rosetta.shadows.folder import ShadowFolder, open_shadows
from rosetta.shadows.plan import ShadowPlan, plan_shadows
from rosetta.shadows.reading import AuditedSender, read_suspect
from rosetta.shadows.scores import ATTACKS, MODEL, scores_of
from rosetta.shadows.sender import points_of, train_shadow

N_SHADOWS = 16
VERSION = 1  # of what shadows are: another one makes others


def thorough(
    bundle: str | PathLike[str],
    data: Any,
    model: str | PathLike[str] | None,
    *,
    held_out: Any = None,
    shadows: int = N_SHADOWS,
    folder: str | PathLike[str] | None = None,
    features: Features = None,
    allow_code: str | None = None,
    memory_gib: float | None = None,
    seed: int = 0,
    on_plan: Callable[[str], None] = lambda words: None,
    on_shadow: Callable[[int, int, float], None] = lambda done, of, left_s: None,
) -> ShadowAudit:
    """Return how well attacks on a bundle tell its items from others, calibrated by shadow senders.

    Each shadow is trained as the run was, on a random part of its items and of others, and distilled as the bundle was.

    Parameters
    ----------
    bundle, data, model, features, allow_code, memory_gib
        As for `audit`; `model` is a run folder, and `data` what it was trained on.
    held_out : like `data`, optional
        Items that neither model nor bundle has seen. A bundle of `distill` with `audit_held_out` has some of its own.
    shadows : int
        How many shadow senders; 16 tell little less than 64 (Carlini et al. 2022, figure 9).
    folder : path, optional
        Where finished shadows are kept, to go on from. It holds scores of private items, and no model.
    seed : int
        Of which items a shadow has, and of its training.
    on_plan : callable
        Called with the time that it will take.
    on_shadow : callable
        Called with the numbers of shadows done and of all, and the seconds that are left, NaN where nothing is known.

    Raises
    ------
    UsageError
        If the training cannot be repeated, or there are fewer than 50 items on a side.
    OutputError
        If the folder holds other shadows.
    """
    suspect = read_suspect(
        bundle, data, model, held_out=held_out, features=features, memory_gib=memory_gib, allow_code=allow_code,
        seed=seed,
    )  # fmt: skip
    settings, n_members = suspect.training.config.settings, len(suspect.members)
    validation = 0.0 if settings.patience is None else settings.validation
    plan = plan_shadows(n_members, len(suspect.others), n_shadows=shadows, validation=validation, seed=seed)
    items = np.concatenate([suspect.members, suspect.others])
    started = time.perf_counter()
    with open_shadows(
        None if folder is None else Path(folder), fingerprint(suspect, items, plan), (len(ATTACKS), plan.n_all)
    ) as kept:
        target = scores_of(suspect.sent, items, seed=seed)
        measured = time.perf_counter() - started
        on_plan(
            _time_told(
                suspect, plan, shadows, sum(kept.load(number) is not None for number in range(shadows)), measured
            )
        )
        scores = _all_scores(suspect, items, plan, kept, shadows, on_shadow)
    return ShadowAudit(
        n_shadows=shadows,
        n_members=n_members,
        n_others=plan.n_others,
        n_in=plan.n_in,
        attacks=judge_all(target, scores, plan.is_in(shadows), n_members, np.random.default_rng([seed, 8])),
        elapsed_s=round(time.perf_counter() - started, 1),
    )


def judge_all(
    target: Floats, scores: Floats, is_in: Array, n_members: int, rng: np.random.Generator
) -> tuple[ShadowAttack, ...]:
    """Return how well each attack tells the first `n_members` items from the others.

    Parameters
    ----------
    target : float array, shape (n_attacks, n_items)
        Scores against the bundle.
    scores : float array, shape (n_attacks, n_shadows, n_items)
        Scores against the shadows.
    is_in : bool array, shape (n_shadows, n_items)
        Which items the shadows had.
    """

    def told(members: Doubles, others: Doubles) -> Separation:
        return separation(members, others, rng)

    def split(ratios: Doubles) -> Separation:
        return told(ratios[:n_members], ratios[n_members:])

    return tuple(
        ShadowAttack(
            attack=name,
            is_ceiling=name == MODEL,
            alone=split(np.asarray(target[number])),
            online=split(lira.online(target[number], scores[number], is_in)),
            offline=split(lira.offline(target[number], scores[number], is_in)),
            of_shadows=told(*lira.each_as_target(scores[number], is_in)),
        )
        for number, name in enumerate(ATTACKS)
    )


def fingerprint(suspect: AuditedSender, items: Array, plan: ShadowPlan) -> str:
    """Return a digest of all that a shadow depends on but its number."""
    parts = {
        "version": VERSION,
        "bundle": suspect.bundle.content_id,
        "model": suspect.model.weights_sha256,
        "config": suspect.training.config.model_dump(mode="json"),
        "recipe": suspect.recipe.model_dump(mode="json"),
        "items": inputs_digest([items]),
        "plan": [plan.n_members, plan.n_others, plan.n_out, plan.seed],
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _all_scores(
    suspect: AuditedSender, items: Array, plan: ShadowPlan, kept: ShadowFolder, n_shadows: int,
    on_shadow: Callable[[int, int, float], None],
) -> Doubles:  # fmt: skip
    """Return the scores of all shadows, shape (n_attacks, n_shadows, n_items): those kept, and those made now."""
    found = [kept.load(number) for number in range(n_shadows)]
    n_done, spent, n_made = sum(each is not None for each in found), 0.0, 0
    on_shadow(n_done, n_shadows, float("nan"))
    for number, known in enumerate(found):
        if known is not None:
            continue
        started = time.perf_counter()
        scores = _shadow_scores(suspect, items, plan, number, kept.folder)
        kept.save(number, scores)
        found[number] = scores
        spent, n_made, n_done = spent + time.perf_counter() - started, n_made + 1, n_done + 1
        on_shadow(n_done, n_shadows, spent / n_made * (n_shadows - n_done))
    return np.stack([each for each in found if each is not None], axis=1)


def _shadow_scores(suspect: AuditedSender, items: Array, plan: ShadowPlan, number: int, folder: Path) -> Doubles:
    """Train a shadow, distil it and score every item; nothing but the scores is left of it."""
    lacks = plan.lacks(number)
    has = np.setdiff1d(np.arange(plan.n_all), lacks, assume_unique=True)
    seed = suspect.training.config.settings.seed + 1 + number
    recipe = suspect.recipe.model_copy(update={"seed": suspect.recipe.seed + 1 + number})
    with TemporaryDirectory(prefix=".shadow-", dir=folder) as temporary:
        run = Path(temporary) / "run"
        train_shadow(run, items[has], items[lacks], suspect.training.config, seed=seed)
        sent = points_of(run, items[has], recipe, device=torch.device("cpu"), code=suspect.code)
    return scores_of(sent, items, seed=seed)


def _time_told(suspect: AuditedSender, plan: ShadowPlan, n_shadows: int, n_done: int, attack_s: float) -> str:
    """Return how long it will take: the training's own time, and that of an attack, which was measured."""
    each = suspect.training.record.elapsed_s * plan.n_in / plan.n_members + attack_s
    as_many = "as many as the model was" if plan.n_in == plan.n_members else f"the model on {plan.n_members:,}"
    done = f" ({n_done} are done)" if n_done else ""
    return (
        f"{n_shadows} shadow senders{done}, each trained on {plan.n_in:,} items, {as_many}: this takes about "
        f"{_minutes(each * (n_shadows - n_done))}"
    )


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.0f} minutes"
