"""From a mixture of normal distributions, as many as describe the latents best."""

from __future__ import annotations

import warnings
from collections.abc import Callable

import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture

from rosetta.arrays import Floats, LazyArray
from rosetta.origins.draws import draws

SIZES = (1, 2, 4, 8, 16, 32)
FITTED = 20_000  # items that the mixture is fitted to, at most
ITEMS_A_COMPONENT, ITEMS_A_DIMENSION = 50, 10  # fewer would be told of by a component of their own


@draws.register("mixture")
def mixture(latents: LazyArray, latents_sd: LazyArray | None, rng: np.random.Generator) -> Callable[[int], Floats]:
    """Draw from the Gaussian mixture, of 1 to 32 components, with the lowest Bayesian information criterion."""
    sample = latents[rng.permutation(len(latents))[:FITTED]].astype(np.float64)
    fitted = []
    for size in SIZES:
        if size * max(ITEMS_A_COMPONENT, ITEMS_A_DIMENSION * latents.shape[1]) > len(sample) and size > 1:
            break
        found = GaussianMixture(size, reg_covar=1e-6, random_state=int(rng.integers(2**31)))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)  # a rough fit will do to draw from
            fitted.append(found.fit(sample))
    best = min(fitted, key=lambda each: each.bic(sample))

    def draw(n_points: int) -> Floats:
        best.set_params(random_state=int(rng.integers(2**31)))
        return np.asarray(best.sample(n_points)[0])

    return draw
