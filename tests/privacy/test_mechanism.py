"""How much noise there is, and that the library's own account says that it is enough."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from rosetta.errors import UsageError
from rosetta.privacy.mechanism import add_noise, epsilon_spent, noise_multiplier

pytest.importorskip("opendp", reason="differential privacy needs opendp")


@pytest.mark.parametrize(("epsilon", "delta"), [(0.1, 1e-9), (1, 1e-6), (3, 1e-5), (10, 1e-6), (100, 0.5)])
def test_the_noise_is_the_least_that_the_library_accepts_for_epsilon_and_delta(epsilon: float, delta: float):
    multiplier = noise_multiplier(epsilon, delta)

    assert epsilon_spent((1.0,), (multiplier,), delta) <= epsilon
    assert epsilon_spent((1.0,), (0.99 * multiplier,), delta) > epsilon


@pytest.mark.parametrize(("epsilon", "delta"), [(1, 1e-6), (10, 1e-6)])
def test_the_noise_is_what_the_published_formula_asks_for_and_at_most_a_tenth_more(epsilon: float, delta: float):
    from scipy.optimize import brentq
    from scipy.stats import norm

    def excess(m: float) -> float:  # Balle & Wang 2018, theorem 8: the exact account of Gaussian noise
        return norm.cdf(0.5 / m - epsilon * m) - np.exp(epsilon) * norm.cdf(-0.5 / m - epsilon * m) - delta

    exact = brentq(excess, 0.05, 100)

    assert exact <= noise_multiplier(epsilon, delta) <= 1.1 * exact


def test_statistics_that_divide_a_budget_spend_no_more_than_all_of_it_together():
    multiplier, shares = noise_multiplier(2.0, 1e-6), (0.1, 0.2, 0.7)
    sensitivities = (3.0, 50.0, 1e6)
    sds = tuple(s * multiplier / np.sqrt(w) for s, w in zip(sensitivities, shares, strict=True))

    together = epsilon_spent(sensitivities, sds, 1e-6)

    assert 1.999 < together <= 2
    assert epsilon_spent(sensitivities[:2], sds[:2], 1e-6) < together


def test_noise_has_the_standard_deviation_that_was_asked_for_and_is_whole():
    values = np.arange(20_000.0).reshape(100, 200)

    noise = add_noise(values, sd=1e9) - values

    assert np.array_equal(noise, np.rint(noise))
    assert noise.std() == pytest.approx(1e9, rel=0.03)  # six standard errors
    assert abs(noise.mean()) < 6e9 / np.sqrt(noise.size)
    assert (np.abs(noise) < 1e9).mean() == pytest.approx(0.6827, abs=0.02)


def test_noise_is_another_each_time():
    values = np.zeros(50)

    assert (add_noise(values, sd=1e6) != add_noise(values, sd=1e6)).sum() > 45


@pytest.mark.parametrize("epsilon", [0.0, -1.0, 1e-4, 101.0, float("nan"), float("inf")])
def test_an_epsilon_that_cannot_be_is_refused(epsilon: float):
    with pytest.raises(UsageError, match="epsilon is .*; expected a number from 0.001 to 100"):
        noise_multiplier(epsilon, 1e-6)


@pytest.mark.parametrize("delta", [0.0, 1.0, -0.1, float("nan")])
def test_a_delta_that_cannot_be_is_refused(delta: float):
    with pytest.raises(UsageError, match="delta is .*; expected a number between 0 and 1"):
        noise_multiplier(1.0, delta)


def test_without_opendp_the_error_says_how_to_install_it():
    code = (
        "import sys; sys.modules['opendp'] = None; import numpy as np; from rosetta.privacy import private_moments\n"
        "from rosetta.errors import MissingExtraError\n"
        "try: private_moments(np.ones((3, 2)), low=0, high=1, epsilon=1, delta=1e-6)\n"
        "except MissingExtraError as error: print(error)"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "pip install 'rosetta-points[privacy]'" in result.stdout
