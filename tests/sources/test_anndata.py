"""AnnData gives the same rows from a file and from memory, as anndata itself reads them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

from rosetta.errors import SourceError
from rosetta.sources import Rows, sources
from rosetta.sources.anndata import anndata_rows

N_CELLS, N_GENES = 60, 17
RANDOM = np.random.default_rng(0)
X = (RANDOM.poisson(0.4, size=(N_CELLS, N_GENES)) * 1.5).astype(np.float32)
COUNTS = RANDOM.poisson(0.3, size=(N_CELLS, N_GENES))
FORMS: dict[str, Callable[[np.ndarray], object]] = {
    "dense": np.asarray,
    "csr": sparse.csr_matrix,
    "csc": sparse.csc_array,
}
OBS = pd.DataFrame(
    {
        "condition": pd.Categorical(["ctrl", "stim", None] * 20),
        "batch": pd.Categorical([3, 1] * 30),
        "size": X.sum(axis=1),
        "n": pd.array([1, None] * 30, dtype="Int64"),
        "is_doublet": [True, False, False] * 20,
        "note": ["a", "", "long ü"] * 20,
    },
    index=[f"cell{n}" for n in range(N_CELLS)],
)


def _cells(form: str = "csr") -> anndata.AnnData:
    cells = anndata.AnnData(
        FORMS[form](X),
        obs=OBS,
        var=pd.DataFrame(index=[f"gene{n}" for n in range(N_GENES)]),
        layers={"counts": FORMS[form](COUNTS)},
        obsm={"X_pca": X[:, :3].astype(np.float64)},
    )
    cells.raw = cells[:, :5].copy()
    return cells


def _open(place: str, folder: Path, cells: anndata.AnnData, name: str | None = None) -> Rows:
    if place == "memory":
        return anndata_rows(cells, name)
    path = folder / "cells.h5ad"
    cells.write_h5ad(path, compression="gzip")
    if place == "backed":
        return anndata_rows(anndata.read_h5ad(path, backed="r"), name)
    return sources.get(".h5ad").open(path, name, False)


@pytest.mark.parametrize("place", ["file", "memory", "backed"])
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    ("name", "expected", "n_features"),
    [
        (None, X, N_GENES),
        ("counts", COUNTS, N_GENES),
        ("layers/counts", COUNTS, N_GENES),
        ("raw", X[:, :5], 5),
        ("obsm/X_pca", X[:, :3].astype(np.float64), None),
    ],
)
def test_rows_are_dense_and_those_of_the_matrix(
    tmp_path: Path, place: str, form: str, name: str | None, expected: np.ndarray, n_features: int | None
):
    rows = _open(place, tmp_path, _cells(form), name)

    assert (rows.shape, rows.dtype) == (expected.shape, expected.dtype)
    assert rows.features == (None if n_features is None else tuple(f"gene{n}" for n in range(n_features)))
    for start, stop in ((0, N_CELLS), (0, 1), (7, 31), (59, 60), (4, 4)):
        block = rows.read(start, stop)
        assert type(block) is np.ndarray
        assert block.dtype == rows.dtype
        assert block.tolist() == expected[start:stop].tolist()
    rows.close()


@pytest.mark.parametrize("place", ["file", "memory"])
def test_what_is_known_of_the_cells_are_columns(tmp_path: Path, place: str):
    columns = {name: values() for name, values in _open(place, tmp_path, _cells()).columns.items()}

    assert list(columns) == list(OBS)
    assert columns["condition"][:3].tolist() == ["ctrl", "stim", ""]
    assert columns["batch"][:2].tolist() == ["3", "1"]
    assert columns["size"].tolist() == OBS["size"].tolist()
    assert np.array_equal(columns["n"], [1, np.nan] * 30, equal_nan=True)
    assert columns["is_doublet"].dtype == bool
    assert columns["note"].tolist() == OBS["note"].tolist()


@pytest.mark.parametrize("place", ["file", "memory"])
def test_what_is_read_is_no_view(tmp_path: Path, place: str):
    rows = _open(place, tmp_path, _cells("dense"))
    rows.read(0, 9)[:] = 99

    assert (rows.read(0, 9) == X[:9]).all()


@pytest.mark.parametrize("place", ["file", "memory"])
def test_a_matrix_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path, place: str):
    with pytest.raises(SourceError, match="no matrix 'cuonts'.* X, raw, layers/counts, obsm/X_pca"):
        _open(place, tmp_path, _cells(), "cuonts")


@pytest.mark.parametrize("place", ["file", "memory"])
def test_data_without_x_says_what_there_is(tmp_path: Path, place: str):
    with pytest.raises(SourceError, match="no matrix 'X'.* layers/counts"):
        _open(place, tmp_path, anndata.AnnData(layers={"counts": COUNTS}))


@pytest.mark.filterwarnings("ignore:Variable names are not unique")
@pytest.mark.parametrize("place", ["file", "memory"])
def test_two_genes_of_one_name_are_refused(tmp_path: Path, place: str):
    cells = anndata.AnnData(X, var=pd.DataFrame(index=["a", "b", "a", "a", *map(str, range(N_GENES - 4))]))

    with pytest.raises(SourceError, match=r"2 of the 17 genes .*var_names_make_unique\(\)"):
        _open(place, tmp_path, cells)


def test_a_large_matrix_by_columns_is_refused_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("rosetta.sources.anndata.LARGEST_BY_COLUMNS", 1000)

    with pytest.raises(SourceError, match=r"stored by columns \(CSC\).*tocsr\(\)"):
        _open("file", tmp_path, _cells("csc"))


def test_the_rows_that_are_stored_together_are_known(tmp_path: Path):
    path = tmp_path / "cells.h5ad"
    _cells("csr").write_h5ad(path)
    n_stored = np.count_nonzero(X)
    with h5py.File(path, "r+") as file:
        data = file["X/data"][:]
        del file["X/data"]
        file["X"].create_dataset("data", data=data, chunks=(n_stored // 6,))

    assert sources.get(".h5ad").open(path, None, False).piece == 9


def test_numbers_at_the_same_place_are_added_up_as_scipy_does_it(tmp_path: Path):
    twice = sparse.csr_matrix(([1.0, 2.0, 4.0], [1, 1, 0], [0, 2, 3]), shape=(2, 2))

    assert _open("file", tmp_path, anndata.AnnData(twice)).read(0, 2).tolist() == twice.toarray().tolist()


def test_the_oldest_way_to_write_categories_is_read(tmp_path: Path):
    path = tmp_path / "cells.h5ad"
    _cells().write_h5ad(path)
    with h5py.File(path, "r+") as file:
        codes, categories = (file[f"obs/condition/{part}"][:] for part in ("codes", "categories"))
        del file["obs/condition"]
        file["obs/__categories/condition"] = categories
        file["obs/condition"] = codes
        file["obs/condition"].attrs["categories"] = file["obs/__categories/condition"].ref

    assert sources.get(".h5ad").open(path, None, False).columns["condition"]()[:3].tolist() == ["ctrl", "stim", ""]


def _spoil(file: h5py.File, place: str, values: np.ndarray) -> None:
    del file[place]
    file[place] = values


@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: _spoil(file, "X/indices", np.full(np.count_nonzero(X), 10**6)),
        lambda file: _spoil(file, "X/indices", np.full(np.count_nonzero(X), -1)),
        lambda file: _spoil(file, "X/indptr", np.arange(N_CELLS + 1)[::-1].copy()),
        lambda file: _spoil(file, "X/indptr", np.arange(N_CELLS)),
        lambda file: _spoil(file, "X/data", np.zeros(3)),
        lambda file: file["X"].attrs.modify("shape", [2**40, N_GENES]),
        lambda file: file["X"].attrs.modify("encoding-type", "dataframe"),
        lambda file: file.pop("var"),
        lambda file: file.pop("obs"),
        lambda file: _spoil(file, "var/_index", np.array([b"a", b"b"])),
    ],
)
def test_a_damaged_file_is_an_error(tmp_path: Path, spoil: Callable[[h5py.File], object]):
    path = tmp_path / "cells.h5ad"
    _cells("csr").write_h5ad(path)
    with h5py.File(path, "r+") as file:
        spoil(file)

    with pytest.raises(SourceError, match=r"cells\.h5ad"):
        sources.get(".h5ad").open(path, None, False)


def test_codes_without_a_category_are_an_error(tmp_path: Path):
    rows_of = sources.get(".h5ad").open
    path = tmp_path / "cells.h5ad"
    _cells().write_h5ad(path)
    with h5py.File(path, "r+") as file:
        _spoil(file, "obs/condition/codes", np.full(N_CELLS, 7, np.int8))

    with pytest.raises(SourceError, match="obs/condition .* codes without a category"):
        rows_of(path, None, False).columns["condition"]()


def test_a_file_that_becomes_shorter_is_an_error_that_names_the_rows(tmp_path: Path):
    path = tmp_path / "cells.h5ad"
    anndata.AnnData(sparse.random(3000, 50, 0.5, format="csr", rng=0)).write_h5ad(path)
    rows = sources.get(".h5ad").open(path, None, False)
    os.truncate(path, 100_000)

    with pytest.raises(SourceError, match="rows 2900 to 2999 of .* can no longer be read"):
        rows.read(2900, 3000)


def test_what_is_no_hdf5_is_an_error(tmp_path: Path):
    path = tmp_path / "cells.h5ad"
    path.write_bytes(b"no cells")

    with pytest.raises(SourceError, match="could not be read as .h5ad"):
        sources.get(".h5ad").open(path, None, False)
