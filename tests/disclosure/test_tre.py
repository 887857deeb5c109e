"""The report for output checkers recommends what the worst verdict and the policy allow."""

from __future__ import annotations

import json

import pytest
from rosetta.schemas.audit import Verdict

from rosetta.disclosure.tre import tre_report
from tests.disclosure.test_page import attack, origin, report


@pytest.mark.parametrize(
    ("verdicts", "violations", "recommendation"),
    [
        (("no item found",), (), "release"),
        (("no item found",), ("max_auc = 0.5: broken",), "do not release"),
        (("no item found", "not judged"), (), "review"),
        (("not judged", "close to items"), (), "do not release"),
        (("holds items", "no item found"), (), "do not release"),
    ],
)
def test_the_worst_verdict_decides_and_a_broken_policy_is_never_released(
    verdicts: tuple[Verdict, ...], violations: tuple[str, ...], recommendation: str
):
    shown = report(*(origin(verdict=each) for each in verdicts), violations=violations)

    found = tre_report(shown, is_private=False, software="Rosetta 1")

    assert found.summary.recommendation == recommendation
    assert found.policy_violations == violations


def test_attacks_have_the_names_that_checkers_know_and_are_compared_with_guessing():
    found = json.loads(
        tre_report(report(), is_private=False, software="R", notes=["odd"]).model_dump_json(by_alias=True)
    )

    first = found["attacks"][0]
    assert (first["metrics"]["AUC"], first["metrics"]["TPR@0.01"], first["tells_members"]) == (0.7, 0.05, True)
    assert found["null"] == {"AUC": 0.5, "TPR@0.01": 0.01, "TPR@0.001": 0.001}
    assert found["attacks"][1]["is_ceiling"]
    assert found["not_tested"][-1] == "odd"
    assert found["risks"][0]["strongest_attack"] == "nearest <point>"


def test_the_risk_is_a_number_of_people_where_people_are_the_unit():
    audit = report().audit.model_copy(update={"attacks": (attack(unit="group"),), "n_groups": 40})

    (risk,) = tre_report(report(audit=audit), is_private=False, software="R").risks

    assert (risk.unit, risk.n_units, risk.found_at_1_percent, risk.by_chance) == ("group", 40, 2.0, 0.4)
