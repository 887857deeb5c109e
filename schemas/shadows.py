"""What shadow senders show of a bundle: attacks that are calibrated by them, and whether points show planted marks."""

from __future__ import annotations

from pydantic import Field
from rosetta.schemas.record import Count, NonNegative, Positive, Record, Share, Text
from rosetta.schemas.separation import Separation


class ShadowAttack(Record):
    """An attack whose score of an item is held against that of shadow senders with and without the item.

    `online` knows the shadows with the item too, `offline` those without it alone; `alone` is the score as it is.
    `of_shadows` is what the attack finds out about the shadows themselves, each judged by the others: of a sender of
    this kind, over all items, and so with a narrow interval even where few items were held out.
    """

    attack: Text
    is_ceiling: bool  # whether it needs the sender's own model, which a bundle does not hold
    alone: Separation
    online: Separation
    offline: Separation
    of_shadows: Separation


class ShadowAudit(Record):
    """`audit` with `thorough`."""

    n_shadows: Positive
    n_members: Positive  # items that the model was trained on
    n_others: Positive  # items that neither model nor points have seen
    n_in: Positive  # items that a shadow was trained on
    attacks: tuple[ShadowAttack, ...]
    elapsed_s: NonNegative  # of what was computed now


class Canary(Record):
    """Whether points show a mark that was planted in some items.

    A point exceeds the control where it has more of the mark than 99 % of the points of a sender that was trained and
    distilled in the same way, from the same items without marks. `rebuilt` is the share of a mark that comes back from
    a marked item through an encoder and a decoder: those stolen from the points of the marked sender, and for
    comparison those stolen from the control's, and the marked sender's own. `seen` is how far the mark moves a latent,
    in total standard deviations of the space.
    """

    n_marked: Positive  # items with the mark
    where: Text
    usage: Share  # of the items that had at least half as much there before
    n_points: Positive
    share: Share  # of the points that exceed the control
    low: Share  # ends of its 95 % interval
    high: Share
    n_lit: Count  # points with at least half of the mark
    n_lit_control: Count
    strongest: float  # most of the mark in any point: 1 is all of it
    rebuilt: float
    rebuilt_control: float
    rebuilt_model: float
    seen: NonNegative
    is_shown: bool = Field(
        description="Surely more than 5 % of the points exceed the control, or one has half of the mark and stands out."
    )
