"""The report of an audit for output checkers of trusted research environments, after the reports of SACRO-ML."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from rosetta.schemas.audit import Finding, Knows, Verdict
from rosetta.schemas.manifest import OriginName
from rosetta.schemas.record import Count, NonNegative, Positive, Record, Sha256, Share, Text

Recommendation = Literal["release", "review", "do not release"]


class TreSummary(Record):
    """What the checker should do, and why: the worst verdict of any origin decides."""

    verdict: Verdict
    recommendation: Recommendation
    reasons: tuple[Text, ...]


class TreMetrics(Record):
    """Figures of one attack on membership, under the names that SACRO-ML gives them."""

    AUC: Share
    AUC_low: Share  # ends of a 95 % interval
    AUC_high: Share
    P_HIGHER_AUC: Share  # probability of as high an AUC by chance
    TPR_at_FPR_0_01: Share | None = Field(default=None, alias="TPR@0.01")
    TPR_at_FPR_0_01_low: Share | None = Field(default=None, alias="TPR@0.01_low")
    TPR_at_FPR_0_01_high: Share | None = Field(default=None, alias="TPR@0.01_high")
    TPR_at_FPR_0_001: Share | None = Field(default=None, alias="TPR@0.001")
    n_pos_test_examples: Positive  # members
    n_neg_test_examples: Positive  # outsiders


class TreAttack(Record):
    """One attack. `is_ceiling`: it had the sender's own model, and shows what the file could reveal at most."""

    name: Text
    origin: OriginName | None = None  # all points together, where absent
    attacker_knows: Knows
    unit: Literal["item", "group"]
    metrics: TreMetrics
    tells_members: bool  # more than so many attacks would by chance
    is_ceiling: bool


class TreRisk(Record):
    """The risk of those whose items are behind the points of one origin."""

    origin: OriginName
    verdict: Verdict
    unit: Literal["item", "group"]
    n_units: Positive
    strongest_attack: Text | None = None
    found_at_1_percent: NonNegative | None = None  # of the units, by the strongest attack, if 1 % of outsiders are too
    by_chance: NonNegative | None = None
    n_copies: Count
    n_rare_exposed: Count


class TreNull(Record):
    """What the metrics are where nothing is told."""

    AUC: Share = 0.5
    TPR_at_FPR_0_01: Share = Field(default=0.01, alias="TPR@0.01")
    TPR_at_FPR_0_001: Share = Field(default=0.001, alias="TPR@0.001")


class TreReport(Record):
    """`rosetta audit` with `report`."""

    schema_version: Literal["1.0"] = "1.0"
    software: Text
    bundle: Text
    content_id: Sha256
    summary: TreSummary
    n_items: Positive
    n_held_out: Count
    numbers_an_item: Positive | None = None
    null: TreNull = TreNull()
    attacks: tuple[TreAttack, ...]
    findings: tuple[Finding, ...]
    risks: tuple[TreRisk, ...]
    not_tested: tuple[Text, ...]
    policy_violations: tuple[Text, ...] = ()
