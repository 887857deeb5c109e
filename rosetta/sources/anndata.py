"""AnnData, in .h5ad files and in memory: genes are features, what is known of the cells are columns."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from rosetta.arrays import Array
from rosetta.errors import SourceError
from rosetta.sources import Rows, SourceKind, gone, sources
from rosetta.sources.tables import series_values, texts

LARGEST_BY_COLUMNS = 1 << 30  # bytes of a matrix that is stored by columns, and turned in memory
# what h5py and NumPy raise for files that are damaged, or hold other things than their names say
DAMAGED = (ValueError, LookupError, TypeError, AttributeError, RuntimeError, OSError)


class _Matrix(NamedTuple):
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    piece: int
    read: Callable[[int, int], Array]


def rows(path: Path, name: str | None, skip_bad: bool = False) -> Rows:
    """Open X, a layer, ``raw`` or an embedding of an .h5ad file; blocks are dense, however they are stored.

    Parameters
    ----------
    name : str, optional
        ``layers/counts`` or ``counts``, ``raw``, ``obsm/X_pca``; X if there is none.

    Raises
    ------
    SourceError
        If the file is damaged, has no such matrix, two genes have one name, or the matrix is stored by columns and too
        large to be turned.
    """
    file = None
    try:
        file = h5py.File(path, "r")
        found = _opened(file, path, name)
    except BaseException as error:
        if file is not None:
            file.close()
        if isinstance(error, (*DAMAGED, MemoryError)):  # a shape that nothing has room for
            raise SourceError(f"{path} could not be read as .h5ad ({error}): write it anew with anndata") from error
        raise
    return found


def anndata_rows(adata: Any, name: str | None = None) -> Rows:
    """Return the rows of an AnnData object in memory, or backed by a file; `name` is as for files.

    Raises
    ------
    SourceError
        If it has no such matrix, or two genes have one name.
    """
    where = "the AnnData object"
    known = [*(["X"] if adata.X is not None else []), *(["raw/X"] if adata.raw is not None else [])]
    known += [f"{group}/{key}" for group in ("layers", "obsm") for key in getattr(adata, group)]
    place = _place(name, known, where)
    group, _, key = place.partition("/")
    holder = adata.raw if group == "raw" else adata
    matrix = getattr(adata, group)[key] if group in ("layers", "obsm") else holder.X
    if type(matrix).__name__ == "DataFrame":
        matrix = matrix.to_numpy()
    by_rows = matrix.tocsr() if getattr(matrix, "format", "") == "csc" and hasattr(matrix, "tocsr") else matrix

    def read(start: int, stop: int) -> Array:
        block = by_rows[start:stop]
        return np.array(block.toarray() if hasattr(block, "toarray") else block)

    columns = {str(each): lambda each=each: series_values(adata.obs[each]) for each in adata.obs.columns}
    features = None if group == "obsm" else _distinct([str(gene) for gene in holder.var_names], where)
    return Rows(tuple(by_rows.shape), np.dtype(by_rows.dtype), 1, read, features=features, columns=columns)


def _opened(file: h5py.File, path: Path, name: str | None) -> Rows:
    groups = [group for group in ("layers", "obsm") if group in file]
    known = [*(["X"] if "X" in file else []), *(["raw/X"] if "raw/X" in file else [])]
    known += [f"{group}/{key}" for group in groups for key in file[group]]
    place = _place(name, known, str(path))
    matrix = _dense(file[place]) if isinstance(file[place], h5py.Dataset) else _sparse(file[place], f"{path}::{place}")
    features = None
    if not place.startswith("obsm/"):
        var = file["raw/var" if place == "raw/X" else "var"]
        features = _distinct([str(gene) for gene in _values(var[var.attrs["_index"]], str(path))], str(path))
    if features is not None and (len(matrix.shape) != 2 or len(features) != matrix.shape[1]):
        raise ValueError(f"{place} has shape {matrix.shape}, but there are {len(features)} names of genes")
    matrix.read(0, min(1, matrix.shape[0]))  # that a filter is missing, say, is to be known now
    descriptor = file.id.get_vfd_handle()
    n_bytes = os.fstat(descriptor).st_size

    def read_rows(start: int, stop: int) -> Array:
        try:
            block = matrix.read(start, stop)
        except DAMAGED as error:
            raise gone(path, start, stop, why=str(error)) from error
        if os.fstat(descriptor).st_size < n_bytes:  # HDF5 takes what is missing for zeros
            raise gone(path, start, stop, why="it is shorter than it was")
        return block

    def column(key: str) -> Array:
        try:
            values = _values(obs[key], f"obs/{key} of {path}")
        except DAMAGED as error:
            raise SourceError(f"obs/{key} of {path} could not be read ({error}): write it anew with anndata") from error
        if len(values) != matrix.shape[0]:
            raise SourceError(f"obs/{key} of {path} has {len(values)} values for {matrix.shape[0]} cells")
        return values

    obs = file["obs"]
    keys = [str(key) for key in obs.attrs["column-order"]]
    columns = {key: lambda key=key: column(key) for key in keys}
    return Rows(matrix.shape, matrix.dtype, matrix.piece, read_rows, file.close, features, columns=columns)


def _place(name: str | None, known: Sequence[str], where: str) -> str:
    """Return the path of the matrix that `name` stands for: a layer's or an embedding's own name will do."""
    name = (name or "X").strip("/")
    for place in ("raw/X" if name == "raw" else name, f"layers/{name}", f"obsm/{name}"):
        if place in known:
            return place
    listed = ", ".join("raw" if place == "raw/X" else place for place in known[:12]) or "none"
    raise SourceError(f"{where} has no matrix {name!r}. Write one of these behind '::' instead: {listed}")


def _distinct(names: list[str], where: str) -> tuple[str, ...]:
    n_extra = len(names) - len(set(names))
    if n_extra:
        raise SourceError(
            f"{n_extra} of the {len(names)} genes of {where} have the name of another gene: "
            "features are known by their names, so call adata.var_names_make_unique() and save it again"
        )
    if "" in names:
        raise SourceError(f"gene {names.index('')} of {where} (counted from 0) has an empty name: give it one")
    return tuple(names)


def _dense(node: Any) -> _Matrix:
    piece = node.chunks[0] if node.chunks else 1
    return _Matrix(node.shape, node.dtype, piece, lambda start, stop: np.asarray(node[start:stop]))


def _sparse(node: Any, where: str) -> _Matrix:
    """Return a matrix of which the numbers other than zero are stored; those by columns are turned in memory."""
    kind = str(node.attrs.get("encoding-type", node.attrs.get("h5sparse_format", "a group")))
    if kind[:3] not in ("csr", "csc"):
        raise SourceError(f"{where} is no matrix of numbers, but holds {kind!r}: name another one")
    n_rows, n_columns = (int(n) for n in node.attrs["shape" if "shape" in node.attrs else "h5sparse_shape"])
    n_lines = n_rows if kind.startswith("csr") else n_columns
    values, places, ends = node["data"], node["indices"], node["indptr"]
    if ends.shape != (n_lines + 1,) or values.ndim != 1 or places.shape != values.shape:
        raise ValueError(f"the parts of {where} do not fit together")
    if kind.startswith("csr"):
        bounds = _bounds(ends[:], len(values), where)
        piece = max(values.chunks[0] * n_rows // max(len(values), 1), 1) if values.chunks else 1
        return _Matrix(
            (n_rows, n_columns), values.dtype, min(piece, max(n_rows, 1)), _by_rows(bounds, places, values, n_columns)
        )
    n_bytes = sum(part.size * part.dtype.itemsize for part in (values, places, ends))
    if n_bytes > LARGEST_BY_COLUMNS:
        raise SourceError(
            f"{where} is stored by columns (CSC), {n_bytes / (1 << 30):.1f} GiB, of which a cell is in all places. "
            "Save it by rows: adata.X = adata.X.tocsr(), then adata.write_h5ad(...)"
        )
    bounds, places, values = _bounds(ends[:], len(values), where), places[:], values[:]
    if len(places) and not 0 <= places.min() <= places.max() < n_rows:
        raise ValueError(f"{where} has numbers in rows that it does not have")
    order = np.argsort(places, kind="stable")
    columns = np.repeat(np.arange(n_columns, dtype=np.int32 if n_columns < 1 << 31 else np.int64), np.diff(bounds))
    bounds = np.concatenate([[0], np.bincount(places, minlength=n_rows).cumsum()])
    read = _by_rows(bounds, columns[order], values[order], n_columns)
    return _Matrix((n_rows, n_columns), values.dtype, 1, read)


def _bounds(ends: Array, n_values: int, where: str) -> Array:
    if ends[0] != 0 or ends[-1] != n_values or (ends[1:] < ends[:-1]).any():
        raise ValueError(f"{where}/indptr does not rise from 0 to {n_values}")
    return ends


def _by_rows(bounds: Array, places: Any, values: Any, n_columns: int) -> Callable[[int, int], Array]:
    """Return what makes dense blocks of rows, of which `bounds`, shape (n_rows + 1,), says where their numbers are."""

    def read(start: int, stop: int) -> Array:
        first, last = int(bounds[start]), int(bounds[stop])
        columns = places[first:last].astype(np.int64)
        if len(columns) and not 0 <= columns.min() <= columns.max() < n_columns:
            raise ValueError("there are numbers in columns that do not exist")
        block = np.zeros((stop - start, n_columns), values.dtype)
        begins = np.repeat(np.arange(stop - start) * n_columns, np.diff(bounds[start : stop + 1]))
        # numbers at the same place are added up, as SciPy does it
        np.add.at(block.reshape(-1), begins + columns, values[first:last])
        return block

    return read


def _values(node: Any, where: str) -> Array:
    """Return a column of obs or var, shape (n,): numbers, NaN where there is none, or strings, ``""`` where none is."""
    if isinstance(node, h5py.Group):
        if "categories" in node:
            return _labels(node["codes"][:], _values(node["categories"], where), where)
        values, is_missing = _values(node["values"], where), np.asarray(node["mask"][:], bool)
        if values.dtype.kind == "U":
            return np.where(is_missing, "", values)
        return np.where(is_missing, np.nan, values) if is_missing.any() else values
    if node.ndim != 1:
        raise ValueError(f"it has shape {node.shape}")
    if "categories" in node.attrs:  # as AnnData wrote it before version 0.8
        return _labels(node[:], _values(node.file[node.attrs["categories"]], where), where)
    if h5py.check_string_dtype(node.dtype) is not None:
        return texts(node.asstr()[:].tolist(), where=where)
    if node.dtype.kind not in "fiub":
        raise ValueError(f"it is of type {node.dtype}")
    return np.asarray(node[:])


def _labels(codes: Array, categories: Array, where: str) -> Array:
    """Return the category of each row; code -1 stands for none."""
    if len(codes) and not -1 <= codes.min() <= codes.max() < len(categories):
        raise ValueError("it has codes without a category")
    return texts([*map(str, categories.tolist()), ""], where=where)[codes]


sources.register(".h5ad")(SourceKind(rows))
