"""What only the sender can try: a bundle against the model and the data that it is made from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rosetta.schemas.validation import ValidationReport

import rosetta
from rosetta.bundle import Bundle, layout
from rosetta.bundle.manifest import as_json
from rosetta.errors import IncompatibleError, ModelError, RosettaError, UsageError
from rosetta.rules.engine import ONLY_SENDER
from tests import builders
from tests.conftest import SETTINGS, Lab

RULES = {"RZ-V131", "RZ-V132", "RZ-V133", "RZ-V134"}


def _broken(report: ValidationReport) -> set[str]:
    return {finding.rule for finding in report.findings if finding.severity == "error"}


def _skipped(report: ValidationReport) -> set[str]:
    return {each.rule for each in report.skipped if each.reason == ONLY_SENDER}


def _rewritten(source: Path, target: Path, **arrays: np.ndarray) -> Path:
    """A bundle with other arrays, its digests right."""
    bundle = Bundle.open(source)
    values = dict(bundle.arrays) | {f"/{name.replace('__', '/')}": array for name, array in arrays.items()}
    content, provenance = bundle.manifest.content, bundle.manifest.provenance
    return builders.write(
        target, values, space=content.space, input=content.input, preprocessing=content.preprocessing,
        origins=content.origins, **{name: getattr(provenance, name) for name in type(provenance).model_fields},
    )  # fmt: skip


@pytest.mark.parametrize("name", ["observed", "decoded"])
def test_a_bundle_is_what_its_model_and_data_make(lab: Lab, name: str):
    report = rosetta.validate(getattr(lab, name), model=lab.run, data=lab.train)

    assert (report.valid, _skipped(report)) == (True, set())


@pytest.mark.parametrize(
    ("given", "skipped"),
    [({}, RULES), ({"model"}, {"RZ-V133", "RZ-V134"}), ({"data"}, {"RZ-V131", "RZ-V132", "RZ-V134"})],
    ids=["neither", "model", "data"],
)
def test_what_is_not_given_is_not_tried(lab: Lab, given: set[str], skipped: set[str]):
    at_hand = {"model": lab.run, "data": lab.train}

    report = rosetta.validate(lab.observed, **{name: at_hand[name] for name in given})

    assert (report.valid, _skipped(report)) == (True, skipped)


def test_another_model_is_found(lab: Lab, tmp_path: Path):
    rosetta.train(lab.train, tmp_path / "other", **SETTINGS | {"epochs": 1, "seed": 7})

    report = rosetta.validate(lab.observed, model=tmp_path / "other", data=lab.train)

    assert _broken(report) == {"RZ-V131", "RZ-V132", "RZ-V134"}


def test_a_model_of_another_size_is_found(lab: Lab, tmp_path: Path):
    rosetta.train(lab.train, tmp_path / "other", **SETTINGS | {"epochs": 1, "latent_dim": 3})

    assert _broken(rosetta.validate(lab.observed, model=tmp_path / "other", data=lab.train)) == {"RZ-V131", "RZ-V132"}


def test_a_model_of_other_inputs_is_an_error(lab: Lab, tmp_path: Path):
    rosetta.train(np.zeros((20, 5), np.float32), tmp_path / "other", **SETTINGS | {"epochs": 1})

    with pytest.raises(IncompatibleError, match=r"the model takes \(5,\)"):
        rosetta.validate(lab.observed, model=tmp_path / "other")


def test_latents_that_the_model_does_not_give_are_found(lab: Lab, tmp_path: Path):
    latents = Bundle.open(lab.observed).latents.copy()
    latents[5] += 0.1

    report = rosetta.validate(_rewritten(lab.observed, tmp_path / "b.h5", pairs__latents=latents), model=lab.run)

    (found,) = [finding for finding in report.findings if finding.rule == "RZ-V131"]
    assert "1 of 64 differ from what the model gives, the first is row 5" in found.message


def test_other_data_is_found(lab: Lab):
    report = rosetta.validate(lab.observed, model=lab.run, data=lab.held_out)

    assert _broken(report) == {"RZ-V133"}  # and RZ-V134 is not tried then
    messages = [finding.message for finding in report.findings if finding.rule == "RZ-V133"]
    assert "but the data has 180 items" in messages[0]
    assert "64 observed inputs are no items of the data, as row 0" in messages[1]


def test_decoded_points_need_not_be_items(lab: Lab):
    report = rosetta.validate(lab.decoded, data=lab.held_out)

    assert [finding.location for finding in report.findings if finding.rule == "RZ-V133"] == [
        "/manifest#/provenance/data/n_items"
    ]


@pytest.mark.parametrize("name", ["mean", "covariance"])
def test_moments_of_something_else_are_found(lab: Lab, tmp_path: Path, name: str):
    bundle = Bundle.open(lab.observed)
    moved = {layout.SPACE_MEAN: bundle.space_mean + 0.1, layout.SPACE_COVARIANCE: bundle.space_covariance * 1.1}
    path = _rewritten(lab.observed, tmp_path / "b.h5", **{f"space__{name}": moved[f"/space/{name}"]})

    report = rosetta.validate(path, model=lab.run, data=lab.train)

    assert [f.location for f in report.findings if f.rule == "RZ-V134"] == [f"/space/{name}"]


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"model": "nowhere"}, ModelError, "nowhere"),
        ({"data": "nowhere.npy"}, RosettaError, "nowhere.npy"),
        ({"data": np.zeros((5, 3), np.float32)}, IncompatibleError, "has shape"),
        ({"features": ["a"]}, UsageError, "without `data` has no effect"),
    ],
    ids=["no run", "no data", "other data", "features"],
)
def test_what_cannot_be_held_against_it_is_an_error(lab: Lab, given: dict, error: type[Exception], message: str):
    with pytest.raises(error, match=message):
        rosetta.validate(lab.observed, **given)


def test_a_bundle_that_is_broken_anyway_is_not_held_against_anything(lab: Lab, tmp_path: Path):
    values = builders.arrays()
    document = as_json(builders.manifest(values))
    document["content"]["arrays"][layout.LATENTS]["sha256"] = "0" * 64
    path = builders.write_raw(tmp_path / "b.h5", values, builders.text_of(document))

    report = rosetta.validate(path, model=lab.run, data=lab.train)

    assert "RZ-V111" in _broken(report)
    assert not RULES & {"RZ-V131", "RZ-V133", "RZ-V134"} & _broken(report)
