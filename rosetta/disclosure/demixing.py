"""An attack: write a published point as a mixture of few private items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from rosetta.arrays import Array, LazyArray
from rosetta.disclosure.directions import best_directions
from rosetta.disclosure.nearest import Nearest, distances, neighbours
from rosetta.disclosure.search import Doubles, Rows, Singles, as_rows
from rosetta.disclosure.spacing import Spacing, drawn_rows

N_TRIED = 200  # points; a share is known to a few per cent then
N_CONTROLS = 50  # of each kind
ITEMS_FOR_ALL = 1_000_000  # of more items, fewer points are tried: a round is a look at every item for every point
N_ATOMS = 8  # items of a mixture at most
N_NEW = 32  # items that a round adds before it keeps the best
N_ROUNDS = 10
REST = 0.02  # typical distances: half-way between rounding, and the least rest that points of another kind leave
CONTROLS_FOUND = 0.02  # beyond this share of controls that are "mixtures" too, the attack tells nothing
N_AVERAGED = 30  # items behind a control that is an average
MOST_LEVELS = 256  # of numbers stored as 8 bits


@dataclass(frozen=True)
class Demixing:
    """What the attack found: of the points tried and of points that are no mixtures of few items."""

    n_tried: int
    share: float
    share_of_controls: float

    @property
    def tells(self) -> bool:
        """Whether the attack tells mixtures from other points of such data."""
        return self.share_of_controls <= CONTROLS_FOUND


def demix(points: Array, nearest: Nearest, items: LazyArray, spacing: Spacing, rng: np.random.Generator) -> Demixing:
    """Try at most 200 points, and 50 items and 50 averages of 30 items as controls.

    Parameters
    ----------
    points : float32 array, shape (n_points, …)
        Those that are no copies.
    nearest : Nearest
        Their nearest items, to begin with.
    items : float32 array, shape (n_items, …)
        The private items, which are read up to ten times.
    spacing : Spacing
        Of the items.
    rng : numpy.random.Generator
        Chooses what is tried.

    Notes
    -----
    An item that is tried as a control is not among the items that it may be mixed of. Of more than a million items
    fewer points and controls are tried, down to a quarter, but each with all items: an attack that never sees the items
    behind a point finds nothing, and would reassure for nothing.
    """
    published = as_rows(points)
    chosen = np.sort(rng.permutation(len(published))[: _number(N_TRIED, len(items))])
    tried, n_controls = published[chosen], _number(N_CONTROLS, len(items))
    enough = max(REST * spacing.typical, 1.5 * rounding(tried))
    left_out = rng.permutation(spacing.sample[spacing.own > enough])[:n_controls]
    groups = [drawn_rows(len(items), N_AVERAGED, rng) for _ in range(n_controls)]
    averages = [as_rows(items[rows]).mean(axis=0, dtype=np.float64).astype(np.float32) for rows in groups]
    nobody = np.full(max(len(tried), len(averages)), -1)
    rests = mixture_rests(
        np.concatenate([tried, as_rows(items[left_out]), averages]),
        items,
        np.concatenate([nearest.rows[chosen], neighbours(items, left_out)[:, 0], [rows[0] for rows in groups]]),
        enough=enough,
        left_out=np.concatenate([nobody[: len(tried)], left_out, nobody[: len(averages)]]),
    )
    # of controls the larger share: left-out items are rugged, averages smooth
    of_points, *of_controls = np.split(rests < enough, np.cumsum([len(tried), len(left_out)]))
    return Demixing(len(tried), float(of_points.mean()), max(float(each.mean()) for each in of_controls if len(each)))


def _number(most: int, n_items: int) -> int:
    """Return how many of at most `most` points are tried."""
    return max(most * ITEMS_FOR_ALL // max(n_items, ITEMS_FOR_ALL), most // 4)


def rounding(points: Singles) -> float:
    """Return the length of the noise that storage in 256 levels leaves on points; 0 if they are not so stored."""
    levels = np.unique(points)
    if not 2 < len(levels) <= MOST_LEVELS:
        return 0.0
    step = float(np.diff(levels.astype(np.float64)).min())
    if step * (MOST_LEVELS - 56) > float(levels[-1]) - float(levels[0]):  # few levels of their own, such as counts
        return 0.0
    return step * float(np.sqrt(points.shape[1] / 12))


def mixture_rests(
    points: Singles, items: LazyArray, start: Rows, *, enough: float = 0.0, left_out: Rows | None = None
) -> Doubles:
    """Return how far each point stays from the best mixture that was found, shape (n_points,).

    Parameters
    ----------
    points : float32 array, shape (n_points, n_numbers)
        What may be a mixture.
    items : float32 array, shape (n_items, …)
        What it may be mixed of, each of n_numbers.
    start : int array, shape (n_points,)
        The row of the item to begin with, such as the nearest.
    enough : float
        A rest below which no better mixture is looked for.
    left_out : int array, shape (n_points,), optional
        The row of an item that may not be used; -1 for none.

    Notes
    -----
    Weights are at least 0 and sum to 1. Each round takes the 32 items in whose direction the rest points most,
    finds the best weights of these and of those so far, and keeps the eight largest: subspace pursuit (Dai and
    Milenkovic, 2009) with nonnegative least squares.
    """
    atoms = [np.array([row]) for row in start]
    mixed = as_rows(items[start])
    rests = distances(points, items, start)
    active = np.flatnonzero(rests >= enough)
    forbidden = np.full(len(points), -1) if left_out is None else left_out
    for _ in range(N_ROUNDS):
        if not len(active):
            break
        directions = best_directions(points[active], mixed[active], items, N_NEW, forbidden[active])
        going_on = []
        for i, new in zip(active, directions, strict=True):
            before = set(atoms[i].tolist())
            atoms[i], mixed[i], rest = _pursue(points[i], items, np.union1d(atoms[i], new))
            rests[i] = min(rests[i], rest)
            if rests[i] >= enough and set(atoms[i].tolist()) != before:
                going_on.append(i)
        active = np.array(going_on, dtype=np.intp)
    return rests


def _pursue(point: Singles, items: LazyArray, rows: Rows) -> tuple[Rows, Doubles, float]:
    """Return the at most eight items kept, the mixture of them, and the rest of the point."""
    atoms = as_rows(items[rows])
    weights, rest = _weigh(point, atoms)
    kept = np.argsort(-weights)[:N_ATOMS]
    kept = kept[weights[kept] > 0]
    if len(kept) < len(rows):
        rows, atoms = rows[kept], atoms[kept]
        weights, rest = _weigh(point, atoms)
    return rows, weights @ atoms, rest


def _weigh(point: Singles, atoms: Singles) -> tuple[Doubles, float]:
    """Return weights, at least 0 and of sum 1, whose mixture of atoms is nearest to the point, and its distance."""
    gaps = (atoms.astype(np.float64) - point).T
    scale = max(float(np.sqrt((gaps**2).sum(axis=0).max())), 1e-300)
    # a heavy row asks for the sum of 1; the triangle of a QR decomposition stands for the long columns
    columns = np.column_stack([gaps / scale, np.zeros(len(gaps))])
    tall = np.vstack([columns, np.full(columns.shape[1], 100.0)])
    triangle = np.asarray(np.linalg.qr(tall, mode="r"))
    weights, _ = nnls(triangle[:, :-1], triangle[:, -1])
    weights = weights / max(float(weights.sum()), 1e-300)
    return weights, float(np.linalg.norm(gaps @ weights))
