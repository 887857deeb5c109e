"""Mean and covariance of items, with differential privacy."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from rosetta.arrays import Array, Floats
from rosetta.errors import SelectionError, UsageError
from rosetta.privacy.accounts import account_of
from rosetta.privacy.groups import MOST_BITS as GROUP_BITS
from rosetta.privacy.groups import check_groups, n_units, sums_by
from rosetta.privacy.lattice import MOST_BITS, Ball, check_range, grid_bits, half_diagonal, pulled_in
from rosetta.privacy.mechanism import add_noise, check_budget, noise_multiplier
from rosetta.schemas.audit import PrivacyAccount

MOST_FEATURES = 4096  # the matrix of second moments has the square of this, and is held several times
# The mean is only where the second moments are taken about. An error e of it adds e eᵀ to them, which falls with the
# square of the number of items, while their own noise falls with the number: a tenth of the budget is enough.
MEAN_SHARE = 0.1
CERTAIN = 3.0  # standard deviations of its noise that the total variance must have
TURNS = 5
ON_DIAGONAL, OFF_DIAGONAL = 5, 7  # whole weights whose ratio is just below √2: see `_second_moments`


@dataclass(frozen=True)
class PrivateMoments:
    """Noisy moments, made usable: whatever is made from them spends nothing more."""

    mean: Floats  # float64, shape (n_features,), in the declared range
    covariance: Floats  # float64, shape (n_features, n_features), no negative eigenvalue
    n_directions: int  # in which the items are seen to vary; the others have the variance that is left, evenly
    noise_edge: float  # largest eigenvalue that noise alone gives, in squared units of the items
    account: PrivacyAccount


def private_moments(
    items: Array,
    *,
    low: float,
    high: float,
    epsilon: float,
    delta: float,
    norm_bound: float | None = None,
    groups: Array | None = None,
) -> PrivateMoments:
    """Return the mean and covariance of items, (epsilon, delta)-differentially private for the replacing of one item.

    First comes the noisy mean, of all items as they are. Then the second moments about that mean, of items that are
    pulled to a distance of `norm_bound` from it where they lie farther out.

    With groups, the guarantee is for the replacing of one group, with all its items, by any other with any number of
    them. The moments are those of a random item of a random group: each group counts the same.

    Parameters
    ----------
    items : array, shape (n_items, n_features)
        Finite numbers from `low` to `high`.
    low, high : float
        Range of values, known without looking at the data.
    epsilon, delta : float
        The guarantee.
    norm_bound : float, optional
        Distance from the mean, in the items' units, chosen without looking at the data: the noise grows with its
        square, and items farther out count less. By default the distance from the middle of the range to its corners.
    groups : int array, shape (n_items,), optional
        Whose each item is, from 0 without gaps.

    Returns
    -------
    PrivateMoments
        The covariance has what stands out of the noise: the eigenvalues above its edge, shrunk, and in all other
        directions the same variance, so that the total is right: it is known far better than any one eigenvalue.

    Raises
    ------
    UsageError
        For a range, bound, epsilon, delta or groups that cannot be; for more than 4,096 features.
    SourceError
        For items outside of the range.
    SelectionError
        If neither a direction nor the total variance stands out of the noise. The budget is spent all the same.
    MissingExtraError
        If the library that makes the noise is not installed.
    """
    check_budget(epsilon, delta)
    check_range(items, low=low, high=high, norm_bound=norm_bound)
    check_groups(groups, len(items))
    n_all, n_features = n_units(groups, len(items)), items.shape[1]
    most = MOST_BITS if groups is None else GROUP_BITS
    if n_features > MOST_FEATURES:
        raise UsageError(
            f"an item has {n_features:,} numbers; the covariance of more than {MOST_FEATURES:,} does not fit in memory "
            "several times: make items smaller, or take private means"
        )
    multiplier = noise_multiplier(epsilon, delta)
    diagonal = half_diagonal(n_features, low, high)
    around_middle = Ball(
        np.full(n_features, (low + high) / 2), diagonal, grid_bits(n_all, power=1, factor=1, most=most)
    )
    mean, sum_sd = _mean(items, around_middle, multiplier / math.sqrt(MEAN_SHARE), groups)
    mean = np.clip(mean, low, high)
    bits = grid_bits(n_all, power=2, factor=OFF_DIAGONAL, most=most)
    around_mean = Ball(mean, diagonal if norm_bound is None else norm_bound, bits)
    moments, moment_sd = _second_moments(items, around_mean, multiplier / math.sqrt(1 - MEAN_SHARE), groups)
    # the noisy mean's expected squared distance from the true one is in the second moments, too
    offset, square_sd = n_features * (sum_sd / n_all) ** 2, moment_sd / n_all
    edge = _edge(n_features, square_sd) + offset
    total = float(np.trace(moments)) - offset
    covariance, n_directions = _cleaned(moments, edge, total)
    doubt = CERTAIN * (math.sqrt(n_features) * square_sd + math.sqrt(2 / n_features) * offset)
    if not n_directions and total < doubt:
        unit = "items" if groups is None else "groups"
        raise SelectionError(
            f"the noise of epsilon {epsilon:g} hides how much the {n_all:,} {unit} vary: a total variance below "
            f"{doubt:.3g} cannot be told from it. Use more {unit}, fewer features, a larger epsilon, or a smaller "
            "bound on norms"
        )
    noise_sds = {"sum": sum_sd, "squares": moment_sd, "products": moment_sd * ON_DIAGONAL / OFF_DIAGONAL}
    account = account_of(
        "moments", epsilon=epsilon, delta=delta, norm_bound=around_mean.radius, noise_sds=noise_sds,
        of_groups=groups is not None,
    )  # fmt: skip
    return PrivateMoments(mean, covariance, n_directions, edge, account)


def sum_sensitivity(bits: int) -> float:
    """Return how far one item in a ball of radius 2 ** bits moves the sum: by its own way through the ball.

    So does one group, whose contribution, the mean of its items, is in the ball as they are.
    """
    return 2.0 ** (bits + 1)


def moment_sensitivity(bits: int) -> float:
    """Return how far one item in a ball of radius R = 2 ** bits moves the weighted second moments: 5 √2 R².

    Replacing x by y moves the matrix Σ x xᵀ by D = x xᵀ − y yᵀ, with ‖D‖² = ‖x‖⁴ + ‖y‖⁴ − 2 (x·y)² ≤ 2 R⁴ over all its
    entries. It is symmetric: only the squares and, once each, the products are released, the squares times 5 and the
    products times 7. That vector moves by 25 Σᵢ Dᵢᵢ² + 49 Σᵢ<ⱼ Dᵢⱼ² = 24.5 ‖D‖² + 0.5 Σᵢ Dᵢᵢ² ≤ 25 ‖D‖², squared.

    A group of n items contributes A = Σ x xᵀ over them, each x of norm R / √n at most, and another of m items B. Both
    are positive semidefinite, so ‖A‖ ≤ tr A = Σ ‖x‖² ≤ R², ‖B‖ ≤ R², and the inner product of A and B, Σ (x·y)² over
    all pairs of their items, is not below 0. Hence ‖A − B‖² ≤ 2 R⁴ again, whatever n and m are.
    """
    return ON_DIAGONAL * math.sqrt(2) * 4.0**bits


def group_sum(items: Array, ball: Ball, groups: Array | None) -> Floats:
    """Return the sum of items, or of the means of groups, as exact whole numbers: float64, shape (n_features,)."""
    if groups is None:
        return np.asarray(np.sum([block.sum(axis=0) for _, block in ball.blocks(items)], axis=0))
    means = sums_by(groups, items, 1 / np.bincount(groups)[groups], ball)
    # a mean of what is in the ball is in it, but for rounding
    return np.asarray(np.sum([np.trunc(pulled_in(block, 2.0**ball.bits)).sum(axis=0) for _, block in means], axis=0))


def weighted_moments(items: Array, ball: Ball, groups: Array | None = None) -> Floats:
    """Return 5 · squares on the diagonal and 7 · products above it, summed over items, as exact whole numbers.

    With groups, an item of a group of n is divided by √n first, so that its products are divided by n.

    Returns
    -------
    float64 array, shape (n_features · (n_features + 1) / 2,)
        The upper triangle, row by row.
    """
    n_features = items.shape[1]
    moments = np.zeros((n_features, n_features))
    for _, block in ball.blocks(items, None if groups is None else 1 / np.sqrt(np.bincount(groups))[groups]):
        moments += block.T @ block
    rows, columns = np.triu_indices(n_features)
    weighted: Floats = moments[rows, columns] * np.where(rows == columns, ON_DIAGONAL, OFF_DIAGONAL)
    return weighted


def _mean(items: Array, ball: Ball, multiplier: float, groups: Array | None) -> tuple[Floats, float]:
    """Return the noisy mean, and the standard deviation of the noise on the sum, in the items' units."""
    sd = multiplier * sum_sensitivity(ball.bits)
    noisy = add_noise(group_sum(items, ball, groups), sd=sd)
    return ball.centre + noisy * (ball.step / n_units(groups, len(items))), sd * ball.step


def _second_moments(items: Array, ball: Ball, multiplier: float, groups: Array | None) -> tuple[Floats, float]:
    """Return the noisy mean of x xᵀ about the centre, and the standard deviation of the noise on the sum of squares.

    Products get 5/7 of that noise. Equal noise would be drowned out by theirs, which are many; with 1/√2, noise would
    be the same in every direction. 5 and 7 keep the numbers whole.
    """
    n_features = items.shape[1]
    sd = multiplier * moment_sensitivity(ball.bits)
    noisy = add_noise(weighted_moments(items, ball, groups), sd=sd)
    rows, columns = np.triu_indices(n_features)
    noisy /= np.where(rows == columns, ON_DIAGONAL, OFF_DIAGONAL)
    moments = np.empty((n_features, n_features))
    moments[rows, columns] = moments[columns, rows] = noisy * (ball.step**2 / n_units(groups, len(items)))
    return moments, sd / ON_DIAGONAL * ball.step**2


def _edge(n_features: int, sd: float) -> float:
    """Return the largest eigenvalue of noise alone, 2 √n times the standard deviation of a product (Wigner 1958).

    For few features, where that limit is not reached, the spread of a single square is added.
    """
    return 2 * math.sqrt(n_features) * sd * ON_DIAGONAL / OFF_DIAGONAL + sd


def _cleaned(moments: Floats, edge: float, total: float) -> tuple[Floats, int]:
    """Return the covariance without what could be noise, its trace `total`, and the number of directions kept.

    What stands out does so from the variance that all other directions share, and that is what is left of the total:
    one is found from the other, in turns. An eigenvalue that lies λ above it, and above the noise's edge e, is put
    √(λ² − e²) above it, which is nearest to the truth in the sum of squared entries: the noise has moved it outwards
    and turned its direction (Gavish & Donoho 2017, for symmetric noise). Points drawn without the other directions
    would tie a space down in a few only.
    """
    values, vectors = np.linalg.eigh(moments)
    rest = max(total, 0) / len(values)
    for _ in range(TURNS):
        kept = values - rest > edge
        spread = np.full(len(values), rest)
        spread[kept] += np.sqrt((values[kept] - rest) ** 2 - edge**2)
        rest = max(total - spread[kept].sum(), 0) / max((~kept).sum(), 1)
    spread[~kept] = rest
    return (vectors * spread) @ vectors.T, int(kept.sum())
