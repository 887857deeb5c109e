"""Points from statistics that are released with differential privacy: the data is looked at once, and not again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from sklearn.metrics import pairwise_distances_argmin

from rosetta.arrays import Array, Floats, flat
from rosetta.distillation.plan import Portion
from rosetta.distillation.random_streams import CELLS, Draws
from rosetta.errors import SelectionError, UsageError
from rosetta.origins import Origin, PointBatch, Recipe, SenderData, draw_points
from rosetta.schemas.audit import PrivacyAccount
from rosetta.schemas.distill import DistillSettings

MIN_CONFIDENCE = 2.0  # standard deviations of the noise on a count, above the members that are asked for
CELLS_A_POINT = 3  # cells of the space for each point wanted: many turn out to have too few items


def private_origins(
    sender: SenderData, portions: Sequence[Portion], settings: DistillSettings, draws: Draws
) -> tuple[Mapping[str, Origin], tuple[PrivacyAccount, ...]]:
    """Return what makes the points of each origin from noisy statistics, and what it spends; none without `dp_epsilon`.

    Epsilon and delta are divided evenly among the origins (basic composition). All points of an origin, anchors and
    checks, come from one release: making more of them costs nothing.
    """
    if settings.dp_epsilon is None or settings.dp_delta is None:
        return {}, ()
    unit = "items" if sender.groups is None else "groups"
    if settings.privacy != "open" and settings.dp_delta * sender.n_units >= 1:
        raise UsageError(
            f"`dp_delta={settings.dp_delta:g}` is not below 1 / {sender.n_units:,}, the number of {unit}: it would "
            "allow to give one of them away. Take a smaller one, or `privacy='open'`"
        )
    makers, accounts = {}, []
    for number, portion in enumerate(portions):
        rng = draws.generator(CELLS, number)
        maker, account = _RELEASES[portion.origin](
            sender, portion, settings, rng, settings.dp_epsilon / len(portions), settings.dp_delta / len(portions)
        )
        makers[portion.origin] = maker
        accounts.append(account)
    return makers, tuple(accounts)


def _moments(
    sender: SenderData,
    portion: Portion,
    settings: DistillSettings,
    rng: np.random.Generator,
    epsilon: float,
    delta: float,
) -> tuple[Origin, PrivacyAccount]:
    from rosetta.privacy import private_moments

    low, high = sender.value_range
    released = private_moments(
        flat(sender.inputs[:]),
        low=low,
        high=high,
        epsilon=epsilon,
        delta=delta,
        norm_bound=settings.dp_norm,
        groups=sender.groups,
    )
    values, vectors = np.linalg.eigh(released.covariance)
    factor = np.sqrt(np.maximum(values, 0))[:, None] * vectors.T

    def make(sender: SenderData, n_points: int, rng: np.random.Generator, taken: Array, recipe: Recipe) -> PointBatch:
        """Draw from the normal distribution with the noisy moments."""

        def draw(n_wanted: int) -> Floats:
            drawn: Floats = released.mean + rng.standard_normal((n_wanted, len(factor))) @ factor
            return drawn.reshape(n_wanted, *sender.inputs.shape[1:])

        advice = "the noise leaves nothing of the covariance: allow a larger `dp_epsilon` or use more items"
        return PointBatch(draw_points(sender, n_points, taken, draw, advice=advice))

    return make, released.account


def _averaged(
    sender: SenderData,
    portion: Portion,
    settings: DistillSettings,
    rng: np.random.Generator,
    epsilon: float,
    delta: float,
) -> tuple[Origin, PrivacyAccount]:
    from rosetta.privacy import private_means

    n_points = portion.n_anchors + portion.n_checks
    n_cells = CELLS_A_POINT * n_points
    centres = rng.standard_normal((n_cells, sender.latents.shape[1]))  # of the prior: no item has a say in them
    cells = pairwise_distances_argmin(sender.latents[:].astype(np.float64), centres)
    low, high = sender.value_range
    released = private_means(
        flat(sender.inputs[:]), cells, n_cells=n_cells, low=low, high=high, epsilon=epsilon, delta=delta,
        norm_bound=settings.dp_norm, least=settings.members, groups=sender.groups,
    )  # fmt: skip
    least = settings.members + MIN_CONFIDENCE * released.account.noise_sds["counts"]
    if (n_large := int((released.counts >= least).sum())) < n_points:
        unit = "items" if sender.groups is None else "groups"
        raise SelectionError(
            f"{n_points} averaged points were asked for, but of {n_cells} cells of the space only {n_large} have "
            f"surely at least {settings.members} {unit} (noisy counts from {least:.1f} on): ask for fewer `pairs` and "
            "`checks`, fewer `members`, or a larger `dp_epsilon`. The noise was drawn, so this try has spent its budget"
        )
    largest = np.argsort(-released.counts, kind="stable")[:n_points]
    means = released.means[rng.permutation(largest)].reshape(n_points, *sender.inputs.shape[1:])
    rest = [means]

    def make(sender: SenderData, n_points: int, rng: np.random.Generator, taken: Array, recipe: Recipe) -> PointBatch:
        """Take the next of the noisy means."""
        given, rest[0] = rest[0][:n_points], rest[0][n_points:]
        inputs = draw_points(sender, n_points, taken, lambda n: given[:n], advice="the noisy means are the same")
        return PointBatch(inputs, {"crowds": "cells"})

    return make, released.account


_Release = Callable[
    [SenderData, Portion, DistillSettings, np.random.Generator, float, float], tuple[Origin, PrivacyAccount]
]
_RELEASES: Mapping[str, _Release] = {"moments": _moments, "averaged": _averaged}
