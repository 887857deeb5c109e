"""A forged account in a manifest fools neither a policy nor a page; a true one is shown as its sender's word."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosetta.schemas.manifest import DataDescription, OriginEntry, Selection

import rosetta
from rosetta.audits.claims import claims_of, false_claims
from rosetta.bundle import layout
from rosetta.rules.claims import least_delta
from tests import builders
from tests.conftest import Lab

MEASURED = (layout.WEIGHTS, layout.SPACE_MEAN, layout.SPACE_COVARIANCE)
N_PAIRS = builders.N_ANCHORS + builders.N_CHECKS
ENOUGH = {"sum": 40.0, "squares": 13.0, "products": 13.0 * 5 / 7}


def _forged(folder: Path, origin: str, *accounts: dict[str, Any], **changes: Any) -> tuple[Path, np.ndarray]:
    """A bundle of items, whatever origin it names, that claims differential privacy; and the items."""
    arrays = {name: array for name, array in builders.arrays().items() if name not in MEASURED}
    claimed: dict[str, Any] = {
        "epsilon": 1.0, "delta": 1e-6, "neighbours": "replace one item", "norm_bound": 2.5, "noise_sds": ENOUGH,
        "mechanism": "noise", "statement": "none",
    }  # fmt: skip
    words: dict[str, Any] = {
        "origins": (OriginEntry(origin=origin, n_pairs=N_PAIRS),),
        "preprocessing": (),
        "selection": Selection(method="moments"),
        "data": DataDescription(n_items=N_PAIRS),
        "disclosure_audit": {"privacy": [claimed | each for each in accounts]},
    }
    return builders.write(folder / "forged.h5", arrays, **words | changes), arrays[layout.INPUTS]


@pytest.mark.parametrize(
    ("origin", "accounts", "words"),
    [
        ("observed", [{"origin": "observed"}], "claimed for observed points, which cannot have it"),
        ("decoded", [{"origin": "decoded"}], "claimed for decoded points, which cannot have it"),
        ("observed", [{"origin": "moments"}], "the observed points have no account"),
        ("moments", [{"origin": "moments"}, {"origin": "averaged"}], "for averaged points, and there are none"),
        ("moments", [{"origin": "moments"}, {"origin": "moments"}], "there are 2 accounts of the moments points"),
        ("moments", [{"origin": "moments"}], "with the noise that is stated delta is at least"),
        ("moments", [{"origin": "moments", "delta": 0.5}], "it would allow to give an item away"),
    ],
)
def test_a_forged_account_breaks_a_policy_and_is_noted(
    tmp_path: Path, origin: str, accounts: list[dict[str, Any]], words: str
):
    path, items = _forged(tmp_path, origin, *accounts)
    (tmp_path / "policy.toml").write_text("max_epsilon = 2\n")
    notes: list[str] = []

    report = rosetta.audit(path, items, policy=tmp_path / "policy.toml", on_note=notes.append)

    assert any(words in each for each in report.violations), report.violations
    assert any(words in note and note.startswith("the bundle claims what cannot be so: RZ-W21") for note in notes)


def test_statistics_without_noise_beside_private_points_break_a_policy(tmp_path: Path):
    path, items = _forged(
        tmp_path, "moments", {"origin": "moments", "epsilon": 50.0}, selection=builders.provenance().selection
    )
    (tmp_path / "policy.toml").write_text("max_epsilon = 60\n")

    report = rosetta.audit(path, items, policy=tmp_path / "policy.toml")

    (broken,) = report.violations
    assert "RZ-W216: the account does not cover coverage" in broken


def test_what_nobody_can_check_is_shown_as_a_claim(tmp_path: Path):
    told = {
        "policy": {"sha256": "a" * 64, "n_excluded_rows": 4},
        "audit": {"origins": [{"origin": "averaged", "verdict": "no item found"}]},
    }
    settings = {"privacy": "open", "origins": {"averaged": {"members": 38}}}
    path, items = _forged(
        tmp_path, "averaged", disclosure_audit=told, selection=Selection(method="averaged", settings=settings)
    )

    rosetta.audit(path, items, page=tmp_path / "page.html")

    claims = claims_of(rosetta.Bundle.open(path))
    page = (tmp_path / "page.html").read_text("utf-8")
    assert "What the sender claims" in page
    for words in (
        "at the level open",
        "At least 38 items are behind each of its points of the origin averaged",
        "a policy with the digest aaaaaaaaaaaa",
        "a summary of the sender&#x27;s own audit: averaged: no item found",
    ):
        assert words in page
    assert all(claim.endswith("(claimed by the sender, not checked)") for claim in claims)
    assert len(claims) == 4


@pytest.mark.parametrize("origin", ["moments", "averaged"])
def test_a_true_account_is_no_false_claim(lab: Lab, tmp_path: Path, origin: str):
    pytest.importorskip("opendp")
    few = {"members": 2, "pairs": 5, "checks": 8} if origin == "averaged" else {"pairs": 64}
    rosetta.distill(
        lab.run, lab.train, tmp_path / "b.h5", origin=origin, dp_epsilon=50.0, dp_delta=1e-4, license="CC0-1.0",
        title="T", creators=["A"], **few,
    )  # fmt: skip

    bundle = rosetta.Bundle.open(tmp_path / "b.h5")

    assert false_claims(bundle) == ()
    assert any("differentially private, with epsilon 50" in claim for claim in claims_of(bundle))


@pytest.mark.parametrize(("epsilon", "delta"), [(0.5, 1e-5), (3.0, 1e-6), (20.0, 1e-9)])
def test_the_least_delta_of_noise_is_below_what_opendp_accounts_for_and_not_by_much(epsilon: float, delta: float):
    pytest.importorskip("opendp")
    from rosetta.privacy.mechanism import noise_multiplier

    multiplier = noise_multiplier(epsilon, delta)

    assert least_delta(epsilon, 1 / multiplier) < delta
    assert least_delta(epsilon, 1 / (0.85 * multiplier)) > delta


def test_the_least_delta_is_what_two_normal_distributions_differ_by():
    """The slow twin: the integral over where one density exceeds e^ε times the other."""
    epsilon, ratio = 1.3, 0.9
    x = np.linspace(-12, 12, 400_001)
    first, second = (np.exp(-((x - m) ** 2) / 2) / np.sqrt(2 * np.pi) for m in (ratio, 0.0))

    expected = np.trapezoid(np.maximum(first - np.exp(epsilon) * second, 0), x)

    assert least_delta(epsilon, ratio) == pytest.approx(expected, rel=1e-5)
    assert least_delta(1e308, 1e-300) == least_delta(1.0, 0.0) == 0
    assert least_delta(1.0, np.inf) == 1
