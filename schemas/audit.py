"""What a bundle reveals of the data that it was made from: aggregate figures only, never a row's number or digest."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from rosetta.schemas.manifest import OriginName
from rosetta.schemas.record import Count, NonNegative, Positive, Record, Sha256, Share, Text
from rosetta.schemas.shadows import Canary, ShadowAudit

# the worst first; "not judged": no held-out items, so that nobody knows whether members can be told from others
Verdict = Literal["holds items", "close to items", "not judged", "no item found"]
# what an adversary has beside an item; the last one is no attack on a bundle, but what it is compared with
Knows = Literal[
    "bundle", "bundle and like items", "bundle and the encoder", "earlier bundles", "the sender's own model"
]


class OriginAudit(Record):
    """The points of one origin, held against the private items.

    Distances are Euclidean, between inputs. `nearest_ratio_*` are normalised distances to closest record
    (DCR): from a point to its nearest private item, in units of the typical distance, which is the median distance of
    a private item to its nearest other one. A copy is an item, number for number or within 2 % of the typical
    distance, as rounding leaves it; a near copy is no copy, and closer to an item than half that item's own distance
    to its nearest other one. A rare item is one of the 5 % that are farthest from
    all others; it is exposed if a point is a copy or near copy of it. `members` is the smallest number of items behind
    one point, where points are made of few. `demixed` is the share of the points tried, copies left out, that could be
    written as a mixture of at most eight private items, with a rest below 2 % of the typical distance or what rounding
    leaves; it is absent, and nothing counts as tried, where left-out items or averages of 30 items can be so written
    too, as in few dimensions.
    """

    origin: OriginName
    n_points: Positive
    n_copies: Count
    n_near_copies: Count
    nearest_ratio_min: NonNegative
    nearest_ratio_median: NonNegative
    n_rare_exposed: Count
    members: Positive | None = None
    n_demixing_tried: Count = 0
    demixed: Share | None = None
    verdict: Verdict
    reasons: tuple[Text, ...]


class AttackResult(Record):
    """How well an attack tells what was in the data from like items that were not.

    The unit is an item, or a group of items where it is said whose each is: a group's score is the mean of its items'.
    `auc` is how often a member scores higher than an outsider, 0.5 if nothing is told. `caught_at_1_percent` is the
    share of members found where 1 % of outsiders are taken for members: absent with fewer than 100 outsiders;
    `caught_at_0_1_percent` the same for 0.1 %, absent with fewer than 1,000. Intervals are 95 %. `p_value` is the
    probability of as high an AUC by chance, `caught_p_value` of as many members caught. `origin` is absent where the
    points of all origins were attacked together. `is_ceiling`: not an attack on the bundle, but what the sender's own
    model tells. `figures` are other numbers that came out.
    """

    attack: Text
    origin: OriginName | None = None
    knows: Knows
    unit: Literal["item", "group"] = "item"
    n_members: Positive
    n_outsiders: Positive
    auc: Share
    low: Share
    high: Share
    p_value: Share
    caught_at_1_percent: Share | None = None
    caught_low: Share | None = None
    caught_high: Share | None = None
    caught_p_value: Share | None = None
    caught_at_0_1_percent: Share | None = None
    is_ceiling: bool = False
    figures: dict[Text, float] = {}

    @property
    def advantage(self) -> float:
        """How much more often right than wrong it is which of a member and an outsider is which: 0 is guessing."""
        return 2 * self.auc - 1

    @property
    def highest_advantage(self) -> float:
        """The advantage at the upper end of the AUC's interval."""
        return 2 * self.high - 1


class Finding(Record):
    """What an attack found that needs no outsiders to compare with, such as items that were computed from the file.

    `n_found` of `n_tried` came out, each of what `what` says; `by_chance` is the number that would have come out where
    nothing is told. `verdict` is the least that follows for the points: none if there is nothing to it.
    """

    attack: Text
    origin: OriginName | None = None
    knows: Knows
    what: Text
    n_tried: Count
    n_found: Count
    by_chance: NonNegative = 0.0
    verdict: Verdict | None = None
    reason: Text


class MembershipTest(Record):
    """A membership test in the manifest of an older bundle; audits give `AttackResult` today.

    `advantage` is the true minus the false positive rate of the best threshold.
    """

    attack: Literal["inputs", "latents"]
    advantage: Annotated[float, Field(ge=-1, le=1)]
    low: Annotated[float, Field(ge=-1, le=1)]
    high: Annotated[float, Field(ge=-1, le=1)]
    caught_at_1_percent: Share


class DisclosureAudit(Record):
    """All origins of a bundle, and every attack: none on membership where fewer than 20 held-out units were given.

    `n_held_out` counts the items that are not among the private ones. `near_copies_by_chance` is the share of private
    items that would be near copies of others, had they been left out: as many of honest new items would be.
    `n_groups` and `n_held_out_groups` are there where the unit is a group. `items_a_number` is the number of items
    divided by the numbers in an item: below 1, points that have the items' span hold all of them. In a manifest,
    `attacks` has the worst of each origin alone, and no ceiling.
    """

    n_items: Positive
    n_held_out: Count
    n_groups: Positive | None = None
    n_held_out_groups: Count | None = None
    numbers_an_item: Positive | None = None
    items_a_number: NonNegative | None = None
    typical_distance: NonNegative
    n_rare: Count
    near_copies_by_chance: Share | None = None
    origins: tuple[OriginAudit, ...]
    attacks: tuple[AttackResult, ...] = ()
    findings: tuple[Finding, ...] = ()
    membership: tuple[MembershipTest, ...] = ()  # of older bundles


class OriginVerdict(Record):
    """What the audit said of one origin's points."""

    origin: OriginName
    verdict: Verdict


class AttackSummary(Record):
    """How well one attack told members from others, in two significant digits."""

    attack: Text
    auc: Share | None = None
    advantage: Annotated[float, Field(ge=-1, le=1)] | None = None
    caught_at_1_percent: Share | None = None


class AuditSummary(Record):
    """What a manifest says of the audit where the audit's own figures stay with the sender.

    No distance, no count of items and no reason, which would have figures in it. A strict bundle has verdicts only.
    """

    origins: tuple[OriginVerdict, ...]
    attacks: tuple[AttackSummary, ...] = ()


class PolicyMark(Record):
    """The policy that a bundle was made under; the digest leaves out which rows and groups are excluded."""

    sha256: Sha256
    n_excluded_rows: Count


class PrivacyAccount(Record):
    """Differential privacy of the points of one origin, between data sets that differ in one item, or in one group.

    `norm_bound` is the largest Euclidean distance of an item that counts, from the noisy mean (moments) or from the
    middle of the declared range (averaged); what lies farther out is pulled in. `noise_sds` are the standard deviations
    of the Gaussian noise on each released statistic, by name.
    """

    origin: OriginName
    epsilon: Annotated[float, Field(gt=0)]
    delta: Annotated[float, Field(gt=0, lt=1)]
    neighbours: Literal["replace one item", "replace one group"]
    norm_bound: Annotated[float, Field(gt=0)]
    noise_sds: dict[Text, NonNegative]
    mechanism: Text  # with the library and its version
    statement: Text  # what is not covered


class Disclosure(Record):
    """`provenance.disclosure_audit` of a manifest."""

    audit: AuditSummary | DisclosureAudit | None = (
        None  # absent under differential privacy, whose guarantee its figures would break
    )
    policy: PolicyMark | None = None
    privacy: tuple[PrivacyAccount, ...] = ()


class AuditReport(Record):
    """`rosetta audit`."""

    bundle: str
    content_id: Sha256
    audit: DisclosureAudit
    violations: tuple[Text, ...] = ()  # of the policy, where one was given
    shadows: ShadowAudit | None = None  # with `thorough`
    canaries: tuple[Canary, ...] = ()  # with `canaries`
    notes: tuple[Text, ...] = ()  # what the user should know, as it goes to stderr
