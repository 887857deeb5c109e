"""The linear map from one latent space to another, and its spectrum (R-VAE paper, appendices I and J)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from rosetta.arrays import Floats
from rosetta.metrics import Doubles, check_paired


class LinearFit(NamedTuple):
    """The least-squares map reference ≈ A other + b, and what it leaves."""

    matrix: Doubles  # shape (n_dims_reference, n_dims_other)
    offset: Doubles  # shape (n_dims_reference,)
    fvu_mapped: float


def fit_linear_map(reference: Floats, other: Floats) -> LinearFit:
    """Fit reference ≈ A other + b by least squares and return it with the variance that it leaves unexplained.

    Where `other` lacks rank, A is the one of least norm.

    Parameters
    ----------
    reference : float array, shape (n_items, n_dims_reference)
        The space that is mapped to.
    other : float array, shape (n_items, n_dims_other)
        The space that is mapped.
    """
    z1, z2 = check_paired(reference, other)
    mean1, mean2 = z1.mean(axis=0), z2.mean(axis=0)
    solution, *_ = np.linalg.lstsq(z2 - mean2, z1 - mean1, rcond=None)
    residual = (z1 - mean1) - (z2 - mean2) @ solution
    unexplained = float((residual**2).sum() / ((z1 - mean1) ** 2).sum())
    return LinearFit(solution.T, mean1 - solution.T @ mean2, unexplained)


def singular_values(matrix: Floats) -> Doubles:
    """Return the spectrum of P in the polar decomposition A = U P, falling (R-VAE paper, appendix I)."""
    return np.linalg.svd(matrix.astype(np.float64), compute_uv=False)


def effective_rank(spectrum: Floats) -> float:
    """Return the exponential of the entropy of a spectrum that is normalised to sum 1 (Roy & Vetterli 2007)."""
    total = float(spectrum.sum())
    if total <= 0:
        return 0.0
    share = spectrum[spectrum > 0] / total
    return float(np.exp(-(share * np.log(share)).sum()))


def distance_from_identity(matrix: Floats) -> float | None:
    """Return ‖A/σ_max − I‖_F / √D, 0 for the same space up to its scale; None if A is not square (appendix I)."""
    n_rows, n_columns = matrix.shape
    largest = float(singular_values(matrix)[0])
    if n_rows != n_columns or largest == 0:
        return None
    return float(np.linalg.norm(matrix / largest - np.eye(n_rows)) / np.sqrt(n_rows))
