"""Whether the sender's model has learned its training items by heart: told from held-out ones by how it rebuilds them.

An attacker who had the model could do no less. Who has a bundle has less than the model, but decoded points hand on
what its decoder does, and an encoder and a decoder can be trained from them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rosetta.arrays import Array, Derived, Floats, LazyArray, Picked, flat
from rosetta.disclosure.roc import Separation, separation
from rosetta.disclosure.search import Doubles
from rosetta.disclosure.shared import is_among
from rosetta.errors import OverfittedError
from rosetta.models.checkpoint import load_run
from rosetta.models.vae import decode_array, encode_array
from rosetta.schemas.distill import DistillSettings
from rosetta.verbs.points.encoding import encoded
from rosetta.verbs.points.held_out import split_rows
from rosetta.verbs.points.opened import Opened
from rosetta.verbs.prepare import COUNTS, Prepared, Streamable

# The AUC was measured with dense networks, of the model against thousands of items that it has never seen: 0.56 to 0.61
# after 100 epochs on 300 to 900 digits; 0.60, 0.68 and 0.74 after 30, 60 and 100 on 5,000 MNIST images; 0.48 to 0.71
# where --patience 3 to 10 stopped the training. Learned by heart: 0.78 and 0.84 after 100 epochs on 300 and 700 MNIST
# images, 0.99 after 400; 0.94 after 1,500 on 300 digits. At 1 % false alarms 0 to 3 % are caught, and 2 to 82 %. From
# the decoded points of the model of 700 images (0.83), calibrated by like items, 27 % of the members were found at 1 %
# false alarms; from those of 5,000 (0.70), 4 %.
MOST_AUC = 0.75
MOST_CAUGHT = 0.05  # members at 1 % false positives, at the lower end of the interval: five times what guessing finds
LEAST = 20  # held-out items, below which nobody can say
N_EACH = 2000  # members and held-out items that are looked at, at most
BLOCK = 1 << 18  # numbers that are rebuilt at once

ADVICE = (
    "stop the training early (rosetta train --patience 10), train on more data or train a smaller network "
    "(--hidden 64), or train with differential privacy (docs/privacy.md)"
)

Decode = Callable[[Floats], Floats]


@dataclass(frozen=True)
class Side:
    """Items, and where the encoder puts them."""

    inputs: LazyArray  # float32, shape (n_items, …)
    latents: LazyArray  # in all of the model's dimensions, shape (n_items, n_dims)


def memory_of(decode: Decode, members: Side, others: Side, *, counts: bool = False) -> Separation:
    """Return how well the error of reconstruction tells members from others: at most 2,000 of each, at random.

    Parameters
    ----------
    decode : callable
        Latents to expected inputs.
    counts : bool
        Whether inputs are counts: square roots are compared then, whose noise is the same for small and for large ones.
    """
    rng = np.random.default_rng(0)
    scores = [-_errors(decode, side, rng, counts=counts) for side in (members, others)]
    return separation(scores[0], scores[1], rng)


def is_overfitted(found: Separation) -> bool:
    """Whether points must not be decoded from a model that tells its training items so well."""
    return found.auc > MOST_AUC or (found.caught_low or 0.0) > MOST_CAUGHT


def told(found: Separation) -> str:
    """Return the figures in words."""
    caught = "" if found.caught is None else f"; {found.caught:.0%} of them are found at 1 % false alarms"
    return (
        f"by its reconstruction error, {found.n_members:,} items that it was trained on are told from "
        f"{found.n_others:,} held-out ones with an AUC of {found.auc:.2f} (95 %: {found.auc_low:.2f} to "
        f"{found.auc_high:.2f}; 0.5 is guessing){caught}"
    )


def note_on_run(folder: Path, items: Prepared | Streamable, *, code: str, groups: Array | None = None) -> str | None:
    """Return what to say of a run that has learned `items`, all that it was given, by heart; None if it has not.

    Parameters
    ----------
    folder : path
        The run folder.
    code : str
        The architecture, which may be somebody's own code.
    groups : int array, shape (n_items,), optional
        Whose each item is, where whole groups were held out.
    """
    run = load_run(folder, code=code)
    split = split_rows(run.config, run.record, groups)
    if len(split.held_out) < LEAST:
        return None

    def side(rows: Array) -> Side:
        inputs = Picked(items.inputs, rows)
        return Side(inputs, Derived(inputs, lambda block: encode_array(run.model, block)[0], run.config.latent_dim))

    found = memory_of(
        lambda latents: decode_array(run.model, latents), side(split.trained), side(split.held_out),
        counts=run.config.settings.likelihood in COUNTS,
    )  # fmt: skip
    if not is_overfitted(found):
        return None
    return (
        f"the model has learned its training items by heart: {told(found)}. rosetta distill refuses to decode points "
        f"from it, except with --privacy open. If others are to get such points, {ADVICE}"
    )


def check_memory(opened: Opened, settings: DistillSettings, on_note: Callable[[str], None]) -> None:
    """Refuse decoded points from a model that has learned items by heart, or say what is not known.

    Raises
    ------
    OverfittedError
        Below ``--privacy open``, where decoded points are asked for and the model tells its training items from
        held-out ones; under ``strict``, where nobody can say whether it does.
    """
    model = opened.model
    if model is None or model.decode is None or settings.dp_epsilon is not None:
        return
    is_decoded = any(each.partition("=")[0] == "decoded" for each in settings.origin or ("decoded",))
    sides = _sides(opened, audit_held_out=settings.audit_held_out)
    if isinstance(sides, str):
        if not is_decoded or settings.privacy == "open":
            return
        missing = (
            f"nobody knows whether the model has learned items by heart, as {sides}: pass at least {LEAST} items of "
            "the same kind that it has not seen, with --held-out"
        )
        if settings.privacy == "strict":
            raise OverfittedError(f"decoded points are refused under --privacy strict: {missing}")
        on_note(missing)
        return
    found = memory_of(model.decode, *sides, counts=model.likelihood in COUNTS)
    if not is_overfitted(found):
        return
    if not is_decoded or settings.privacy == "open":
        on_note(
            f"the model has learned its training items by heart: {told(found)}. Whoever trains a decoder from the "
            f"bundle may find out who was in the data: {ADVICE}"
        )
        return
    raise OverfittedError(
        f"the model has learned its training items by heart, so points decoded from it are refused under --privacy "
        f"{settings.privacy}: {told(found)}. Allowed is an AUC of {MOST_AUC:g}, and {MOST_CAUGHT:.0%} at the lower end "
        "of its interval. Take --origin moments or averaged, which do without the decoder; or, for decoded points, "
        f"{ADVICE}"
    )


def _sides(opened: Opened, *, audit_held_out: bool) -> tuple[Side, Side] | str:
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


def _errors(decode: Decode, side: Side, rng: np.random.Generator, *, counts: bool) -> Doubles:
    """Return the squared error of some items' reconstruction from their latents, float64, shape (n_looked_at,)."""
    rows = np.sort(rng.permutation(len(side.inputs))[:N_EACH])
    n_rows = max(BLOCK // max(math.prod(side.inputs.shape[1:]), 1), 1)
    found = []
    for start in range(0, len(rows), n_rows):  # items may be larger than memory together
        at = rows[start : start + n_rows]
        wanted, made = side.inputs[at], decode(np.asarray(side.latents[at], dtype=np.float32))
        if counts:
            wanted, made = (np.sqrt(np.maximum(each, 0)) for each in (wanted, made))
        found.append(((flat(wanted) - flat(made)) ** 2).sum(axis=1, dtype=np.float64))
    return np.concatenate(found)
