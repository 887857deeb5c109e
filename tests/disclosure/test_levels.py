"""What a file says beside its points, level by level; the documentation has the same table."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rosetta.schemas.audit import AuditSummary, DisclosureAudit, MembershipTest, OriginAudit
from rosetta.schemas.manifest import Coverage

from rosetta.disclosure import levels
from rosetta.disclosure.levels import TABLE, coarse_weights

DOCS = Path(__file__).parents[2] / "docs" / "disclosure.md"


def test_the_documentation_has_the_table():
    text = DOCS.read_text("utf-8").split("| what | strict | standard | open |\n")[1].split("\n\n")[0]

    rows = [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in text.splitlines()[1:]]

    assert rows == [tuple(cell.replace("`reproducible`", "`--reproducible`") for cell in row) for row in TABLE]


def test_pairs_with_no_item_look_like_pairs_with_few():
    counts = np.array([0, 1, 4, 5, 7, 100, 0])

    told = coarse_weights(counts, "standard")

    assert told.sum() == pytest.approx(1)
    assert len(set(told[[0, 1, 2, 6]])) == 1
    assert (told * 2 / told[0]).tolist() == [2, 2, 2, 4, 8, 128, 2]
    assert coarse_weights(np.zeros(4, int), "standard").tolist() == [0.25] * 4


@pytest.mark.parametrize(("level", "proven"), [("standard", 0), ("open", 0.2)])
def test_empty_cells_prove_outsiders_only_where_weights_are_exact(level: str, proven: float):
    """Whoever lies nearest to a pair that no item is nearest to was not in the data."""
    rng = np.random.default_rng(0)
    points, items, outsiders = (rng.normal(size=(n, 6)) for n in (400, 300, 300))

    def nearest(latents: np.ndarray) -> np.ndarray:
        return ((latents[:, None] - points[None]) ** 2).sum(axis=2).argmin(axis=1)

    weights = coarse_weights(np.bincount(nearest(items), minlength=len(points)), level)
    empty = weights == 0 if level == "open" else weights < weights.min()

    assert (weights[nearest(items)] > 0).all()
    assert empty[nearest(outsiders)].mean() >= proven
    assert bool(empty.any()) == (level == "open")


def test_figures_of_coverage_and_training_are_rounded_or_left_out():
    coverage = Coverage(quantisation_error=0.1234, largest_gap=0.987, largest_share=0.0456, silhouette=-0.1111)

    told = levels.coarse_coverage(coverage, "standard")

    assert told == Coverage(quantisation_error=0.12, largest_share=0.046, silhouette=-0.11)
    assert levels.coarse_coverage(coverage, "strict") is None
    assert levels.coarse_coverage(coverage, "open") == coverage
    assert [levels.coarse_elbo(-123.4, level) for level in ("strict", "standard", "open")] == [None, -120, -123.4]
    assert levels.coarse_training({"seed": 3, "lr": 0.1}, "standard") == {"lr": 0.1}
    assert levels.coarse_training({"seed": 3, "lr": 0.1}, "open") == {"seed": 3, "lr": 0.1}


def test_times_and_numbers_of_items_are_coarse():
    time = "2026-11-27T12:34:56Z"

    assert [levels.coarse_time(time, level) for level in ("strict", "standard", "open")] == [
        "2026-11-01T00:00:00Z", "2026-11-27T00:00:00Z", time,
    ]  # fmt: skip
    assert [levels.coarse_n_items(721, level) for level in ("strict", "standard", "open")] == [None, 720, 721]


def test_of_points_settings_are_told_and_figures_rounded():
    figures = {
        "members": 38, "draw": "moments", "residuals": True, "reencoding_rms": 0.1234, "n_dropped_range": 3,
        "n_dropped_reencoding": 126, "mix": 3,
    }  # fmt: skip

    standard = levels.coarse_figures(figures, "standard", members=10)

    assert standard == {
        "members": 10, "draw": "moments", "residuals": True, "reencoding_rms": 0.12, "n_dropped_reencoding": 130,
        "mix": 3,
    }  # fmt: skip
    assert levels.coarse_figures(figures, "strict", members=10) == {
        "members": 10, "draw": "moments", "residuals": True, "mix": 3,
    }  # fmt: skip
    assert levels.coarse_figures(figures, "open", members=10) == figures


def test_of_the_audit_verdicts_are_told_and_how_well_attacks_did():
    origin = OriginAudit(
        origin="decoded", n_points=64, n_copies=0, n_near_copies=1, nearest_ratio_min=0.4567, nearest_ratio_median=1.0,
        n_rare_exposed=0, verdict="close to items", reasons=("the nearest is at 0.4567",),
    )  # fmt: skip
    test = MembershipTest(attack="inputs", advantage=0.0876, low=-0.01, high=0.2, caught_at_1_percent=0.0123)
    audit = DisclosureAudit(
        n_items=721, n_held_out=100, typical_distance=1.5432, n_rare=36, origins=(origin,), membership=(test,)
    )

    standard, strict = (levels.coarse_audit(audit, level) for level in ("standard", "strict"))

    assert isinstance(standard, AuditSummary)
    assert standard.model_dump(exclude_none=True) == {
        "origins": ({"origin": "decoded", "verdict": "close to items"},),
        "attacks": ({"attack": "inputs", "advantage": 0.088, "caught_at_1_percent": 0.012},),
    }
    assert strict.attacks == ()
    assert strict.origins == standard.origins
    assert levels.coarse_audit(audit, "open") == audit


def test_strict_software_is_rosettas_alone():
    software = {"rosetta": "1", "torch": "2"}

    assert levels.coarse_software(software, "strict") == {"rosetta": "1"}
    assert levels.coarse_software(software, "standard") == software
