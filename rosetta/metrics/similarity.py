"""How similar two representations are up to rotation and scale; 1 is the same (VAE transfer paper, §3)."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Floats
from rosetta.metrics import Doubles, check_paired


def linear_cka(a: Floats, b: Floats) -> float:
    """Return linear centred kernel alignment, ‖BᵀA‖²_F / (‖AᵀA‖_F ‖BᵀB‖_F) of centred A and B, in 0…1.

    Parameters
    ----------
    a, b : float array, shape (n_items, n_dims_a) and (n_items, n_dims_b)
        Representations of the same items in the same order.
    """
    x, y = (_centred(z) for z in check_paired(a, b))
    return float((np.linalg.norm(y.T @ x) ** 2) / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)))


def procrustes_similarity(a: Floats, b: Floats) -> float:
    """Return 1 − d/2, with d the squared Procrustes distance of the centred, Frobenius-normalised arrays, in 0…1.

    d = 2 − 2 ‖AᵀB‖_* (nuclear norm), so the similarity is the nuclear norm itself; arrays of different
    widths are compared as if the narrower one were padded with zeros.
    """
    x, y = (_centred(z) for z in check_paired(a, b))
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    return float(np.linalg.svd(x.T @ y, compute_uv=False).sum())


def _centred(array: Doubles) -> Doubles:
    centred: Doubles = array - array.mean(axis=0)
    return centred
