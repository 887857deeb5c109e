"""An attack: tell the private items from others of the same kind by how near the published points are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from rosetta.arrays import Array, LazyArray
from rosetta.disclosure.nearest import nearest_items
from rosetta.disclosure.search import Doubles, Rows
from rosetta.schemas.audit import MembershipTest
from rosetta.schemas.manifest import OriginName

N_EACH = 5000  # members and non-members that are looked at, at most
LEAST_EACH = 20  # halves of fewer cannot tell anything
N_BOOTSTRAP = 2000
FALSE_POSITIVES = 0.01


Attack = Literal["inputs", "latents"]


@dataclass(frozen=True)
class Tests:
    """What an attack finds out with the points of one origin alone, and with all."""

    by_origin: dict[OriginName, MembershipTest]
    overall: MembershipTest


def attack_origins(
    attack: Attack, published: Array, rows: Mapping[OriginName, Rows], items: LazyArray,
    held_out: LazyArray, rng: np.random.Generator,
) -> Tests:  # fmt: skip
    """Test membership by the distance to the nearest published point.

    Parameters
    ----------
    attack : "inputs" or "latents"
        What the arrays hold.
    published : float array, shape (n_pairs, …)
        The points.
    rows : mapping of origin to int array
        Which of them are of which origin.
    items, held_out : float array, shape (n_items, …) and (n_held_out, …)
        Members and non-members; as many of both are taken, 5,000 at most.
    """
    n_each = min(len(items), len(held_out), N_EACH)
    sides = [each[np.sort(rng.permutation(len(each))[:n_each])] for each in (items, held_out)]
    scores = {origin: [-nearest_items(side, published[at]).distances for side in sides] for origin, at in rows.items()}
    by_origin = {origin: membership_test(each[0], each[1], rng, attack=attack) for origin, each in scores.items()}
    if len(scores) == 1:
        return Tests(by_origin, next(iter(by_origin.values())))
    nearest = [np.max([each[side] for each in scores.values()], axis=0) for side in (0, 1)]
    return Tests(by_origin, membership_test(nearest[0], nearest[1], rng, attack=attack))


def membership_test(members: Doubles, others: Doubles, rng: np.random.Generator, *, attack: Attack) -> MembershipTest:
    """Return how well a threshold on a score tells members from others.

    Parameters
    ----------
    members, others : float array, shape (n_each,)
        The attack's scores of private items and of held-out ones, as many of both: higher is "member".
    rng : numpy.random.Generator
        Halves the items, and resamples.
    attack : "inputs" or "latents"
        What the scores are made from.

    Notes
    -----
    A threshold is chosen on one half and measured on the other, both ways round; figures are the means of the two. A
    bootstrap of shares is a binomial draw.
    """
    halves = [np.array_split(rng.permutation(scores), 2) for scores in (members, others)]
    pairs = list(zip(*halves, strict=True))
    advantages, caught, drawn = [], [], np.zeros(N_BOOTSTRAP)
    for (chosen_in, chosen_out), (seen_in, seen_out) in (pairs, pairs[::-1]):
        threshold = best_threshold(chosen_in, chosen_out)
        rates = [(len(seen), float((seen >= threshold).mean())) for seen in (seen_in, seen_out)]
        advantages.append(rates[0][1] - rates[1][1])
        (n_in, true), (n_out, false) = rates
        drawn += rng.binomial(n_in, true, N_BOOTSTRAP) / n_in - rng.binomial(n_out, false, N_BOOTSTRAP) / n_out
        strict = np.quantile(chosen_out, 1 - FALSE_POSITIVES, method="higher")
        caught.append(float((seen_in > strict).mean()))
    low, high = np.percentile(drawn / 2, [2.5, 97.5])
    return MembershipTest(
        attack=attack,
        advantage=float(np.mean(advantages)),
        low=float(low),
        high=float(high),
        caught_at_1_percent=float(np.mean(caught)),
    )


def best_threshold(members: Doubles, others: Doubles) -> float:
    """Return the score from which on "member" gives the most true less false positives; inf if none is better."""
    scores: Doubles = np.unique(np.concatenate([members, others]))
    true = 1 - np.searchsorted(np.sort(members), scores) / len(members)
    false = 1 - np.searchsorted(np.sort(others), scores) / len(others)
    best = int((true - false).argmax())
    return float(scores[best]) if true[best] > false[best] else float("inf")
