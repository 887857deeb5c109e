"""What a person reads of a model that has dimensions of its own: trained, checked, embedded."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import Lab


def test_a_receiver_with_free_dimensions_is_told_which_are_shared(run, lab: Lab, tmp_path: Path):
    bob = tmp_path / "bob"

    trained = run("train", lab.bob, "-o", bob, "--anchors", lab.observed, "--latent-dim", 6, "--epochs", 3, "--quiet")
    embedded = run("embed", bob, lab.held_out, "-o", tmp_path / "z.npy")
    whole = run("embed", bob, lab.held_out, "-o", tmp_path / "all.npy", "--all-dims", "--json")

    assert trained.code == 0, trained.err
    assert "bundle's inputs" in trained.out
    assert "which no step saw" in trained.out
    assert "note: the anchor error is" in trained.err
    assert "180 items × 4 dimensions" in embedded.out
    assert "note: these are the 4 dimensions of the latent space; the model's 2 free ones" in embedded.err
    assert whole.json["n_dims"] == 6
    assert "the other 2 this model's own" in whole.err
