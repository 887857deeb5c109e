"""Pictures in a terminal: known images give known cells, and any array at all gives a picture."""

from __future__ import annotations

import math

import hypothesis.extra.numpy as npst
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosetta.cli.thumbnails import MAX_READ, NO_NUMBER_COLOUR, colour_lines, image_axes, picture, ramp_lines

STEPS = np.arange(16.0).reshape(4, 4)
FULL = (0.0, 15.0)


def _colours(lines):
    """Foreground and background of every cell, None where the terminal's own is left."""
    return [
        [tuple(part and tuple(part.triplet) for part in (s.style.color, s.style.bgcolor)) for s in line.spans]
        for line in lines
    ]


def _slow_means(image, n_side=16):
    """Means over square blocks, one block after the other."""
    block = -(-max(image.shape) // n_side)
    rows = [range(r, min(r + block, image.shape[0])) for r in range(0, image.shape[0], block)]
    columns = [range(c, min(c + block, image.shape[1])) for c in range(0, image.shape[1], block)]
    return np.array([[np.mean([image[i, j] for i in r for j in c]) for c in columns] for r in rows])


def test_a_known_image_gives_these_characters():
    assert ramp_lines(picture(STEPS, "hw", FULL)) == [".::-", "*##%"]


def test_a_known_image_gives_these_half_blocks():
    lines = colour_lines(picture(STEPS, "hw", FULL))

    assert [line.plain for line in lines] == ["▀▀▀▀", "▀▀▀▀"]
    grey = [(17 * level,) * 3 for level in range(16)]
    assert _colours(lines)[0] == [(grey[0], grey[4]), (grey[1], grey[5]), (grey[2], grey[6]), (grey[3], grey[7])]
    assert _colours(lines)[1][3] == (grey[11], grey[15])


def test_an_odd_row_at_the_end_has_no_lower_half():
    lines = colour_lines(picture(STEPS.repeat(2, axis=0)[:5], "hw", FULL))

    assert len(lines) == 3
    assert {lower for _, lower in _colours(lines)[2]} == {None}


def test_colours_are_red_green_blue_wherever_the_channels_are():
    image = np.zeros((4, 4, 3))
    image[0, 0] = (255, 128, 0)

    last, first = (
        colour_lines(picture(i, axes, (0, 255))) for i, axes in ((image, "hwc"), (image.transpose(2, 0, 1), "chw"))
    )

    assert _colours(last)[0][0] == ((255, 128, 0), (0, 0, 0))
    assert _colours(first) == _colours(last)


def test_a_fourth_channel_is_left_out_and_a_single_one_is_grey():
    four = np.dstack([np.full((4, 4, 3), 0.2), np.ones((4, 4))])

    assert _colours(colour_lines(picture(four, "hwc", (0, 1))))[0][0] == ((51, 51, 51), (51, 51, 51))
    assert ramp_lines(picture(four, "hwc", (0, 1))) == ramp_lines(picture(four[:, :, :1], "hwc", (0, 1)))


def test_pixels_without_a_number_stand_out_and_spoil_no_others():
    image = STEPS.copy()
    image[0, 0], image[3, 3] = np.nan, np.inf

    pixels = picture(image, "hw", FULL)

    assert ramp_lines(pixels) == ["?::-", "*##?"]
    assert _colours(colour_lines(pixels))[0][0] == (NO_NUMBER_COLOUR, (68, 68, 68))
    blocks = picture(np.where(np.eye(32, dtype=bool), np.nan, 0.5), "hw", (0, 1))
    np.testing.assert_array_equal(blocks, 0.5)


@pytest.mark.parametrize(("value_range", "drawn"), [((0, 0), " "), ((7, 7), " "), ((0, 7), "@"), ((0, 14), "=")])
def test_a_constant_image_is_drawn_at_its_place_in_the_range(value_range, drawn):
    assert ramp_lines(picture(np.full((4, 6), 7.0), "hw", value_range)) == [drawn * 6] * 2


def test_what_leaves_the_declared_range_is_drawn_as_its_end():
    assert ramp_lines(picture(STEPS, "hw", (7.5, 7.75))) == ["    ", "@@@@"]


def test_the_widest_range_of_all_has_a_middle():
    most = np.finfo(np.float64).max

    assert ramp_lines(picture(np.zeros((4, 4)), "hw", (-most, most))) == ["====", "===="]


@given(
    npst.arrays(
        np.float64, npst.array_shapes(min_dims=2, max_dims=2, min_side=4, max_side=70), elements=st.floats(0, 1)
    )
)
@settings(deadline=None, max_examples=30)
def test_a_picture_is_made_of_block_means(image):
    np.testing.assert_allclose(picture(image, "hw", (0, 1))[:, :, 0], _slow_means(image), atol=1e-12)


def test_a_huge_image_is_sampled_before_it_is_averaged():
    image = np.zeros((5 * MAX_READ, 8), dtype=np.uint8)
    image[::5] = 200  # every fifth row is read

    assert np.unique(picture(image, "hw", (0, 200))).tolist() == [1.0]


@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((28, 28), "hw"),
        ((4, 1000), "hw"),
        ((3, 28), None),
        ((28,), None),
        ((), None),
        ((32, 32, 3), "hwc"),
        ((32, 32, 2), None),
        ((1, 32, 32), "chw"),
        ((3, 3, 3), None),
        ((4, 4, 4), "hwc"),
        ((2, 3, 28, 28), None),
    ],
)
def test_images_are_known_by_their_shape(shape, axes):
    assert image_axes(shape) == axes


NUMBERS = st.sampled_from([np.float32, np.float64, np.uint8, np.int32, np.int64])
SHAPES = st.one_of(
    npst.array_shapes(min_dims=2, max_dims=2, min_side=4, max_side=40),
    st.tuples(st.integers(4, 40), st.integers(4, 40), st.sampled_from([1, 3, 4])),
    st.tuples(st.sampled_from([1, 3]), st.integers(5, 40), st.integers(5, 40)),
)


@given(
    st.data(),
    st.tuples(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False)),
)
@settings(deadline=None, max_examples=150)
def test_any_array_at_all_gives_a_picture(data, ends):
    image = data.draw(npst.arrays(data.draw(NUMBERS), data.draw(SHAPES)))
    axes = image_axes(image.shape)
    height, width = image.shape[axes.index("h")], image.shape[axes.index("w")]
    block = math.ceil(max(height, width) / 16)

    pixels = picture(image, axes, (min(ends), max(ends)))
    drawn, coloured = ramp_lines(pixels), colour_lines(pixels)

    assert len(drawn) == len(coloured) == math.ceil(math.ceil(height / block) / 2) <= 8
    assert {len(line) for line in drawn} == {len(line.plain) for line in coloured} == {math.ceil(width / block)}
