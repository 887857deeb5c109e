"""What counts as the same numbers."""

from __future__ import annotations

import numpy as np
import pytest

from rosetta.arrays import Array
from rosetta.errors import ModelError
from rosetta.programs import Program
from rosetta.programs.compare import check_same

BATCHES = [np.ones((n, 2), np.float32) for n in (1, 2, 17)]


def times(*factors: float) -> Program:
    """A program that multiplies its items by each of the factors."""
    return lambda items: tuple((items * np.float32(factor)).astype(np.float32) for factor in factors)


def test_the_largest_difference_is_reported():
    assert check_same(times(1 + 4e-6), times(1), BATCHES, gives=["latents"], unit=1) == pytest.approx(4e-6, rel=0.05)


@pytest.mark.parametrize(
    ("size", "unit", "error", "is_same"),
    [
        (1, 0, 9e-6, True),
        (1, 0, 1.1e-5, False),
        (1000, 0, 9e-3, True),  # relative to the numbers
        (1000, 0, 1.1e-2, False),
        (1e-3, 0, 1e-6, False),
        (1e-3, 1, 1e-6, True),  # or to the unit, where that is larger
    ],
)
def test_differences_up_to_a_hundred_thousandth_of_the_scale_are_roundings(
    size: float, unit: float, error: float, is_same: bool
):
    def compare() -> float:
        return check_same(times(size + error), times(size), BATCHES, gives=["latents"], unit=unit)

    if is_same:
        assert compare() > 0
    else:
        with pytest.raises(ModelError, match="differs from the run's model by"):
            compare()


@pytest.mark.parametrize("sd", [1e-9, 1.0, 1e9])
def test_standard_deviations_are_compared_relative_to_each_other(sd: float):
    check_same(times(sd * (1 + 9e-6)), times(sd), BATCHES, gives=["latents_sd"], unit=1)
    with pytest.raises(ModelError, match="latents_sd"):
        check_same(times(sd * (1 + 3e-4)), times(sd), BATCHES, gives=["latents_sd"], unit=1)


def test_standard_deviations_that_overflow_alike_are_the_same():
    def huge(items: Array) -> tuple[Array]:
        return (np.full(items.shape, np.inf, np.float32),)

    assert check_same(huge, huge, BATCHES, gives=["latents_sd"], unit=1) == 0


def test_one_different_number_in_one_batch_is_found():
    def wrong_in_the_last(items: Array) -> tuple[Array]:
        result = items.copy()
        result[16:, 1] += 1
        return (result,)

    with pytest.raises(ModelError, match="by 1 in latents"):
        check_same(wrong_in_the_last, times(1), BATCHES, gives=["latents"], unit=1)


def test_nan_is_refused_whoever_gives_it():
    with pytest.raises(ModelError, match="the exported program differs"):
        check_same(times(np.nan), times(1), BATCHES, gives=["latents"], unit=1)
    with pytest.raises(ModelError, match="the model gives NaN"):
        check_same(times(1), times(np.nan), BATCHES, gives=["latents"], unit=1)


def test_other_shapes_are_refused_even_where_numbers_would_broadcast():
    def first_only(items: Array) -> tuple[Array]:
        return (items[:1],)

    with pytest.raises(ModelError, match=r"gives shapes \[\(1, 2\)\] for 2 items, expected \[\(2, 2\)\]"):
        check_same(first_only, times(1), BATCHES, gives=["latents"], unit=1)


def test_a_result_too_few_is_refused():
    with pytest.raises(ModelError, match="gives shapes"):
        check_same(times(1), times(1, 1), BATCHES, gives=["latents", "latents_sd"], unit=1)
