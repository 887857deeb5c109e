"""Small pictures of images, for terminals: of half-block characters in colour, or of denser and lighter characters."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    from rich.text import Text

    Array = npt.NDArray[Any]
    Picture = npt.NDArray[np.float64]  # shape (height, width, 1 or 3), 0 to 1, NaN where there is no number

N_SIDE = 16  # pixels
MIN_SIDE = 4
MAX_READ = 1024  # pixels a side that are averaged; of larger images every second, third, … is taken
RAMP = " .:-=+*#%@"
NO_NUMBER, NO_NUMBER_COLOUR = "?", (190, 30, 120)
UPPER_HALF = "▀"

Axes = Literal["hw", "hwc", "chw"]


def image_axes(shape: tuple[int, ...]) -> Axes | None:
    """Return how an image of one, three or four channels lies in an array of `shape`; None if it is no image.

    Examples
    --------
    >>> image_axes((28, 28)), image_axes((32, 40, 3)), image_axes((3, 32, 40)), image_axes((2, 500))
    ('hw', 'hwc', 'chw', None)
    """
    known: dict[Axes, bool] = {
        "hw": len(shape) == 2,
        "hwc": len(shape) == 3 and shape[2] in (1, 3, 4),
        "chw": len(shape) == 3 and shape[0] in (1, 3, 4),
    }
    for axes, fits in known.items():
        if fits and min(shape[axes.index("h")], shape[axes.index("w")]) >= MIN_SIDE:
            return axes
    return None


def picture(image: Array, axes: Axes, value_range: tuple[float, float]) -> Picture:
    """Return an image's means over square blocks, so that neither side has more than 16.

    Parameters
    ----------
    image : array of numbers, shape as `axes` says
        Of four channels the first three are taken. NaN and infinity are left out of the means.
    axes : "hw", "hwc" or "chw"
        As `image_axes` returns.
    value_range : (low, high)
        Drawn as 0 and 1; what lies outside is drawn as the nearer of them.
    """
    import numpy as np

    if axes == "hw":
        image = image[:, :, np.newaxis]
    elif axes == "chw":
        image = np.moveaxis(image, 0, 2)
    image = image[:, :, : 3 if image.shape[2] > 1 else 1]
    step = -(-max(image.shape[:2]) // MAX_READ)
    return _block_means(_scaled(image[::step, ::step].astype(np.float64), value_range))


def _scaled(values: Array, value_range: tuple[float, float]) -> Array:
    import numpy as np

    low, high = (bound / 2 for bound in value_range)  # halves, so that the widest range has a width
    with np.errstate(all="ignore"):  # a stranger's numbers
        shares = np.clip((values / 2 - low) / (high - low), 0, 1) if high > low else np.zeros(values.shape)
    shares[~np.isfinite(values)] = np.nan
    return shares


def _block_means(values: Array) -> Picture:
    import numpy as np

    block = -(-max(values.shape[:2]) // N_SIDE)
    known = np.isfinite(values)

    def total(array: Array) -> Array:
        for axis in (0, 1):
            array = np.add.reduceat(array, np.arange(0, array.shape[axis], block), axis=axis)
        return array

    with np.errstate(invalid="ignore"):  # a block without any number: 0 / 0
        return total(np.where(known, values, 0.0)) / total(known.astype(np.float64))


def colour_lines(pixels: Picture) -> list[Text]:
    """Return a picture as lines of half blocks, two rows of pixels in each."""
    from rich.color import Color
    from rich.style import Style
    from rich.text import Text

    lines = []
    for row in range(0, len(pixels), 2):
        line = Text(no_wrap=True)
        for column in range(pixels.shape[1]):
            upper, *lower = (Color.from_rgb(*_rgb(pixel)) for pixel in pixels[row : row + 2, column])
            line.append(UPPER_HALF, Style(color=upper, bgcolor=lower[0] if lower else None))
        lines.append(line)
    return lines


def _rgb(pixel: Array) -> tuple[int, int, int]:
    import numpy as np

    if not np.isfinite(pixel).all():
        return NO_NUMBER_COLOUR
    red, green, blue = [round(255 * float(share)) for share in pixel] * (3 // len(pixel))
    return red, green, blue


def ramp_lines(pixels: Picture) -> list[str]:
    """Return a picture as lines of characters, the denser the higher, two rows of pixels in each."""
    import numpy as np

    grey = pixels @ np.array([0.299, 0.587, 0.114]) if pixels.shape[2] == 3 else pixels[:, :, 0]  # ITU-R BT.601
    lines = []
    for row in range(0, len(grey), 2):
        shares = grey[row : row + 2].mean(axis=0)
        lines.append("".join(RAMP[round(9 * float(s))] if np.isfinite(s) else NO_NUMBER for s in shares))
    return lines
