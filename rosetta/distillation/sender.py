"""The sender's model and items, opened and embedded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from rosetta.adapters import Adapted, Loading
from rosetta.adapters.probe import PROBED, check_decoder, check_encoder
from rosetta.arrays import Array, Derived, Floats, LazyArray, picked, row_blocks
from rosetta.bundle.levels import from_levels, lie_on_levels, to_levels
from rosetta.distillation.encode import OnRows, encode_all, encoded, job_of, shard_rows
from rosetta.distillation.given_latents import given_latents
from rosetta.distillation.item_selection import METHOD, Chooser, strata_of
from rosetta.distillation.latent_cache import digest_of, kept_latents
from rosetta.distillation.points import Points
from rosetta.errors import IncompatibleError, PolicyError, UsageError
from rosetta.inputs.groups import GroupCodes
from rosetta.inputs.labels import labels_of
from rosetta.inputs.matching import Features
from rosetta.inputs.models import expected_by
from rosetta.inputs.prepare import Expected, Prepared, Streamable, prepare_within, value_range
from rosetta.origins import SenderData
from rosetta.policies import Membership
from rosetta.preprocessing import Fitted
from rosetta.runs.held_out import KnownSplit, has_seen_excluded, known_split, require_split
from rosetta.schemas.distill import DistillSettings
from rosetta.schemas.policy import Policy
from rosetta.selection.strata import label_texts
from rosetta.sources import Source, as_source, is_on_disk

WHOLE = ((0.0, 255.0), (-128.0, 127.0))  # of 8 bits, whatever round ends the declared range has
MARKED = 64  # inputs that go into the mark of a distillation


@dataclass(frozen=True)
class DistillRequest:
    """What the sender gives besides settings."""

    data: Any
    model: str | None  # None: the latents are given
    loading: Loading
    latents: Any = None
    held_out: Any = None
    held_out_groups: str | None = None
    points_from: Any = None
    features: Features = None
    preprocess: str | None = None
    budget: int = 0  # bytes of inputs that may be held in memory
    executor: Executor | None = None
    resume: bool = False


@dataclass(frozen=True)
class Sender:
    """What points are made from, and what they are held against."""

    model: Adapted | None
    items: Prepared | Streamable
    sender: SenderData
    n_dims: int  # of the space
    stored_range: tuple[float, float] | None  # what 0 and 255 stand for, where inputs are stored in 8 bits
    private: LazyArray  # every item, float32, those that the policy excludes as well; not those held out for the audit
    private_latents: LazyArray  # in all of the model's dimensions
    held_out: LazyArray | None
    held_out_latents: LazyArray | None
    chooser: Chooser  # also knows what was sampled, and the strata
    all_latents: LazyArray  # of `items`, those that `audit_held_out` leaves out as well
    split: KnownSplit | str  # what of `items` the run was trained on, or why nobody knows
    groups: GroupCodes | None = None  # of every item, as `private`
    notes: tuple[str, ...] = ()  # for the user
    held_out_groups: Array | None = None  # whose each of `held_out` is, in the codes of `groups`, where that is known

    @property
    def steps(self) -> Fitted:
        """The preprocessing."""
        return self.items.info.steps

    def space_latents(self, latents: LazyArray) -> LazyArray:
        """Return latents in the space's dimensions."""
        return in_space(latents, self.n_dims)

    def label(self, points: Points) -> tuple[Floats, Floats | None]:
        """Return the posterior means and standard deviations of exactly these inputs, in the space's dimensions."""
        if self.model is None:
            if points.rows is None:
                raise UsageError("points that are made need a model to label them, and there are latents only")
            return self.sender.latents[points.rows], None
        means, sds = encoded(self.model, points.inputs, what="point")
        return means[:, : self.n_dims], None if sds is None else sds[:, : self.n_dims]


@contextmanager
def open_sender(
    output: Path, asked: DistillRequest, model: Adapted | None, settings: DistillSettings, policy: Policy | None,
    *, on_rows: OnRows,
) -> Iterator[Sender]:  # fmt: skip
    """Read and embed the items, and leave out those that policy and audit keep; what was kept on disk goes after."""
    expected = expected_by(model) if model is not None else Expected("the bundle", None, None, None, None)
    with ExitStack() as held:
        members = Membership(policy or Policy(), settings.groups, str(as_source(asked.data)))
        items = prepare_within(
            asked.budget, asked.data, expected, features=asked.features, preprocess=asked.preprocess,
            fitted_to=members.included,
        )  # fmt: skip
        held.callback(items.close)
        rows = np.arange(len(items.inputs)) if items.kept is None else items.kept

        def of_rows(array: LazyArray) -> LazyArray:
            return picked(array, rows) if members.n_excluded else array

        inputs = of_rows(items.inputs)  # of what is excluded, nothing is seen but by the audit
        split = known_split(
            None if model is None else model.training, items,
            None if members.groups is None else members.groups.of_rows(rows),
        )  # fmt: skip
        seen = has_seen_excluded(None if model is None else model.training, items) if members.n_excluded else False
        if seen and settings.privacy != "open":
            raise PolicyError(
                f"the policy excludes {members.n_excluded:,} items that the model was trained on, as the digest of its "
                "training's items shows: whatever it encodes or decodes may tell of them. Train again without them, "
                "with " + _without(members)
            )
        kept = require_split(split, has_held_out=asked.held_out is not None) if settings.audit_held_out else None
        n_all = 0
        if model is not None:  # before all are read
            n_all = check_encoder(model, inputs[:PROBED], n_items=len(inputs))
            check_decoder(model, inputs[:PROBED])
        span = (model.value_range if model is not None else None) or value_range(items.facts)
        stored = _stored_range(inputs, span, settings)
        expected = Expected(expected.holder, items.inputs.shape[1:], items.info.steps, items.info.feature_names, span)
        public = _matched("`points_from`", asked.points_from, expected, asked)
        shared = None if public is None else public.inputs[: len(public.inputs)]
        fresh = _matched("`held_out`", asked.held_out, expected, asked)
        others = None if fresh is None else fresh.inputs[: len(fresh.inputs)]
        latents: LazyArray
        sds: LazyArray | None
        if model is None:
            latents, sds = given_latents(asked.latents, len(items.inputs)), None
        else:
            latents, sds = held.enter_context(_embedded(output, asked, model, n_all, items, expected, on_rows))
        n_dims = (model.space_dims if model is not None else None) or latents.shape[1]
        outsiders: tuple[LazyArray | None, LazyArray | None] = (others, None)
        private: tuple[LazyArray, LazyArray] = (items.inputs, latents)
        groups, held_out_groups = members.groups, None
        if kept is not None:
            outsiders = _rows(items.inputs, in_space(latents, n_dims), kept.held_out)
            rows = np.setdiff1d(rows, kept.held_out, assume_unique=True)
            audited = np.setdiff1d(np.arange(len(latents)), kept.held_out, assume_unique=True)
            private = _rows(items.inputs, latents, audited)
            if groups is not None:
                held_out_groups = groups.codes[kept.held_out]
                groups = replace(groups, codes=groups.codes[audited])
        elif others is not None and model is not None:
            outsiders = others, encoded(model, others, what="held-out row").means[:, :n_dims]
        notes = _notes(members, model, seen)
        if kept is None and fresh is not None and groups is not None:
            held_out_groups = _owners(fresh, groups, members.spec, asked)
            if held_out_groups is None:
                notes += (
                    "nothing says whose each held-out item is, so the audit holds rows against rows and not people: "
                    "pass `held_out_groups`",
                )

        def of_rows(array: LazyArray) -> LazyArray:
            return picked(array, rows) if len(rows) < len(array) else array

        strata = strata_of(
            settings, items.info, rows, len(latents), latents=of_rows(latents), source=str(as_source(asked.data))
        )
        chooser = Chooser(settings.select or METHOD, strata)
        sender = SenderData(
            inputs=of_rows(items.inputs),
            latents=of_rows(latents),
            latents_sd=None if sds is None else of_rows(sds),
            value_range=span,
            encode=None if model is None else lambda inputs: encoded(model, inputs, what="point").means,
            decode=None if model is None else model.decode,
            select=chooser,
            store=rounding(stored),
            public=shared,
            groups=None if members.groups is None else members.groups.of_rows(rows),
        )
        yield Sender(
            model, items, sender, n_dims, stored, *private, *outsiders, chooser, latents, split, groups,
            notes, held_out_groups,
        )  # fmt: skip


def _without(members: Membership) -> str:
    return "`policy`" + ("" if members.spec is None else f" and `groups={members.spec!r}`")


def _notes(members: Membership, model: Adapted | None, seen: bool | None) -> tuple[str, ...]:
    """Return what the user should know of groups and of what is excluded."""
    notes = () if members.groups is None else members.groups.notes
    if not members.n_excluded and model is not None and model.n_left_out:
        return (
            *notes,
            f"the run's training left out {model.n_left_out:,} items that a policy excludes; points are made from all "
            "of this data: pass the same `policy` here, or leave them out with `where`",
        )
    if not members.n_excluded or model is None:
        return notes
    told = f"{members.n_excluded:,} items are excluded by the policy, and no point is made from them"
    if seen is not None:
        known = "the model was trained on them" if seen else "the run's record shows that it was not trained on them"
        return (*notes, f"{told}; {known}")
    if model.n_left_out == members.n_excluded:
        return (*notes, f"{told}; the run's record says that as many were left out of its training")
    if model.n_left_out is None:
        advice = "whether the model was trained on them is not known here: if it was, train it again without them"
    else:
        advice = (
            "the run's own constants and range were fitted when it was trained. If the excluded items were in that "
            f"training, train again without them, with {_without(members)}"
        )
    return (*notes, f"{told}; {advice}")


@contextmanager
def _embedded(
    output: Path, asked: DistillRequest, model: Adapted, n_dims: int, items: Prepared | Streamable, expected: Expected,
    on_rows: OnRows,
) -> Iterator[tuple[LazyArray, LazyArray | None]]:  # fmt: skip
    """Yield the latents of all items."""
    inputs = items.inputs
    has_sds = model.encode(inputs[:1])[1] is not None
    n_rows = shard_rows(int(np.prod(inputs.shape[1:])))
    source = as_source(asked.data)
    mark: dict[str, object] = {
        "model": digest_of(model.weights_sha256, model.kind, asked.loading.spread),
        "data": digest_of(*_stamp(source), inputs.shape, _some_rows(inputs), asked.features),
        "preprocessing": digest_of(*((name, step.parameters, {k: v.tobytes() for k, v in step.arrays.items()})
                                     for name, step in items.info.steps)),
        "shape": [len(inputs), n_dims, n_rows],
    }  # fmt: skip
    job = job_of(
        asked.model or "", asked.loading, source, features=asked.features, expected=expected, steps=items.info.steps
    )
    with kept_latents(
        output, len(inputs), n_dims, has_sds=has_sds, shard_rows=n_rows, mark=mark, resume=asked.resume
    ) as kept:
        encode_all(model, inputs, kept, executor=asked.executor, job=job, on_rows=on_rows)
        yield kept.latents


def _stamp(source: Source) -> tuple[object, ...]:
    """Return what changes when the choice of rows or a file does, and stays the same in another process."""
    if not is_on_disk(source.data):
        return ()
    path = Path(str(source.data).partition("::")[0])
    files = sorted(each for each in path.rglob("*") if each.is_file()) if path.is_dir() else [path]
    found = [(str(each), each.stat().st_size, each.stat().st_mtime_ns) for each in files if each.exists()]
    return (replace(source, data=str(source.data)), found)


def _some_rows(inputs: LazyArray) -> str:
    """Return a digest of inputs that are spread over all, as data in memory has no other mark."""
    rows = np.unique(np.linspace(0, len(inputs) - 1, MARKED).astype(int))
    return digest_of(*(inputs[row : row + 1].tobytes() for row in rows.tolist()))


def in_space(latents: LazyArray, n_dims: int) -> LazyArray:
    """Return latents in the first `n_dims` of the model's dimensions, those of the space."""
    return latents if latents.shape[1] == n_dims else Derived(latents, lambda rows: rows[:, :n_dims], n_dims)


def _rows(inputs: LazyArray, latents: LazyArray, numbers: Array) -> tuple[LazyArray, LazyArray]:
    return picked(inputs, numbers), picked(latents, numbers)


def rounding(span: tuple[float, float] | None) -> Callable[[Array], Array]:
    """Return what gives inputs as the file will hold them."""
    return (lambda inputs: inputs) if span is None else (lambda inputs: from_levels(to_levels(inputs, span), span))


def _owners(
    held_out: Prepared | Streamable, groups: GroupCodes, spec: str | None, asked: DistillRequest
) -> Array | None:
    """Return whose each held-out item is, in the codes of `groups` and others beyond; None where nothing says."""
    columns = held_out.info.columns
    chosen = asked.held_out_groups or (spec if spec in columns else None)
    if chosen is None:
        return None
    labels = labels_of(
        "`held_out_groups`", chosen, columns, len(held_out.inputs), source=str(as_source(asked.held_out)),
        expected="a column of the held-out items or a source of labels",
    )  # fmt: skip
    known = {name: code for code, name in enumerate(groups.names)}
    return np.array([known.setdefault(text, len(known)) for text in label_texts(labels).tolist()], dtype=np.intp)


def _matched(option: str, data: Any, expected: Expected, asked: DistillRequest) -> Prepared | Streamable | None:
    if data is None:
        return None
    try:
        return prepare_within(1 << 60, data, expected, features=asked.features, preprocess=None)
    except IncompatibleError as error:
        raise IncompatibleError(f"{option}: {error}") from error


def _stored_range(
    inputs: LazyArray, span: tuple[float, float], settings: DistillSettings
) -> tuple[float, float] | None:
    """Return the range to store in 8 bits: the declared one, or whole numbers', if its 256 levels hold all values."""
    if settings.store == "float32":
        return None
    for levels in (span, *WHOLE):
        if levels[0] < levels[1] and all(lie_on_levels(block, levels) for _, block in row_blocks(inputs, 1 << 20)):
            return levels
    if settings.store == "auto":
        return None
    if not span[0] < span[1]:
        raise UsageError(f"`store='uint8'` needs a range of values, and the inputs are all {span[0]:g}")
    has_items = settings.observed_checks or any(each.partition("=")[0] == "observed" for each in settings.origin or ())
    if has_items:
        raise UsageError(
            "`store='uint8'` would round observed points, which are items as they are: leave it out, or take float32"
        )
    return span
