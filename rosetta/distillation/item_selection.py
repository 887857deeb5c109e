"""How the sender's items are chosen from: the method, and the strata that each get their share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from rosetta.arrays import Array, Floats, LazyArray
from rosetta.distillation.random_streams import STRATA, Draws
from rosetta.inputs.labels import labels_of
from rosetta.inputs.prepare import InputInfo
from rosetta.schemas.distill import DistillSettings, Growth, StratumCount
from rosetta.selection import select
from rosetta.selection.growing import grow
from rosetta.selection.strata import by_density, by_label

if TYPE_CHECKING:
    from rosetta.distillation.points import Points
    from rosetta.distillation.sender import Sender

DENSITY = "density"
METHOD = "kmeans"
FEWEST, MOST = 16, 4096  # pairs that `pairs='auto'` comes to
FEWEST_EACH = 4  # items for each of them: beyond, it is the items themselves that are handed over


class Strata(NamedTuple):
    """Which stratum each item is in, and what they are called."""

    codes: Array  # int, shape (n_items,)
    names: tuple[str, ...]


def strata_of(
    settings: DistillSettings, told: InputInfo, rows: Array, n_all: int, *, latents: LazyArray, source: str
) -> Strata | None:
    """Return the strata that ``stratify`` asks for, of the items in `rows`, whose latents are given.

    Raises
    ------
    UsageError, IncompatibleError
        If there is no such column or source, or it does not have a label for each of all `n_all` items.
    """
    wanted = settings.stratify
    if wanted is None:
        return None
    if wanted == DENSITY:
        codes = by_density(latents, Draws.of(settings).generator(STRATA))
        return Strata(codes, tuple(f"density layer {number}" for number in range(int(codes.max()) + 1)))
    labels = labels_of(
        "`stratify`", wanted, told.columns, n_all, source=source,
        expected=f"{DENSITY}, a column of the data or a source of labels",
    )  # fmt: skip
    codes, names = by_label(labels[rows])
    return Strata(codes, tuple(map(str, names)))


@dataclass
class Chooser:
    """Chooses rows by their latents: a `rosetta.origins.Selector`.

    Parameters
    ----------
    method : str
        Name of a selector.
    strata : Strata, optional
        Those of the sender's items, and of nothing else.
    n_sampled : int, optional
        Items that the method has seen, where there were too many to see all.
    """

    method: str
    strata: Strata | None
    n_sampled: int | None = None

    def __call__(
        self, latents: LazyArray, n_points: int, rng: np.random.Generator, /, *, exclude: Floats | None = None,
        items: Array | slice | None = None,
    ) -> Array:  # fmt: skip
        """Return row numbers of `latents`, shape (n_points,), all different."""
        codes = self.strata.codes[items] if self.strata is not None and items is not None else None
        found = select(latents, n_points, rng, method=self.method, strata=codes, exclude=exclude)
        if found.n_sampled is not None:
            self.n_sampled = max(self.n_sampled or 0, found.n_sampled)
        return found.rows


def grown(opened: Sender, settings: DistillSettings) -> tuple[DistillSettings, tuple[Growth, ...]]:
    """Return settings with the number of pairs that ``pairs='auto'`` comes to, and the numbers that were tried."""
    if settings.pairs != "auto":
        return settings, ()
    n_items = len(opened.sender.latents)
    n_left = max(min(n_items // FEWEST_EACH, n_items - settings.checks - settings.observed_checks), 1)
    n_pairs, tried = grow(
        opened.sender.latents, Draws.of(settings).generator(0), method=settings.select or METHOD,
        smallest=min(FEWEST, n_left), largest=min(MOST, n_left),
        strata=None if opened.chooser.strata is None else opened.chooser.strata.codes,
    )  # fmt: skip
    figures = tuple(Growth(n_pairs=n, quantisation_error=error) for n, error in tried)
    return settings.model_copy(update={"pairs": n_pairs}), figures


def strata_counts(strata: Strata | None, points: Points) -> tuple[StratumCount, ...]:
    """Return how many items and observed anchors each stratum has."""
    if strata is None or points.rows is None:
        return ()
    n_strata = len(strata.names)
    n_items = np.bincount(strata.codes, minlength=n_strata)
    n_anchors = np.bincount(strata.codes[points.rows[: points.n_anchors]], minlength=n_strata)
    return tuple(
        StratumCount(name=name, n_items=int(of), n_anchors=int(n))
        for name, of, n in zip(strata.names, n_items, n_anchors, strict=True)
    )
