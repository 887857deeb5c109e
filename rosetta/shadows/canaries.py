"""Canaries: marks that are planted in a few items, to see whether the points of a sender who had them show them."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from scipy.stats import beta

from rosetta import preprocessing
from rosetta.adapters import Adapted
from rosetta.arrays import Array, Floats, total_sd
from rosetta.disclosure.search import as_rows
from rosetta.errors import UsageError
from rosetta.inputs.matching import Features
from rosetta.inputs.models import expected_by
from rosetta.inputs.prepare import open_matched
from rosetta.schemas.shadows import Canary
from rosetta.shadows.marks import N_LOOKED_AT, Mark, MarkVisibility, choose_marks, rebuilt, sight_of
from rosetta.shadows.planting import read_planted
from rosetta.shadows.reading import AuditedSender, read_suspect
from rosetta.shadows.sender import ShadowRelease, points_of, train_shadow
from rosetta.shadows.stolen import steal

USUAL = 0.99  # quantile of the control's points, above which a point counts as showing the mark
SHOWN = 0.05  # of the points, at the lower end of the interval: five times as many as of the control's
LIT = 0.5  # of the mark, from which on a single point shows it to the eye
LEAST_SEEN = 0.01  # total standard deviations of the space that a mark moves a latent by, below which little is tested


Marks = list[tuple[Mark, MarkVisibility]]


def canaries(
    bundle: str | PathLike[str],
    data: Any,
    model: str | PathLike[str] | None,
    *,
    n: int | None = None,
    record: str | PathLike[str] | None = None,
    features: Features = None,
    allow_code: str | None = None,
    memory_gib: float | None = None,
    seed: int = 0,
    on_plan: Callable[[str], None] = lambda words: None,
    on_note: Callable[[str], None] = lambda note: None,
) -> tuple[Canary, ...]:
    """Plant a mark in `n` items and another one in a single item, and see whether points of such a sender show them.

    Two shadow senders are trained as the run was and distilled as the bundle was: one on the items with marks, one on
    the items as they are. The run and the bundle are not touched.

    Parameters
    ----------
    bundle, data, model, features, allow_code, memory_gib
        As for `audit`; `model` is a run folder, and `data` what it was trained on.
    n : int, optional
        Items with the first mark; one of `n` and `record` is needed.
    record : path, optional
        What `plant` wrote: the bundle's own sender was trained on marked items, and is looked at itself. Only the
        sender without marks is a shadow then.
    seed : int
        Of which items these are, and of both trainings.
    on_plan : callable
        Called with the time that it will take.
    on_note : callable
        Called with marks that the model hardly sees.

    Returns
    -------
    tuple of Canary
        Of the mark in `n` items, and of the one in a single item.

    Raises
    ------
    UsageError
        If the training cannot be repeated, or the model cannot see marks in such data.
    """
    suspect = read_suspect(
        bundle, data, model, held_out=None, features=features, memory_gib=memory_gib, allow_code=allow_code, seed=seed
    )
    if (n is None) == (record is None):
        raise UsageError("`canaries` and `canary_record` are two ways to have marks: give one of them")
    every, prepare = raw_items(suspect, data, features)
    span = suspect.bundle.manifest.content.input.value_range
    if record is not None:
        every, marks, groups = _planted_before(suspect, every, prepare, span, record)
    else:
        marks, groups = _chosen(suspect, every, prepare, span, n or 0, seed)
    raw = every[suspect.rows]
    who, n_shadows = ("one shadow sender is", 1) if record is not None else ("two shadow senders are", 2)
    least_s = n_shadows * suspect.training.record.elapsed_s
    on_plan(f"{who} trained on {len(raw):,} items: this takes at least {least_s:.0f} s")
    if record is not None:
        marked = suspect.sent
    else:
        for (mark, _), at in zip(marks, groups, strict=True):
            every[at] = mark.on(every[at])
        marked = _send(suspect, prepare(every[suspect.rows]), seed=seed)
    control = _send(suspect, prepare(raw), seed=seed)
    unmarked = np.setdiff1d(suspect.rows, np.concatenate(groups))
    some = every[unmarked[:N_LOOKED_AT]]
    figures = tuple(
        measure(mark, sight, prepare(some), prepare(mark.on(some)), marked, control, n_marked=len(at), seed=seed)
        for (mark, sight), at in zip(marks, groups, strict=True)
        if len(at)
    )
    for each in figures:
        _note(each, on_note)
    return figures


def _planted_before(
    suspect: AuditedSender, raw: Array, prepare: Callable[[Array], Array], span: tuple[float, float],
    record: str | PathLike[str],
) -> tuple[Array, Marks, tuple[Array, ...]]:  # fmt: skip
    """Return the items without the marks of a record, the marks, and which of the run's items have them."""
    planted = read_planted(record)
    every = planted.restored(raw)
    marks = [(mark, _seen(mark, every, prepare, span)) for mark in planted.marks]
    return every, marks, tuple(at[np.isin(at, suspect.rows)] for at in planted.rows)  # some may have been held out


def _chosen(
    suspect: AuditedSender, raw: Array, prepare: Callable[[Array], Array], span: tuple[float, float], n: int, seed: int
) -> tuple[Marks, tuple[Array, ...]]:
    """Return two marks, and which of the run's items get them."""
    n_members = len(suspect.rows)
    if not 1 <= n < n_members // 2:
        raise UsageError(f"`canaries` is {n}; expected a number from 1 and below half of the {n_members:,} items")
    marks = choose_marks(raw[suspect.rows], prepare, span, n_marks=2)
    chosen = suspect.rows[np.random.default_rng([seed, 9]).permutation(n_members)[: n + 1]]
    return marks, (chosen[:n], chosen[n:])


def _seen(mark: Mark, raw: Array, prepare: Callable[[Array], Array], span: tuple[float, float]) -> MarkVisibility:
    found = sight_of(mark, raw[:N_LOOKED_AT], prepare, span)
    if isinstance(found, str):
        raise UsageError(f"the model cannot see the canaries: {found}")
    return found


def raw_items(suspect: AuditedSender, data: Any, features: Features) -> tuple[Array, Callable[[Array], Array]]:
    """Return all raw items of the data, and what prepares raw items for the model."""
    expected = expected_by(suspect.model)
    rows = open_matched(data, expected, features=features).rows
    try:
        if rows.holds_sounds:
            raise UsageError("canaries cannot be planted in recordings, which differ in length: leave `canaries` out")
        raw = np.array(rows.read(0, rows.shape[0]))
    finally:
        rows.close()
    steps = expected.steps or []
    return raw, lambda some: np.asarray(preprocessing.apply(steps, some), dtype=np.float32)


def measure(
    mark: Mark,
    sight: MarkVisibility,
    clean: Array,
    with_mark: Array,
    marked: ShadowRelease,
    control: ShadowRelease,
    *,
    n_marked: int,
    seed: int,
) -> Canary:
    """Return whether the points of a sender who had a mark show it.

    Parameters
    ----------
    clean, with_mark : float32 array, shape (n_items, …)
        Items of which neither sender had any with the mark, as they are and with it.
    marked, control : Sent
        The sender who had the mark in `n_marked` items, and the one who had none.
    """
    found, usual = (sight.response(each.inputs) for each in (marked, control))
    threshold = float(np.quantile(usual, USUAL, method="higher")) + 1e-6
    n_points, n_above = len(found), int((found > threshold).sum())
    low, high = _interval(n_above, n_points)
    n_lit, n_lit_control = (int((each >= LIT).sum()) for each in (found, usual))
    before, after = (marked.model.encode(each)[0] for each in (clean, with_mark))
    return Canary(
        n_marked=n_marked,
        where=mark.where,
        usage=mark.usage,
        n_points=n_points,
        share=n_above / n_points,
        low=low,
        high=high,
        n_lit=n_lit,
        n_lit_control=n_lit_control,
        strongest=float(found.max()),
        rebuilt=rebuilt(sight, clean, with_mark, _stolen(marked, seed)),
        rebuilt_control=rebuilt(sight, clean, with_mark, _stolen(control, seed)),
        rebuilt_model=rebuilt(sight, clean, with_mark, _own(marked.model)),
        seen=float(np.linalg.norm(after - before, axis=1).mean() / max(total_sd(before), 1e-12)),
        is_shown=bool(low > SHOWN or found.max() >= max(LIT, usual.max() + LIT / 2)),
    )


def _send(suspect: AuditedSender, inputs: Array, *, seed: int) -> ShadowRelease:
    """Train and distil a shadow on these inputs: with the same seed, both differ by the marks alone."""
    with TemporaryDirectory(prefix="rosetta-canaries-") as folder:
        run = Path(folder) / "run"
        config = suspect.training.config
        train_shadow(run, inputs, suspect.held_out, config, seed=config.settings.seed + 1 + seed)
        return points_of(run, inputs, suspect.recipe, device=torch.device("cpu"), code=suspect.code)


def _stolen(sent: ShadowRelease, seed: int) -> Callable[[Array], Floats]:
    stolen = steal(sent.inputs, sent.latents, seed=seed)
    return lambda items: stolen.decode(stolen.encode(as_rows(items)))


def _own(model: Adapted) -> Callable[[Array], Floats]:
    decode = model.decode
    return (lambda items: items) if decode is None else (lambda items: decode(model.encode(items)[0]))


def _interval(n: int, of: int) -> tuple[float, float]:
    """Return the 95 % interval of a share (Clopper & Pearson)."""
    low = float(beta.ppf(0.025, n, of - n + 1)) if n else 0.0
    high = float(beta.ppf(0.975, n + 1, of - n)) if n < of else 1.0
    return low, high


def _note(found: Canary, on_note: Callable[[str], None]) -> None:
    items = "one item" if found.n_marked == 1 else f"{found.n_marked:,} items"
    if found.seen < LEAST_SEEN:
        on_note(
            f"the encoder hardly sees the mark in {items} ({found.where}): it moves a latent by {found.seen:.2g} "
            "standard deviations of the space, so that points which do not show it prove little"
        )
