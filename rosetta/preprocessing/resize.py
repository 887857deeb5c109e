"""Bring images to one height and width."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import JsonValue

from rosetta.arrays import Array, Floats
from rosetta.errors import PreprocessingError
from rosetta.preprocessing import StepKind, steps

LONGEST_SIDE, MOST_PIXELS = 1 << 16, 1 << 26  # of the result: a bundle from a stranger may ask for it
MAX_CHANNELS_FIRST = 4  # grey, two channels, RGB, RGBA: more in front of a longer axis are rows


@dataclass(frozen=True)
class Resize:
    """Weighted means of the pixels around, by a triangle that is as wide as a new pixel is apart from the next."""

    height: int  # pixels
    width: int  # pixels

    def __post_init__(self) -> None:
        sides = (self.height, self.width)
        if not all(1 <= side <= LONGEST_SIDE for side in sides) or math.prod(sides) > MOST_PIXELS:
            raise ValueError(
                f"resize(height, width) needs 1 to {LONGEST_SIDE} pixels each, and at most {MOST_PIXELS} together, "
                f"not {self.height} and {self.width}"
            )

    @classmethod
    def fit(cls, blocks: Iterable[Array], height: float, width: float) -> Resize:
        """Nothing is learned: the size is given, and no block is read."""
        return cls(_whole(height), _whole(width))

    @classmethod
    def restore(cls, parameters: Mapping[str, Any], arrays: Mapping[str, Array]) -> Resize:
        """Rebuild the step from a manifest."""
        return cls(_whole(parameters["height"]), _whole(parameters["width"]))

    @property
    def parameters(self) -> Mapping[str, JsonValue]:
        """The new size."""
        return {"height": self.height, "width": self.width}

    @property
    def arrays(self) -> Mapping[str, Array]:
        """None."""
        return {}

    def __call__(self, inputs: Array) -> Array:
        """Return resized `inputs`, float32, channels where they are.

        The method is that of Pillow's ``Image.resize`` with ``BILINEAR``, for images of mode F, but that nothing is
        rounded between the two axes.
        """
        vertical = _image_axis(inputs.shape[1:]) + 1
        rows = triangles(inputs.shape[vertical], self.height)
        columns = triangles(inputs.shape[vertical + 1], self.width)
        # channels out of the way: a product of matrices for each image and channel
        planes = np.ascontiguousarray(np.moveaxis(inputs, (vertical, vertical + 1), (-2, -1)), dtype=np.float64)
        resized = (rows @ planes @ columns.T).astype(np.float32)
        return np.ascontiguousarray(np.moveaxis(resized, (-2, -1), (vertical, vertical + 1)))

    def can_give(self, shape: tuple[int, ...]) -> bool:
        """Whether an item of a result may have this shape: which axes are resized depends on what it was before."""
        pair = (self.height, self.width)
        return shape == pair or (len(shape) == 3 and (shape[:2] == pair or shape[1:] == pair))


def triangles(n_before: int, n_after: int) -> Floats:
    """Return the weights of old pixels in new ones along one axis, float64, shape (n_after, n_before).

    New pixel i lies at (i + 0.5) · n_before / n_after of the old axis, where old pixel j covers j to j + 1. The weight
    falls linearly from there to 0 at a distance of one new pixel, or of one old pixel if new ones are smaller. Each
    row's sum is 1.
    """
    scale = n_before / n_after
    centres = (np.arange(n_after) + 0.5) * scale
    distances = np.abs(np.arange(n_before) + 0.5 - centres[:, np.newaxis]) / max(scale, 1.0)
    weights = np.maximum(1.0 - distances, 0.0)
    normalised: Floats = weights / weights.sum(axis=1, keepdims=True)
    return normalised


def _image_axis(shape: tuple[int, ...]) -> int:
    """Return the number of the first of an item's two axes that span the image: the other one follows."""
    if len(shape) not in (2, 3):
        raise PreprocessingError(
            "resize takes images, of shape (height, width), (height, width, channels) or (channels, height, width), "
            f"but the items have shape {shape}: reshape them, or put resize before flatten"
        )
    return 1 if len(shape) == 3 and shape[0] <= MAX_CHANNELS_FIRST < shape[2] else 0


def _whole(number: float) -> int:
    if not float(number).is_integer():
        raise ValueError(f"resize(height, width) needs whole numbers of pixels, not {number:g}")
    return int(number)


steps.register("resize")(StepKind(Resize.fit, Resize.restore, ("height", "width"), can_give=Resize.can_give))
