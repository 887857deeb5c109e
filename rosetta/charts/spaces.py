"""Latent spaces side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rosetta.arrays import Array, Floats
from rosetta.charts.paper import INK, PAPER, QUIET, pyplot
from rosetta.files import atomic_file


@dataclass(frozen=True)
class Panel:
    """One latent space."""

    title: str
    subtitle: str
    latents: Floats  # of the items in colour, shape (n_items, n_dims)
    labels: Array  # int, shape (n_items,)
    others: Floats | None = None  # of items in grey, shape (n_others, n_dims)
    anchors: Floats | None = None  # stored latents of anchors, shape (n_anchors, n_dims)


def latent_spaces(panels: Sequence[Panel], path: Path, *, title: str, legend: str, force: bool) -> None:
    """Draw spaces side by side in the coordinates of the first, projected on its two main axes, as a PNG.

    Parameters
    ----------
    panels : sequence of Panel
        The first is the reference: all are projected on the principal axes of its latents.
    """
    plt = pyplot()
    centre = panels[0].latents.mean(axis=0)
    _, _, axes = np.linalg.svd(panels[0].latents - centre, full_matrices=False)
    reach = 1.25 * np.abs((panels[0].latents - centre) @ axes[:2].T).max()
    figure, plots = plt.subplots(
        1, len(panels), figsize=(3.6 * len(panels), 4.5), layout="constrained", facecolor=PAPER
    )
    colours = plt.get_cmap("tab10")
    for panel, plot in zip(panels, np.atleast_1d(plots), strict=True):
        if panel.others is not None:
            plot.scatter(*((panel.others - centre) @ axes[:2].T).T, s=4, color=QUIET, alpha=0.45, linewidths=0)
        points = (panel.latents - centre) @ axes[:2].T
        for number, label in enumerate(np.unique(panels[0].labels)):
            of_label = panel.labels == label
            plot.scatter(*points[of_label].T, s=16, color=colours(number), label=str(label), alpha=0.9, linewidths=0)
        if panel.anchors is not None:
            few = len(panel.anchors) <= 100
            plot.scatter(
                *((panel.anchors - centre) @ axes[:2].T).T,
                s=26 if few else 5, marker="x", color=INK, linewidths=0.8 if few else 0.4, alpha=0.8 if few else 0.3,
                zorder=3 if few else 0.5,  # many lie under the items that they would hide
            )  # fmt: skip
        plot.set_title(panel.title, fontsize=11, color=INK, fontweight="bold")
        plot.set_xlabel(panel.subtitle, fontsize=9.5, color=INK)
        plot.set(xlim=(-reach, reach), ylim=(-reach, reach), xticks=[], yticks=[], aspect="equal")
        for spine in plot.spines.values():
            spine.set_color(QUIET)
    handles, labels = np.atleast_1d(plots)[0].get_legend_handles_labels()
    figure.legend(
        handles,
        labels,
        loc="outside lower center",
        ncols=len(labels) + 1,
        title=legend,
        frameon=False,
        fontsize=9,
    )
    figure.suptitle(f"{title}\n", fontsize=12.5, color=INK)
    with atomic_file(path, force=force) as temporary:
        figure.savefig(temporary, format="png", dpi=130)
    plt.close(figure)
