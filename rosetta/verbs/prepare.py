"""From raw items to inputs: fitted once where a space begins, repeated and compared everywhere after."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from os import PathLike
from typing import Any

import numpy as np

from rosetta import preprocessing
from rosetta.arrays import Array
from rosetta.bundle import Bundle
from rosetta.errors import IncompatibleError, SourceError
from rosetta.models.checkpoint import Checkpoint
from rosetta.preprocessing import Step
from rosetta.sources import Rows, open_rows, read_items, read_names
from rosetta.verbs.trainings.streaming import Blocks, Facts, Stream, facts_of, refuse_nonfinite, refuse_overflow

COUNTS = ("poisson", "negative-binomial")

Features = str | Sequence[str] | None

READ_WHOLE = 1 << 28  # bytes of a file that are read at once; of more, no raw copy is kept beside the inputs
FACTS_BLOCK = 1 << 20  # numbers that are looked at together


@dataclass(frozen=True)
class Prepared:
    """Items ready for an encoder, in memory."""

    inputs: Array  # float32, shape (n_items, …)
    raw_dtype: str
    steps: list[tuple[str, Step]]
    feature_names: tuple[str, ...] | None

    @cached_property
    def facts(self) -> Facts:
        """What is to be known of all inputs."""
        return facts_of(preprocessing.blocks_of(self.inputs, FACTS_BLOCK))

    def close(self) -> None:
        """Do nothing: no file is open."""


@dataclass(frozen=True)
class Streamable:
    """Items ready for an encoder, read from disk whenever they are wanted."""

    inputs: Stream
    raw_dtype: str
    steps: list[tuple[str, Step]]
    feature_names: tuple[str, ...] | None
    facts: Facts
    blocks: Blocks

    def close(self) -> None:
        """Give the file back."""
        self.inputs.rows.close()


@dataclass(frozen=True)
class Expected:
    """What an existing space expects of inputs."""

    holder: str  # what expects it, for messages: "the bundle", "the run"
    shape: tuple[int, ...]
    steps: list[tuple[str, Step]]
    feature_names: tuple[str, ...] | None
    value_range: tuple[float, float]


def expected_by(run: Checkpoint) -> Expected:
    """Return what a run's model expects."""
    config = run.config
    steps = preprocessing.from_records(config.preprocessing, run.step_arrays)
    span = tolerated(config.value_range, config.settings.likelihood)
    return Expected("the run", config.input_shape, steps, config.feature_names, span)


def expected_in(bundle: Bundle) -> Expected:
    """Return what a bundle's latent space expects."""
    described = bundle.manifest.content.input
    steps = preprocessing.from_records(bundle.manifest.content.preprocessing, bundle.arrays)
    return Expected("the bundle", described.shape, steps, described.feature_names, described.value_range)


def tolerated(span: tuple[float, float], likelihood: str) -> tuple[float, float]:
    """Return the range that a likelihood lets inputs lie in, as far as they are known: counts have no upper end."""
    return (span[0], math.inf) if likelihood in COUNTS else span


def fit_inputs(data: str | Array, *, features: Features, preprocess: str | None) -> Prepared:
    """Read items and fit the preprocessing: the sender's side, where a space begins.

    `preprocess` None scales uint8 items that go beyond 1 by ``scale(0, 255)`` and leaves others alone;
    ``"none"`` leaves all alone.
    """
    items = read_items(data)
    return _in_memory(items, None, _names(features, items.shape), preprocess)


def match_inputs(
    data: str | Array, expected: Expected, *, features: Features = None, preprocess: str | None = None
) -> Prepared:
    """Read items and repeat the preprocessing of an existing space; refuse items that do not fit it.

    Raises
    ------
    IncompatibleError
        With every difference found: shape, preprocessing, feature names, range of values.
    """
    items = read_items(data)
    return _in_memory(items, expected, _names(features, items.shape), preprocess)


def prepare_within(
    budget: int, data: str | Array, expected: Expected | None, *, features: Features, preprocess: str | None
) -> Prepared | Streamable:
    """Prepare items as `fit_inputs` or `match_inputs` do, in memory if that takes no more than `budget` there.

    Parameters
    ----------
    budget : int
        Bytes of all inputs as float32. What is read at once to prepare them comes on top.
    expected : Expected, optional
        An existing space; without one, the preprocessing is fitted.

    Raises
    ------
    SourceError, IncompatibleError
        As they do; and SourceError for a file that does not fit, and cannot be read in parts.
    """
    if not isinstance(data, str | PathLike):
        items = read_items(data)
        return _in_memory(items, expected, _names(features, items.shape), preprocess)
    rows = open_rows(data)
    names = _names(features, rows.shape)
    n_numbers, n_rows = math.prod(rows.shape), rows.shape[0]
    fits = 4 * n_numbers <= budget
    if fits and (n_numbers * rows.dtype.itemsize <= READ_WHOLE or rows.piece >= n_rows):
        items = rows.read(0, n_rows)
        rows.close()
        refuse_nonfinite(items, first=0, where=str(data))
        return _in_memory(items, expected, names, preprocess)
    return _in_blocks(rows, expected, names, preprocess, where=str(data), budget=budget, fits=fits)


def value_range(facts: Facts) -> tuple[float, float]:
    """Return the range of values to declare: 0 to 1 where it holds all, else the smallest that does."""
    return (0.0, 1.0) if facts.low >= 0 and facts.high <= 1 else (facts.low, facts.high)


def _in_memory(
    items: Array, expected: Expected | None, names: tuple[str, ...] | None, preprocess: str | None
) -> Prepared:
    steps = _steps(expected, items.shape, names, preprocess, items.dtype, lambda: preprocessing.blocks_of(items))
    with np.errstate(over="ignore"):  # what overflows becomes infinity, and is refused below
        inputs = preprocessing.apply(steps, items)
    refuse_overflow(inputs)
    prepared = Prepared(inputs, str(items.dtype), steps, names)
    if expected is not None:
        _refuse(_range_differences(prepared.facts, expected), expected)
    return prepared


def _in_blocks(
    rows: Rows, expected: Expected | None, names: tuple[str, ...] | None, preprocess: str | None,
    *, where: str, budget: int, fits: bool,
) -> Prepared | Streamable:  # fmt: skip
    """Prepare items that are read in blocks, whether they are kept or not."""
    plan = Blocks.within(budget, rows, math.prod(rows.shape[1:]))
    raw = Stream(rows, [], where)
    steps = _steps(expected, rows.shape, names, preprocess, rows.dtype, lambda: raw.raw_blocks(plan.block))
    stream = Stream(rows, steps, where)
    items: Prepared | Streamable
    if fits:
        items = Prepared(stream.collected(plan.block), str(rows.dtype), steps, names)
        rows.close()
    else:
        facts = facts_of(stream.blocks(plan.block))
        items = Streamable(stream, str(rows.dtype), steps, names, facts, Blocks.within(budget, rows, stream.item_size))
    if expected is not None:
        _refuse(_range_differences(items.facts, expected), expected)
    return items


def _steps(
    expected: Expected | None, shape: tuple[int, ...], names: tuple[str, ...] | None, preprocess: str | None,
    dtype: np.dtype[Any], blocks: Callable[[], Iterator[Array]],
) -> list[tuple[str, Step]]:  # fmt: skip
    """Return the steps of the space that is expected, if raw items are of its form, or else fit new ones."""
    if expected is None:
        if preprocess is None:
            is_scaled = dtype != np.uint8 or all(block.max() <= 1 for block in blocks())
            preprocess = "none" if is_scaled else "scale(0, 255)"
        return preprocessing.fit_blocks(preprocess, blocks)
    differences = []
    if shape[1:] != expected.shape:
        differences.append(f"an item of the data has shape {shape[1:]}, {expected.holder} has {expected.shape}")
    declared = preprocessing.describe(expected.steps)
    if preprocess is not None and preprocessing.parse(preprocess) != preprocessing.parse(declared):
        differences.append(f"--preprocess says {preprocess!r}, {expected.holder} declares {declared!r}")
    _refuse(differences + _name_differences(names, expected), expected)
    return expected.steps


def _refuse(differences: Sequence[str], expected: Expected) -> None:
    if differences:
        raise IncompatibleError(f"the data does not fit {expected.holder}:\n  - " + "\n  - ".join(differences))


def _names(features: Features, shape: tuple[int, ...]) -> tuple[str, ...] | None:
    if features is None:
        return None
    names = read_names(features) if isinstance(features, str) else tuple(features)
    if len(shape) != 2 or len(names) != shape[1]:
        raise SourceError(f"{len(names)} feature names for items of shape {shape[1:]}: one for each feature is needed")
    return names


def _name_differences(names: tuple[str, ...] | None, expected: Expected) -> list[str]:
    wanted = expected.feature_names
    if wanted is None or names == wanted:
        return []
    if names is None:
        return [f"{expected.holder} names its {len(wanted)} features ({_some(wanted)}): pass yours with --features"]
    missing = [n for n in wanted if n not in set(names)]
    extra = [n for n in names if n not in set(wanted)]
    differences = []
    if missing:
        differences.append(f"{len(missing)} features of {expected.holder} are missing from the data: {_some(missing)}")
    if extra:
        differences.append(f"{len(extra)} features of the data are unknown to {expected.holder}: {_some(extra)}")
    if not differences:
        place = next(i for i, (a, b) in enumerate(zip(names, wanted, strict=True)) if a != b)
        differences.append(
            f"the features are in another order: number {place} is {names[place]!r} in the data, "
            f"{wanted[place]!r} in {expected.holder}; reorder the data's columns"
        )
    return differences


def _range_differences(facts: Facts, expected: Expected) -> list[str]:
    """A range that is off by more than its own width tells of another unit or scaling, not of other items."""
    low, high = expected.value_range
    width = max(high - low, 1e-12)
    if low - width <= facts.low and facts.high <= high + width:
        return []
    return [
        f"after preprocessing ({preprocessing.describe(expected.steps)}) the data ranges from {facts.low:g} to "
        f"{facts.high:g}, but inputs of {expected.holder} range from {low:g} to {high:g}: bring the data to the same "
        "units first"
    ]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
