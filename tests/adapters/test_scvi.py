"""A model of single cells that scvi-tools saved gives the latents that scvi-tools gives."""

from __future__ import annotations

import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from rosetta.adapters import open_model
from rosetta.adapters.probe import check_encoder
from rosetta.errors import ModelError
from tests.adapters.models import LOADING

scvi = pytest.importorskip("scvi", reason="scvi-tools is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")


def trained(folder: Path, **options: Any) -> tuple[Any, Any]:
    """A small scVI of two batches, and its counts."""
    import anndata
    import pandas

    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(2, 1, (120, 20)) * rng.gamma(2, 1, (1, 20))).astype(np.float32)
    cells = anndata.AnnData(
        counts,
        obs=pandas.DataFrame({"batch": ["a", "b"] * 60}, index=[f"cell{i}" for i in range(120)]),
        var=pandas.DataFrame(index=[f"gene{i}" for i in range(20)]),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        scvi.model.SCVI.setup_anndata(cells, batch_key="batch")
        model = scvi.model.SCVI(cells, n_latent=3, n_hidden=8, **options)
        model.train(max_epochs=2, accelerator="cpu", enable_progress_bar=False, logger=False)
    model.save(str(folder), overwrite=True)
    return model, counts


def test_latents_are_those_of_scvi(tmp_path: Path):
    theirs, counts = trained(tmp_path / "model")
    means, variances = theirs.get_latent_representation(return_dist=True)

    model = open_model(str(tmp_path / "model"), LOADING)
    found, sds = model.encode(counts)

    np.testing.assert_allclose(found, means, rtol=0, atol=1e-5)
    np.testing.assert_allclose(np.square(sds), variances, rtol=1e-4)
    assert check_encoder(model, counts) == 3
    assert model.feature_names == tuple(f"gene{i}" for i in range(20))
    assert model.describe(3).training["n_hidden"] == 8
    allowed = open_model(str(tmp_path / "model"), replace(LOADING, allow_pickle=True))
    assert np.array_equal(allowed.encode(counts)[0], found)


def test_an_encoder_that_needs_each_cells_batch_is_refused(tmp_path: Path):
    trained(tmp_path / "model", encode_covariates=True)

    with pytest.raises(ModelError, match="needs each cell's batch"):
        open_model(str(tmp_path / "model"), LOADING)


def test_pickles_in_a_model_are_refused(tmp_path: Path):
    class Writes:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (tmp_path / "written",))

    torch.save({"var_names": [], "attr_dict": Writes(), "model_state_dict": {}}, tmp_path / "model.pt")

    with pytest.raises(ModelError, match="`allow_pickle`"):
        open_model(str(tmp_path), LOADING)

    assert not (tmp_path / "written").exists()
