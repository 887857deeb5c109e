"""What was ever written stays readable, means the same and is signed by the same."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

import rosetta
from rosetta.bundle import Bundle

ARCHIVES = Path(__file__).parent / "archives"
BUNDLES = sorted(ARCHIVES.glob("*/*.h5"))


def _expected(path: Path) -> dict[str, Any]:
    return json.loads((path.parent / "expected.json").read_text("utf-8"))[path.name]


def test_every_archived_bundle_is_expected():
    for folder in ARCHIVES.glob("*/"):
        assert set(json.loads((folder / "expected.json").read_text("utf-8"))) == {p.name for p in folder.glob("*.h5")}
    assert len(BUNDLES) >= 2


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_archived_bundle_is_what_it_was(path: Path):
    expected = _expected(path)

    bundle = Bundle.open(path)

    assert hashlib.sha256(path.read_bytes()).hexdigest() == expected["sha256"]
    assert (bundle.content_id, bundle.bundle_id) == (expected["content_id"], expected["bundle_id"])
    assert bundle.manifest.provenance.title == expected["title"]
    n_anchors = int(bundle.is_anchor.sum())
    assert (n_anchors, len(bundle.inputs) - n_anchors) == (expected["n_anchors"], expected["n_checks"])
    assert {k: [v.dtype.str[1:], list(v.shape)] for k, v in bundle.arrays.items()} == expected["arrays"]
    assert bundle.latents[0].tolist() == expected["first_latent"]
    assert float(bundle.inputs.sum(dtype="f8")) == pytest.approx(expected["sum_of_inputs"], rel=1e-12)


@pytest.mark.parametrize("path", BUNDLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_an_archived_bundle_is_valid_and_its_signature_good(path: Path):
    key = path.parent / "archive.pub"

    assert rosetta.validate(path, trusted_keys=key).valid
    assert [signer.name for signer in rosetta.verify(path, trusted_keys=key).signers] == ["Archive of format 1.0"]


def test_an_archived_bundle_still_anchors_a_training(tmp_path: Path):
    from sklearn.datasets import load_digits

    digits = load_digits()
    others = digits.images[digits.target > 4]

    report = rosetta.train(
        others, tmp_path / "run", anchors=ARCHIVES / "1.0" / "digits.h5", hidden=(32,), epochs=2,
        trusted_keys=ARCHIVES / "1.0" / "archive.pub",
    )  # fmt: skip

    assert [source.n_pairs for source in report.anchors] == [48]
    assert [signer.name for signer in report.anchors[0].signed_by] == ["Archive of format 1.0"]
