"""From raw items to inputs: fitted once where a space begins, repeated and compared everywhere after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rosetta import preprocessing
from rosetta.arrays import Array
from rosetta.errors import IncompatibleError, SourceError
from rosetta.models.checkpoint import Checkpoint
from rosetta.preprocessing import Step
from rosetta.sources import read_items, read_names

Features = str | Sequence[str] | None


@dataclass(frozen=True)
class Prepared:
    """Items ready for an encoder."""

    inputs: Array  # float32, shape (n_items, …)
    raw_dtype: str
    steps: list[tuple[str, Step]]
    feature_names: tuple[str, ...] | None


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
    return Expected("the run", config.input_shape, steps, config.feature_names, config.value_range)


def fit_inputs(data: str | Array, *, features: Features, preprocess: str | None) -> Prepared:
    """Read items and fit the preprocessing: the sender's side, where a space begins.

    `preprocess` None scales uint8 items that go beyond 1 by ``scale(0, 255)`` and leaves others alone;
    ``"none"`` leaves all alone.
    """
    items = read_items(data)
    names = _names(features, items)
    if preprocess is None:
        preprocess = "scale(0, 255)" if items.dtype == np.uint8 and items.max() > 1 else "none"
    steps, inputs = preprocessing.fit(preprocess, items)
    return Prepared(_finite(inputs), str(items.dtype), steps, names)


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
    names = _names(features, items)
    differences = []
    if items.shape[1:] != expected.shape:
        differences.append(f"an item of the data has shape {items.shape[1:]}, {expected.holder} has {expected.shape}")
    declared = preprocessing.describe(expected.steps)
    if preprocess is not None and preprocessing.parse(preprocess) != preprocessing.parse(declared):
        differences.append(f"--preprocess says {preprocess!r}, {expected.holder} declares {declared!r}")
    differences += _name_differences(names, expected)
    if not differences:
        inputs = _finite(preprocessing.apply(expected.steps, items))
        differences += _range_differences(inputs, expected, declared)
    if differences:
        raise IncompatibleError(f"the data does not fit {expected.holder}:\n  - " + "\n  - ".join(differences))
    return Prepared(inputs, str(items.dtype), expected.steps, names)


def value_range(inputs: Array) -> tuple[float, float]:
    """Return the range of values to declare: 0 to 1 where it holds all, else the smallest that does."""
    low, high = float(inputs.min()), float(inputs.max())
    return (0.0, 1.0) if low >= 0 and high <= 1 else (low, high)


def _names(features: Features, items: Array) -> tuple[str, ...] | None:
    if features is None:
        return None
    names = read_names(features) if isinstance(features, str) else tuple(features)
    if items.ndim != 2 or len(names) != items.shape[1]:
        raise SourceError(
            f"{len(names)} feature names for items of shape {items.shape[1:]}: one for each feature is needed"
        )
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


def _range_differences(inputs: Array, expected: Expected, declared: str) -> list[str]:
    """A range that is off by more than its own width tells of another unit or scaling, not of other items."""
    low, high = expected.value_range
    found_low, found_high = float(inputs.min()), float(inputs.max())
    width = max(high - low, 1e-12)
    if low - width <= found_low and found_high <= high + width:
        return []
    return [
        f"after preprocessing ({declared}) the data ranges from {found_low:g} to {found_high:g}, but inputs of "
        f"{expected.holder} range from {low:g} to {high:g}: bring the data to the same units first"
    ]


def _finite(inputs: Array) -> Array:
    with np.errstate(over="ignore"):  # what overflows becomes infinity, and is refused below
        inputs = np.asarray(inputs, dtype=np.float32)
    if not np.isfinite(inputs).all():
        row = int((~np.isfinite(inputs)).reshape(len(inputs), -1).any(axis=1).argmax())
        raise SourceError(f"after preprocessing, as 32-bit floats, row {row} holds NaN or infinity: rescale the data")
    return inputs


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:8]) + (", …" if len(names) > 8 else "")
