"""Every attack there is on a bundle, and how well each tells members from outsiders."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from dataclasses import replace

import numpy as np

from rosetta.arrays import Floats
from rosetta.disclosure.attacks import FAST, Attack, Case, Codes, Effort, Scores, Side, attacks
from rosetta.disclosure.roc import LEAST_AT_0_1_PERCENT, LEAST_AT_1_PERCENT, LEAST_EACH, auc, caught
from rosetta.disclosure.search import Doubles, Rows, Singles
from rosetta.schemas.audit import AttackResult
from rosetta.schemas.manifest import OriginName

LEAST_TO_CHOOSE = 60  # units of the smaller side: of fewer, a third cannot choose among rules


def run_attacks(
    inputs: Singles,
    latents: Floats,
    rows: Mapping[OriginName, Rows],
    sides: tuple[Side, Side],
    *,
    n_items: int,
    weights: Floats | None = None,
    has_groups: bool = False,
    effort: Effort = FAST,
    names: Iterable[str] | None = None,
    seed: int = 0,
) -> tuple[AttackResult, ...]:
    """Attack the points of each origin, and those of all together where there are several.

    Parameters
    ----------
    inputs : float32 array, shape (n_points, n_numbers)
        Published.
    latents : float array, shape (n_points, n_dims)
        Published.
    rows : mapping of origin to int array
        Which of the points are of which origin.
    sides : pair of Side
        Members and outsiders, as `draw_sides` gives them.
    n_items : int
        Of all the data.
    weights : float array, shape (n_points,), optional
        Published weights of the pairs.
    has_groups : bool
        Whether the sides' groups are groups of several items: said of the figures.
    effort : Effort
        How much work to do; steps of training are divided among the origins.
    names : iterable of str, optional
        Attacks to try; all that there are, if not given.
    seed : int
        The same seed gives the same figures.

    Returns
    -------
    tuple of AttackResult
        None with fewer than 20 units on a side; without those attacks that need what there is not.

    Raises
    ------
    UsageError
        For a name that no attack has.
    """
    members, others = sides
    if min(len(np.unique(side.groups)) for side in sides) < LEAST_EACH or len(inputs) < 2:
        return ()
    everything = np.concatenate(list(rows.values()))
    parts: dict[OriginName | None, Rows] = dict(rows.items())
    if len(rows) > 1:
        parts[None] = everything
    effort = replace(effort, n_steps=effort.n_steps // len(parts))
    chosen = {name: attacks.get(name) for name in (sorted(attacks) if names is None else names)}
    found = []
    for place, (origin, at) in enumerate(parts.items()):
        if len(at) < 2:
            continue
        is_whole = len(at) == len(inputs)
        case = Case(
            inputs[at], latents[at], None if weights is None else weights[at], members, others, n_items, effort,
            seed + place,
        )  # fmt: skip
        for name, attack in chosen.items():
            if (attack.of_bundle and not is_whole) or (attack.is_ceiling and place):
                continue  # the sender's own model is the same for all origins
            scores = attack.score(case)
            result = None if scores is None else _result(name, attack, scores, sides, case)
            if result is not None:
                told = None if attack.is_ceiling else origin
                found.append(result.model_copy(update={"origin": told, "unit": "group" if has_groups else "item"}))
    return tuple(found)


def _result(name: str, attack: Attack, scores: Scores, sides: tuple[Side, Side], case: Case) -> AttackResult | None:
    rng = np.random.default_rng([case.seed, 6, zlib.crc32(name.encode())])
    members, others = directed(by_unit(scores.members, sides[0].groups), by_unit(scores.others, sides[1].groups), rng)
    if min(len(members), len(others)) < LEAST_EACH:
        return None
    area = auc(members, others)
    few = caught(members, others, rng, false_positives=0.01) if len(others) >= LEAST_AT_1_PERCENT else None
    fewer = caught(members, others, rng, false_positives=0.001) if len(others) >= LEAST_AT_0_1_PERCENT else None
    return AttackResult(
        attack=name,
        knows=attack.knows,
        n_members=len(members),
        n_outsiders=len(others),
        auc=area.value,
        low=area.low,
        high=area.high,
        p_value=area.p_value,
        caught_at_1_percent=None if few is None else few.value,
        caught_low=None if few is None else few.low,
        caught_high=None if few is None else few.high,
        caught_p_value=None if few is None else few.p_value,
        caught_at_0_1_percent=None if fewer is None else fewer.value,
        is_ceiling=attack.is_ceiling,
        figures=dict(scores.figures),
    )


def by_unit(scores: Doubles, groups: Codes) -> Doubles:
    """Return the mean score of each unit, shape (n_units, n_rules): of its rows that have one, units without left out.

    Parameters
    ----------
    scores : float array, shape (n_rows,) or (n_rows, n_rules)
        NaN for rows that have none.
    groups : int array, shape (n_rows,)
        Whose each row is.
    """
    rules = scores.reshape(len(scores), -1)
    has = ~np.isnan(rules).any(axis=1)
    _, place = np.unique(groups[has], return_inverse=True)
    counts = np.bincount(place)
    return np.column_stack([np.bincount(place, rule) / counts for rule in rules[has].T])


def directed(members: Doubles, others: Doubles, rng: np.random.Generator) -> tuple[Doubles, Doubles]:
    """Return the scores by the rule that tells most on a third of the units, of the other units.

    With one rule, all units are kept. With fewer than 60 units on a side, the first rule is taken. Figures of units
    that had no say in the choice are honest whatever was chosen; to swap the parts and pool would not be, as parts
    that choose the same rule agree with one another.

    Parameters
    ----------
    members, others : float array, shape (n_members, n_rules) and (n_others, n_rules)
        Higher is "member".
    """
    if members.shape[1] == 1 or min(len(members), len(others)) < LEAST_TO_CHOOSE:
        return members[:, 0], others[:, 0]
    order = rng.permutation(len(members)), rng.permutation(len(others))
    first = [each[at[: len(at) // 3]] for each, at in zip((members, others), order, strict=True)]
    rest = [each[at[len(at) // 3 :]] for each, at in zip((members, others), order, strict=True)]
    best = int(np.argmax([auc(first[0][:, rule], first[1][:, rule]).value for rule in range(members.shape[1])]))
    return rest[0][:, best], rest[1][:, best]
