"""The verdict is yes for a model in the space, and no for one that is not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rosetta.schemas.manifest import OriginEntry

import rosetta
from rosetta.bundle import layout
from rosetta.bundle.writer import make_manifest, write_bundle
from rosetta.errors import IncompatibleError, UsageError
from tests.conftest import SETTINGS, Lab


@pytest.fixture(scope="module")
def anchored(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    run = tmp_path_factory.mktemp("check") / "anchored"
    rosetta.train(lab.bob, run, anchors=[lab.observed], **SETTINGS)
    return run


def test_a_model_in_the_space_is_aligned(lab: Lab, anchored: Path):
    report = rosetta.check(anchored, lab.observed)
    missed = report.fvu

    assert report.verdict == "aligned"
    assert missed.low <= missed.value <= missed.high < 0.5
    assert report.null == pytest.approx(2, abs=0.3)
    assert report.n_checks == 32
    assert report.retrieval_top1 > 0.5
    assert report.content_id == rosetta.Bundle.open(lab.observed).content_id


def test_the_figures_are_those_of_the_definition(lab: Lab, anchored: Path):
    report = rosetta.check(anchored, lab.observed)
    bundle = rosetta.Bundle.open(lab.observed)
    stored, found = bundle.check_latents.astype(float), rosetta.latents_of(anchored, bundle.check_inputs).astype(float)

    squared = ((stored - found) ** 2).sum(axis=1)

    assert report.fvu.value == pytest.approx(squared.sum() / ((stored - stored.mean(axis=0)) ** 2).sum())
    assert report.rms_over_sd == pytest.approx(np.sqrt(squared.mean() / np.trace(bundle.space_covariance)))


def test_the_sender_herself_is_perfectly_aligned(lab: Lab):
    report = rosetta.check(lab.run, lab.decoded)

    assert report.fvu.high < 1e-9
    assert report.retrieval_top1 == 1


def test_a_model_of_its_own_is_not_aligned(lab: Lab, tmp_path: Path):
    rosetta.train(lab.bob, tmp_path / "alone", **SETTINGS)

    report = rosetta.check(tmp_path / "alone", lab.observed)

    assert report.verdict == "not aligned"
    assert report.fvu.value > 0.5


def test_a_stricter_threshold_changes_the_verdict_and_says_why(lab: Lab, anchored: Path):
    report = rosetta.check(anchored, lab.observed, threshold=0.001)

    assert report.verdict == "not aligned"
    assert "above the threshold of 0.001" in report.reason


def test_the_seed_moves_the_interval_and_not_the_estimate(lab: Lab, anchored: Path):
    one, two, again = (rosetta.check(anchored, lab.observed, seed=s) for s in (0, 1, 0))

    assert one == again
    assert one.fvu.value == two.fvu.value
    assert one.fvu.low != two.fvu.low


def test_too_few_check_pairs_are_refused(lab: Lab, anchored: Path, tmp_path: Path):
    rosetta.distill(
        lab.run, lab.train, tmp_path / "few.h5", checks=7, license="CC0-1.0", title="Few", creators=["Alice"]
    )

    with pytest.raises(IncompatibleError, match="7 check pairs, and 8 are the least"):
        rosetta.check(anchored, tmp_path / "few.h5")


def test_a_model_of_another_shape_is_refused(lab: Lab, tmp_path: Path):
    rosetta.train(np.random.default_rng(0).random((40, 5)), tmp_path / "run", latent_dim=2, hidden=(8,), epochs=1)

    with pytest.raises(
        IncompatibleError, match=r"input shape: \(5,\) in the run, \(8, 8\) in the bundle\n.*dimensions: 2"
    ):
        rosetta.check(tmp_path / "run", lab.observed)


@pytest.mark.parametrize("threshold", [0, -1, 1.5, float("nan")])
def test_a_threshold_is_a_share(lab: Lab, anchored: Path, threshold: float):
    with pytest.raises(UsageError, match="`threshold`"):
        rosetta.check(anchored, lab.observed, threshold=threshold)


def test_check_pairs_that_span_little_of_the_space_prove_nothing(lab: Lab, tmp_path: Path):
    bundle = rosetta.Bundle.open(lab.decoded)
    arrays = dict(bundle.arrays)
    arrays[layout.SPACE_COVARIANCE] = 10 * bundle.space_covariance
    content, provenance = bundle.manifest.content, bundle.manifest.provenance
    manifest = make_manifest(
        arrays,
        space=content.space,
        input=content.input,
        preprocessing=(),
        origins=content.origins,
        provenance=provenance,
    )
    write_bundle(tmp_path / "wide.h5", manifest, arrays)

    report = rosetta.check(lab.run, tmp_path / "wide.h5")

    assert report.verdict == "not proven"
    assert report.spread == pytest.approx(rosetta.check(lab.run, lab.decoded).spread / 10)
    assert "RZ-W213" in [f.rule for f in rosetta.validate(tmp_path / "wide.h5").findings]


def test_the_report_says_what_kind_of_points_it_speaks_of(lab: Lab):
    assert rosetta.check(lab.run, lab.observed).origins == ("observed",)
    assert rosetta.check(lab.run, lab.decoded).origins == ("decoded",)


def test_each_origin_has_its_own_figure_and_real_items_come_first(lab: Lab, anchored: Path, tmp_path: Path):
    bundle = rosetta.Bundle.open(lab.decoded)
    content, n_anchors = bundle.manifest.content, int(bundle.is_anchor.sum())
    n_checks = len(bundle.is_anchor) - n_anchors
    stretches = (("decoded", n_anchors + 12), ("mixed", 3), ("observed", n_checks - 15))
    manifest = make_manifest(
        bundle.arrays, space=content.space, input=content.input, preprocessing=(),
        origins=tuple(OriginEntry(origin=name, n_pairs=n) for name, n in stretches),
        provenance=bundle.manifest.provenance,
    )  # fmt: skip
    write_bundle(tmp_path / "b.h5", manifest, bundle.arrays)

    report = rosetta.check(anchored, tmp_path / "b.h5")

    stored, found = bundle.check_latents, rosetta.latents_of(anchored, bundle.check_inputs)
    expected = {
        "observed": rosetta.compare(stored[15:], found[15:])["fvu"].value,
        "decoded": rosetta.compare(stored[:12], found[:12])["fvu"].value,
    }
    assert {each.origin: each.fvu for each in report.by_origin} == pytest.approx(expected)
    assert [each.origin for each in report.by_origin] == ["observed", "decoded"]  # of the three mixed ones nothing
    assert [each.n_checks for each in report.by_origin] == [n_checks - 15, 12]
    assert report.origins == ("decoded", "mixed", "observed")
    assert rosetta.check(anchored, lab.decoded).by_origin == ()
