"""CKA and Procrustes similarity, against slow twins and a published library."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import procrustes

from rosetta.metrics.similarity import linear_cka, procrustes_similarity


def _pair(seed: int = 0, n_dims: int = 4) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    a = rng.normal(size=(50, 4))
    return a, a @ rng.normal(size=(4, n_dims)) + 0.5 * rng.normal(size=(50, n_dims))


@pytest.mark.parametrize("n_dims", [2, 4, 7])
def test_cka_is_the_normalised_hilbert_schmidt_criterion_of_the_centred_kernels(n_dims: int):
    a, b = _pair(n_dims=n_dims)
    centring = np.eye(len(a)) - 1 / len(a)
    k, m = (centring @ (x @ x.T) @ centring for x in (a, b))

    expected = np.trace(k @ m) / np.sqrt(np.trace(k @ k) * np.trace(m @ m))

    assert linear_cka(a, b) == pytest.approx(expected, rel=1e-10)


def test_procrustes_similarity_agrees_with_scipys_disparity():
    a, b = _pair()

    _, _, disparity = procrustes(a, b)  # 1 − (nuclear norm)²

    assert procrustes_similarity(a, b) == pytest.approx(np.sqrt(1 - disparity), rel=1e-10)


def test_both_are_one_for_a_rotated_scaled_and_shifted_copy():
    a, _ = _pair()
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))

    for similarity in (linear_cka, procrustes_similarity):
        assert similarity(a, 3 * a @ rotation + 7) == pytest.approx(1)


def test_both_are_small_for_unrelated_arrays():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 2000, 3))

    assert linear_cka(a, b) < 0.01
    assert procrustes_similarity(a, b) < 0.1
