"""Declared steps from a raw item to an input: fitted once by the sender, repeated exactly by every receiver."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

import numpy as np

from rosetta.arrays import Array
from rosetta.errors import PreprocessingError
from rosetta.preprocessing.kinds import ItemError, Step, StepKind, fixed, steps
from rosetta.preprocessing.records import from_records, to_records
from rosetta.preprocessing.text import agrees, describe, describe_records, parse
from rosetta.schemas.manifest import PreprocessingStep

__all__ = [
    "Fitted",
    "ItemError",
    "PreprocessingStep",
    "Step",
    "StepKind",
    "agrees",
    "apply",
    "blocks_of",
    "check_result",
    "describe",
    "describe_records",
    "fit",
    "fit_blocks",
    "fixed",
    "from_records",
    "parse",
    "steps",
    "to_records",
]

LARGEST_BLOCK = 1 << 22  # numbers that a step is fitted to at once
APPLIED_BLOCK = 1 << 16  # numbers that go through all steps before the next: what is made on the way stays in cache
SOUND = 1 << 14  # numbers that a sound counts as

Fitted = Sequence[tuple[str, Step]]


def fit(text: str, inputs: Array) -> tuple[list[tuple[str, Step]], Array]:
    """Fit the steps that `text` names, such as ``"scale(0, 255) | standardize"``, one after the other.

    Parameters
    ----------
    text : str
        The steps.
    inputs : array, shape (n_items, …)
        Raw items: numbers, or objects of `rosetta.arrays.Sound`, shape (n_items,).

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
            step = steps.get(name).fit(_before(name, fitted, blocks()), *numbers)
        except ValueError as error:
            raise PreprocessingError(f"the step {name!r} does not work: {error}") from error
        fitted.append((name, step))
    return fitted


def _before(name: str, fitted: Fitted, blocks: Iterator[Array]) -> Iterator[Array]:
    """Yield what the step called `name` is fitted to."""
    n_done = 0
    for block in blocks:
        yield _fit_for(name, apply(fitted, block, first=n_done) if fitted else block)
        n_done += len(block)


def apply(fitted: Fitted, inputs: Array, *, first: int = 0) -> Array:
    """Return `inputs`, shape (n_items, …), after all the steps, as float32.

    Parameters
    ----------
    fitted : sequence of (name, step)
        The steps.
    inputs : array, shape (n_items, …)
        Raw items: numbers, or objects of `rosetta.arrays.Sound`, shape (n_items,).
    first : int
        Number of the first item, for messages.

    Raises
    ------
    PreprocessingError
        If a step refuses the shape or the numbers of what it is given.
    """
    if not fitted or len(inputs) * _item_size(inputs) <= APPLIED_BLOCK:
        return _after(fitted, inputs, first)
    blocks = blocks_of(inputs, APPLIED_BLOCK)
    done = _after(fitted, next(blocks), first)
    whole, n_done = np.empty((len(inputs), *done.shape[1:]), dtype=np.float32), len(done)
    whole[:n_done] = done
    for block in blocks:
        whole[n_done : n_done + len(block)] = _after(fitted, block, first + n_done)
        n_done += len(block)
    return whole


def _after(fitted: Fitted, inputs: Array, first: int) -> Array:
    try:
        for name, step in fitted:
            inputs = step(_fit_for(name, inputs))
    except ItemError as error:
        raise ItemError(first + error.row, error.problem) from error
    if inputs.dtype == object:
        raise PreprocessingError("inputs are numbers, and these items are sounds: begin with the step spectrogram")
    return np.asarray(inputs, dtype=np.float32)


def _fit_for(name: str, inputs: Array) -> Array:
    """Return `inputs` unchanged if the step takes what they are."""
    if inputs.dtype == object and not steps.get(name).takes_sounds:
        raise PreprocessingError(f"the step {name!r} takes numbers, and these are sounds: begin with spectrogram")
    return inputs


def blocks_of(inputs: Array, n_numbers: int = LARGEST_BLOCK) -> Iterator[Array]:
    """Return blocks of `inputs`, shape (n_items, …), of about `n_numbers` numbers each; a sound is 16,384 numbers."""
    n_rows = max(n_numbers // max(_item_size(inputs), 1), 1)
    return (inputs[start : start + n_rows] for start in range(0, len(inputs), n_rows))


def _item_size(inputs: Array) -> int:
    return inputs.size // max(len(inputs), 1) * (SOUND if inputs.dtype == object else 1)


def check_result(records: Sequence[PreprocessingStep], stored: Mapping[str, Array], shape: tuple[int, ...]) -> None:
    """Refuse the first step of `records` if it cannot be rebuilt, or cannot give inputs of `shape` with those after it.

    What it gives is known only if the steps after it keep shapes: how many numbers there were before a step that does
    not is nowhere said.

    Raises
    ------
    PreprocessingError
        Says what is wrong with the step.
    """
    ((name, step),) = from_records(records[:1], stored)
    if not all(record.name in steps and steps.get(record.name).can_give is None for record in records[1:]):
        return
    can_give = steps.get(name).can_give
    if can_give is not None and not can_give(step, shape):
        raise PreprocessingError(f"the declared step {name!r} cannot give inputs of shape {shape}")
    if can_give is None:
        with np.errstate(all="ignore"):
            apply([(name, step)], np.zeros((1, *shape), dtype=np.float32))
