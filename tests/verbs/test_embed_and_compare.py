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

    of_files, of_models = reports[1:]
    assert reports[0] == of_files
    assert of_files.metrics == tuple(each.model_copy(update={"ceiling": None}) for each in of_models.metrics)
    low, high = of_files["fvu"].interval
    assert low < of_files["fvu"].value < high


def test_models_know_how_good_it_can_get_and_files_do_not(lab: Lab):
    latents = rosetta.latents_of(lab.run, lab.held_out)

    of_models, of_files = rosetta.compare(lab.run, lab.run, data=lab.held_out), rosetta.compare(latents, latents)

    assert of_models["fvu"].value == 0 < of_models["fvu"].ceiling < 0.5
    assert 0.5 < of_models["cka"].ceiling < 1
    assert {each.ceiling for each in of_files.metrics} == {None}


def test_a_space_agrees_with_itself_and_not_with_its_permuted_rows():
    latents = np.random.default_rng(0).normal(size=(100, 3))

    report = rosetta.compare(latents, latents)

    assert report["fvu"].value == 0
    assert report["fvu_mapped"].value == pytest.approx(0, abs=1e-20)
    assert report["cka"].value == pytest.approx(1)
    assert report["procrustes"].value == pytest.approx(1)
    assert report.linear_map.singular_values == pytest.approx((1, 1, 1))
    assert report.linear_map.distance_from_identity == pytest.approx(0, abs=1e-9)
    assert report.linear_map.offset_norm == pytest.approx(0, abs=1e-9)
    assert report["fvu"].null == pytest.approx(2, abs=0.1)
    assert report["cka"].null < 0.1


def test_a_rotation_shows_in_the_fvu_alone():
    latents = np.random.default_rng(0).normal(size=(200, 3))
    rotation, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))

    report = rosetta.compare(latents, latents @ rotation)

    assert report["fvu"].value > 0.5
    assert report["fvu_mapped"].value < 1e-20
    assert report.linear_map.singular_values == pytest.approx((1, 1, 1))
    assert report.linear_map.distance_from_identity > 0.5


def test_spaces_of_different_dimensions_have_no_fvu():
    latents = np.random.default_rng(0).normal(size=(50, 4))

    report = rosetta.compare(latents, latents[:, :2])

    assert [(each.metric, each.reason) for each in report.skipped] == [
        ("fvu", "needs the same number of dimensions in both")
    ]
    with pytest.raises(KeyError):
        report["fvu"]
    assert 0 < report["fvu_mapped"].value < 1


def test_metrics_that_are_named_are_all_that_is_shown_with_the_same_figures():
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 60, 3))
    whole = rosetta.compare(a, b)

    report = rosetta.compare(a, b, metrics=["procrustes", "fvu"])

    assert report.metrics == (whole["procrustes"], whole["fvu"])
    assert report.linear_map is None
    assert report.skipped == ()
    with pytest.raises(UsageError, match="no metric called 'fvv'. Did you mean 'fvu'"):
        rosetta.compare(a, b, metrics=["fvv"])
    with pytest.raises(UsageError, match="no metric is named"):
        rosetta.compare(a, b, metrics=[""])
    with pytest.raises(MetricError, match="fvu needs the same number of dimensions"):
        rosetta.compare(a, b[:, :2], metrics=["fvu"])


def test_a_metric_that_is_not_defined_for_so_few_items_is_left_out_and_said_to_be():
    a, b = np.random.default_rng(0).normal(size=(2, 6, 4))

    report = rosetta.compare(a, b)

    assert {each.metric: each.reason for each in report.skipped} == {
        "knn_overlap": "looks at 10 neighbours of each item, so at least 12 are needed; there are 6",
        "svcca": "keeps 4 and 3 directions, so at least 8 items are needed; there are 6",
    }


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
