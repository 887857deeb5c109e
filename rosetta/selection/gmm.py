"""The means of a mixture of normal distributions."""

from __future__ import annotations

import numpy as np
from sklearn.mixture import GaussianMixture

from rosetta.arrays import Floats
from rosetta.selection import seed_from, selector, selectors

MOST = 20_000  # items: a round costs items × components × dimensions²
ENOUGH = 10  # items for each number of a component's covariance row, or the covariances are diagonal
FLOOR = 1e-3  # least variance of a component, as a share of the latents' mean variance


@selectors.register("gmm")
@selector(gives="centroids", most=MOST)
def gmm(latents: Floats, n_pairs: int, rng: np.random.Generator) -> Floats:
    """Fit a mixture of normal distributions by expectation maximisation; return the means, the heaviest first.

    Covariances are full where there are ten items for each component and dimension, and diagonal where there are fewer
    or the full ones cannot be inverted. The floor under their variances keeps a component from falling on one item.

    Parameters
    ----------
    latents : float array, shape (n_items, n_dims)
        Posterior means, of at most 20,000 items.

    Returns
    -------
    float array, shape (n_pairs, n_dims)
    """
    if len(latents) == 1:
        return latents
    latents = latents.astype(np.float64)
    centre, scale = latents.mean(axis=0), float(np.sqrt(latents.var(axis=0).mean())) or 1.0
    items, seed = (latents - centre) / scale, seed_from(rng)
    forms = ["full", "diag"] if len(items) >= ENOUGH * n_pairs * items.shape[1] else ["diag"]
    for form in forms:
        mixture = GaussianMixture(n_pairs, covariance_type=form, reg_covar=FLOOR, random_state=seed)
        try:
            mixture.fit(items)
            break
        except ValueError:  # a covariance that cannot be inverted
            if form == forms[-1]:
                raise
    order = np.argsort(-mixture.weights_, kind="stable")
    return np.asarray(centre + scale * mixture.means_[order])
