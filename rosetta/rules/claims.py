"""What a bundle claims of its own discretion, as far as the file itself can contradict it."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterator

import numpy as np
from pydantic import ValidationError

from rosetta.arrays import Array, flat
from rosetta.bundle import layout
from rosetta.rounding import coarse_count
from rosetta.rules.engine import Candidate, Problem, rule
from rosetta.schemas.audit import Disclosure, PrivacyAccount

_NUMBERS = {"RZ-V108", "RZ-V109", "RZ-V110", "RZ-V113", "RZ-V114", "RZ-V115", "RZ-V117"}
_ACCOUNTS = "/manifest#/provenance/disclosure_audit/privacy"
_SETTINGS = "/manifest#/provenance/selection/settings"
_ASK = "Do not rely on the claim; ask the sender how the points were made, or for a bundle of this version's distill."
_AGAIN = "Distil again with this version."

DRAWN = ("averaged", "mixed", "decoded", "moments")  # origins that random numbers go into
PRIVATE = ("averaged", "moments")  # origins that can be made with differential privacy
SLACK = 1 + 1e-6  # for sums in another order
LEAST_MEMBERS = 2  # behind an averaged point
MIN_CONFIDENCE = 6.0  # standard deviations by which chance does not explain a figure


@rule("RZ-W214", section="5.3", fix="Distil again, without `reproducible`.", requires={"RZ-V106"})
def draws_cannot_be_repeated(file: Candidate) -> Iterator[Problem]:
    """No seed and no word says that the random numbers behind the points can be drawn again."""
    selection = file.manifest.provenance.selection
    drawn = [each.origin for each in file.manifest.content.origins if each.origin in DRAWN]
    if not drawn:
        return
    if selection.seed is not None:
        yield Problem(
            "/manifest#/provenance/selection/seed",
            f"names the seed {selection.seed}: whoever repeats the draws can take them away from the {drawn[0]} points",
        )
    if selection.settings.get("reproducible") is True:
        yield Problem(f"{_SETTINGS}/reproducible", f"the draws behind the {drawn[0]} points can be repeated")


@rule("RZ-W215", section="5.3", fix=_ASK, requires={"RZ-V106"})
def privacy_is_claimed_for_what_can_have_it(file: Candidate) -> Iterator[Problem]:
    """A claim of differential privacy has one account for each origin of the bundle, and none that cannot have it."""
    accounts = _accounts(file)
    if not accounts:
        return
    claimed = Counter(each.origin for each in accounts)
    there = {each.origin for each in file.manifest.content.origins}
    for origin, n in claimed.items():
        if origin not in there:
            yield Problem(_ACCOUNTS, f"differential privacy is claimed for {origin} points, and there are none")
        elif origin not in PRIVATE:
            yield Problem(_ACCOUNTS, f"differential privacy is claimed for {origin} points, which cannot have it")
        if n > 1:
            yield Problem(_ACCOUNTS, f"there are {n} accounts of the {origin} points")
    for origin in sorted(there - set(claimed)):
        yield Problem(_ACCOUNTS, f"the {origin} points have no account, so that the bundle as a whole is not private")


@rule("RZ-W216", section="5.3", fix=_ASK, requires={"RZ-V106"})
def nothing_exact_stands_beside_private_points(file: Candidate) -> Iterator[Problem]:
    """Beside a claim of differential privacy stands nothing that was computed from the items without noise."""
    if not _accounts(file):
        return
    words = file.manifest.provenance
    measured = [
        *(path for path in (layout.WEIGHTS, layout.SPACE_MEAN, layout.SPACE_COVARIANCE)
          if path in file.manifest.content.arrays),
        *(["coverage"] if words.selection.coverage is not None else []),
        *(["the held-out ELBO"] if words.model.held_out_elbo is not None else []),
        *(["an audit"] if "audit" in (words.disclosure_audit or {}) else []),
    ]  # fmt: skip
    if measured:
        yield Problem(
            _ACCOUNTS, f"the account does not cover {', '.join(measured)}, computed from the items as they are"
        )


@rule("RZ-W217", section="5.3", fix=_ASK, requires=_NUMBERS)
def accounts_can_be_so(file: Candidate) -> Iterator[Problem]:
    """The noise that an account states is enough for its epsilon and delta, and the points lie within its bound."""
    n_items = file.manifest.provenance.data.n_items
    for number, account in enumerate(_accounts(file)):
        where = f"{_ACCOUNTS}/{number}"
        if account.origin not in PRIVATE:
            continue
        ratio = _noise_ratio(account, file)
        if ratio is None or math.isnan(ratio):
            yield Problem(where, f"states no noise from which the {account.origin} points' epsilon can be computed")
        elif (spent := least_delta(account.epsilon, ratio)) > account.delta * SLACK:
            yield Problem(
                where,
                f"epsilon {account.epsilon:g} at delta {account.delta:g} is claimed, but with the noise that is stated "
                f"delta is at least {spent:.2g}",
            )
        if n_items and account.delta >= 1 / n_items:
            yield Problem(
                where, f"delta {account.delta:g} is not below 1 / {n_items:,}: it would allow to give an item away"
            )
        if not _within_bound(account, file):
            yield Problem(
                where, f"the {account.origin} points lie farther out than the bound {account.norm_bound:g} allows"
            )


@rule("RZ-W218", section="5.3", fix=_AGAIN, requires=_NUMBERS)
def level_is_kept(file: Candidate) -> Iterator[Problem]:
    """The file says no more than the level of privacy that it names."""
    words, arrays = file.manifest.provenance, file.bundle.arrays
    level = words.selection.settings.get("privacy")
    if level not in ("strict", "standard"):
        return
    coverage = words.selection.coverage
    told = {
        "the seed of the training": words.model.training.get("seed") is not None,
        "the coverage's largest gap": coverage is not None and coverage.largest_gap is not None,
        "a time of the day": not words.created.endswith("T00:00:00Z"),
        "the exact number of items": words.data.n_items not in (None, coarse_count(words.data.n_items or 0)),
        "the mean of the space in all its digits": layout.SPACE_MEAN in arrays and _is_exact(arrays[layout.SPACE_MEAN]),
    }
    if level == "strict":
        told |= {
            "the number of items": words.data.n_items is not None,
            "moments": layout.SPACE_MEAN in arrays or layout.SPACE_COVARIANCE in arrays,
            "weights": layout.WEIGHTS in arrays,
            "coverage": coverage is not None,
            "the held-out ELBO": words.model.held_out_elbo is not None,
        }
    if beyond := [what for what, is_there in told.items() if is_there]:
        yield Problem(f"{_SETTINGS}/privacy", f"says {level}, but the file tells {', '.join(beyond)}")


def least_delta(epsilon: float, ratio: float) -> float:
    """Return the delta at `epsilon` of Gaussian noise, whose sensitivity is `ratio` of its standard deviation.

    Balle & Wang (2018), "Improving the Gaussian mechanism for differential privacy", theorem 5: exact for one release,
    and for several of which `ratio` is the root of the summed squares. No account can claim less.
    """
    from scipy.special import log_ndtr  # slow to load, and few bundles make such a claim

    if ratio == 0:
        return 0.0
    first = math.exp(float(log_ndtr(ratio / 2 - epsilon / ratio)))
    return max(first - math.exp(min(epsilon + float(log_ndtr(-ratio / 2 - epsilon / ratio)), 0.0)), 0.0)


def _accounts(file: Candidate) -> tuple[PrivacyAccount, ...]:
    """Return the accounts of differential privacy in the manifest; none if they are not of our form."""
    told = file.manifest.provenance.disclosure_audit or {}
    if "privacy" not in told:
        return ()
    try:
        return Disclosure.model_validate_json(json.dumps({"privacy": told["privacy"]})).privacy
    except ValidationError:
        return ()


def _noise_ratio(account: PrivacyAccount, file: Candidate) -> float | None:
    """Return how far one item moves the statistics, in standard deviations of the noise; None if it is not said."""
    sds, bound = account.noise_sds, account.norm_bound
    if account.origin == "averaged":
        if not (least := min(sds.get("sums", 0.0) / bound, sds.get("counts", 0.0))):
            return None
        return 2 / least
    needed = ("sum", "squares", "products")
    if not all(sds.get(name, 0.0) > 0 for name in needed):
        return None
    low, high = file.manifest.content.input.value_range
    diagonal = math.sqrt(math.prod(file.bundle.inputs.shape[1:])) * (high - low) / 2
    squares = min(sds["squares"], sds["products"] * 7 / 5)  # products have 5/7 of the noise: see rosetta.privacy
    return math.hypot(2 * diagonal / sds["sum"], math.sqrt(2) * bound * bound / squares)


def _within_bound(account: PrivacyAccount, file: Candidate) -> bool:
    """Whether the points of an account's origin are no farther out than items of its bound and its noise can put them.

    The variance of points from moments is at most the bound, squared, and what the noise adds to a trace; an averaged
    point is the mean of items within the bound from the middle of the range. Six standard deviations are granted.
    """
    content, n_items = file.manifest.content, file.manifest.provenance.data.n_items
    ends = np.cumsum([0, *(each.n_pairs for each in content.origins)])
    rows = [np.arange(a, b) for a, b, each in zip(ends, ends[1:], content.origins, strict=False)
            if each.origin == account.origin]  # fmt: skip
    if not rows or not n_items:
        return True
    points = flat(file.bundle.inputs[np.concatenate(rows)]).astype(np.float64)
    n_points, n_features = points.shape
    sds, bound = account.noise_sds, account.norm_bound
    if account.origin == "averaged":
        middle = sum(content.input.value_range) / 2
        noise = MIN_CONFIDENCE * sds.get("sums", 0.0) * math.sqrt(n_features) / LEAST_MEMBERS
        with np.errstate(all="ignore"):  # a stranger's numbers
            farthest = float(np.sqrt(((points - middle) ** 2).sum(axis=1)).max())
        return farthest <= (bound + noise) * SLACK
    noise = MIN_CONFIDENCE * sds.get("squares", 0.0) * math.sqrt(n_features) / n_items
    with np.errstate(all="ignore"):
        variance = float(points.var(axis=0).sum())
    return variance <= (bound * bound + noise) * (1 + MIN_CONFIDENCE * math.sqrt(2 / n_points))


def _is_exact(numbers: Array) -> bool:
    """Whether a number has more digits than 32-bit floats hold, which one on a coarse grid has not."""
    with np.errstate(over="ignore"):
        return bool((numbers.astype(np.float32) != numbers).any())
