"""What a bundle reveals of the data that it was made from: aggregate figures only, never a row's number or digest."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field
from rosetta.schemas.manifest import OriginName
from rosetta.schemas.record import Count, NonNegative, Positive, Record, Sha256, Share, Text
from rosetta.schemas.shadows import Canary, ShadowAudit

# the worst first; "not judged": no held-out items, so that nobody knows whether members can be told from others
Verdict = Literal["holds items", "close to items", "not judged", "no item found"]


class OriginAudit(Record):
    """The points of one origin, held against the private items.

    Distances are Euclidean, between inputs. `nearest_ratio_*` are from a point to its nearest private item, in units of
    the typical distance: the median distance of a private item to its nearest other one. A copy is an item, number for
    number or within 2 % of the typical distance, as rounding leaves it; a near copy is no copy, and closer to an item
    than half that item's own distance to its nearest other one. A rare item is one of the 5 % that are farthest from
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


class MembershipTest(Record):
    """How well somebody with the bundle tells the private items from others of the same kind.

    The score of an item is its nearness to the nearest published input, or that of its latent to the nearest published
    latent. `advantage` is the true minus the false positive rate of the best threshold, chosen on one half of the items
    and measured on the other, both ways round, with its 95 % bootstrap interval; 0 is guessing. `caught_at_1_percent`
    is the true positive rate at a false positive rate of 1 %.
    """

    attack: Literal["inputs", "latents"]
    advantage: Annotated[float, Field(ge=-1, le=1)]
    low: Annotated[float, Field(ge=-1, le=1)]
    high: Annotated[float, Field(ge=-1, le=1)]
    caught_at_1_percent: Share


class DisclosureAudit(Record):
    """All origins of a bundle, and the membership tests: none where fewer than 20 held-out items were given.

    `n_held_out` counts those that are not among the items. `near_copies_by_chance` is the share of private items that
    would be near copies of others, had they been left out: as many of honest new items would be.
    """

    n_items: Positive
    n_held_out: Count
    typical_distance: NonNegative
    n_rare: Count
    near_copies_by_chance: Share | None = None
    origins: tuple[OriginAudit, ...]
    membership: tuple[MembershipTest, ...] = ()


class PolicyMark(Record):
    """The policy that a bundle was made under; the digest leaves the numbers of excluded rows out."""

    sha256: Sha256
    n_excluded_rows: Count


class PrivacyAccount(Record):
    """Differential privacy of the points of one origin, between data sets that differ in one item.

    `norm_bound` is the largest Euclidean distance of an item that counts, from the noisy mean (moments) or from the
    middle of the declared range (averaged); what lies farther out is pulled in. `noise_sds` are the standard deviations
    of the Gaussian noise on each released statistic, by name.
    """

    origin: OriginName
    epsilon: Annotated[float, Field(gt=0)]
    delta: Annotated[float, Field(gt=0, lt=1)]
    neighbours: Literal["replace one item"]
    norm_bound: Annotated[float, Field(gt=0)]
    noise_sds: dict[Text, NonNegative]
    mechanism: Text  # with the library and its version
    statement: Text  # what is not covered


class Disclosure(Record):
    """`provenance.disclosure_audit` of a manifest."""

    audit: DisclosureAudit | None = None  # absent under differential privacy, whose guarantee its figures would break
    policy: PolicyMark | None = None
    privacy: tuple[PrivacyAccount, ...] = ()


class AuditReport(Record):
    """`rosetta audit`."""

    bundle: str
    content_id: Sha256
    audit: DisclosureAudit
    violations: tuple[Text, ...] = ()  # of the policy, where one was given
    shadows: ShadowAudit | None = None  # with --thorough
    canaries: tuple[Canary, ...] = ()  # with --canaries
