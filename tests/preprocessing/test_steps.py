"""Steps are fitted once, say what they did, and are repeated exactly."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pytest
from rosetta.schemas.manifest import PreprocessingStep

from rosetta import preprocessing
from rosetta.arrays import Sound
from rosetta.errors import PreprocessingError, UsageError
from rosetta.preprocessing import StepKind
from rosetta.preprocessing.standardize import NOISE

ITEMS = np.random.default_rng(0).integers(0, 256, size=(30, 4, 5)).astype(np.uint8)


def test_scale_brings_the_range_to_zero_and_one():
    fitted, inputs = preprocessing.fit("scale(0, 255)", ITEMS)

    assert inputs.dtype == np.float32
    assert inputs == pytest.approx(ITEMS / 255)
    assert preprocessing.describe(fitted) == "scale(0, 255)"


def test_standardize_learns_from_the_sender_and_not_from_the_receiver():
    fitted, inputs = preprocessing.fit("standardize", ITEMS)

    mean, sd = (fitted[0][1].arrays[name] for name in ("mean", "sd"))
    exact = ITEMS.mean(axis=0), ITEMS.std(axis=0)
    noise = (mean - exact[0]) / exact[1] * np.sqrt(30) / NOISE  # in the unit that it was drawn in
    assert np.abs(noise).max() < 4
    assert noise.std() == pytest.approx(1, abs=0.6)
    assert np.abs(np.log(sd / exact[1]) * np.sqrt(60) / NOISE).max() < 4
    assert inputs == pytest.approx((ITEMS - mean) / sd, abs=1e-5)
    assert preprocessing.apply(fitted, ITEMS[:3] + 1) == pytest.approx((ITEMS[:3] + 1 - mean) / sd, abs=1e-5)


def test_the_order_of_parameters_in_a_file_does_not_matter():
    record = PreprocessingStep(name="scale", parameters={"high": 255, "low": 0})

    assert preprocessing.describe_records([record]) == "scale(0, 255)"


def test_a_feature_that_does_not_vary_is_centred_only():
    constant = np.full((10, 2), 7.1)

    _, inputs = preprocessing.fit("standardize", constant)

    assert inputs.tolist() == np.zeros((10, 2)).tolist()


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
        ("scale(0, one)", r"takes \(low, high\), as plain numbers, not 'one'"),
        ("scale(0, inf)", "as finite numbers, not 'inf'"),
        ("scale(low=0)", r"takes \(low, high\), but high is missing"),
        ("scale(0, low=1)", "has 'low' twice"),
        ("scale(0, top=1)", "has 'top' as well"),
        ("scale(low=0, 1)", "write the numbers without a name before those with one"),
        ("normalize_total(1, 2)", r"takes \(target=10000\), but has 2 numbers"),
        ("scale(0, 1) extra", "cannot read the step"),
        ("standardize(3)", "takes no arguments, but has 1 number"),
        ("", "cannot read the step"),
    ],
)
def test_steps_that_cannot_be_read_are_refused(text: str, words: str):
    with pytest.raises(PreprocessingError, match=words):
        preprocessing.fit(text, ITEMS)


def test_numbers_may_be_given_by_name_and_defaults_left_out():
    assert preprocessing.parse("scale(high=1, low=-2)|normalize_total | normalize_total(5)") == [
        ("scale", [-2, 1]),
        ("normalize_total", [10_000]),
        ("normalize_total", [5]),
    ]


@pytest.fixture
def found_rate() -> Iterator[None]:
    """A step with two defaults and a number that is found from the data, as a third party would add it."""

    class Plain:
        arrays: Mapping[str, np.ndarray] = {}

        def __init__(self, parameters: Mapping[str, float]) -> None:
            self.parameters = parameters

        def __call__(self, inputs: np.ndarray) -> np.ndarray:
            return np.asarray(inputs, dtype=np.float32)

    def fit(blocks: Iterator[np.ndarray], low: float, size: float, rate: float | None) -> Plain:
        return Plain({"low": low, "size": size, "rate": float(next(blocks).flat[0]) if rate is None else rate})

    kind = StepKind(
        fit,
        lambda parameters, arrays: Plain(parameters),
        arguments=("low", "size", "rate"),
        defaults={"low": 0, "size": 128, "rate": None},
    )
    preprocessing.steps.register("org.example.rated")(kind)
    yield
    del preprocessing.steps._known["org.example.rated"]


@pytest.mark.usefixtures("found_rate")
@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("org.example.rated", "org.example.rated(rate=44100)"),
        ("org.example.rated(1)", "org.example.rated(1, 128, 44100)"),  # no longer than with a name
        ("org.example.rated(low=1e-7, size=2)", "org.example.rated(1e-07, 2, 44100)"),
        ("org.example.rated(rate=0.1)", "org.example.rated(rate=0.1)"),
    ],
)
def test_steps_are_told_as_the_shortest_text_that_gives_the_same_numbers(text: str, told: str):
    fitted = preprocessing.fit_blocks(text, lambda: iter([np.full((2, 2), 44100.0)]))

    assert preprocessing.describe(fitted) == told
    assert preprocessing.agrees(told, fitted)
    assert preprocessing.agrees(text, fitted)


@pytest.mark.usefixtures("found_rate")
@pytest.mark.parametrize(
    "text", ["none", "scale(0, 1)", "org.example.rated(2)", "org.example.rated(rate=3)", "org.example.rated | log1p"]
)
def test_other_steps_or_numbers_do_not_agree(text: str):
    fitted = preprocessing.fit_blocks("org.example.rated", lambda: iter([np.full((2, 2), 44100.0)]))

    assert not preprocessing.agrees(text, fitted)


@pytest.mark.parametrize("number", [1e4, 1e-6, 0.1, 1 / 3, -12345678.5, 1e300, 2.0**53])
def test_a_number_that_is_told_is_read_as_the_same(number: float):
    told = preprocessing.describe_records([PreprocessingStep(name="scale", parameters={"low": number, "high": 2e307})])

    assert preprocessing.parse(told)[0][1][0] == number
    assert "e+04" not in told
    assert ".0" not in told


def test_a_declared_step_that_no_text_gives_is_told_by_name():
    records = [
        PreprocessingStep(name="bleach", parameters={"strength": 2, "by": "sun"}),
        PreprocessingStep(name="scale", parameters={"low": 0}),
    ]

    assert preprocessing.describe_records(records) == "bleach(by=sun, strength=2) | scale(low=0)"


SOUNDS = np.empty(3, dtype=object)
SOUNDS[:] = [Sound(np.zeros(5, np.float32), 8000.0)] * 3


@pytest.mark.parametrize("text", ["standardize", "scale(0, 1)", "flatten"])
def test_a_step_for_numbers_refuses_sounds(text: str):
    with pytest.raises(PreprocessingError, match=r"takes numbers, and these are sounds: begin with spectrogram"):
        preprocessing.fit(text, SOUNDS)


def test_sounds_are_no_inputs():
    with pytest.raises(PreprocessingError, match="these items are sounds"):
        preprocessing.apply([], SOUNDS)


def test_a_sound_counts_as_many_numbers():
    assert [len(block) for block in preprocessing.blocks_of(SOUNDS, 2 << 14)] == [2, 1]


def test_no_items_stay_none():
    assert preprocessing.apply(preprocessing.fit("flatten | log1p", ITEMS)[0], ITEMS[:0]).shape == (0, 20)
    assert preprocessing.fit("resize(2, 3)", ITEMS[:0])[1].shape == (0, 2, 3)


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
    sd = items.std(axis=0)[:4]
    assert (np.abs(step.arrays["mean"] - items.mean(axis=0))[:4] < 4 * NOISE / np.sqrt(1000) * sd).all()
    assert (np.abs(np.log(step.arrays["sd"][:4] / sd)) < 4 * NOISE / np.sqrt(2000)).all()
    assert (step.arrays["mean"][4], step.arrays["sd"][4]) == (3, 1)
    for name in ("mean", "sd"):
        assert (step.arrays[name] == whole.arrays[name]).all()


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
    monkeypatch.setattr(preprocessing, "APPLIED_BLOCK", 7 * ITEMS[0].size)

    assert (preprocessing.apply(fitted, ITEMS) == at_once).all()
