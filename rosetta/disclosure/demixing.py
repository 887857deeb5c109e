"""An attack: write a published point as a mixture of few private items."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from rosetta.arrays import Array
from rosetta.disclosure.nearest import Doubles, Nearest, Rows, Spacing, as_rows, distances, neighbours

N_TRIED = 200  # points; a share is known to a few per cent then
N_CONTROLS = 50  # of each kind
N_ATOMS = 8  # items of a mixture at most
N_NEW = 32  # items that a round adds before it keeps the best
N_ROUNDS = 10
REST = 0.02  # typical distances: half-way between rounding, and the least rest that points of another kind leave
CONTROLS_FOUND = 0.02  # beyond this share of controls that are "mixtures" too, the attack tells nothing
N_AVERAGED = 30  # items behind a control that is an average
ITEMS_A_BLOCK = 1 << 16
MOST_LEVELS = 256  # of numbers stored as 8 bits

Singles = npt.NDArray[np.float32]


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


def demix(points: Array, nearest: Nearest, items: Array, spacing: Spacing, rng: np.random.Generator) -> Demixing:
    """Try at most 200 points, and 50 items and 50 averages of 30 items as controls.

    Parameters
    ----------
    points : float32 array, shape (n_points, …)
        Those that are no copies.
    nearest : Nearest
        Their nearest items, to begin with.
    items : float32 array, shape (n_items, …)
        The private items.
    spacing : Spacing
        Of the items.
    rng : numpy.random.Generator
        Chooses what is tried.

    Notes
    -----
    An item that is tried as a control is not among the items that it may be mixed of.
    """
    known, published = as_rows(items), as_rows(points)
    chosen = np.sort(rng.permutation(len(published))[:N_TRIED])
    tried = published[chosen]
    enough = max(REST * spacing.typical, 1.5 * rounding(tried))
    rests = mixture_rests(tried, known, nearest.rows[chosen], enough=enough)
    return Demixing(len(tried), float((rests < enough).mean()), _share_of_controls(known, spacing, rng, enough))


def _share_of_controls(items: Singles, spacing: Spacing, rng: np.random.Generator, enough: float) -> float:
    """Return the larger share found among left-out items and averages: the one is rugged, the other smooth."""
    apart = spacing.sample[spacing.own > enough]
    left_out = rng.permutation(apart)[:N_CONTROLS]
    of_items = 0.0
    if len(left_out):
        start = neighbours(items, left_out)[:, 0]
        rests = mixture_rests(items[left_out], items, start, enough=enough, left_out=left_out)
        of_items = float((rests < enough).mean())
    groups = [rng.permutation(len(items))[:N_AVERAGED] for _ in range(N_CONTROLS)]
    averages = np.stack([items[rows].mean(axis=0, dtype=np.float64) for rows in groups]).astype(np.float32)
    rests = mixture_rests(averages, items, np.array([rows[0] for rows in groups]), enough=enough)
    return max(of_items, float((rests < enough).mean()))


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
    points: Singles, items: Singles, start: Rows, *, enough: float = 0.0, left_out: Rows | None = None
) -> Doubles:
    """Return how far each point stays from the best mixture that was found, shape (n_points,).

    Parameters
    ----------
    points : float32 array, shape (n_points, n_numbers)
        What may be a mixture.
    items : float32 array, shape (n_items, n_numbers)
        What it may be mixed of.
    start : int array, shape (n_points,)
        The row of the item to begin with, such as the nearest.
    enough : float
        A rest below which no better mixture is looked for.
    left_out : int array, shape (n_points,), optional
        The row of an item that may not be used.

    Notes
    -----
    Weights are at least 0 and sum to 1. Each round takes the 32 items in whose direction the rest points most,
    finds the best weights of these and of those so far, and keeps the eight largest: subspace pursuit (Dai and
    Milenkovic, 2009) with nonnegative least squares.
    """
    atoms = [np.array([row]) for row in start]
    weights = [np.ones(1) for _ in start]
    rests = distances(points, items, start)
    active = np.flatnonzero(rests >= enough)
    for _ in range(N_ROUNDS):
        if not len(active):
            break
        mixed = np.stack([weights[i] @ items[atoms[i]] for i in active]).astype(np.float32)
        forbidden = None if left_out is None else left_out[active]
        directions = _best_directions(points[active], mixed, items, forbidden)
        going_on = []
        for i, new in zip(active, directions, strict=True):
            before = set(atoms[i].tolist())
            atoms[i], weights[i], rest = _pursue(points[i], items, np.union1d(atoms[i], new))
            rests[i] = min(rests[i], rest)
            if rests[i] >= enough and set(atoms[i].tolist()) != before:
                going_on.append(i)
        active = np.array(going_on, dtype=np.intp)
    return rests


def _best_directions(points: Singles, mixed: Singles, items: Singles, forbidden: Rows | None) -> Rows:
    """Return the rows of the items that the rest points towards most, shape (n_points, n_new): by cosine."""
    rest = points - mixed
    rows, scores = [], []
    squares = np.einsum("ij,ij->i", mixed, mixed)[:, np.newaxis]
    for first in range(0, len(items), ITEMS_A_BLOCK):
        block = items[first : first + ITEMS_A_BLOCK]
        along = rest @ block.T - np.einsum("ij,ij->i", rest, mixed)[:, np.newaxis]
        length = np.einsum("ij,ij->i", block, block) - 2 * (mixed @ block.T) + squares
        along /= np.sqrt(np.maximum(length, 1e-6 * squares + 1e-30))
        if forbidden is not None:
            here = np.flatnonzero((forbidden >= first) & (forbidden < first + len(block)))
            along[here, forbidden[here] - first] = -np.inf
        best = np.argpartition(-along, min(N_NEW, len(block)) - 1, axis=1)[:, :N_NEW]
        rows.append(best + first)
        scores.append(np.take_along_axis(along, best, axis=1))
    all_rows, all_scores = np.concatenate(rows, axis=1), np.concatenate(scores, axis=1)
    best = np.argsort(-all_scores, axis=1)[:, :N_NEW]
    best_rows = np.take_along_axis(all_rows, best, axis=1)
    if forbidden is not None:  # where there are fewer items than atoms
        return np.where(best_rows == forbidden[:, np.newaxis], best_rows[:, :1], best_rows)
    return best_rows


def _pursue(point: Singles, items: Singles, rows: Rows) -> tuple[Rows, Doubles, float]:
    """Return the at most eight items kept, their weights, and the rest of the point."""
    weights, rest = _weigh(point, items[rows])
    kept = np.argsort(-weights)[:N_ATOMS]
    kept = kept[weights[kept] > 0]
    if len(kept) < len(rows):
        rows = rows[kept]
        weights, rest = _weigh(point, items[rows])
    return rows, weights, rest


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
