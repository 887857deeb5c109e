"""What shadow senders and planted marks say decides an audit like any other attack."""

from __future__ import annotations

from rosetta.schemas.separation import Separation
from rosetta.schemas.shadows import Canary, ShadowAttack, ShadowAudit

from rosetta.audits.shadow_findings import attacks_of, findings_of


def _told(auc: float, width: float) -> Separation:
    return Separation(
        n_members=300, n_others=200, auc=auc, auc_low=auc - width, auc_high=auc + width, caught=0.02, caught_low=0.0,
        caught_high=0.05,
    )  # fmt: skip


def _shadows(auc: float, width: float = 0.02, *, is_ceiling: bool = False) -> ShadowAudit:
    each = {name: _told(auc, width) for name in ("alone", "online", "offline", "of_shadows")}
    attack = ShadowAttack(attack="nearest point", is_ceiling=is_ceiling, **each)
    return ShadowAudit(n_shadows=8, n_members=300, n_others=200, n_in=300, attacks=(attack,), elapsed_s=1.0)


def _canary(*, is_shown: bool) -> Canary:
    return Canary(
        n_marked=5, where="2 × 2 pixels", usage=0.0, n_points=400, share=0.2 if is_shown else 0.01, low=0.0, high=0.3,
        n_lit=0, n_lit_control=0, strongest=0.4, rebuilt=0.1, rebuilt_control=0.1, rebuilt_model=0.2, seen=0.3,
        is_shown=is_shown,
    )  # fmt: skip


def test_a_calibrated_attack_counts_where_the_lower_end_of_its_interval_tells():
    telling, chance = (findings_of(_shadows(auc), ())[0] for auc in (0.65, 0.56))

    assert telling.verdict == "close to items"
    assert "AUC of 0.65 (95 %: 0.63 to 0.67; guessing: 0.5), and 2% of them are found" in telling.reason
    assert chance.verdict is None
    assert (telling.n_tried, telling.n_found, telling.by_chance) == (300, 6, 3.0)


def test_the_ceiling_is_told_and_decides_nothing():
    shadows = _shadows(0.99, 0.005, is_ceiling=True)

    assert findings_of(shadows, ()) == ()
    (attack,) = attacks_of(shadows)
    assert (attack.is_ceiling, attack.knows) == (True, "the sender's own model")
    assert attack.p_value < 1e-6


def test_a_mark_that_comes_out_decides():
    shown, hidden = findings_of(None, (_canary(is_shown=True), _canary(is_shown=False)))

    assert (shown.verdict, hidden.verdict) == ("close to items", None)
    assert "a mark that was planted in 5 items comes out: 20% of the points exceed the control" in shown.reason
