"""How similar two representations are up to rotation and scale; 1 is the same (VAE transfer paper, §3)."""

from __future__ import annotations

import numpy as np

from rosetta.arrays import Floats
from rosetta.metrics import Doubles, check_paired
from rosetta.metrics.engine import metric


@metric(
    "cka",
    label="linear CKA",
    needs=("two latents",),
    direction="higher",
    range=(0.0, 1.0),
    citation="Kornblith et al. 2019, Similarity of Neural Network Representations Revisited",
    n_permutations=100,
    has_ceiling=True,
)
def linear_cka(a: Floats, b: Floats) -> float:
    """Linear centred kernel alignment, ‖BᵀA‖²_F / (‖AᵀA‖_F ‖BᵀB‖_F) of centred A and B.

    1 for spaces that are the same up to rotation and one scale. This is the biased estimate: few items or many
    dimensions raise it, as the null shows.

    Parameters
    ----------
    a, b : float array, shape (n_items, n_dims_a) and (n_items, n_dims_b)
        Representations of the same items in the same order.
    """
    x, y = (_centred(z) for z in check_paired(a, b))
    return float((np.linalg.norm(y.T @ x) ** 2) / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)))


@metric(
    "procrustes",
    label="Procrustes similarity",
    needs=("two latents",),
    direction="higher",
    range=(0.0, 1.0),
    citation="Schönemann 1966, A Generalized Solution of the Orthogonal Procrustes Problem",
    n_permutations=100,
    has_ceiling=True,
)
def procrustes_similarity(a: Floats, b: Floats) -> float:
    """1 − d/2, with d the squared Procrustes distance of the centred, Frobenius-normalised arrays.

    d = 2 − 2 ‖AᵀB‖_* (nuclear norm), so the similarity is the nuclear norm itself. 1 for spaces that are the same up to
    rotation and one scale; arrays of different widths are compared as if the narrower one were padded with zeros.

    Parameters
    ----------
    a, b : float array, shape (n_items, n_dims_a) and (n_items, n_dims_b)
        Representations of the same items in the same order.
    """
    x, y = (_centred(z) for z in check_paired(a, b))
    x, y = x / np.linalg.norm(x), y / np.linalg.norm(y)
    return float(np.linalg.svd(x.T @ y, compute_uv=False).sum())


def _centred(array: Doubles) -> Doubles:
    centred: Doubles = array - array.mean(axis=0)
    return centred
