"""Whether points may be decoded from the sender's model, or it has learned its training items by heart."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from rosetta.arrays import Array, Picked
from rosetta.disclosure.memory import (
    ADVICE,
    LEAST,
    MOST_AUC,
    MOST_CAUGHT,
    N_EACH,
    Side,
    in_words,
    is_overfitted,
    memory_of,
)
from rosetta.disclosure.shared import is_among
from rosetta.distillation.encode import encoded
from rosetta.distillation.sender import Sender
from rosetta.errors import OverfittedError
from rosetta.inputs.prepare import COUNTS
from rosetta.schemas.distill import DistillSettings
from rosetta.schemas.separation import Separation


def check_memory(opened: Sender, settings: DistillSettings, on_note: Callable[[str], None]) -> None:
    """Refuse decoded points from a model that has learned items by heart, or say what is not known.

    Raises
    ------
    OverfittedError
        Below ``privacy='open'``, where decoded points are asked for and the model tells its training items from
        held-out ones; under ``strict``, where nobody can say whether it does.
    """
    model = opened.model
    if model is None or model.decode is None or settings.dp_epsilon is not None:
        return
    is_decoded = any(each.partition("=")[0] == "decoded" for each in settings.origin or ("decoded",))
    sides = _sides(opened, audit_held_out=settings.audit_held_out)
    known = [] if isinstance(sides, str) else [memory_of(model.decode, *sides, counts=model.likelihood in COUNTS)]
    known += _recorded(opened)
    if not known:
        if not is_decoded or settings.privacy == "open":
            return
        missing = (
            f"nobody knows whether the model has learned items by heart, as {sides}: pass at least {LEAST} items of "
            "the same kind that it has not seen, with `held_out`"
        )
        if settings.privacy == "strict":
            raise OverfittedError(f"decoded points are refused under `privacy='strict'`: {missing}")
        on_note(missing)
        return
    found = next(filter(is_overfitted, known), None)
    if found is None:
        return
    if not is_decoded or settings.privacy == "open":
        on_note(
            f"the model has learned its training items by heart: {in_words(found)}. Whoever trains a decoder from the "
            f"bundle may find out who was in the data: {ADVICE}"
        )
        return
    raise OverfittedError(
        f"the model has learned its training items by heart, so points decoded from it are refused under "
        f"`privacy={settings.privacy!r}`: {in_words(found)}. Allowed is an AUC of {MOST_AUC:g}, and {MOST_CAUGHT:.0%} "
        "at the lower end of its interval. Take `origin='averaged'`, or moments if the items are many, which do "
        f"without the decoder; or, for decoded points, {ADVICE}"
    )


def _recorded(opened: Sender) -> list[Separation]:
    """Return what the training itself found, whichever of its items are distilled now, or none."""
    training = None if opened.model is None else opened.model.training
    return [] if training is None or training.record.memory is None else [training.record.memory]


def _sides(opened: Sender, *, audit_held_out: bool) -> tuple[Side, Side] | str:
    """Return items that the model was trained on and others, or why there are none."""
    everything = Side(opened.items.inputs, opened.all_latents)
    split = opened.split
    members = everything if isinstance(split, str) else _rows(everything, split.trained)
    if opened.held_out is not None and opened.model is not None and not audit_held_out:
        fresh = np.flatnonzero(~is_among(opened.held_out, everything.inputs))
        if len(fresh) >= LEAST:
            others = opened.held_out[np.random.default_rng(1).permutation(fresh)[:N_EACH]]
            return members, Side(others, encoded(opened.model, others, what="held-out row").means)
        if isinstance(split, str):
            return f"only {len(fresh):,} of the held-out items are not among the data"
    if isinstance(split, str):
        return split
    if len(split.held_out) < LEAST:
        return f"the run held out {len(split.held_out):,} items only"
    return members, _rows(everything, split.held_out)


def _rows(side: Side, rows: Array) -> Side:
    return Side(Picked(side.inputs, rows), Picked(side.latents, rows))
