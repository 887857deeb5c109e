"""Principal components of points, and how far items lie within their span and outside of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rosetta.disclosure.search import Doubles, Singles

LARGEST_EXACT = 1024  # points or numbers, of which all components are found; of more, the largest
N_ITERATIONS = 2  # of the randomised range finder (Halko, Martinsson and Tropp, 2011, algorithm 4.4)
N_SPARE = 16
SMALLEST = 1e-9  # variances as shares of the largest: what rounding leaves of none


@dataclass(frozen=True)
class Components:
    """Principal components of points, the largest first."""

    mean: Singles  # shape (n_numbers,)
    vectors: Singles  # orthonormal columns, shape (n_numbers, n_components)
    variances: Doubles  # of the points along them, all positive, shape (n_components,)

    def project(self, rows: Singles) -> Singles:
        """Return rows, shape (n_rows, n_numbers), as coordinates, shape (n_rows, n_components)."""
        return np.asarray((rows - self.mean) @ self.vectors)


def first_of(components: Components, n: int) -> Components:
    """Return the largest `n` components."""
    return Components(components.mean, components.vectors[:, :n], components.variances[:n])


def components_of(points: Singles, n_components: int, rng: np.random.Generator) -> Components:
    """Return the principal components of points.

    Parameters
    ----------
    points : float32 array, shape (n_points, n_numbers)
        At least two.
    n_components : int
        How many are wanted where there are more than 1,024 points and numbers; of fewer, all are found.
    rng : numpy.random.Generator
        Draws the directions in which the range of the points is looked for.
    """
    mean = points.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = points - mean
    n_points, n_numbers = centred.shape
    if n_numbers <= min(n_points, LARGEST_EXACT):
        values, vectors = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
        values, vectors = values[::-1], vectors[:, ::-1].astype(np.float32)
    elif n_points <= LARGEST_EXACT:
        values, mixing = np.linalg.eigh(centred.astype(np.float64) @ centred.T.astype(np.float64))
        values, mixing = values[::-1], mixing[:, ::-1]
        lengths = np.sqrt(np.maximum(values, SMALLEST * max(float(values[0]), 1e-300)))
        vectors = ((centred.T @ mixing.astype(np.float32)) / lengths).astype(np.float32)
    else:
        values, vectors = _largest(centred, min(n_components, n_points - 1, n_numbers), rng)
    kept = values > SMALLEST * max(float(values[0]), 1e-300)
    kept[min(n_points - 1, n_numbers) :] = False
    kept[0] = True  # points that are all the same have one component, of no variance to speak of
    return Components(mean, vectors[:, kept], np.maximum(values[kept], 1e-30) / n_points)


def _largest(centred: Singles, n_components: int, rng: np.random.Generator) -> tuple[Doubles, Singles]:
    """Return the squares of the largest singular values, and their right vectors as columns."""
    width = min(n_components + N_SPARE, min(centred.shape))
    basis = np.asarray(rng.standard_normal((centred.shape[1], width), dtype=np.float32))
    for _ in range(N_ITERATIONS):
        basis = np.linalg.qr(centred.T @ (centred @ basis))[0]
    projected = (centred @ basis).astype(np.float64)
    values, turned = np.linalg.eigh(projected.T @ projected)
    order = slice(None, -n_components - 1, -1)
    return values[order], (basis @ turned[:, order].astype(np.float32)).astype(np.float32)


def span_scores(components: Components, rows: Singles, numbers: list[int]) -> Doubles:
    """Return how near rows lie to the points within their first components and outside of them.

    Parameters
    ----------
    components : Components
        Of the points.
    rows : float32 array, shape (n_rows, n_numbers)
        Items.
    numbers : list of int
        Numbers of components, at most as many as there are.

    Returns
    -------
    float array, shape (n_rows, 2 · n_numbers_of_components)
        Less the logarithm of the squared Mahalanobis distance within, for each number of components, and then less
        the logarithm of the squared distance from their span: the nearer, the higher.
    """
    at = components.project(rows).astype(np.float64)
    gaps = (rows - components.mean).astype(np.float64)
    lengths = np.einsum("ij,ij->i", gaps, gaps)[:, np.newaxis]
    columns = np.array(numbers) - 1
    within = np.cumsum(at**2 / components.variances, axis=1)[:, columns]
    outside = np.maximum(lengths - np.cumsum(at**2, axis=1)[:, columns], 1e-7 * lengths)
    return np.asarray(-np.log(np.concatenate([within, outside], axis=1) + 1e-30))
