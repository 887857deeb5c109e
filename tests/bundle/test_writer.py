"""A bundle is written whole or not at all, and always in the same bytes."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from rosetta.bundle import Bundle, layout
from rosetta.bundle.digest import array_digest
from rosetta.bundle.manifest import canonical
from rosetta.bundle.writer import describe_array, write_bundle
from rosetta.errors import BundleError, OutputError
from tests import builders


def test_the_same_content_is_written_in_the_same_bytes(tmp_path: Path):
    first, second = (builders.write(tmp_path / name) for name in ("a.h5", "b.h5"))

    assert first.read_bytes() == second.read_bytes()


def test_order_byte_order_and_memory_layout_of_the_arrays_leave_the_bytes_alone(tmp_path: Path):
    values = builders.arrays()
    turned = {
        path: np.asfortranarray(array.astype(array.dtype.newbyteorder(">"))) for path, array in reversed(values.items())
    }

    first, second = builders.write(tmp_path / "a.h5", values), builders.write(tmp_path / "b.h5", turned)

    assert first.read_bytes() == second.read_bytes()


def test_what_is_returned_is_the_manifest_in_the_file(tmp_path: Path):
    values = builders.arrays()

    text = write_bundle(tmp_path / "a.h5", builders.manifest(values), values)

    assert text == canonical(builders.manifest(values)) == Bundle.open(tmp_path / "a.h5").manifest_bytes


def test_plain_h5py_reads_a_bundle(tmp_path: Path):
    values = builders.arrays()
    path = builders.write(tmp_path / "a.h5", values)

    with h5py.File(path) as file:
        attributes = {key: value.decode() for key, value in file.attrs.items()}
        text = file["manifest"].asstr()[()]
        found = {name: file[name][()] for name in values}

    assert attributes == {"format": "rosetta-bundle", "format_version": "1.0"}
    assert text.encode() == canonical(builders.manifest(values))
    for name, array in values.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_a_bundle_has_superblock_0_and_contiguous_little_endian_arrays(tmp_path: Path):
    values = {**builders.arrays(), "/preprocessing/0.mean": np.arange(3, dtype=">i8")}
    path = builders.write(tmp_path / "a.h5", values)

    with h5py.File(path) as file:
        found = {name: (file[name].dtype, file[name].chunks, file[name].maxshape) for name in values}

    assert path.read_bytes()[8] == 0
    assert found == {name: (array.dtype.newbyteorder("<"), None, array.shape) for name, array in values.items()}


def test_a_new_bundle_takes_the_place_of_the_old_one(tmp_path: Path):
    path = builders.write(tmp_path / "a.h5")

    builders.write(path, title="Another")

    assert Bundle.open(path).manifest.provenance.title == "Another"
    assert list(tmp_path.iterdir()) == [path]


def test_a_bundle_has_the_rights_that_the_umask_leaves(tmp_path: Path):
    mask = os.umask(0o027)
    try:
        path = builders.write(tmp_path / "a.h5")
    finally:
        os.umask(mask)

    assert path.stat().st_mode & 0o777 == 0o640


def test_a_folder_in_the_place_of_the_bundle_is_left_alone(tmp_path: Path):
    path = tmp_path / "a.h5"
    path.mkdir()
    (path / "kept").touch()

    with pytest.raises(OutputError, match=r"a\.h5 could not be written"):
        builders.write(path)

    assert [each.relative_to(tmp_path).as_posix() for each in tmp_path.rglob("*")] == ["a.h5", "a.h5/kept"]


@contextmanager
def _full_disk_after(n_bytes: int) -> Iterator[None]:
    """No file of this process can grow beyond `n_bytes`: a write ends as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("n_bytes", [0, 100, 5000, 9000])
def test_a_full_disk_leaves_the_old_bundle_and_nothing_else(n_bytes: int, tmp_path: Path):
    path = builders.write(tmp_path / "a.h5")
    before = path.read_bytes()

    with pytest.raises(OutputError, match="nothing was left behind"), _full_disk_after(n_bytes):
        builders.write(path, title="Another")

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_folder_for_the_bundle_is_an_output_error(tmp_path: Path):
    with pytest.raises(OutputError, match="No such file or directory"):
        builders.write(tmp_path / "missing" / "a.h5")

    assert list(tmp_path.iterdir()) == []


def _altered(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, layout.LATENTS: values[layout.LATENTS] + 1}


def _retyped(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, layout.LATENTS: values[layout.LATENTS].astype(np.float64)}


def _reshaped(values: dict[str, Any]) -> dict[str, Any]:
    return {**values, layout.LATENTS: values[layout.LATENTS][:-1]}


def _without(values: dict[str, Any]) -> dict[str, Any]:
    return {path: array for path, array in values.items() if path != layout.LATENTS}


@pytest.mark.parametrize("change", [_altered, _retyped, _reshaped, _without])
def test_arrays_that_the_manifest_does_not_describe_are_refused(change: Any, tmp_path: Path):
    path = builders.write(tmp_path / "a.h5")
    before, values = path.read_bytes(), builders.arrays()

    with pytest.raises(BundleError, match=r"RZ-V1(09|10|11) at /pairs/latents"):
        write_bundle(path, builders.manifest(values), change(values))

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize(
    ("path", "array", "words"),
    [
        (layout.WEIGHTS, np.zeros(20, dtype=np.float32), "f4 of shape .20,.; expected f8"),
        (layout.LATENTS, np.zeros((20, 3), dtype=np.float16), "f2 of shape"),
        (layout.LATENTS_SD, np.zeros((0, 3), dtype=np.float32), "not empty"),
    ],
)
def test_arrays_that_their_place_does_not_allow_are_refused(path: str, array: np.ndarray, words: str):
    with pytest.raises(BundleError, match=f"RZ-V110 at {path}: .*{words}"):
        builders.manifest({**builders.arrays(), path: array})


def test_what_a_reader_would_refuse_is_not_written(tmp_path: Path):
    values = builders.arrays()
    huge = builders.provenance().selection.model_copy(update={"settings": {"n": 1e17}})
    nowhere = {**values, "/foo/bar": np.zeros(3)}

    with pytest.raises(BundleError, match="RZ-V104 at /manifest: it holds an integer beyond"):
        write_bundle(tmp_path / "a.h5", builders.manifest(values, selection=huge), values)
    with pytest.raises(BundleError, match="RZ-S012 at /foo"):
        write_bundle(tmp_path / "a.h5", builders.manifest(nowhere), nowhere)
    assert list(tmp_path.iterdir()) == []


def test_an_array_too_many_is_refused(tmp_path: Path):
    values = builders.arrays()

    with pytest.raises(BundleError, match=r"RZ-V108 at /preprocessing/0\.mean"):
        write_bundle(tmp_path / "a.h5", builders.manifest(values), {**values, "/preprocessing/0.mean": np.zeros(3)})

    assert list(tmp_path.iterdir()) == []


def test_the_content_id_does_not_depend_on_the_provenance():
    values = builders.arrays()
    manifest, other = builders.manifest(values), builders.manifest(values, title="Another", license="MIT", generation=0)

    assert manifest.content_id == other.content_id
    assert canonical(manifest) != canonical(other)


def test_the_content_id_depends_on_every_array():
    values = builders.arrays()
    ids = {builders.manifest(values).content_id}

    for path, array in values.items():
        ids.add(builders.manifest({**values, path: array + array.dtype.type(1)}).content_id)

    assert len(ids) == len(values) + 1


def test_an_array_is_described_by_dtype_shape_and_digest():
    values = np.arange(6, dtype=">f4").reshape(2, 3)

    entry = describe_array(layout.LATENTS, values)

    assert (entry.dtype, entry.shape, entry.sha256) == ("f4", (2, 3), array_digest(values))
