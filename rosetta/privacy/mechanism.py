"""Gaussian noise by OpenDP: how much of it a guarantee needs, and whole numbers with it."""

from __future__ import annotations

import functools
import math
from types import ModuleType
from typing import Any

import numpy as np

from rosetta.arrays import Array, Floats
from rosetta.errors import MissingExtraError, UsageError

MAX_EPSILON = 100.0  # far beyond what protects anything; the library's conversion overflows not far above
MIN_EPSILON = 1e-3  # below, the noise hides any number of items that there could be
LEAST_MULTIPLIER = 0.03  # needed for an epsilon of several hundred: where the search begins
MARGIN = 1e-9  # relative: budgets divided among statistics and added up again stay below the whole
BLOCK = 1 << 19  # numbers that pass through Python lists at a time


def check_budget(epsilon: float, delta: float) -> None:
    """Refuse a guarantee that there cannot be.

    Raises
    ------
    UsageError
        If epsilon is not between 0.001 and 100, or delta not between 0 and 1.
    """
    if not MIN_EPSILON <= epsilon <= MAX_EPSILON:
        raise UsageError(
            f"epsilon is {epsilon:g}; expected a number from {MIN_EPSILON:g} to {MAX_EPSILON:g}: "
            "1 is strong, and above 10 the guarantee says little"
        )
    if not 0 < delta < 1:
        raise UsageError(
            f"delta is {delta:g}; expected a number between 0 and 1, such as 1e-6: well below 1 / (number of items)"
        )


@functools.lru_cache(maxsize=64)
def noise_multiplier(epsilon: float, delta: float) -> float:
    """Return the noise that (epsilon, delta) needs: its standard deviation, in units of the sensitivity.

    The smallest at which the library's account of the Gaussian mechanism, zero-concentrated differential privacy
    converted to (epsilon, delta), is within epsilon. Statistics that are released one after the other, each with the
    share wᵢ of the budget, Σ wᵢ = 1, take 1 / √wᵢ times as much: ρ = 1 / (2 · multiplier²) adds up, whether or not a
    later one depends on the result of an earlier one (Bun & Steinke 2016, lemma 2.3).

    Raises
    ------
    UsageError
        If there is no such guarantee.
    MissingExtraError
        If the library is not installed.
    """
    check_budget(epsilon, delta)
    # ρ + 2 √(ρ log 1/δ) ≤ ε suffices (Bun & Steinke 2016, proposition 1.3); the library's conversion asks for less
    log_delta = math.log(1 / delta)
    enough = 1 / (math.sqrt(2) * (math.sqrt(log_delta + epsilon) - math.sqrt(log_delta)))
    found: float = opendp().binary_search(
        lambda multiplier: epsilon_spent((1.0,), (multiplier,), delta) <= epsilon,
        bounds=(LEAST_MULTIPLIER, 2 * enough),
    )
    return found * (1 + MARGIN)


def epsilon_spent(sensitivities: tuple[float, ...], sds: tuple[float, ...], delta: float) -> float:
    """Return the epsilon, at `delta`, of statistics that are released with noise of the standard deviations `sds`."""
    dp = opendp()
    unit = 2.0**40  # the mechanism is one of whole numbers: what it is told is measured in a fine grid
    measurements = [_gaussian(unit * sd / one) for one, sd in zip(sensitivities, sds, strict=True)]
    spent = dp.c.make_fix_delta(dp.c.make_zCDP_to_approxDP(dp.c.make_composition(measurements)), delta).map(unit)
    return float(spent[0])


def add_noise(values: Array, *, sd: float) -> Floats:
    """Return whole numbers with discrete Gaussian noise (Canonne, Kamath & Steinke 2020), exact to the last digit.

    The noise comes from the system's cryptographic random numbers: there is no seed, for who knew it could take the
    noise away again.

    Parameters
    ----------
    values : float array, any shape
        Whole numbers of at most 2⁵³.
    sd : float
        Standard deviation, in the same units.

    Returns
    -------
    float64 array
        Of the same shape.
    """
    measurement = _gaussian(sd)
    flat = values.reshape(-1).astype(np.int64)
    noisy = np.empty(flat.shape)
    # the noise of a vector is independent from number to number: block by block it is the same mechanism
    for start in range(0, len(flat), BLOCK):
        noisy[start : start + BLOCK] = measurement(flat[start : start + BLOCK].tolist())
    return noisy.reshape(values.shape)


def described() -> str:
    """Return the mechanism in words, with the library's version."""
    from importlib.metadata import version

    return (
        f"discrete Gaussian noise, accounted for as zero-concentrated differential privacy (opendp {version('opendp')})"
    )


@functools.lru_cache(maxsize=1)
def opendp() -> ModuleType:
    """Return OpenDP, ready for use, or raise MissingExtraError."""
    try:
        import opendp.prelude as dp
    except ModuleNotFoundError as error:
        raise MissingExtraError("privacy", "opendp", "differential privacy") from error
    dp.enable_features("contrib")  # everything that the Gaussian mechanism is made of stands behind this switch
    return dp


def _gaussian(sd: float) -> Any:
    dp = opendp()
    return dp.m.make_gaussian(dp.vector_domain(dp.atom_domain(T="i64")), dp.l2_distance(T=float), scale=sd)
