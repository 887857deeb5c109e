"""Whether a program is the network that it was written from."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from rosetta.arrays import Array, Floats
from rosetta.errors import ModelError
from rosetta.programs import Program

TOLERANCE = 1e-5  # some 80 roundings of float32, whose order a runtime chooses
LARGEST_SD = 1e30  # a float32 overflows soon after


def check_same(
    program: Program, model: Program, batches: Sequence[Array], *, gives: Sequence[str], unit: float
) -> float:
    """Return the largest difference between a program's numbers and its model's.

    Parameters
    ----------
    program, model : callable
        From one array of items to a tuple of arrays.
    batches : sequence of float32 array, each of shape (n_items, …)
        What both are given, of different n_items.
    gives : sequence of str
        Names of the results. Standard deviations, ``latents_sd``, are compared by their logarithms: they are
        exponentials, whose roundings grow with them.
    unit : float
        What counts as a number of ordinary size; 0 if the largest that the model gives is to say.

    Returns
    -------
    float
        In the units of the results, logarithms where they are compared so.

    Raises
    ------
    ModelError
        If shapes differ, numbers differ by more than 1e-5 of the unit or of the largest number that the model
        gives, whichever is more, or the model gives NaN or infinity.
    """
    expected = [model(batch) for batch in batches]
    found = [program(batch) for batch in batches]
    for batch, ours, theirs in zip(batches, expected, found, strict=True):
        _check_shapes(len(batch), ours, theirs)
    return max(
        _difference(name, *(np.concatenate([each[i] for each in of]) for of in (expected, found)), unit=unit)
        for i, name in enumerate(gives)
    )


def _check_shapes(n_items: int, expected: Sequence[Floats], found: Sequence[Floats]) -> None:
    ours, theirs = ([each.shape for each in arrays] for arrays in (expected, found))
    if ours != theirs:
        raise ModelError(
            f"the exported program gives shapes {theirs} for {n_items} items, expected {ours}, so it was not kept: "
            "the network must treat items alike, whatever their number"
        )


def _difference(name: str, expected: Floats, found: Floats, *, unit: float) -> float:
    ours, theirs = (_comparable(name, each.astype(np.float64)) for each in (expected, found))
    if not np.isfinite(ours).all():
        raise ModelError(f"the model gives NaN or infinity among the {name} of random items: train it again")
    difference = float(np.abs(theirs - ours).max())
    allowed = TOLERANCE * max(unit, float(np.abs(ours).max()))
    if not difference <= allowed:  # NaN is not, either
        raise ModelError(
            f"the exported program differs from the run's model by {difference:.3g} in {name}, of which rounding "
            f"explains {allowed:.3g}, so it was not kept: does the network draw random numbers, or look at how many "
            "items there are?"
        )
    return difference


def _comparable(name: str, numbers: Floats) -> Floats:
    return np.log(np.clip(numbers, 1 / LARGEST_SD, LARGEST_SD)) if name == "latents_sd" else numbers
