"""Steps are fitted once, say what they did, and are repeated exactly."""

from __future__ import annotations

import numpy as np
import pytest

from rosetta import preprocessing
from rosetta.errors import PreprocessingError, UsageError

ITEMS = np.random.default_rng(0).integers(0, 256, size=(30, 4, 5)).astype(np.uint8)


def test_scale_brings_the_range_to_zero_and_one():
    fitted, inputs = preprocessing.fit("scale(0, 255)", ITEMS)

    assert inputs.dtype == np.float32
    assert inputs == pytest.approx(ITEMS / 255)
    assert preprocessing.describe(fitted) == "scale(0, 255)"


def test_standardize_learns_from_the_sender_and_not_from_the_receiver():
    fitted, inputs = preprocessing.fit("standardize", ITEMS)

    assert inputs.mean(axis=0) == pytest.approx(np.zeros((4, 5)), abs=1e-6)
    assert inputs.std(axis=0) == pytest.approx(np.ones((4, 5)), abs=1e-5)
    assert preprocessing.apply(fitted, ITEMS[:3] + 1) == pytest.approx(
        (ITEMS[:3] + 1 - ITEMS.mean(axis=0)) / ITEMS.std(axis=0), abs=1e-5
    )


def test_the_order_of_parameters_in_a_file_does_not_matter():
    record = preprocessing.PreprocessingStep(name="scale", parameters={"high": 255, "low": 0})

    assert preprocessing.describe_records([record]) == "scale(0, 255)"


def test_a_feature_that_does_not_vary_is_centred_only():
    constant = np.full((5, 2), 7.0)

    _, inputs = preprocessing.fit("standardize", constant)

    assert inputs.tolist() == np.zeros((5, 2)).tolist()


def test_steps_follow_each_other_and_come_back_from_their_records():
    fitted, inputs = preprocessing.fit("scale(0, 255) | standardize", ITEMS)

    records, stored = preprocessing.to_records(fitted, lambda number, name: f"/preprocessing/{number}.{name}")
    again = preprocessing.apply(preprocessing.from_records(records, stored), ITEMS)

    assert sorted(stored) == ["/preprocessing/1.mean", "/preprocessing/1.sd"]
    assert preprocessing.describe_records(records) == "scale(0, 255) | standardize"
    assert (again == inputs).all()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("scale", r"takes \(low, high\), but has 0 numbers"),
        ("scale(0, 1, 2)", r"takes \(low, high\), but has 3 numbers"),
        ("scale(0, 1e-50)", "needs low < high"),
        ("scale(1, 1)", "needs low < high"),
        ("scale(low=0, high=1)", r"takes \(low, high\), as plain numbers"),
        ("scale(0, 1) extra", "cannot read the step"),
        ("standardize(3)", "takes no arguments, but has 1 numbers"),
        ("", "cannot read the step"),
    ],
)
def test_steps_that_cannot_be_read_are_refused(text: str, words: str):
    with pytest.raises(PreprocessingError, match=words):
        preprocessing.fit(text, ITEMS)


def test_an_unknown_step_is_met_with_the_nearest():
    with pytest.raises(UsageError, match="Did you mean 'standardize'"):
        preprocessing.fit("standardise", ITEMS)


def test_a_step_without_its_arrays_cannot_be_rebuilt():
    records, _ = preprocessing.to_records(preprocessing.fit("standardize", ITEMS)[0], lambda n, name: f"/p/{name}")

    with pytest.raises(PreprocessingError, match="'standardize' cannot be rebuilt"):
        preprocessing.from_records(records, {})


@pytest.mark.parametrize("n_rows", [1, 7, 1000])
def test_constants_fitted_in_blocks_are_those_of_all_items_at_once(n_rows: int):
    rng = np.random.default_rng(1)
    items = rng.normal(1e6, 1e-2, size=(1000, 5))  # a mean that a sum of squares would drown in
    items[:, 4] = 3.0

    fitted = preprocessing.fit_blocks(
        "standardize", lambda: (items[start : start + n_rows] for start in range(0, 1000, n_rows))
    )

    (_, whole), (_, step) = preprocessing.fit("standardize", items)[0][0], fitted[0]
    assert step.arrays["mean"] == pytest.approx(items.mean(axis=0), rel=1e-12)
    assert step.arrays["sd"][:4] == pytest.approx(items.std(axis=0)[:4], rel=1e-7)
    assert step.arrays["sd"][4] == 1
    if n_rows == 1000:
        assert (step.arrays["mean"] == whole.arrays["mean"]).all()
        assert (step.arrays["sd"] == items.std(axis=0))[:4].all()


def test_a_later_step_is_fitted_to_blocks_that_went_through_the_earlier_ones():
    at_once, _ = preprocessing.fit("scale(0, 255) | standardize", ITEMS)

    in_blocks = preprocessing.fit_blocks("scale(0, 255) | standardize", lambda: iter(np.split(ITEMS, 3)))

    for name in ("mean", "sd"):
        assert in_blocks[1][1].arrays[name] == pytest.approx(at_once[1][1].arrays[name], rel=1e-12)


def test_a_step_that_learns_nothing_reads_nothing():
    def blocks():
        pytest.fail("a block was read")
        yield ITEMS

    assert preprocessing.describe(preprocessing.fit_blocks("scale(0, 255)", blocks)) == "scale(0, 255)"


def test_a_large_array_is_worked_on_in_blocks_with_the_same_result(monkeypatch: pytest.MonkeyPatch):
    fitted, at_once = preprocessing.fit("scale(0, 255) | standardize", ITEMS)
    monkeypatch.setattr(preprocessing, "LARGEST_BLOCK", 7 * ITEMS[0].size)

    assert (preprocessing.apply(fitted, ITEMS) == at_once).all()
