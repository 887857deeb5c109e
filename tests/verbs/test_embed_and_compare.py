"""Latents of new data, and how far two spaces are apart."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import rosetta
from rosetta.errors import IncompatibleError, MetricError, OutputError, SourceError, UsageError
from tests.conftest import Lab


def test_embedding_writes_the_posterior_means(lab: Lab, tmp_path: Path):
    report = rosetta.embed(lab.run, lab.held_out, tmp_path / "z.npy")
    latents = np.load(tmp_path / "z.npy")

    assert (report.n_items, report.n_dims) == latents.shape == (180, 4)
    assert (latents == rosetta.latents_of(lab.run, lab.held_out)).all()
    assert report.rows_per_s > 0


def test_embedding_leaves_a_models_own_dimensions_out_unless_asked_for(lab: Lab, tmp_path: Path):
    rosetta.train(lab.bob, tmp_path / "bob", anchors=lab.observed, latent_dim=6, hidden=(32,), epochs=2)
    notes: list[str] = []
    shared, whole = (
        rosetta.embed(tmp_path / "bob", lab.held_out, tmp_path / f"{all_dims}.npy", all_dims=all_dims,
                      on_note=notes.append)
        for all_dims in (False, True)
    )  # fmt: skip

    assert (shared.n_dims, whole.n_dims) == (4, 6)
    assert (np.load(tmp_path / "True.npy")[:, :4] == np.load(tmp_path / "False.npy")).all()
    assert ["2 free ones" in notes[0], "the other 2 this model's own" in notes[1]] == [True, True]
    assert rosetta.latents_of(tmp_path / "bob", lab.held_out, all_dims=True).shape == (180, 6)


def test_embedding_refuses_an_output_that_exists_or_is_no_array(lab: Lab, tmp_path: Path):
    (tmp_path / "z.npy").write_text("mine")

    with pytest.raises(OutputError, match="exists already"):
        rosetta.embed(lab.run, lab.held_out, tmp_path / "z.npy")
    with pytest.raises(OutputError, match=r"must end in \.npy"):
        rosetta.embed(lab.run, lab.held_out, tmp_path / "z.csv")
    rosetta.embed(lab.run, lab.held_out, tmp_path / "z.npy", force=True)
    assert np.load(tmp_path / "z.npy").shape == (180, 4)


def test_embedding_refuses_data_in_other_units(lab: Lab):
    with pytest.raises(IncompatibleError, match="bring the data to the same units"):
        rosetta.latents_of(lab.run, 16 * np.random.default_rng(0).random((10, 8, 8)))


def test_files_arrays_and_models_compare_alike(lab: Lab, tmp_path: Path):
    rosetta.train(lab.bob, tmp_path / "bob", anchors=[lab.observed], latent_dim=4, hidden=(32,), epochs=5)
    a, b = rosetta.latents_of(lab.run, lab.held_out), rosetta.latents_of(tmp_path / "bob", lab.held_out)
    np.save(tmp_path / "a.npy", a)
    np.save(tmp_path / "b.npy", b)

    reports = [
        rosetta.compare(a, b),
        rosetta.compare(tmp_path / "a.npy", tmp_path / "b.npy"),
        rosetta.compare(lab.run, tmp_path / "bob", data=lab.held_out),
    ]

    assert reports[0] == reports[1] == reports[2]
    assert reports[0].unmapped_interval[0] < reports[0].unmapped_distortion < reports[0].unmapped_interval[1]


def test_a_space_agrees_with_itself_and_not_with_its_permuted_rows():
    latents = np.random.default_rng(0).normal(size=(100, 3))

    report = rosetta.compare(latents, latents)

    assert report.unmapped_distortion == 0
    assert report.distortion == pytest.approx(0, abs=1e-20)
    assert report.cka == pytest.approx(1)
    assert report.procrustes == pytest.approx(1)
    assert report.linear_map.singular_values == pytest.approx((1, 1, 1))
    assert report.linear_map.distance_from_identity == pytest.approx(0, abs=1e-9)
    assert report.linear_map.offset_norm == pytest.approx(0, abs=1e-9)
    assert report.null.unmapped_distortion == pytest.approx(2, abs=0.1)
    assert report.null.cka < 0.1


def test_a_rotation_shows_in_the_unmapped_distortion_alone():
    latents = np.random.default_rng(0).normal(size=(200, 3))
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))

    report = rosetta.compare(latents, latents @ rotation)

    assert report.unmapped_distortion > 0.5
    assert report.distortion < 1e-20
    assert report.linear_map.singular_values == pytest.approx((1, 1, 1))
    assert report.linear_map.distance_from_identity > 0.5


def test_spaces_of_different_dimensions_have_no_unmapped_figures():
    latents = np.random.default_rng(0).normal(size=(50, 4))

    report = rosetta.compare(latents, latents[:, :2])

    assert report.unmapped_distortion is None
    assert report.unmapped_interval is None
    assert report.null.unmapped_distortion is None
    assert 0 < report.distortion < 1


def test_latents_that_do_not_belong_together_are_refused(lab: Lab, tmp_path: Path):
    latents = np.random.default_rng(0).normal(size=(50, 4))
    np.save(tmp_path / "a.npy", latents)

    with pytest.raises(MetricError, match="50 and 49 rows"):
        rosetta.compare(latents, latents[1:])
    with pytest.raises(UsageError, match="pass `data`"):
        rosetta.compare(lab.run, lab.run)
    with pytest.raises(UsageError, match="is not one: leave `data` out"):
        rosetta.compare(tmp_path / "a.npy", lab.run, data=lab.held_out)
    with pytest.raises(SourceError, match="there is no file"):
        rosetta.compare(tmp_path / "a.npy", tmp_path / "b.npy")
