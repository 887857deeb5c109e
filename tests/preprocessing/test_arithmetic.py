"""Each step computes what the specification says, as a loop over numbers does or a published library."""

from __future__ import annotations

import json
import math
import struct

import numpy as np
import pytest
from PIL import Image
from rosetta.schemas.manifest import PreprocessingStep
from sklearn.preprocessing import normalize

from rosetta import preprocessing
from rosetta.errors import PreprocessingError
from tests.test_spec import blocks

EXAMPLES = json.loads(blocks("5.4", "json")[0])
COUNTS = np.random.default_rng(0).poisson(1, size=(20, 3, 4)).astype(np.float32)
COLOURS = np.random.default_rng(1).integers(0, 256, size=(4, 6, 8, 3)).astype(np.uint8)


def _after(text: str, items: np.ndarray) -> np.ndarray:
    result = preprocessing.fit(text, items)[1]
    assert result.dtype == np.float32
    return result


def _f4(x: float) -> float:
    return struct.unpack("<f", struct.pack("<f", x))[0]


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_step_gives_what_the_specification_shows(name: str):
    example = EXAMPLES[name]
    arrays = {key: np.array(values) for key, values in example.get("arrays", {}).items()}

    step = preprocessing.steps.get(name).restore(example.get("parameters", {}), arrays)
    inputs = step(np.array([example["raw"]]))

    exact = name not in ("normalize_total", "log1p", "resize")
    assert inputs[0].tolist() == (example["inputs"] if exact else pytest.approx(np.array(example["inputs"]), rel=1e-6))


def test_totals_are_those_of_scikit_learn_and_of_a_loop():
    counts = COUNTS.reshape(20, -1)
    loop = [[_f4(float(x) / float(sum(item)) * 500) for x in item] for item in counts]

    inputs = _after("normalize_total(500)", COUNTS).reshape(20, -1)

    assert inputs == pytest.approx(normalize(counts, norm="l1") * 500, rel=1e-6)
    assert inputs.tolist() == loop


def test_an_item_without_counts_stays_so():
    assert _after("normalize_total", COUNTS * (np.arange(20) > 0)[:, None, None])[0].tolist() == [[0] * 4] * 3


def test_log1p_is_that_of_the_c_library():
    small = COUNTS * 1e-9

    assert _after("log1p", small).ravel().tolist() == [_f4(math.log1p(x)) for x in small.ravel()]


def test_clip_keeps_what_is_inside_bit_by_bit():
    items = np.array([[-3, -0.0, 0.0], [5e-324, 0.1, 7]])

    inputs = _after("clip(0, 0.1)", items)

    assert inputs.tobytes() == np.array([[0, -0.0, 0.0], [0, 0.1, 0.1]], dtype=np.float32).tobytes()


@pytest.mark.parametrize("size", [(6, 8), (3, 4), (4, 3), (1, 1), (13, 17), (5, 20)])
def test_resize_is_that_of_pillow(size: tuple[int, int]):
    grey = COLOURS[..., 0].astype(np.float32)
    pillow = [Image.fromarray(image).resize(size[::-1], Image.Resampling.BILINEAR) for image in grey]

    assert _after(f"resize({size[0]}, {size[1]})", grey) == pytest.approx(np.array(pillow), rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("axis", [1, 3])
def test_resize_takes_each_channel_by_itself_wherever_channels_are(axis: int):
    channels = [_after("resize(3, 5)", COLOURS[..., channel]) for channel in range(3)]

    resized = _after("resize(3, 5)", np.moveaxis(COLOURS, 3, axis))

    assert (resized == np.stack(channels, axis=axis)).all()


def test_resize_takes_a_long_last_axis_for_the_width_only_if_the_first_is_short():
    assert _after("resize(2, 2)", np.zeros((2, 4, 6, 5))).shape == (2, 4, 2, 2)
    assert _after("resize(2, 2)", np.zeros((2, 5, 6, 5))).shape == (2, 2, 2, 5)
    assert _after("resize(2, 2)", np.zeros((2, 4, 6, 4))).shape == (2, 2, 2, 4)


def test_grey_is_close_to_that_of_pillow_with_channels_first_or_last():
    pillow = np.array([Image.fromarray(image).convert("L") for image in COLOURS])

    last, first = _after("grey", COLOURS), _after("channels_first | grey", COLOURS)

    assert last == pytest.approx(pillow, abs=0.51)
    assert (last == first).all()


def test_grey_images_get_an_axis_for_their_one_channel():
    grey = COLOURS[..., 0]

    assert (_after("channels_first", grey)[:, 0] == grey).all()
    assert (_after("channels_last", grey)[..., 0] == grey).all()


def test_channels_move_to_the_front_and_back():
    first = _after("channels_first", COLOURS)

    assert (first == np.transpose(COLOURS, (0, 3, 1, 2))).all()
    assert (_after("channels_last", first) == COLOURS).all()


def test_flatten_lays_numbers_out_in_c_order():
    assert _after("flatten", COLOURS)[2].tolist() == COLOURS[2].ravel().tolist()


@pytest.mark.parametrize("text", ["resize(4, 5) | grey | flatten | standardize", "normalize_total | log1p | flatten"])
def test_steps_that_change_shapes_give_the_same_block_by_block_and_from_their_records(
    text: str, monkeypatch: pytest.MonkeyPatch
):
    fitted, at_once = preprocessing.fit(text, COLOURS)
    records, stored = preprocessing.to_records(fitted, lambda number, name: f"/preprocessing/{number}.{name}")
    monkeypatch.setattr(preprocessing, "APPLIED_BLOCK", 1)

    again = preprocessing.apply(preprocessing.from_records(records, stored), COLOURS)

    assert (again == at_once).all()
    assert preprocessing.describe(fitted) == text


@pytest.mark.parametrize(
    ("text", "shape", "words"),
    [
        ("grey", (8, 8), "leave grey out if they are grey already"),
        ("grey", (192,), "put grey before flatten"),
        ("grey", (8, 8, 4), "leave out channels such as opacity"),
        ("grey", (3, 8, 3), "could be both"),
        ("resize(4, 4)", (64,), "put resize before flatten"),
        ("resize(4, 4)", (2, 8, 8, 3), r"the items have shape \(2, 8, 8, 3\)"),
        ("channels_last", (192,), "put it before flatten"),
        ("flatten | resize(4, 4)", (8, 8), r"the items have shape \(64,\)"),
    ],
)
def test_items_of_another_shape_are_refused_with_advice(text: str, shape: tuple[int, ...], words: str):
    with pytest.raises(PreprocessingError, match=words):
        preprocessing.fit(text, np.ones((2, *shape)))


@pytest.mark.parametrize(
    ("text", "number", "words"),
    [
        ("normalize_total", -1, r"item 7 \(counted from 0\) holds -1, but normalize_total takes counts"),
        ("log1p", -1, r"item 7 \(counted from 0\) holds -1, but log1p takes numbers above -1"),
        ("normalize_total | standardize", -1, "item 7 "),
        ("normalize_total", 1e308, "item 7 .* sum is beyond"),
    ],
)
@pytest.mark.parametrize("block", [1, 1 << 20])
def test_an_item_that_a_step_refuses_is_named_whatever_its_block(
    text: str, number: float, words: str, block: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(preprocessing, "APPLIED_BLOCK", block)
    items = COUNTS.astype(np.float64)
    items[7, 1, 1:3] = number

    with pytest.raises(PreprocessingError, match=words):
        preprocessing.fit(text, items)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("clip(1, 1)", "needs low < high"),
        ("clip(0, 1e39)", "both within 32-bit floats"),
        ("normalize_total(0)", "needs a total above 0"),
        ("resize(2.5, 2)", "needs whole numbers of pixels, not 2.5"),
        ("resize(0, 2)", "needs 1 to 65536 pixels"),
        ("resize(65536, 65536)", "at most 67108864 together"),
    ],
)
def test_numbers_that_a_step_cannot_have_are_refused(text: str, words: str):
    with pytest.raises(PreprocessingError, match=words):
        preprocessing.fit(text, COLOURS)


@pytest.mark.parametrize(
    ("text", "shape", "is_possible"),
    [
        ("flatten | log1p", (12,), True),
        ("flatten | log1p", (3, 4), False),
        ("resize(3, 4)", (3, 4), True),
        ("resize(3, 4) | clip(0, 1)", (7, 3, 4), True),
        ("resize(3, 4)", (3, 4, 7), True),
        ("resize(3, 4)", (3, 7, 4), False),
        ("resize(3, 4) | flatten", (5,), True),  # of what flatten is given, the shape is nowhere said
        ("grey", (3, 4), True),
        ("grey", (3, 4, 3), False),
        ("channels_first", (3, 4), False),
    ],
)
def test_a_declared_step_is_held_against_the_inputs_as_far_as_their_shape_tells(text, shape, is_possible):
    records = [
        PreprocessingStep(
            name=name, parameters=dict(zip(preprocessing.steps.get(name).arguments, numbers, strict=True))
        )
        for name, numbers in preprocessing.parse(text)
    ]

    if is_possible:
        preprocessing.check_result(records, {}, shape)
    else:
        with pytest.raises(PreprocessingError, match="cannot give inputs of shape"):
            preprocessing.check_result(records, {}, shape)
