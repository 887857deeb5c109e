"""Zarr arrays of both versions are read; nothing in one is run, and nothing missing is taken for zeros."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import zarr

from rosetta.errors import SourceError
from rosetta.sources.zarr import read, rows

ITEMS = np.random.default_rng(0).integers(1, 100, size=(50, 3, 4))
CHUNKS = (8, 3, 2)


def _write(path: Path, version: int = 3, name: str = "group/x", items: np.ndarray = ITEMS, **options: object) -> Path:
    group = zarr.open_group(path, mode="a", zarr_format=version)
    chunks = CHUNKS if items is ITEMS else None
    group.create_array(name, data=items, **({"chunks": chunks} if chunks else {}), **options)
    return path


@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("dtype", ["<f4", ">f8", "<f2", "bool", "u1", ">i8"])
def test_rows_are_those_of_the_array(tmp_path: Path, version: int, dtype: str):
    items = (ITEMS % 2 if dtype == "bool" else ITEMS).astype(dtype)
    path = _write(tmp_path / "a.zarr", version, items=items)

    found = rows(path, "group/x")

    assert found.shape == (50, 3, 4)
    assert found.dtype == np.dtype(dtype) or (version == 3 and found.dtype.newbyteorder() == np.dtype(dtype))
    for start, stop in ((0, 50), (7, 20), (49, 50)):
        assert found.read(start, stop).tolist() == items[start:stop].tolist()
    assert read(path, "/group/x").tolist() == items.tolist()
    found.close()


@pytest.mark.parametrize("version", [2, 3])
def test_the_rows_of_a_chunk_or_shard_are_one_piece(tmp_path: Path, version: int):
    shards = {"shards": (16, 3, 4)} if version == 3 else {}
    path = _write(tmp_path / "a.zarr", version, **shards)

    found = rows(path, None)

    assert found.piece == (16 if version == 3 else 8)
    assert (found.read(3, 47) == ITEMS[3:47]).all()


def test_a_store_that_is_one_array_and_one_in_a_zip_file_are_read(tmp_path: Path):
    zarr.create_array(tmp_path / "a.zarr", data=ITEMS)
    _write(tmp_path / "b.zarr", 2)
    for name in ("a", "b"):
        shutil.make_archive(str(tmp_path / f"{name}.zarr"), "zip", tmp_path / f"{name}.zarr")

    for name in ("a.zarr", "a.zarr.zip", "b.zarr", "b.zarr.zip"):
        found = rows(tmp_path / name, None)
        assert (found.read(5, 20) == ITEMS[5:20]).all()
        found.close()
    with pytest.raises(SourceError, match="one array without a name: leave '::x' out"):
        rows(tmp_path / "a.zarr", "x")


@pytest.mark.filterwarnings("ignore:.*does not have a Zarr V3 specification")  # where they are written
@pytest.mark.parametrize("version", [2, 3])
@pytest.mark.parametrize("kind", ["U", "S", "text"])
def test_names_are_strings_and_no_items(tmp_path: Path, version: int, kind: str):
    path = tmp_path / "a.zarr"
    names = ["ASPM", "gene 2", "é" if kind != "S" else "e"]
    group = zarr.open_group(path, mode="w", zarr_format=version)
    if kind == "text":
        group.create_array("names", shape=(3,), dtype=str)[:] = np.array(names, dtype=object)
    else:
        group.create_array("names", data=np.array(names, dtype=kind))

    found = read(path, "names")

    assert found.dtype.kind in "US"
    assert [each.decode() if kind == "S" else each for each in found.tolist()] == names
    assert rows(path, "names").dtype.kind not in "fiub"


def test_of_several_arrays_one_has_to_be_named(tmp_path: Path):
    path = _write(_write(tmp_path / "a.zarr"), name="y")

    with pytest.raises(SourceError, match="several arrays: write .*a.zarr::NAME with one of group/x, y"):
        rows(path, None)
    with pytest.raises(SourceError, match="no array called 'z'; there are group/x, y"):
        rows(path, "z")


@pytest.mark.parametrize("version", [2, 3])
def test_what_would_be_unpickled_is_refused_before_a_chunk_is_read(tmp_path: Path, version: int):
    path = _write(tmp_path / "a.zarr", version)
    place = path / "group/x" / ("zarr.json" if version == 3 else ".zarray")
    document = json.loads(place.read_text())
    if version == 2:
        document |= {"dtype": "|O", "filters": [{"id": "pickle", "protocol": 4}], "fill_value": "gASVAAA="}
    else:
        document["codecs"] = [{"name": "sharding_indexed", "configuration": {"codecs": [{"name": "numcodecs.pickle"}]}}]
    place.write_text(json.dumps(document))

    for opened in (rows, read):
        with pytest.raises(SourceError, match=r"a\.zarr::group/x is written with the codec '(numcodecs\.)?pickle'"):
            opened(path, None)


def test_an_array_of_objects_is_refused(tmp_path: Path):
    path = _write(tmp_path / "a.zarr", 2)
    place = path / "group/x/.zarray"
    place.write_text(json.dumps(json.loads(place.read_text()) | {"dtype": "|O", "filters": [{"id": "json2"}]}))

    with pytest.raises(SourceError, match="is an array of objects"):
        rows(path, None)


@pytest.mark.parametrize("version", [2, 3])
def test_a_chunk_that_goes_is_an_error_and_one_that_never_was_is_the_fill_value(tmp_path: Path, version: int):
    items = ITEMS.copy()
    items[:8, :, :2] = 0  # Zarr writes no file for this chunk
    group = zarr.open_group(tmp_path / "a.zarr", mode="w", zarr_format=version)
    group.create_array("x", data=items, chunks=CHUNKS, fill_value=0)
    chunk = tmp_path / "a.zarr/x" / ("c/2/0/1" if version == 3 else "2.0.1")
    found = rows(tmp_path / "a.zarr", None)
    assert (found.read(0, 50) == items).all()
    chunk.unlink()

    assert (found.read(0, 16) == items[:16]).all()
    with pytest.raises(
        SourceError, match=r"rows 10 to 29 of .* \(its chunk (c/2/0/1|2\.0\.1) is not there\).*`resume`"
    ):
        found.read(10, 30)


@pytest.mark.parametrize("how", ["described", "removed", "damaged"])
def test_an_array_that_changes_meanwhile_is_an_error(tmp_path: Path, how: str):
    path = _write(tmp_path / "a.zarr")
    found = rows(path, None)
    if how == "described":
        zarr.open_array(path, path="group/x", mode="a").resize((40, 3, 4))
    elif how == "removed":
        shutil.rmtree(path)
    else:
        (path / "group/x/c/0/0/0").write_bytes(b"no")

    with pytest.raises(SourceError, match="rows 0 to 9 of .* can no longer be read"):
        found.read(0, 10)


def test_a_change_of_attributes_does_not_matter(tmp_path: Path):
    path = _write(tmp_path / "a.zarr")
    found = rows(path, None)
    zarr.open_array(path, path="group/x", mode="a").attrs["note"] = "seen"

    assert (found.read(0, 50) == ITEMS).all()


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ("{", "could not be read as Zarr"),
        ("[1]", "no description of a Zarr array"),
        ('{"zarr_format": 9, "node_type": "array"}', "no description of a Zarr array"),
        ('{"zarr_format": 3, "node_type": "array"}', "could not be read as Zarr"),
        ('{"zarr_format": 3, "node_type": "group"}', "holds no array"),
    ],
)
def test_damaged_stores_are_refused(tmp_path: Path, document: str, words: str):
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr/zarr.json").write_text(document)

    with pytest.raises(SourceError, match=words):
        rows(tmp_path / "a.zarr", None)


def test_other_zip_files_are_no_stores(tmp_path: Path):
    for name in ("a.zip", "a.zarr.zip"):
        (tmp_path / name).write_bytes(b"PK no more")
    with pytest.raises(SourceError, match="called .zarr.zip"):
        rows(tmp_path / "a.zip", None)
    with pytest.raises(SourceError, match="could not be read as Zarr"):
        rows(tmp_path / "a.zarr.zip", None)


def test_an_array_of_too_many_chunks_is_refused(tmp_path: Path):
    zarr.open_group(tmp_path / "a.zarr", mode="w").create_array("x", shape=(1 << 40, 2), chunks=(1, 1), dtype="f4")

    with pytest.raises(SourceError, match="chunks: write it anew in fewer"):
        rows(tmp_path / "a.zarr", None)
