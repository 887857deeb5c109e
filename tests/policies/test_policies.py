"""A policy is read strictly, and every clause that is broken is told with its figure."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from rosetta.schemas.audit import AttackResult, DisclosureAudit, OriginAudit
from rosetta.schemas.policy import Policy

from rosetta.errors import IncompatibleError, PolicyError, RosettaError
from rosetta.policies import check_promises, included_rows, load_policy, policy_mark, violations

BUNDLE: dict[str, Any] = {"origins": ["decoded"], "terms": "Be kind.", "license": "CC-BY-4.0"}


def _written(folder: Path, text: str) -> Path:
    path = folder / "policy.toml"
    path.write_text(text)
    return path


def _audit(
    origin: str = "decoded", ratio: float = 0.8, members: int | None = None, auc: float | None = None,
    caught: float | None = 0.02, n_groups: int | None = None, unit: str = "item",
) -> DisclosureAudit:  # fmt: skip
    found = OriginAudit(
        origin=origin, n_points=64, n_copies=0, n_near_copies=0, nearest_ratio_min=ratio, nearest_ratio_median=1.0,
        n_rare_exposed=0, members=members, verdict="no item found", reasons=(),
    )  # fmt: skip
    attacks = () if auc is None else tuple(
        AttackResult(
            attack=name, knows="bundle", n_members=700, n_outsiders=100, auc=area, low=area - 0.05, high=area + 0.05,
            p_value=0.1, caught_at_1_percent=caught, is_ceiling=name == "ceiling", unit=unit,
        )
        for name, area in (("nearest point", 0.5), ("subspace", auc), ("ceiling", 0.95))
    )  # fmt: skip
    return DisclosureAudit(
        n_items=700, n_held_out=100, typical_distance=1.5, n_rare=35, origins=(found,), attacks=attacks,
        n_groups=n_groups,
    )  # fmt: skip


def test_every_clause_can_be_written_in_toml(tmp_path: Path):
    policy = load_policy(_written(tmp_path, """
        schema_version = "1.0"
        origins = ["decoded", "averaged"]
        min_members = 10
        min_nearest_ratio = 1
        max_membership_advantage = 0.1
        max_auc = 0.55
        max_caught_at_1_percent = 0.03
        require_groups = true
        max_epsilon = 3.5
        require_terms = true
        terms = "Be kind."
        licenses = ["CC-BY-4.0", "mit or CC0-1.0"]
        excluded_rows = [3, 0, 3]
    """))  # fmt: skip

    assert policy == Policy(
        origins=("decoded", "averaged"), min_members=10, min_nearest_ratio=1.0, max_membership_advantage=0.1,
        max_auc=0.55, max_caught_at_1_percent=0.03, require_groups=True,
        max_epsilon=3.5, require_terms=True, terms="Be kind.", licenses=("CC-BY-4.0", "mit or CC0-1.0"),
        excluded_rows=(3, 0, 3),
    )  # fmt: skip
    assert set(policy.model_dump()) == set(Policy.model_fields)


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        ("min_member = 3", ["no clause is called min_member; did you mean min_members?"]),
        ("zzz = 3", ["no clause is called zzz; known: schema_version, origins, min_members"]),
        ("[rules]\nmin_members = 3", ["no clause is called rules"]),
        ("min_members = 0\nmax_epsilon = '3'", ["min_members is 0: expected greater", "max_epsilon is '3': expected"]),
        ('origins = ["decoded", "copied"]', ["origins[1] is 'copied': expected 'observed', 'averaged'"]),
        ('origins = "decoded"', ["origins is 'decoded': expected a list"]),
        ("excluded_rows = [1, -2]", ["excluded_rows[1] is -2: expected greater than or equal to 0"]),
        ('licenses = ["free"]', ["'free' is not an SPDX licence expression"]),
        ("schema_version = '2.0'", ["schema_version is '2.0': expected '1.0'"]),
        ("min_members = ", ["is no TOML file"]),
        ("", ["has no clause, so that it would forbid nothing"]),
    ],
)
def test_a_policy_that_cannot_be_meant_is_refused_with_every_reason(tmp_path: Path, text: str, messages: list[str]):
    with pytest.raises(RosettaError) as found:
        load_policy(_written(tmp_path, text))

    assert found.value.exit_code == 2
    assert all(message in str(found.value) for message in messages), str(found.value)


def test_a_policy_that_is_not_there_or_is_a_folder_is_named(tmp_path: Path):
    with pytest.raises(RosettaError, match=r"there is no policy .*none\.toml"):
        load_policy(tmp_path / "none.toml")
    with pytest.raises(RosettaError, match="no regular file"):
        load_policy(tmp_path)


def test_the_mark_is_the_digest_of_the_clauses_and_says_nothing_of_which_rows_are_excluded():
    policy = Policy(min_members=10, excluded_rows=(5, 7, 7))
    json = b'{"min_members":10,"require_terms":false,"schema_version":"1.0"}'

    assert policy_mark(policy).sha256 == hashlib.sha256(json).hexdigest()
    assert policy_mark(policy).n_excluded_rows == 2
    assert policy_mark(policy) == policy_mark(Policy(min_members=10, excluded_rows=(1, 2)))
    assert policy_mark(policy).sha256 != policy_mark(Policy(min_members=11)).sha256


def test_excluded_rows_are_left_out():
    assert included_rows(Policy(excluded_rows=(4, 0, 4)), 5).tolist() == [1, 2, 3]
    assert included_rows(Policy(), 3).tolist() == [0, 1, 2]


def test_a_row_that_there_is_not_and_rows_that_leave_nothing_are_refused():
    with pytest.raises(IncompatibleError, match="excludes row 5, but the data has 5 rows, 0 to 4"):
        included_rows(Policy(excluded_rows=(1, 5)), 5)
    with pytest.raises(IncompatibleError, match="excludes 4 of 5 rows"):
        included_rows(Policy(excluded_rows=(0, 1, 2, 3)), 5)


@pytest.mark.parametrize(
    ("clauses", "changes", "message"),
    [
        ({"origins": ("averaged",)}, {}, 'origins = ["averaged"]: decoded points are not allowed'),
        ({"require_terms": True}, {"terms": None}, "require_terms: there are no terms of use (`terms`)"),
        ({"terms": "Be kind."}, {"terms": None}, "terms: there are no terms of use (`terms`)"),
        ({"terms": "Be kind."}, {"terms": "be kind."}, 'terms = "Be kind.": the bundle\'s are "be kind."'),
        ({"licenses": ("CC0-1.0",)}, {}, 'licenses = ["CC0-1.0"]: the licence is CC-BY-4.0'),
        ({"max_epsilon": 1.0}, {}, "max_epsilon = 1: the points are not differentially private (`dp_epsilon`"),
        ({"max_epsilon": 1.0}, {"epsilon": 1.5}, "max_epsilon = 1: epsilon is 1.5"),
        ({"min_members": 2}, {"origins": ["observed"]}, "min_members = 2: an observed point is an item"),
    ],
)
def test_what_is_known_before_is_refused_before_and_found_after(
    clauses: dict[str, Any], changes: dict[str, Any], message: str
):
    words = BUNDLE | {"epsilon": None} | changes

    with pytest.raises(PolicyError) as found:
        check_promises(Policy(**clauses), members={}, **words)
    after = violations(Policy(**clauses), audit=_audit(words["origins"][0]), **words)

    assert message in str(found.value)
    assert found.value.exit_code == 1
    assert len(after) == 1
    assert message in after[0]


@pytest.mark.parametrize(
    ("clauses", "audit", "message"),
    [
        ({"min_nearest_ratio": 0.5}, _audit(ratio=0.31),
         "min_nearest_ratio = 0.5: a decoded point has a normalised distance to closest record (DCR) of 0.31"),
        ({"max_membership_advantage": 0.1}, _audit(auc=0.6),
         'max_membership_advantage = 0.1: by the attack "subspace", members are told .* 0.200, up to 0.300'),
        ({"max_membership_advantage": 0.1}, _audit(), "no attack on membership was tried .* at least 20 items"),
        ({"max_auc": 0.52}, _audit(auc=0.6),
         'max_auc = 0.52: by the attack "subspace", .* AUC of 0.600, and no less than 0.550'),
        ({"max_auc": 0.52}, _audit(), "max_auc = 0.52: no attack on membership was tried"),
        ({"max_caught_at_1_percent": 0.01}, _audit(auc=0.6),
         "max_caught_at_1_percent = 0.01: by the attack .* 2.0 % of the members are found at 1 % false positives"),
        ({"max_caught_at_1_percent": 0.01}, _audit(auc=0.6, caught=None), "give at least 100 items .* (`held_out`)"),
        ({"require_groups": True}, _audit(auc=0.6), "require_groups = true: the audit's unit is the row .* (`groups`)"),
        ({"require_groups": True}, None, "require_groups = true: without an audit nobody knows"),
        ({"max_auc": 0.52}, None, "max_auc = 0.52: without an audit nobody knows"),
        ({"min_members": 5}, _audit("mixed", members=3), "min_members = 5: a mixed point has 3 items behind it"),
        ({"min_members": 5}, _audit("averaged"),
         "min_members = 5: nobody has counted the items behind the averaged points"),
        ({"min_members": 5}, None, "min_members = 5: without an audit nobody knows"),
        ({"min_nearest_ratio": 0.5}, None, "min_nearest_ratio = 0.5: without an audit nobody knows"),
        ({"max_membership_advantage": 0.1}, None, "max_membership_advantage = 0.1: without an audit nobody knows"),
    ],
)  # fmt: skip
def test_what_the_audit_finds_or_leaves_out_breaks_its_clause(
    clauses: dict[str, Any], audit: DisclosureAudit | None, message: str
):
    words = BUNDLE if audit is None else BUNDLE | {"origins": [audit.origins[0].origin]}

    (broken,) = violations(Policy(**clauses), audit=audit, **words)

    assert all(part in broken for part in message.split(" .* "))


def test_a_bundle_that_keeps_every_clause_may_leave():
    policy = Policy(
        origins=("decoded", "averaged"), min_members=10, min_nearest_ratio=0.5, max_membership_advantage=0.2,
        max_auc=0.55, max_caught_at_1_percent=0.02, require_groups=True,
        max_epsilon=3.0, require_terms=True, terms="Be kind.", licenses=("cc-by-4.0",),
    )  # fmt: skip
    words = BUNDLE | {"origins": ["averaged"], "epsilon": 3.0}

    check_promises(policy, members={"averaged": 10}, **words)
    assert (
        violations(
            policy, audit=_audit("averaged", ratio=0.5, members=10, auc=0.54, n_groups=30, unit="group"), **words
        )
        == ()
    )


def test_every_broken_clause_is_told_at_once():
    policy = Policy(origins=("averaged",), max_epsilon=1.0, min_nearest_ratio=0.9, licenses=("MIT",))

    assert len(violations(policy, audit=_audit(), **BUNDLE)) == 4


def test_under_differential_privacy_the_audit_counts_and_the_members_are_those_promised():
    policy = Policy(min_members=10, min_nearest_ratio=0.9)
    words = BUNDLE | {"origins": ["averaged"], "epsilon": 1.0}

    (broken,) = violations(policy, audit=_audit("averaged", ratio=0.8), **words)

    assert broken.startswith("min_nearest_ratio = 0.9")
    with pytest.raises(PolicyError, match="an averaged point has 5 items behind it"):
        check_promises(policy, members={"averaged": 5}, **words)
