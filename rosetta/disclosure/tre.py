"""An audit as a report for output checkers of trusted research environments."""

from __future__ import annotations

from collections.abc import Sequence

from rosetta.disclosure import sentences
from rosetta.disclosure.verdicts import SEVERITY, is_alarm, worst_of
from rosetta.schemas.audit import AttackResult, AuditReport, DisclosureAudit, OriginAudit, Verdict
from rosetta.schemas.tre import Recommendation, TreAttack, TreMetrics, TreReport, TreRisk, TreSummary

RECOMMENDATIONS: dict[Verdict, Recommendation] = {
    "holds items": "do not release",
    "close to items": "do not release",
    "not judged": "review",
    "no item found": "release",
}


def tre_report(report: AuditReport, *, notes: Sequence[str] = (), is_private: bool, software: str) -> TreReport:
    """Return the report; a broken policy is never recommended for release.

    Parameters
    ----------
    report : AuditReport
        What was found.
    notes : sequence of str
        What came up, such as what could not be tested.
    is_private : bool
        Whether the points were made with differential privacy.
    software : str
        Name and version of what made the audit.
    """
    audit = report.audit
    verdict = min((each.verdict for each in audit.origins), key=SEVERITY.index)
    recommendation = RECOMMENDATIONS[verdict]
    if report.violations and recommendation == "release":
        recommendation = "do not release"
    n_attacks = sum(not each.is_ceiling for each in audit.attacks)
    return TreReport(
        software=software,
        bundle=report.bundle,
        content_id=report.content_id,
        summary=TreSummary(
            verdict=verdict,
            recommendation=recommendation,
            reasons=(
                *(f"{each.origin}: {each.reasons[0]}" for each in audit.origins if each.reasons),
                *(f"policy: {each}" for each in report.violations),
            ),
        ),
        n_items=audit.n_items,
        n_held_out=audit.n_held_out,
        numbers_an_item=audit.numbers_an_item,
        attacks=tuple(_attack(each, n_attacks) for each in audit.attacks),
        findings=audit.findings,
        risks=tuple(_risk(each, audit) for each in audit.origins),
        not_tested=(*sentences.not_checked(audit, is_private=is_private), *notes),
        policy_violations=report.violations,
    )


def _attack(result: AttackResult, n_attacks: int) -> TreAttack:
    metrics = {
        "AUC": result.auc, "AUC_low": result.low, "AUC_high": result.high, "P_HIGHER_AUC": result.p_value,
        "TPR@0.01": result.caught_at_1_percent, "TPR@0.01_low": result.caught_low,
        "TPR@0.01_high": result.caught_high, "TPR@0.001": result.caught_at_0_1_percent,
        "n_pos_test_examples": result.n_members, "n_neg_test_examples": result.n_outsiders,
    }  # fmt: skip
    return TreAttack(
        name=result.attack,
        origin=result.origin,
        attacker_knows=result.knows,
        unit=result.unit,
        metrics=TreMetrics.model_validate(metrics),
        tells_members=is_alarm(result, n_attacks),
        is_ceiling=result.is_ceiling,
    )


def _risk(found: OriginAudit, audit: DisclosureAudit) -> TreRisk:
    n_units = audit.n_groups or audit.n_items
    worst = worst_of(each for each in audit.attacks if each.origin == found.origin)
    caught = None if worst is None else worst.caught_at_1_percent
    return TreRisk(
        origin=found.origin,
        verdict=found.verdict,
        unit="item" if audit.n_groups is None else "group",
        n_units=n_units,
        strongest_attack=None if worst is None else worst.attack,
        found_at_1_percent=None if caught is None else caught * n_units,
        by_chance=None if caught is None else 0.01 * n_units,
        n_copies=found.n_copies,
        n_rare_exposed=found.n_rare_exposed,
    )
