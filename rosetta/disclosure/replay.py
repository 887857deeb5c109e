"""The random draws of an older bundle, repeated from the seed that its manifest names, and solved for the items."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve

from rosetta.arrays import LazyArray
from rosetta.disclosure.nearest import nearest_items
from rosetta.disclosure.search import Doubles, Rows, Singles
from rosetta.disclosure.spacing import Spacing
from rosetta.schemas.audit import Finding
from rosetta.schemas.manifest import OriginName

NAME = "seed replay"
LARGEST_COVARIANCE = 4096  # as the version that named seeds had it
N_ROUNDS = 60  # of putting in what clipping took away
ENOUGH = 1e-4  # change of a round, as a share of the range, at which no more follow
NEAR = 0.5  # typical distances: nearer to an item than half of what keeps items apart
MADE_UP = ("moments", "mixed", "decoded", "averaged")


@dataclass(frozen=True)
class Draws:
    """What a manifest tells of the draws of its points."""

    seed: int | None  # of the draws; None: it says that they can be repeated, and not by which seed
    is_anchor: npt.NDArray[np.bool_]  # shape (n_points,)
    n_items: int | None  # as the manifest tells
    value_range: tuple[float, float]
    mix: int = 3  # items of a mixed point


def replay_seed(
    draws: Draws, inputs: Singles, rows: Mapping[OriginName, Rows], items: LazyArray, spacing: Spacing
) -> tuple[Finding, ...]:
    """Repeat the draws of each origin, solve for the items behind its points, and count those that come out.

    Parameters
    ----------
    draws : Draws
        From the manifest.
    inputs : float32 array, shape (n_points, n_numbers)
        Published.
    rows : mapping of origin to int array
        Which of them are of which origin, in the order of the file.
    items : float32 array, shape (n_items, …)
        The private items, against which solutions are held.
    spacing : Spacing
        Of the items.

    Notes
    -----
    Points from moments were ``mean + normals @ factor``, where the factor's rows were the centred items divided by the
    root of their number wherever items were fewer than the numbers in one, or these more than 4,096; mixed points were
    shares times items. Both are linear in the items, with coefficients that the seed repeats.
    """
    found = []
    for place, (origin, at) in enumerate(rows.items()):
        if origin not in MADE_UP:
            continue
        solved = None if draws.seed is None else _solve(draws, origin, place, inputs[at], draws.is_anchor[at])
        if solved is None:
            found.append(_repeatable(origin, draws.seed))
            continue
        nearest = nearest_items(solved, items)
        n_found = len(np.unique(nearest.rows[nearest.distances < NEAR * spacing.typical]))
        share = float((spacing.own < NEAR * spacing.typical).mean())
        holds = n_found > 0 and n_found / len(solved) > 2 * share
        found.append(Finding(
            attack=NAME, origin=origin, knows="bundle", what="private items computed from the file",
            n_tried=len(solved), n_found=n_found, by_chance=share * len(solved),
            verdict="holds items" if holds else "close to items",
            reason=f"{n_found:,} of {len(solved):,} items were computed from the points: the manifest names the seed, "
            "from which their random numbers can be drawn again",
        ))  # fmt: skip
    return tuple(found)


def _repeatable(origin: OriginName, seed: int | None) -> Finding:
    how = "the manifest names the seed of" if seed is not None else "the manifest says that a seed repeats"
    return Finding(
        attack=NAME, origin=origin, knows="bundle", what="points whose random numbers can be drawn again",
        n_tried=1, n_found=1, verdict="close to items",
        reason=f"{how} the random draws: whoever repeats them takes the noise away from the points. No item was "
        "computed here, as the points are no linear function of the items, or are fewer than these",
    )  # fmt: skip


def _solve(
    draws: Draws, origin: OriginName, place: int, points: Singles, is_anchor: npt.NDArray[np.bool_]
) -> Singles | None:
    """Return the items behind points, shape (n_items, n_numbers); None where they do not follow."""
    if origin not in ("moments", "mixed") or draws.n_items is None or draws.seed is None:
        return None
    parts = []
    for role, n_points in ((0, int(is_anchor.sum())), (1, int((~is_anchor).sum()))):
        rng = np.random.default_rng([draws.seed, role, place] if place else [draws.seed, role])
        make = _of_moments if origin == "moments" else _of_mixtures
        part = make(rng, n_points, draws.n_items, points.shape[1], draws.mix)
        if part is None:
            return None
        parts.append(part)
    coefficients = np.concatenate(parts)
    if len(points) < 1.1 * coefficients.shape[1]:
        return None
    solved = solve_clipped(coefficients, points, draws.value_range)
    if origin == "mixed":
        return np.asarray(solved, dtype=np.float32)
    items = solved[0] + np.sqrt(len(solved) - 1) * solved[1:]  # the mean, and the factor's rows
    return np.asarray(items, dtype=np.float32)


def _of_moments(rng: np.random.Generator, n_points: int, n_items: int, n_numbers: int, mix: int) -> Doubles | None:
    """Return the coefficients of the mean and of the factor's rows, shape (n_points, 1 + n_rows)."""
    if n_numbers < n_items and n_numbers <= LARGEST_COVARIANCE:
        return None  # the root of the covariance, whose rows are no items
    if n_items > LARGEST_COVARIANCE:
        rng.permutation(n_items)
    normals = rng.standard_normal((n_points, min(n_items, LARGEST_COVARIANCE)), dtype=np.float32)
    return np.concatenate([np.ones((n_points, 1)), normals], axis=1)


def _of_mixtures(rng: np.random.Generator, n_points: int, n_items: int, n_numbers: int, mix: int) -> Doubles | None:
    """Return the share of each item in each point, shape (n_points, n_items)."""
    if mix > n_items // 2:
        return None
    rows = rng.integers(n_items, size=(n_points, mix))
    while len(again := np.flatnonzero((np.diff(np.sort(rows, axis=1), axis=1) == 0).any(axis=1))):
        rows[again] = rng.integers(n_items, size=(len(again), mix))
    shares = np.zeros((n_points, n_items))
    np.put_along_axis(shares, rows, rng.dirichlet(np.ones(mix), size=n_points), axis=1)
    return shares


def solve_clipped(coefficients: Doubles, points: Singles, value_range: tuple[float, float]) -> Doubles:
    """Return X so that coefficients @ X, clipped to the range, are the points: least squares.

    Parameters
    ----------
    coefficients : float array, shape (n_points, n_unknowns)
        Of full column rank.
    points : float32 array, shape (n_points, n_numbers)
        Clipped to the range.
    value_range : (float, float)
        Ends of the range.

    Notes
    -----
    What was clipped lies anywhere beyond the end of the range: it is put where the solution so far has it, and the
    least squares are repeated (Buckley and James, 1979).
    """
    low, high = value_range
    slack = 1e-6 * max(high - low, 1e-12)
    is_low, is_high = points <= low + slack, points >= high - slack
    ridge = 1e-9 * len(coefficients) * np.eye(coefficients.shape[1])
    normal = cho_factor(coefficients.T @ coefficients + ridge)
    targets = points.astype(np.float64)
    solved = cho_solve(normal, coefficients.T @ targets)
    for _ in range(N_ROUNDS if is_low.any() or is_high.any() else 0):
        made = coefficients @ solved
        targets = np.where(is_low, np.minimum(made, low), np.where(is_high, np.maximum(made, high), points))
        before, solved = solved, cho_solve(normal, coefficients.T @ targets)
        if np.abs(solved - before).max() < ENOUGH * (high - low):
            break
    return np.asarray(solved)
