"""A bundle held against the data that it was made from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rosetta.schemas.audit import AuditReport
from rosetta.schemas.manifest import DataDescription, OriginEntry, Selection
from rosetta.schemas.tre import TreReport

import rosetta
from rosetta.bundle import layout
from rosetta.charts.closest import as_pictures
from rosetta.errors import IncompatibleError, MetricError, MissingExtraError, OutputError, UsageError
from rosetta.sources import read_items
from rosetta.verbs.audit import audit, members_of
from tests import builders
from tests.conftest import SETTINGS, Lab


def noted(*arguments: Any, **more: Any) -> tuple[AuditReport, str]:
    notes: list[str] = []
    report = audit(*arguments, on_note=notes.append, **more)
    return report, "\n".join(notes)


@pytest.fixture
def images(tmp_path: Path) -> tuple[Path, np.ndarray]:
    """A bundle of 20 observed pictures, 4 × 5, and the 100 items that it was made from, as they are before a step."""
    values = builders.arrays()
    raw = np.random.default_rng(9).integers(0, 256, size=(100, 4, 5)).astype(np.uint8)
    values[layout.INPUTS] = (raw[:20] / 255).astype(np.float32)
    return builders.write(tmp_path / "b.h5", values), raw


def test_items_are_found_in_an_observed_bundle_and_not_in_a_decoded_one(lab: Lab):
    observed, _ = noted(lab.observed, lab.train)
    decoded, _ = noted(lab.decoded, lab.train)

    [found] = observed.audit.origins
    assert (found.origin, found.verdict, found.n_copies) == ("observed", "holds items", found.n_points)
    [made] = decoded.audit.origins
    assert (made.origin, made.n_copies, made.demixed) == ("decoded", 0, 0)
    assert made.nearest_ratio_median > 0.5
    assert observed.content_id == rosetta.Bundle.open(lab.observed).content_id


def test_attacks_are_tried_with_held_out_items_and_with_the_run_those_that_know_it(lab: Lab):
    without, said = noted(lab.decoded, lab.train)
    by_inputs, hint = noted(lab.decoded, lab.train, held_out=lab.held_out)
    report, nothing = noted(lab.decoded, lab.train, model=lab.run, held_out=lab.held_out)

    assert without.audit.attacks == ()
    assert "no attack on membership was tried: pass items of the same kind" in said
    assert "attacks that know the encoder were not tried: pass the bundle's run with `model`" in hint
    assert not any(each.knows == "bundle and the encoder" for each in by_inputs.audit.attacks)
    assert {"nearest latent", "displaced latent", "the sender's own model"} <= {
        each.attack for each in report.audit.attacks
    }
    assert report.audit.n_held_out == 180
    assert nothing == ""


def test_people_are_the_unit_where_a_column_or_a_source_says_whose_each_item_is(lab: Lab, saved):
    items, others = read_items(lab.train), read_items(lab.held_out)
    people = np.array([f"p{each // 8}" for each in range(len(items))])
    strangers = np.array([f"s{each // 6}" for each in range(len(others))])
    sources = {"groups": saved(people, "a.npy"), "held_out_groups": saved(strangers, "b.npy")}

    found, said = noted(lab.decoded, lab.train, held_out=lab.held_out, **sources)
    alone, warned = noted(lab.decoded, lab.train, groups=saved(np.arange(len(items)), "c.npy"))

    assert (found.audit.n_groups, found.audit.n_held_out_groups) == (91, 30)
    assert {each.unit for each in found.audit.attacks} == {"group"}
    assert "each of the 721 groups has one item only" in warned
    assert "one item only" not in said
    assert alone.audit.n_groups == len(items)
    with pytest.raises(UsageError, match="`groups` donor: expected a column of the data or a source of labels"):
        audit(lab.decoded, lab.train, groups="donor")
    with pytest.raises(IncompatibleError, match="labels? for each of the 721"):
        audit(lab.decoded, lab.train, groups=sources["held_out_groups"])


def test_an_old_bundle_whose_manifest_names_the_seed_of_its_draws_holds_the_items(tmp_path: Path):
    items = np.random.default_rng(3).random((15, 4, 5), dtype=np.float32)
    rows = items.reshape(15, 20)
    mean = rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    factor = ((rows - mean) / np.sqrt(15)).astype(np.float32)
    drawn = [
        mean + np.random.default_rng([7, role]).standard_normal((n, 15), dtype=np.float32) @ factor
        for role, n in ((0, 12), (1, 8))
    ]
    values = builders.arrays()
    values[layout.INPUTS] = np.clip(np.concatenate(drawn), 0, 1).reshape(20, 4, 5).astype(np.float32)
    words = {
        "data": DataDescription(n_items=15), "preprocessing": (),
        "origins": (OriginEntry(origin="moments", n_pairs=20),),
    }  # fmt: skip

    old, new = (
        audit(
            builders.write(tmp_path / f"{seed}.h5", values, selection=Selection(method="m", seed=seed), **words), items
        )
        for seed in (7, None)
    )

    [found] = [each for each in old.audit.findings if each.attack == "seed replay"]
    assert found.verdict == "holds items"
    assert found.n_found >= 10
    assert old.audit.origins[0].verdict == "holds items"
    assert "the manifest names the seed" in old.audit.origins[0].reasons[0]
    assert not any(each.attack == "seed replay" for each in new.audit.findings)


def test_an_earlier_bundle_gives_the_item_that_was_withdrawn(lab: Lab, tmp_path: Path):
    items = np.random.default_rng(3).random((100, 4, 5), dtype=np.float32)
    latents = np.random.default_rng(4).normal(size=(100, 3))
    paths = []
    for n_items in (99, 100):
        values = builders.arrays()
        values[layout.INPUTS] = items[:20]
        values[layout.SPACE_MEAN] = latents[:n_items].mean(axis=0)
        values[layout.SPACE_COVARIANCE] = np.cov(latents[:n_items].T, bias=True)
        words = {"data": DataDescription(n_items=n_items), "preprocessing": ()}
        paths.append(builders.write(tmp_path / f"{n_items}.h5", values, **words))

    [found] = [
        each for each in audit(paths[0], items[:99], earlier=[paths[1]]).audit.findings
        if each.attack == "comparison with an earlier bundle"
    ]  # fmt: skip

    assert found.verdict == "close to items"
    assert "the means of the spaces give the latent" in found.reason
    with pytest.raises(IncompatibleError, match="is of another latent space"):
        audit(paths[0], items[:99], earlier=[lab.decoded])


def test_a_report_for_output_checkers_says_what_to_do_and_keeps_to_its_schema(lab: Lab, tmp_path: Path):
    (tmp_path / "policy.toml").write_text("max_auc = 0.5\nrequire_groups = true\n")

    audit(lab.observed, lab.train, held_out=lab.held_out, report=tmp_path / "tre.json", policy=tmp_path / "policy.toml")
    audit(lab.decoded, lab.train, report=tmp_path / "no.json")

    report = TreReport.model_validate_json((tmp_path / "tre.json").read_text(), by_alias=True)
    assert (report.summary.verdict, report.summary.recommendation) == ("holds items", "do not release")
    assert report.attacks[0].metrics.AUC > 0
    assert '"TPR@0.01": ' in (tmp_path / "tre.json").read_text()
    assert any(each.startswith("require_groups") for each in report.policy_violations)
    assert report.risks[0].n_copies == 64
    untested = TreReport.model_validate_json((tmp_path / "no.json").read_text(), by_alias=True)
    assert untested.attacks == ()
    assert any("was not tested" in each for each in untested.not_tested)
    with pytest.raises(OutputError, match="exists already"):
        audit(lab.observed, lab.train, report=tmp_path / "tre.json")


def test_items_are_preprocessed_as_the_bundle_says(images: tuple[Path, np.ndarray]):
    path, raw = images

    report, said = noted(path, raw)

    assert report.audit.origins[0].n_copies == 20
    assert "no items" not in said


def test_other_data_than_the_bundles_is_noticed(images: tuple[Path, np.ndarray]):
    path, raw = images

    _, said = noted(path, raw[10:90], held_out=raw[90:100])

    assert "the data has 80 items, but the bundle says that it was made from 100" in said
    assert "10 of 20 observed points are no items of the data" in said
    assert "of the held-out items, 10 are not in the data, and at least 20 items of both are needed" in said
    with pytest.raises(IncompatibleError, match="the data does not fit the bundle"):
        audit(path, raw.reshape(100, 20))
    with pytest.raises(MetricError, match="100 of 100 held-out items are items of the data as well"):
        audit(path, raw, held_out=raw)


def test_a_model_that_is_not_the_bundles_is_refused(lab: Lab, tmp_path: Path):
    rosetta.train(lab.bob, tmp_path / "bob", **(SETTINGS | {"epochs": 1}))

    with pytest.raises(IncompatibleError, match="is not the model of the bundle: its weights have another digest"):
        audit(lab.decoded, lab.train, model=tmp_path / "bob")


def test_page_and_picture_are_written_whole_and_not_over_others(images: tuple[Path, np.ndarray], tmp_path: Path):
    pytest.importorskip("matplotlib", reason="pictures need matplotlib")
    path, raw = images
    page, picture = tmp_path / "audit.html", tmp_path / "closest.png"

    audit(path, raw, page=page, picture=picture)

    assert picture.read_bytes().startswith(b"\x89PNG")
    text = page.read_text()
    assert "data:image/png;base64," in text
    assert "no attack on membership was tried: pass items" in text.lower()
    with pytest.raises(OutputError, match="exists already"):
        audit(path, raw, page=page)
    audit(path, raw, page=page, force=True)
    with pytest.raises(OutputError, match=r"must end in \.png"):
        audit(path, raw, picture=tmp_path / "x.jpg")


def test_inputs_that_are_no_images_have_a_page_and_no_picture(tmp_path: Path):
    values = builders.arrays()
    raw = np.random.default_rng(9).random((100, 12), dtype=np.float32) * 255
    values[layout.INPUTS] = (raw[:20] / 255).astype(np.float32)
    path = builders.write(tmp_path / "b.h5", values)

    audit(path, raw, page=tmp_path / "audit.html")

    assert "<img" not in (tmp_path / "audit.html").read_text()
    with pytest.raises(UsageError, match=r"`picture` draws images, but inputs of shape \(12,\) are none"):
        audit(path, raw, picture=tmp_path / "x.png")


def test_without_matplotlib_a_page_does_without_pictures_and_a_picture_is_refused(
    images: tuple[Path, np.ndarray], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    def missing() -> None:
        raise MissingExtraError("report", "matplotlib", "drawing a picture")

    monkeypatch.setattr("rosetta.audits.closest_pairs.pyplot", missing)

    _, said = noted(*images, page=tmp_path / "audit.html")

    assert "the page has no pictures: drawing a picture needs matplotlib" in said
    assert "<img" not in (tmp_path / "audit.html").read_text()
    with pytest.raises(MissingExtraError):
        audit(*images, picture=tmp_path / "x.png")


def test_a_broken_policy_is_reported(images: tuple[Path, np.ndarray], tmp_path: Path):
    (tmp_path / "strict.toml").write_text('origins = ["decoded"]\n')
    (tmp_path / "mild.toml").write_text('origins = ["observed"]\n')

    broken, kept = (audit(*images, policy=tmp_path / name) for name in ("strict.toml", "mild.toml"))

    assert len(broken.violations) == 1
    assert "observed" in broken.violations[0]
    assert kept.violations == ()


def test_members_are_read_from_settings_as_far_as_they_are_there():
    told = {"averaged": {"members": 7}, "mixed": {"mix": 3}, "decoded": {"draw": "moments"}, "observed": None}

    assert members_of({"origins": told}) == {"averaged": 7, "mixed": 3}  # type: ignore[dict-item]
    assert members_of({"origins": {"averaged": {"members": True}, "mixed": {"mix": -1}}}) == {}
    assert members_of({}) == members_of({"origins": "x"}) == {}


@pytest.mark.parametrize(
    ("shape", "becomes"),
    [
        ((28, 30), (28, 30)),
        ((28, 30, 1), (28, 30)),
        ((28, 30, 3), (28, 30, 3)),
        ((3, 28, 30), (28, 30, 3)),
        ((1, 28, 30), (28, 30)),
        ((784,), None),
        ((2, 500), None),
        ((5, 28, 30), None),
        ((4, 4, 4, 4), None),
        ((), None),
    ],
)
def test_pictures_are_told_from_other_inputs(shape: tuple[int, ...], becomes: tuple[int, ...] | None):
    pictures = as_pictures(np.full((2, *shape), 3.0, dtype=np.float32), (1, 5))

    assert (pictures if pictures is None else pictures.shape[1:]) == becomes
    assert pictures is None or (pictures == 0.5).all()


def test_data_that_the_points_cannot_come_from_is_refused(lab: Lab):
    items = read_items(lab.train)

    with pytest.raises(IncompatibleError, match="none of the 64 observed points is an item of the data"):
        rosetta.audit(lab.observed, lab.bob)
    with pytest.raises(IncompatibleError, match="or the data is in other units"):
        rosetta.audit(lab.decoded, items / 255)


def test_excluded_rows_are_looked_for_and_must_have_been_promised(lab: Lab, tmp_path: Path):
    items = read_items(lab.train)
    bundle = rosetta.Bundle.open(lab.observed)
    taken = [i for i, item in enumerate(items) if (bundle.inputs == item).all(axis=(1, 2)).any()][:3]
    policy = tmp_path / "policy.toml"
    policy.write_text(f"excluded_rows = {taken}")

    broken = rosetta.audit(lab.observed, lab.train, policy=policy).violations
    words = {"license": "CC0-1.0", "title": "T", "creators": ["A"]}
    rosetta.train(lab.train, tmp_path / "run", policy=policy, epochs=1, latent_dim=2, hidden=(8,))
    rosetta.distill(tmp_path / "run", lab.train, tmp_path / "b.h5", policy=policy, origin="observed", **words)
    kept = rosetta.audit(tmp_path / "b.h5", lab.train, policy=policy).violations

    assert len(broken) == 2
    assert broken[0] == "excluded_rows: 3 points are copies of excluded items"
    assert "does not say that it was made under this policy" in broken[1]
    assert kept == ()
    policy.write_text("excluded_rows = [721]")
    with pytest.raises(IncompatibleError, match="excludes row 721"):
        rosetta.audit(lab.observed, lab.train, policy=policy)
