"""What a preprocessing step is, fitted and as a plug-in."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from pydantic import JsonValue

from rosetta.arrays import Array
from rosetta.errors import PreprocessingError
from rosetta.registry import Registry


class ItemError(PreprocessingError):
    """An item that a step refuses.

    Parameters
    ----------
    row : int
        Its number, from 0, among the items that the step was given.
    problem : str
        What is wrong with it, to follow "item 7" in the message, and what to do.
    """

    def __init__(self, row: int, problem: str) -> None:
        super().__init__(f"item {row} (counted from 0) {problem}")
        self.row = row
        self.problem = problem


class Step(Protocol):
    """A fitted step. It works on each item alone."""

    @property
    def parameters(self) -> Mapping[str, JsonValue]:
        """Its arguments, as they stand in the manifest."""

    @property
    def arrays(self) -> Mapping[str, Array]:
        """What it learned from the sender's data."""

    def __call__(self, inputs: Array) -> Array:
        """Return preprocessed `inputs`, float32, shape (n_items, …)."""


@dataclass(frozen=True)
class StepKind:
    """How a step comes to be.

    Parameters
    ----------
    fit : callable
        From the sender's inputs as blocks of items, each of shape (n_items, …), and the numbers after the step's
        name, to the fitted step. A number is None where the text leaves it to be found from the data.
    restore : callable
        From a manifest's parameters and arrays to the fitted step. Raises ValueError for what it cannot be.
    arguments : tuple of str
        Names of the numbers, its parameters, in the order that they are written in.
    arrays : tuple of str
        Names of what it learns.
    defaults : mapping of str to float or None
        Numbers of the arguments that may be left out; None is found from the sender's data when the step is fitted.
    can_give : callable, optional
        For a step whose result may be of another shape than what it takes: from the fitted step and the shape of an
        item of a result to whether there is an item that it makes this of. None for a step that keeps shapes.
    takes_sounds : bool
        Whether items may be `rosetta.arrays.Sound`: blocks are then object arrays of shape (n_items,).
    """

    fit: Callable[..., Step]
    restore: Callable[[Mapping[str, Any], Mapping[str, Array]], Step]
    arguments: tuple[str, ...] = ()
    arrays: tuple[str, ...] = ()
    defaults: Mapping[str, float | None] = field(default_factory=dict)
    can_give: Callable[[Any, tuple[int, ...]], bool] | None = None
    takes_sounds: bool = False


steps: Registry[StepKind] = Registry("preprocessing step", "rosetta.preprocessing")


@dataclass(frozen=True)
class Fixed:
    """A step that has no parameters and learns nothing."""

    compute: Callable[[Array], Array]

    @property
    def parameters(self) -> Mapping[str, JsonValue]:
        """None."""
        return {}

    @property
    def arrays(self) -> Mapping[str, Array]:
        """None."""
        return {}

    def __call__(self, inputs: Array) -> Array:
        """Return preprocessed `inputs`, float32."""
        return self.compute(inputs)


def fixed(compute: Callable[[Array], Array], *, n_axes: int | None = None) -> StepKind:
    """Return the kind of a step that does the same to all data.

    Parameters
    ----------
    compute : callable
        From inputs, shape (n_items, …), to preprocessed inputs, float32.
    n_axes : int, optional
        Axes of an item of the result, for a step that changes shapes.
    """
    step = Fixed(compute)
    can_give = None if n_axes is None else lambda step, shape: len(shape) == n_axes
    return StepKind(lambda blocks: step, lambda parameters, arrays: step, can_give=can_give)
