"""How well a score tells members from others."""

from __future__ import annotations

from rosetta.schemas.record import Positive, Record, Share


class Separation(Record):
    """How well a score tells members from others, with 95 % intervals.

    `auc` is the share of pairs of a member and another in which the member scores higher: 0.5 is guessing. `caught` is
    the share of members found at 1 % false positives; absent with fewer than 100 others.
    """

    n_members: Positive
    n_others: Positive
    auc: Share
    auc_low: Share
    auc_high: Share
    caught: Share | None = None
    caught_low: Share | None = None
    caught_high: Share | None = None
