"""What shadow senders are made from: the bundle, the run behind it, its items and others."""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rosetta.adapters import Adapted, Training
from rosetta.arrays import Array
from rosetta.bundle import Bundle
from rosetta.disclosure.shared import is_among
from rosetta.errors import IncompatibleError, UsageError
from rosetta.inputs.matching import Features
from rosetta.inputs.models import BUDGET_GIB, expected_by, open_model
from rosetta.inputs.prepare import Prepared, prepare_within
from rosetta.inputs.streaming import memory_budget
from rosetta.runs.held_out import known_split
from rosetta.schemas.distill import DistillSettings
from rosetta.shadows.recipe import recipe_of
from rosetta.shadows.sender import ShadowRelease, check_repeatable
from rosetta.validation.opening import open_valid


@dataclass(frozen=True)
class AuditedSender:
    """The sender whose bundle is examined."""

    bundle: Bundle
    model: Adapted
    training: Training
    recipe: DistillSettings
    members: Array  # that the model was trained on, float32, shape (n_members, …)
    others: Array  # that neither model nor points have seen, float32, shape (n_others, …)
    rows: Array  # numbers of the members among the data
    held_out: Array  # that the run held out, float32, shape (n_held_out, …)
    code: str | None  # the factory that may be imported, for a run whose network is somebody's own

    @property
    def sent(self) -> ShadowRelease:
        """What the sender gave away, and the model that it keeps."""
        return ShadowRelease(self.bundle.inputs, self.bundle.latents, self.model)


def read_suspect(
    bundle: str | PathLike[str], data: Any, model: str | PathLike[str] | None,
    *, held_out: Any, features: Features, memory_gib: float | None, allow_code: str | None, seed: int,
) -> AuditedSender:  # fmt: skip
    """Open everything, and hold it against each other.

    Raises
    ------
    UsageError, IncompatibleError
        If the training cannot be repeated, or if `data` is not what the run was trained on.
    """
    opened = open_valid(Path(bundle))
    if model is None:
        raise UsageError("shadow senders repeat the run's training: pass its folder with `model`")
    adapted = open_model(model, device="cpu", allow_code=allow_code)
    training = check_repeatable(adapted.training)
    if adapted.weights_sha256 != opened.manifest.provenance.model.weights_sha256:
        raise IncompatibleError(
            f"{model} is not the model of the bundle: its weights have another digest than the manifest declares"
        )
    budget = memory_budget(BUDGET_GIB if memory_gib is None else memory_gib, torch.device("cpu"))
    expected = expected_by(adapted)
    items = prepare_within(budget, data, expected, features=features, preprocess=None)
    if not isinstance(items, Prepared):
        raise UsageError("shadow senders need all items in memory: give more `memory_gib`")
    split = known_split(training, items)
    if isinstance(split, str):
        raise UsageError(f"shadow senders cannot repeat the training: {split}")
    others = items.inputs[:0]
    if held_out is not None:
        others = prepare_within(1 << 60, held_out, expected, features=features, preprocess=None).inputs[:]
        others = others[~is_among(others, items.inputs)]
    if opened.manifest.provenance.selection.settings.get("audit_held_out") is True:  # they are not in the points either
        others = np.concatenate([others, items.inputs[split.held_out]])
    members, held = (np.asarray(items.inputs[rows]) for rows in (split.trained, split.held_out))
    return AuditedSender(
        opened,
        adapted,
        training,
        recipe_of(opened.manifest, int(opened.is_anchor.sum()), seed=seed),
        members,
        others,
        split.trained,
        held,
        allow_code,
    )
