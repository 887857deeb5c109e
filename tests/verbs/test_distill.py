"""A distilled bundle holds what it says, and nothing of the sender that it should not."""

from __future__ import annotations

import getpass
import socket
from pathlib import Path

import numpy as np
import pytest

import rosetta
from rosetta.errors import IncompatibleError, OutputError, SelectionError, UsageError
from rosetta.models.checkpoint import load_run
from rosetta.models.vae import encode_array
from rosetta.sources import read_items
from rosetta.verbs.describe import parse_creator
from tests import builders
from tests.conftest import Lab

SIGNED = {"license": "CC-BY-4.0", "title": "Digits", "creators": ["Alice"]}


def _rows(array: np.ndarray) -> set[bytes]:
    return {row.tobytes() for row in array}


@pytest.mark.parametrize("name", ["observed", "decoded"])
def test_the_latents_are_the_encoders_means_of_exactly_the_stored_inputs(lab: Lab, name: str):
    bundle = rosetta.Bundle.open(getattr(lab, name))

    means, sds = encode_array(load_run(lab.run).model, bundle.inputs)

    assert bundle.latents == pytest.approx(means, abs=1e-6)
    assert bundle.latents_sd == pytest.approx(sds, abs=1e-6)


def test_observed_points_are_items_and_decoded_ones_are_not(lab: Lab):
    items = _rows(read_items(lab.train))

    assert _rows(rosetta.Bundle.open(lab.observed).inputs) <= items
    assert not _rows(rosetta.Bundle.open(lab.decoded).inputs) & items


@pytest.mark.parametrize("name", ["observed", "decoded"])
def test_no_check_pair_is_an_anchor(lab: Lab, name: str):
    bundle = rosetta.Bundle.open(getattr(lab, name))

    assert len(bundle.check_inputs) == 32
    assert len(_rows(bundle.inputs)) == len(bundle.inputs)


def test_copies_of_an_item_are_never_anchor_and_check(lab: Lab, tmp_path: Path):
    items = np.repeat(read_items(lab.train)[:30], 5, axis=0)

    rosetta.distill(lab.run, items, tmp_path / "b.h5", pairs=20, checks=10, **SIGNED)

    assert len(_rows(rosetta.Bundle.open(tmp_path / "b.h5").inputs)) == 30
    with pytest.raises(SelectionError, match="with 20 anchors taken, .* 11 pairs were asked for, but there are 10"):
        rosetta.distill(lab.run, items, tmp_path / "c.h5", pairs=20, checks=11, **SIGNED)
    assert not (tmp_path / "c.h5").exists()


def test_moments_and_weights_are_those_of_all_the_data(lab: Lab):
    bundle = rosetta.Bundle.open(lab.observed)
    latents = rosetta.latents_of(lab.run, lab.train).astype(np.float64)

    nearest = ((latents[:, None] - bundle.latents[None]) ** 2).sum(axis=2).argmin(axis=1)

    assert bundle.space_mean == pytest.approx(latents.mean(axis=0))
    assert bundle.space_covariance == pytest.approx(np.cov(latents, rowvar=False, ddof=0))
    assert bundle.weights == pytest.approx(np.bincount(nearest, minlength=len(bundle.latents)) / len(latents))


def test_decoded_points_follow_the_spaces_moments_and_stay_in_range(lab: Lab):
    bundle = rosetta.Bundle.open(lab.decoded)

    low, high = bundle.manifest.content.input.value_range
    distance = np.abs(bundle.anchor_latents.mean(axis=0) - bundle.space_mean)

    assert (distance < 0.5 * np.sqrt(np.diag(bundle.space_covariance))).all()
    assert bundle.inputs.min() >= low
    assert bundle.inputs.max() <= high
    assert bundle.manifest.content.origins[0].origin == "decoded"


def test_neither_path_nor_user_nor_host_is_in_the_file(lab: Lab):
    for path in (lab.observed, lab.decoded):
        content = path.read_bytes()
        for private in (
            str(lab.folder),
            "digits.npz",
            socket.gethostname(),
            str(Path.home()),
            f'"{getpass.getuser()}"',
        ):
            assert private.encode() not in content


def test_the_same_seed_makes_the_same_pairs_whoever_signs_them(lab: Lab, tmp_path: Path):
    for name, seed, creator in (("a", 1, "Alice"), ("b", 1, "Bob"), ("c", 2, "Alice")):
        rosetta.distill(lab.run, lab.train, tmp_path / f"{name}.h5", seed=seed, **{**SIGNED, "creators": [creator]})

    a, b, c = (rosetta.Bundle.open(tmp_path / f"{name}.h5") for name in "abc")

    assert a.content_id == b.content_id != c.content_id
    assert a.bundle_id != b.bundle_id


def test_two_bundles_of_one_run_are_of_one_space(lab: Lab):
    assert rosetta.Bundle.open(lab.observed).space_id == rosetta.Bundle.open(lab.decoded).space_id


def test_a_descendants_bundle_names_its_parent(lab: Lab, tmp_path: Path):
    rosetta.train(lab.bob, tmp_path / "bob", anchors=[lab.decoded], latent_dim=4, hidden=(32,), epochs=5)
    rosetta.distill(tmp_path / "bob", lab.bob, tmp_path / "bob.h5", **SIGNED)

    provenance = rosetta.Bundle.open(tmp_path / "bob.h5").manifest.provenance

    assert provenance.generation == 1
    assert [(p.content_id, p.relation) for p in provenance.parents] == [
        (rosetta.Bundle.open(lab.decoded).content_id, "anchored_to")
    ]
    assert rosetta.validate(tmp_path / "bob.h5").valid


def test_every_word_of_the_sender_is_in_the_manifest(lab: Lab, tmp_path: Path):
    rosetta.distill(
        lab.run, lab.train, tmp_path / "b.h5", pairs=10, checks=8, select="random",
        license="cc-by-4.0 or mit", title="T", creators=["A; orcid=0000-0002-1825-0097; affiliation=L", "B"],
        terms="be kind", description="D", citation="C", data_description="S", space_name="N",
        modality="image", units="ink", axes=["row", "column"],
    )  # fmt: skip

    manifest = rosetta.Bundle.open(tmp_path / "b.h5").manifest

    assert manifest.provenance.license == "CC-BY-4.0 OR MIT"
    assert [c.name for c in manifest.provenance.creators] == ["A", "B"]
    assert manifest.provenance.creators[0].affiliation == "L"
    assert (manifest.provenance.terms_of_use, manifest.provenance.description) == ("be kind", "D")
    assert (manifest.provenance.citation, manifest.provenance.data.description) == ("C", "S")
    assert (manifest.content.space.name, manifest.content.input.modality) == ("N", "image")
    assert (manifest.content.input.units, manifest.content.input.axis_names) == ("ink", ("row", "column"))
    assert manifest.provenance.selection.method == "random"
    assert manifest.provenance.data.n_items == 721


def test_what_the_sender_should_know_is_noted(lab: Lab, tmp_path: Path):
    notes: list[str] = []

    rosetta.distill(
        lab.run, lab.train, tmp_path / "b.h5", description="made in /home/alice/digits", on_note=notes.append, **SIGNED
    )

    assert any(note.startswith("RZ-W206: holds a path, '/home/alice/digits'") for note in notes)
    assert any(note.startswith("RZ-W209: 96 inputs are items of the sender's data") for note in notes)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"pairs": 10_000}, SelectionError, "10000 pairs were asked for, but there are"),
        ({"license": "free"}, UsageError, "'free' is not an SPDX licence expression"),
        ({"creators": []}, UsageError, "creators is ..: tuple should have at least 1 item"),
        ({"title": ""}, UsageError, "title is '': string should have at least 1 character"),
        ({"titel": "T"}, UsageError, "no setting called 'titel'; did you mean 'title'"),
        ({"creators": ["A; orcid=12"]}, UsageError, "cannot read the creator"),
        ({"pairs": 0}, UsageError, "pairs is 0"),
        ({"origin": "decodd"}, UsageError, "Did you mean 'decoded'"),
        ({"origin": "decoded", "select": "kmeans"}, UsageError, "leave it out"),
        ({"select": "kmean"}, UsageError, "Did you mean 'kmeans'"),
        ({"axes": ["row"]}, UsageError, "--axes names 1 axes, but an input of shape"),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_written(
    lab: Lab, tmp_path: Path, change: dict[str, object], error: type[Exception], words: str
):
    with pytest.raises(error, match=words):
        rosetta.distill(lab.run, lab.train, tmp_path / "b.h5", **{**SIGNED, **change})
    assert list(tmp_path.iterdir()) == []


def test_data_of_another_shape_is_refused(lab: Lab, tmp_path: Path):
    with pytest.raises(IncompatibleError, match=r"has shape \(9,\), the run has \(8, 8\)"):
        rosetta.distill(lab.run, np.random.default_rng(0).random((50, 9)), tmp_path / "b.h5", **SIGNED)


def test_outputs_are_checked_before_any_work(lab: Lab, tmp_path: Path):
    for output, words in ((tmp_path / "b.hdf", "must end in .h5"), (tmp_path / "no" / "b.h5", "does not exist")):
        with pytest.raises(OutputError, match=words):
            rosetta.distill(tmp_path / "no run", lab.train, output, **SIGNED)


def test_a_creator_is_a_name_with_particulars():
    creator = parse_creator("Ada Lovelace; affiliation=Analytical Engines; orcid=0000-0002-1825-0097")

    assert (creator.name, creator.affiliation, creator.orcid) == (
        "Ada Lovelace", "Analytical Engines", "0000-0002-1825-0097",
    )  # fmt: skip


def test_the_signature_of_a_bundle_that_was_replaced_is_pointed_out(lab: Lab, tmp_path: Path):
    words = {"license": "CC0-1.0", "title": "Digits", "creators": ["Alice"], "pairs": 8, "checks": 8}
    path, notes = tmp_path / "b.h5", []
    rosetta.distill(lab.run, lab.train, path, **words)
    builders.sign(path)

    rosetta.distill(lab.run, lab.train, path, **words, seed=1, force=True, on_note=notes.append)

    assert any("b.h5.sig.json is of the bundle that was replaced" in note for note in notes)
    assert {f.rule for f in rosetta.validate(path).findings if f.severity == "error"} == {"RZ-V129"}
