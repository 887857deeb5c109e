"""Declared steps from a raw item to an input: fitted once by the sender, repeated exactly by every receiver."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
from pydantic import JsonValue

from rosetta.arrays import Array
from rosetta.errors import PreprocessingError
from rosetta.registry import Registry
from rosetta.schemas.manifest import PreprocessingStep


class Step(Protocol):
    """A fitted step."""

    @property
    def parameters(self) -> Mapping[str, JsonValue]:
        """Its arguments, as they stand in the manifest."""

    @property
    def arrays(self) -> Mapping[str, Array]:
        """What it learned from the sender's data."""

    def __call__(self, inputs: Array) -> Array:
        """Return preprocessed `inputs`, float32, shape (n_items, …)."""


class StepKind(NamedTuple):
    """How a step comes to be."""

    # from the sender's inputs as blocks of items, each of shape (n_items, …), and the numbers after the step's name
    fit: Callable[..., Step]
    restore: Callable[[Mapping[str, Any], Mapping[str, Array]], Step]  # from a manifest's parameters and arrays
    arguments: tuple[str, ...] = ()  # names of the numbers, its parameters, in the order that they are written in
    arrays: tuple[str, ...] = ()  # names of what it learns


steps: Registry[StepKind] = Registry("preprocessing step", "rosetta.preprocessing")

LARGEST_BLOCK = 1 << 26  # numbers; larger arrays are worked on block by block, for what is made on the way

Fitted = Sequence[tuple[str, Step]]

_CALL = re.compile(r"\s*([a-z_0-9]+)\s*(?:\(([^()]*)\))?\s*")


def fit(text: str, inputs: Array) -> tuple[list[tuple[str, Step]], Array]:
    """Fit the steps that `text` names, such as ``"scale(0, 255) | standardize"``, one after the other.

    Returns
    -------
    list of (name, step), and float32 array, shape (n_items, …)
        The fitted steps and the preprocessed inputs.

    Raises
    ------
    PreprocessingError
        If the text cannot be read, or a step refuses its arguments or the data.
    """
    fitted = fit_blocks(text, lambda: blocks_of(inputs))
    return fitted, apply(fitted, inputs)


def fit_blocks(text: str, blocks: Callable[[], Iterator[Array]]) -> list[tuple[str, Step]]:
    """Fit steps as `fit` does to items that need not be in memory all at once.

    Parameters
    ----------
    text : str
        The steps.
    blocks : callable
        Called at most once for each step: yields all items in blocks, each of shape (n_items, …).

    Raises
    ------
    PreprocessingError
        If the text cannot be read, or a step refuses its arguments or the data.
    """
    fitted: list[tuple[str, Step]] = []
    for name, numbers in parse(text):
        try:
            step = steps.get(name).fit((_after(fitted, block) for block in blocks()), *numbers)
        except ValueError as error:
            raise PreprocessingError(f"the step {name!r} does not work: {error}") from error
        fitted.append((name, step))
    return fitted


def parse(text: str) -> list[tuple[str, list[float]]]:
    """Return the names and numbers of the steps in `text`; none for ``"none"``.

    Raises
    ------
    PreprocessingError
        If the text cannot be read, or a step takes other numbers.
    """
    if text.strip() == "none":
        return []
    calls = []
    for part in text.split("|"):
        call = _CALL.fullmatch(part)
        if call is None:
            raise PreprocessingError(
                f"cannot read the step {part.strip()!r}: write name or name(number, …), joined by |"
            )
        calls.append((call.group(1), _numbers(part, call.group(2) or "", steps.get(call.group(1)))))
    return calls


def _numbers(step: str, text: str, kind: StepKind) -> list[float]:
    parts = [part.strip() for part in text.split(",")] if text.strip() else []
    form = f"({', '.join(kind.arguments)})" if kind.arguments else "no arguments"
    try:
        numbers = [float(part) for part in parts]
    except ValueError as error:
        raise PreprocessingError(f"the step {step.strip()!r} takes {form}, as plain numbers") from error
    if len(numbers) != len(kind.arguments):
        raise PreprocessingError(f"the step {step.strip()!r} takes {form}, but has {len(numbers)} numbers")
    return numbers


def apply(fitted: Fitted, inputs: Array) -> Array:
    """Return `inputs`, shape (n_items, …), after all the steps, as float32."""
    if not fitted or inputs.size <= LARGEST_BLOCK:
        return np.asarray(_after(fitted, inputs), dtype=np.float32)
    blocks = blocks_of(inputs)
    first = _after(fitted, next(blocks))
    whole = np.empty((len(inputs), *first.shape[1:]), dtype=np.float32)
    whole[: len(first)], n_done = first, len(first)
    for block in blocks:
        whole[n_done : n_done + len(block)] = _after(fitted, block)
        n_done += len(block)
    return whole


def _after(fitted: Fitted, inputs: Array) -> Array:
    for _, step in fitted:
        inputs = step(inputs)
    return inputs


def blocks_of(inputs: Array, n_numbers: int = LARGEST_BLOCK) -> Iterator[Array]:
    """Return blocks of `inputs`, shape (n_items, …), of about `n_numbers` numbers each."""
    n_rows = max(n_numbers * len(inputs) // max(inputs.size, 1), 1)
    return (inputs[start : start + n_rows] for start in range(0, len(inputs), n_rows))


def describe(fitted: Iterable[tuple[str, Step]]) -> str:
    """Return the steps as text, in the form that `fit` reads; ``none`` if there is none."""
    return _text((name, step.parameters) for name, step in fitted)


def describe_records(records: Iterable[PreprocessingStep]) -> str:
    """Return the steps of a manifest or run as text, as `describe` does."""
    return _text((record.name, record.parameters) for record in records)


def _text(named: Iterable[tuple[str, Mapping[str, JsonValue]]]) -> str:
    parts = []
    for name, parameters in named:
        # a JSON object has no order of its own
        order = steps.get(name).arguments if name in steps else tuple(sorted(parameters))
        numbers = ", ".join(f"{v:g}" if isinstance(v, int | float) else str(v) for v in map(parameters.get, order))
        parts.append(f"{name}({numbers})" if numbers else name)
    return " | ".join(parts) or "none"


def to_records(
    fitted: Iterable[tuple[str, Step]], where: Any
) -> tuple[tuple[PreprocessingStep, ...], dict[str, Array]]:
    """Return the steps as records and their arrays by path; `where(number, name)` gives each array's path."""
    records, stored = [], {}
    for number, (name, step) in enumerate(fitted):
        paths = {key: where(number, key) for key in step.arrays}
        records.append(PreprocessingStep(name=name, parameters=dict(step.parameters), arrays=paths))
        stored.update({paths[key]: array for key, array in step.arrays.items()})
    return tuple(records), stored


def from_records(records: Iterable[PreprocessingStep], stored: Mapping[str, Array]) -> list[tuple[str, Step]]:
    """Return the fitted steps of a manifest or run, or raise PreprocessingError if one cannot be rebuilt."""
    fitted = []
    for record in records:
        try:
            kind = steps.get(record.name)
            _check_names(record, kind)
            arrays = {key: stored[path] for key, path in record.arrays.items()}
            fitted.append((record.name, kind.restore(record.parameters, arrays)))
        except (KeyError, TypeError, ValueError) as error:
            raise PreprocessingError(f"the declared step {record.name!r} cannot be rebuilt: {error}") from error
    return fitted


def _check_names(record: PreprocessingStep, kind: StepKind) -> None:
    """Refuse a step with other parameters or arrays than its kind has: what is left over may have meant something."""
    for what, found, expected in (
        ("parameters", set(record.parameters), set(kind.arguments)),
        ("arrays", set(record.arrays), set(kind.arrays)),
    ):
        if found != expected:
            raise ValueError(f"its {what} are {sorted(found) or 'none'}, expected {sorted(expected) or 'none'}")
    for name, value in record.parameters.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"its parameter {name} is {value!r}, expected a number")
