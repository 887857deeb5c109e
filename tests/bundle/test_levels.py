"""Inputs in 8 bits come back as exactly the numbers that their latents were computed from."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rosetta.bundle.levels import from_levels, lie_on_levels, to_levels

SPANS = st.tuples(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6)).map(lambda s: (s[0], s[0] + s[1]))
EVERY = np.arange(256, dtype=np.uint8)


@given(SPANS)
def test_every_level_comes_back(span: tuple[float, float]):
    inputs = from_levels(EVERY, span)

    assert inputs.dtype == np.float32
    if len(np.unique(inputs)) == 256:  # float32 tells them apart
        assert (to_levels(inputs, span) == EVERY).all()
        assert lie_on_levels(inputs, span)


def test_levels_are_what_scaling_eight_bits_gives_to_the_last_bit():
    scaled = (EVERY.astype(np.float32) - np.float32(0)) / np.float32(255)

    assert from_levels(EVERY, (0.0, 1.0)).tobytes() == scaled.tobytes()


def test_rounding_goes_to_the_nearest_level_and_stays_in_the_range():
    inputs = np.array([-3.0, 0.0, 0.5 / 255 * 0.99, 0.5 / 255 * 1.01, 1.0, 7.0], dtype=np.float32)

    assert to_levels(inputs, (0.0, 1.0)).tolist() == [0, 0, 0, 1, 255, 255]
    assert not lie_on_levels(inputs, (0.0, 1.0))
