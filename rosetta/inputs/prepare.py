"""From raw items to inputs: fitted once where a space begins, repeated and compared everywhere after."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from rosetta import preprocessing
from rosetta.adapters.probe import steps_between
from rosetta.arrays import Array
from rosetta.bundle import Bundle
from rosetta.errors import IncompatibleError, PreprocessingError, SourceError, UsageError
from rosetta.inputs.matching import Features, Matched, match_features, some
from rosetta.inputs.streaming import Blocks, Facts, Stream, facts_of, inputs_digest
from rosetta.preprocessing import Step
from rosetta.rounding import outward
from rosetta.sources import Rows, as_source, open_rows, subset

COUNTS = ("poisson", "negative-binomial")

READ_WHOLE = 1 << 28  # bytes of a file that are read at once; of more, no raw copy is kept beside the inputs
FACTS_BLOCK = 1 << 20  # numbers that are looked at together
SHOWN_BAD = 5  # bad items whose problem is told
ALL = 1 << 60  # bytes: a budget that holds any items


@dataclass(frozen=True)
class InputInfo:
    """What is known of items besides their numbers."""

    raw_dtype: str
    steps: list[tuple[str, Step]]
    feature_names: tuple[str, ...] | None
    filled: tuple[str, ...] = ()  # features that the data lacks, and that were filled
    n_skipped: int = 0  # bad files that were left out
    notes: tuple[str, ...] = ()  # for the user
    columns: Mapping[str, Callable[[], Array]] = field(default_factory=dict)  # what else is known of each item


@dataclass(frozen=True)
class Prepared:
    """Items ready for an encoder, in memory."""

    inputs: Array  # float32, shape (n_items, …)
    info: InputInfo
    source: Rows
    kept: Array | None = None  # row numbers that all constants are fitted to; None: all

    @cached_property
    def facts(self) -> Facts:
        """What is to be known of the inputs that constants are fitted to."""
        return facts_of(_of_kept(preprocessing.blocks_of(self.inputs, FACTS_BLOCK), self.kept))

    @cached_property
    def sha256(self) -> str:
        """The digest of the inputs that constants are fitted to."""
        return inputs_digest(_of_kept(preprocessing.blocks_of(self.inputs, FACTS_BLOCK), self.kept))

    def close(self) -> None:
        """Give back the source, which the columns are read from."""
        self.source.close()


@dataclass(frozen=True)
class Streamable:
    """Items ready for an encoder, read from disk whenever they are wanted."""

    inputs: Stream
    info: InputInfo
    blocks: Blocks
    kept: Array | None = None  # row numbers that all constants are fitted to; None: all

    @cached_property
    def facts(self) -> Facts:
        """What is to be known of the inputs that constants are fitted to, found in one pass."""
        return facts_of(_of_kept(self.inputs.blocks(self.blocks.block), self.kept), digested=True)

    @property
    def sha256(self) -> str:
        """The digest of these inputs, found in the same pass."""
        return str(self.facts.sha256)

    def close(self) -> None:
        """Give the file back."""
        self.inputs.rows.close()


@dataclass(frozen=True)
class Expected:
    """What an existing space, or a model, expects of inputs."""

    holder: str  # what expects it, for messages: "the bundle", "the run"
    shape: tuple[int, ...] | None  # None: not known
    steps: list[tuple[str, Step]] | None  # None: nobody knows, and `preprocess` says
    feature_names: tuple[str, ...] | None
    value_range: tuple[float, float] | None  # None: not known


def expected_in(bundle: Bundle) -> Expected:
    """Return what a bundle's latent space expects."""
    described = bundle.manifest.content.input
    steps = preprocessing.from_records(bundle.manifest.content.preprocessing, bundle.arrays)
    return Expected("the bundle", described.shape, steps, described.feature_names, described.value_range)


def tolerated(span: tuple[float, float], likelihood: str) -> tuple[float, float]:
    """Return the range that a likelihood lets inputs lie in, as far as they are known: counts have no upper end."""
    return (span[0], math.inf) if likelihood in COUNTS else span


def match_inputs(
    data: Any, expected: Expected, *, features: Features = None, preprocess: str | None = None
) -> Prepared:
    """Read items into memory and repeat the preprocessing of an existing space; refuse items that do not fit it.

    Raises
    ------
    IncompatibleError
        With every difference found: shape, preprocessing, feature names, range of values.
    """
    items = prepare_within(ALL, data, expected, features=features, preprocess=preprocess)
    if isinstance(items, Streamable):  # nothing is larger
        raise IncompatibleError("the data does not fit into memory")
    return items


def prepare_within(
    budget: int,
    data: Any,
    expected: Expected | None,
    *,
    features: Features,
    preprocess: str | None,
    fitted_to: Callable[[Rows], Array] | None = None,
    only: Callable[[Rows], Array] | None = None,
) -> Prepared | Streamable:
    """Read items and fit the preprocessing, where a space begins, or repeat that of an existing space.

    Parameters
    ----------
    budget : int
        Bytes of all inputs as float32 that may be held in memory; larger data stays on disk. What is read at once to
        prepare them comes on top.
    data : Source or what can be its `data`
        Raw items.
    expected : Expected, optional
        An existing space; without one, the preprocessing is fitted.
    features : str or sequence of str, optional
        Names of the features, where the source has none.
    preprocess : str, optional
        Without a space: the steps to fit; None scales uint8 items that go beyond 1 by ``scale(0, 255)``, makes
        spectrograms of sounds and leaves others alone; ``"none"`` leaves all alone. With one, it must agree.
    fitted_to : callable, optional
        The rows to the numbers of those that shape what is fitted: preprocessing, and the facts that a range of values
        comes from. The others are prepared like them, and leave no trace in any constant.
    only : callable, optional
        The rows to the numbers of those that are read at all, sorted, as if the data held no others.

    Raises
    ------
    SourceError
        If the data cannot be read, or does not fit and cannot be read in parts.
    IncompatibleError
        If it does not fit the space, with every difference found.
    """
    matched = open_matched(data, expected, features=features)
    if only is not None and len(numbers := only(matched.rows)) < matched.rows.shape[0]:
        matched = replace(matched, rows=subset(matched.rows, numbers))
    kept = None if fitted_to is None else fitted_to(matched.rows)
    where = str(as_source(data))
    if expected is None and matched.differences:
        matched.rows.close()
        raise UsageError("; ".join(matched.differences) + ": leave it out")
    fits = 4 * math.prod(matched.rows.shape) <= budget
    if fits:
        matched = replace(matched, rows=_held(matched.rows))
    rows = matched.rows
    plan = Blocks.within(ALL if fits else budget, rows, max(math.prod(rows.shape[1:]), 1))
    raw = Stream(rows, [], where)
    steps = _steps(expected, matched, preprocess, lambda: _of_kept(raw.raw_blocks(plan.block), kept))
    stream = Stream(rows, steps, where)
    if expected is not None:
        _refuse(matched.differences or _shape_differences(stream, expected), expected)
    info = InputInfo(
        str(rows.dtype) if not rows.holds_sounds else "sound", steps, matched.names, matched.filled, len(rows.skipped),
        _notes(matched), rows.columns,
    )  # fmt: skip
    items: Prepared | Streamable
    if 4 * math.prod(stream.shape) <= budget:
        items = Prepared(stream.collected(plan.block), info, replace(rows, read=_all_read), kept)
    else:
        items = Streamable(stream, info, Blocks.within(budget, rows, stream.item_size), kept)
    if expected is not None and expected.value_range is not None:
        _refuse(_range_differences(items.facts, expected.value_range, expected, steps), expected)
    return items


def note_order(info: InputInfo, expected: Expected, features: Features) -> tuple[str, ...]:
    """Return what to say where a model names no features, and the data does."""
    if expected.feature_names is not None or info.feature_names is None or features is not None:
        return ()
    return (
        f"{expected.holder} names no features, so the columns of the data were taken in their order: "
        f"{some(info.feature_names)}. `features` says which the model takes, in its order",
    )


def open_matched(data: Any, expected: Expected | None, *, features: Features) -> Matched:
    """Open items, and bring their features into the order that is expected; differences are noted, not raised."""
    rows = open_rows(data)
    wanted = None if expected is None else expected.feature_names
    holder = "the model" if expected is None else expected.holder
    source = as_source(data)
    return match_features(rows, features, wanted, holder=holder, source=str(source), fill=source.fill_missing)


def value_range(facts: Facts) -> tuple[float, float]:
    """Return the range of values to declare: 0 to 1 where it holds all, else round ends, which are no item's own."""
    return (0.0, 1.0) if facts.low >= 0 and facts.high <= 1 else outward(facts.low, facts.high)


def _of_kept(blocks: Iterator[Array], kept: Array | None) -> Iterator[Array]:
    """Yield what is left of blocks, one after the other, of rows with these sorted numbers."""
    if kept is None:
        yield from blocks
        return
    start = 0
    for block in blocks:
        first, last = np.searchsorted(kept, (start, start + len(block)))
        if last > first:
            yield block if last - first == len(block) else block[kept[first:last] - start]
        start += len(block)


def _held(rows: Rows) -> Rows:
    """Return rows in memory, where they are few or can only be read whole; else as they are."""
    n_rows = rows.shape[0]
    if rows.holds_sounds or (rows.piece < n_rows and math.prod(rows.shape) * rows.dtype.itemsize > READ_WHOLE):
        return rows
    array = rows.read(0, n_rows)
    return replace(rows, piece=1, read=lambda start, stop: array[start:stop])


def _all_read(start: int, stop: int) -> Array:
    raise SourceError("these rows are in memory as inputs: they are not read again")


def _steps(
    expected: Expected | None, matched: Matched, preprocess: str | None, blocks: Callable[[], Iterator[Array]]
) -> list[tuple[str, Step]]:
    """Return the steps of the space that is expected, or else fit new ones."""
    if expected is None or expected.steps is None:
        if expected is not None:
            _refuse(matched.differences, expected)
        return preprocessing.fit_blocks(preprocess or _usual(matched.rows, expected, blocks), blocks)
    declared = preprocessing.describe(expected.steps)
    if preprocess is not None and not preprocessing.agrees(preprocess, expected.steps):
        said = f"`preprocess` says {preprocess!r}, {expected.holder} declares {declared!r}"
        _refuse([said, *matched.differences], expected)
    return expected.steps


def _usual(rows: Rows, expected: Expected | None, blocks: Callable[[], Iterator[Array]]) -> str:
    """Return the steps where nobody names any: those of a model of others are its own affair."""
    if rows.holds_sounds:
        return "spectrogram"
    if expected is not None or rows.dtype != np.uint8 or all(block.max() <= 1 for block in blocks()):
        return "none"
    return "scale(0, 255)"


def _shape_differences(stream: Stream, expected: Expected) -> list[str]:
    raw, steps = stream.rows.shape[1:], preprocessing.describe(stream.steps)
    after = f" after {steps}" if stream.steps else ""
    if expected.shape is None or expected.steps is None:  # an encoder that is tried on items says more
        return []
    try:
        shape = stream.shape[1:]
    except PreprocessingError as error:
        return [f"an item of the data has shape {raw}, to which {expected.holder}'s steps do not apply: {error}"]
    if shape == expected.shape:
        return []
    advice = steps_between(shape, expected.shape, stream.rows.shape[0]) if expected.steps is None else ""
    return [
        f"an item of the data has shape {shape}{after}, {expected.holder} has {expected.shape}.{advice}".rstrip(".")
    ]


def _notes(matched: Matched) -> tuple[str, ...]:
    """Return what the user should know of the data."""
    notes = list(matched.notes)
    if skipped := matched.rows.skipped:
        more = f"; … ({len(skipped):,} in all)" if len(skipped) > SHOWN_BAD else ""
        notes.append(f"bad items left out: {len(skipped):,}. " + "; ".join(skipped[:SHOWN_BAD]) + more)
    return tuple(notes)


def _refuse(differences: Sequence[str], expected: Expected) -> None:
    if differences:
        raise IncompatibleError(f"the data does not fit {expected.holder}:\n  - " + "\n  - ".join(differences))


def _range_differences(
    facts: Facts, span: tuple[float, float], expected: Expected, steps: Sequence[tuple[str, Step]]
) -> list[str]:
    """A range that is off by more than its own width tells of another unit or scaling, not of other items."""
    low, high = span
    width = max(high - low, 1e-12)
    if low - width <= facts.low and facts.high <= high + width:
        return []
    return [
        f"after preprocessing ({preprocessing.describe(steps)}) the data ranges from {facts.low:g} to "
        f"{facts.high:g}, but inputs of {expected.holder} range from {low:g} to {high:g}: bring the data to the same "
        "units first"
    ]
