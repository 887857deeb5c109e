"""The published points that are nearest to private items, each beside its item. The picture shows private items."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from rosetta.arrays import Array, Floats
from rosetta.charts.paper import DPI, INK, PAPER, literal, pyplot

MIN_SIDE = 4  # pixels
WARNING = "Shows private items. Keep it in the building: do not publish it or send it on."
ALARM = "#b00020"
SIDE = 1.15  # inches of one image


@dataclass(frozen=True)
class ClosePairs:
    """Some published points of one origin and the private items nearest to them."""

    title: str
    published: Array  # pictures as `as_pictures` returns them, shape (n_pairs, height, width[, 3])
    private: Array  # likewise
    ratios: Floats  # their distances in typical distances, shape (n_pairs,)


def as_pictures(inputs: Array, value_range: tuple[float, float]) -> Floats | None:
    """Return inputs as pictures, or None if they are none.

    Parameters
    ----------
    inputs : array, shape (n_items, …)
        Pictures are of height × width, with one or three channels before or after these.
    value_range : (low, high)
        Drawn as black and white; what lies outside is drawn as the nearer of them.

    Returns
    -------
    float array or None, shape (n_items, height, width) or (n_items, height, width, 3)
        From 0 to 1.
    """
    shape = inputs.shape[1:]
    if len(shape) == 3 and shape[0] in (1, 3) and min(shape[1:]) >= MIN_SIDE:
        inputs = np.moveaxis(inputs, 1, 3)
    elif not (len(shape) == 3 and shape[2] in (1, 3)) and len(shape) != 2:
        return None
    if min(inputs.shape[1:3]) < MIN_SIDE:
        return None
    if inputs.ndim == 4 and inputs.shape[3] == 1:
        inputs = inputs[..., 0]
    low, high = value_range
    shares: Floats = np.clip((inputs.astype(np.float64) - low) / max(high - low, 1e-300), 0, 1)
    return shares


def draw_closest(groups: Sequence[ClosePairs]) -> bytes:
    """Return a PNG of pairs side by side, published above private, a block of rows for each origin.

    Parameters
    ----------
    groups : sequence of ClosePairs
        One for each origin, of at least one pair each.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    """
    plt = pyplot()
    across = max(len(group.ratios) for group in groups)
    heights = ([1.0, 1.0, 0.42] * len(groups))[:-1]  # a third row keeps the next origin's title away
    figure, plots = plt.subplots(
        len(heights), across, squeeze=False, facecolor=PAPER, gridspec_kw={"height_ratios": heights},
        figsize=(SIDE * across + 1.1, SIDE * sum(heights) + 0.9),
    )  # fmt: skip
    figure.subplots_adjust(
        left=1.0 / (SIDE * across + 1.1), right=0.99, bottom=0.01, top=1 - 0.95 / figure.get_figheight(),
        wspace=0.06, hspace=0.06,
    )  # fmt: skip
    for plot in plots.flat:
        plot.set_axis_off()
    for number, group in enumerate(groups):
        _draw_group(plots[3 * number : 3 * number + 2], group)
    figure.suptitle(WARNING, fontsize=11, color=ALARM, x=0.01, ha="left", fontweight="bold")
    with io.BytesIO() as file:
        figure.savefig(file, format="png", dpi=DPI, facecolor=PAPER)
        plt.close(figure)
        return file.getvalue()


def _draw_group(plots: Any, group: ClosePairs) -> None:
    for column, ratio in enumerate(group.ratios):
        for plot, image in zip(plots[:, column], (group.published[column], group.private[column]), strict=True):
            plot.imshow(image, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        plots[0, column].set_title(f"{ratio:.2f}", fontsize=9, color=INK, pad=3)
    for plot, name in zip(plots[:, 0], ("published", "private"), strict=True):
        plot.text(-0.08, 0.5, name, transform=plot.transAxes, ha="right", va="center", fontsize=9, color=INK)
    plots[0, 0].text(
        0, 1.24, literal(group.title), transform=plots[0, 0].transAxes, fontsize=9.5, color=INK, fontweight="bold"
    )
