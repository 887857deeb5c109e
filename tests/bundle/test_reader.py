"""What is written is read, and everything else ends in the rule that it breaks."""

from __future__ import annotations

import os
import struct
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest

from rosetta.bundle import layout, reader
from rosetta.bundle.manifest import canonical
from rosetta.bundle.reader import read_raw
from rosetta.bundle.sandbox import snapshot
from rosetta.bundle.sandbox.extents import Extent, check_extents
from rosetta.errors import SourceError, UnsafeFileError
from tests import builders
from tests.hostile.corpus import EXTRA, Change, link


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return builders.write(tmp_path / "bundle.h5")


def _refusal(path: Path) -> UnsafeFileError:
    with pytest.raises(UnsafeFileError) as caught:
        read_raw(path)
    return caught.value


def _changed(path: Path, change: Change) -> Path:
    with h5py.File(path, "a", libver=layout.LIBVER) as file:
        change(file)
    return path


def _edited(path: Path, old: bytes, new: bytes) -> Path:
    """Replace bytes that stand in the file once."""
    data = path.read_bytes()
    assert data.count(old) == 1
    path.write_bytes(data.replace(old, new))
    return path


def _storage(path: Path, name: str) -> tuple[bytes, int, int]:
    """Return the layout message of a dataset as it stands in the file, its offset and its size."""
    with h5py.File(path) as file:
        offset, n_bytes = file[name].id.get_offset(), file[name].id.get_storage_size()
    return struct.pack("<BBQQ", 3, 1, offset, n_bytes), offset, n_bytes


def test_arrays_and_manifest_are_read_as_they_were_written(tmp_path: Path):
    rng = np.random.default_rng(0)
    values = builders.arrays() | {
        f"/preprocessing/0.{code}": rng.integers(0, 100, size=(3, 2)).astype(code) for code in layout.NUMBERS
    }
    path = builders.write(tmp_path / "bundle.h5", values)

    raw = read_raw(path)

    assert (raw.size, raw.manifest) == (path.stat().st_size, canonical(builders.manifest(values)))
    assert dict(raw.attributes) == {"format": "rosetta-bundle", "format_version": "1.0"}
    assert set(raw.arrays) == set(values)
    for name, array in values.items():
        np.testing.assert_array_equal(raw.arrays[name], array, strict=True)


def test_arrays_that_were_read_are_aligned_and_cannot_be_changed(bundle: Path):
    flags = [array.flags for array in read_raw(bundle).arrays.values()]

    assert all(each.aligned and not each.writeable for each in flags)


def test_a_file_without_a_manifest_is_read_without_one(tmp_path: Path):
    raw = read_raw(builders.write_raw(tmp_path / "bundle.h5", builders.arrays(), None))

    assert raw.manifest is None
    assert set(raw.arrays) == set(builders.arrays())


@pytest.mark.parametrize("lowest", ["v108", "v110"])
def test_newer_superblocks_are_read(lowest: str, bundle: Path, tmp_path: Path):
    copy = tmp_path / "copy.h5"
    with h5py.File(bundle) as old, h5py.File(copy, "w", libver=(lowest, "v110")) as new:
        for key, value in old.attrs.items():
            new.attrs.create(key, value)
        for name in ("manifest", *builders.arrays()):
            new.create_dataset(name, data=old[name][()], dtype=old[name].dtype)

    raw, original = read_raw(copy), read_raw(bundle)

    assert copy.read_bytes()[8] > 0
    assert raw.manifest == original.manifest
    for name, array in original.arrays.items():
        np.testing.assert_array_equal(raw.arrays[name], array, strict=True)


def test_a_missing_file_is_a_source_error(tmp_path: Path):
    with pytest.raises(SourceError, match="there is no bundle"):
        read_raw(tmp_path / "missing.h5")


def test_a_folder_is_a_source_error(tmp_path: Path):
    with pytest.raises(SourceError, match="is a folder"):
        read_raw(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_named_pipe_is_refused_and_not_waited_for(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.h5")

    with pytest.raises(SourceError, match="no regular file"):
        read_raw(tmp_path / "pipe.h5")


def test_a_file_above_the_size_limit_is_refused(bundle: Path, monkeypatch: pytest.MonkeyPatch):
    size = bundle.stat().st_size

    monkeypatch.setattr(layout, "MAX_FILE_BYTES", size)
    read_raw(bundle)
    monkeypatch.setattr(layout, "MAX_FILE_BYTES", size - 1)

    assert _refusal(bundle).rule == "RZ-S006"


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda data: b"PK\x03\x04".ljust(512, b"\0") + data, "RZ-S001"),
        (lambda data: data + b"\0", "RZ-S002"),
        (lambda data: data[:-8], "RZ-S002"),
        (lambda data: data[:8] + b"\1" + data[9:], "RZ-S003"),
        (lambda data: data[:48] + bytes(8) + data[56:], "RZ-S004"),
        (lambda data: data.replace(b"TREE", b"XREE", 1), "RZ-S005"),
        (lambda data: data.replace(b"SNOD", b"XNOD", 1), "RZ-S005"),
        (lambda data: data.replace(b"HEAP", b"XEAP", 1), "RZ-S005"),
        (lambda data: data[:96] + bytes(len(data) - 96), "RZ-S005"),
    ],
    ids=["user block", "appended", "cut", "version", "driver", "tree", "node", "heap", "zeros"],
)
def test_damaged_bytes_end_in_their_rule(change: Callable[[bytes], bytes], rule: str, bundle: Path):
    bundle.write_bytes(change(bundle.read_bytes()))

    assert _refusal(bundle).rule == rule


def test_more_objects_than_the_limit_are_refused(bundle: Path):
    def fill(file: h5py.File) -> None:
        for number in range(layout.MAX_OBJECTS + 1):
            file.create_group(f"/ext/org.example{number}")

    assert _refusal(_changed(bundle, fill)).rule == "RZ-S014"


@pytest.mark.parametrize(
    "name",
    [
        "/extra",
        "/pairs/extra",
        "/pairs/latents_sd/deep",
        "/space/latents",
        "/preprocessing/with space",
        "/preprocessing/ünï",
        "/preprocessing/deep/er",
        "/ext/mean",
        "/ext/example/mean",
        "/ext/org.Example/mean",
        "/Pairs/inputs",
    ],
)
def test_an_array_at_an_unknown_place_is_refused(name: str, bundle: Path):
    def add(file: h5py.File) -> None:
        if name.startswith(layout.LATENTS_SD):
            del file[layout.LATENTS_SD]
        file[name] = np.zeros(3)

    refusal = _refusal(_changed(bundle, add))

    assert refusal.rule == "RZ-S012"
    assert name.startswith(refusal.location)


@pytest.mark.parametrize("name", ["/preprocessing/0.mean", "/ext/org.example/mean", "/ext/a-b.c.d/X_1.y-z"])
def test_an_array_at_a_known_place_is_read(name: str, bundle: Path):
    _changed(bundle, lambda file: file.update({name: np.arange(3.0)}))

    assert read_raw(bundle).arrays[name].tolist() == [0, 1, 2]


@pytest.mark.parametrize("name", ["/extra", EXTRA, "/pairs/latents", "/space"])
def test_a_type_instead_of_an_array_or_group_is_refused(name: str, bundle: Path):
    assert _refusal(_changed(bundle, lambda file: link(file, name, np.dtype("<f4")))).rule == "RZ-S012"


@pytest.mark.parametrize("name", ["/pairs/latents", "/manifest"])
def test_a_group_instead_of_a_dataset_is_refused(name: str, bundle: Path):
    def replace(file: h5py.File) -> None:
        del file[name]
        file.create_group(name)

    refusal = _refusal(_changed(bundle, replace))

    assert (refusal.rule, refusal.location) == ("RZ-S012", name)


MANIFESTS = {
    "variable string": (h5py.string_dtype(), "RZ-S021"),
    "ASCII": (h5py.string_dtype("ascii", 8), "RZ-S021"),
    "bytes": (np.dtype("V8"), "RZ-S021"),
    "number": (np.dtype("<f8"), "RZ-S021"),
}


@pytest.mark.parametrize(("dtype", "rule"), MANIFESTS.values(), ids=MANIFESTS)
def test_a_manifest_of_another_type_is_refused(dtype: object, rule: str, tmp_path: Path):
    path = builders.write_raw(tmp_path / "bundle.h5", builders.arrays(), None)

    refusal = _refusal(_changed(path, lambda file: file.create_dataset("manifest", (), dtype)))

    assert (refusal.rule, refusal.location) == (rule, "/manifest")


def test_a_manifest_of_several_strings_is_refused(tmp_path: Path):
    path = builders.write_raw(tmp_path / "bundle.h5", builders.arrays(), None)
    texts = np.array([b"{}", b"{}"], dtype=h5py.string_dtype("utf-8", 2))

    _changed(path, lambda file: file.create_dataset("manifest", data=texts, dtype=texts.dtype))

    assert _refusal(path).rule == "RZ-S023"


def test_a_manifest_above_its_limit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = builders.write_raw(tmp_path / "bundle.h5", builders.arrays(), b"x" * 1000)

    monkeypatch.setattr(layout, "MAX_MANIFEST_BYTES", 1000)
    read_raw(path)
    monkeypatch.setattr(layout, "MAX_MANIFEST_BYTES", 999)

    assert _refusal(path).rule == "RZ-S023"


def test_a_null_dataspace_is_refused(bundle: Path):
    assert _refusal(_changed(bundle, lambda file: link(file, EXTRA, h5py.Empty("<f4")))).rule == "RZ-S022"


def test_a_contiguous_array_that_claims_to_be_extendible_is_refused(bundle: Path):
    _changed(bundle, lambda file: file.create_dataset(EXTRA, data=np.zeros(791)))

    _edited(bundle, struct.pack("<QQ", 791, 791), struct.pack("<QQ", 791, 2**64 - 1))

    assert _refusal(bundle).rule == "RZ-S022"


def test_an_array_without_numbers_is_refused(bundle: Path):
    assert _refusal(_changed(bundle, lambda file: file.create_dataset(EXTRA, (0, 3), "<f8"))).rule == "RZ-S023"


@pytest.mark.parametrize("more", [1, 4, -1])
def test_an_array_that_stores_another_number_of_bytes_than_it_declares_is_refused(more: int, bundle: Path):
    stored, offset, n_bytes = _storage(bundle, layout.LATENTS)

    _edited(bundle, stored, struct.pack("<BBQQ", 3, 1, offset, n_bytes + more))

    assert _refusal(bundle).rule in {"RZ-S023", "RZ-S005"}  # some versions of libhdf5 refuse it themselves


@pytest.mark.parametrize("beyond", [-4, 0, 4, 2**40, 2**62])
def test_an_array_outside_the_file_is_refused(beyond: int, bundle: Path):
    stored, _, n_bytes = _storage(bundle, layout.LATENTS)

    _edited(bundle, stored, struct.pack("<BBQQ", 3, 1, bundle.stat().st_size + beyond, n_bytes))

    assert _refusal(bundle).rule in {"RZ-S024", "RZ-S005"}  # libhdf5 2.0 refuses it itself


@pytest.mark.parametrize("offset", [1, 8, 92])
def test_an_array_that_lies_in_the_superblock_is_refused(offset: int, bundle: Path):
    stored, _, n_bytes = _storage(bundle, layout.LATENTS)

    _edited(bundle, stored, struct.pack("<BBQQ", 3, 1, offset, n_bytes))

    assert _refusal(bundle).rule == "RZ-S024"


def test_an_array_that_ends_one_byte_outside_is_refused():
    extent = Extent(layout.LATENTS, "f4", (4, 2), 1000)

    check_extents([extent], range(96, 1032))
    with pytest.raises(UnsafeFileError) as caught:
        check_extents([extent], range(96, 1031))

    assert (caught.value.rule, caught.value.location) == ("RZ-S024", layout.LATENTS)


def test_dimensions_beyond_all_bounds_are_refused(bundle: Path):
    _changed(bundle, lambda file: file.create_dataset(EXTRA, data=np.zeros((1,) * 31 + (3,), dtype="u1")))

    _edited(bundle, struct.pack("<32Q", *[1] * 31, 3) * 2, struct.pack("<64Q", *[2**32] * 64))

    assert _refusal(bundle).rule in {"RZ-S023", "RZ-S005"}


@pytest.mark.parametrize("shift", [0, 4, -4])
def test_arrays_that_share_bytes_are_refused(shift: int, bundle: Path):
    stored, _, n_bytes = _storage(bundle, layout.LATENTS)
    _, offset, _ = _storage(bundle, layout.LATENTS_SD)

    _edited(bundle, stored, struct.pack("<BBQQ", 3, 1, offset + shift, n_bytes))

    assert _refusal(bundle).rule == "RZ-S025"


@pytest.mark.parametrize("path", ["/", "/pairs", layout.LATENTS, layout.MANIFEST])
def test_comments_are_refused(path: str, bundle: Path):
    refusal = _refusal(_changed(bundle, lambda file: h5py.h5o.set_comment(file[path].id, b"secret")))

    assert (refusal.rule, refusal.location) == ("RZ-S030", path)


def test_many_open_bundles_hold_no_descriptors(bundle: Path):
    read_raw(bundle)
    held = Path("/proc/self/fd")
    before = len(list(held.iterdir())) if held.exists() else pytest.skip("this system has no /proc")

    kept = [read_raw(bundle) for _ in range(20)]

    assert len(list(held.iterdir())) <= before
    assert len(kept) == 20


@pytest.mark.parametrize("make", [lambda path: path.write_bytes(b"PK"), builders.write], ids=["other", "longer"])
def test_a_large_file_that_is_no_bundle_is_not_copied(make: Callable[[Path], object], tmp_path: Path, monkeypatch):
    make(tmp_path / "b.h5")
    os.truncate(tmp_path / "b.h5", layout.MAX_FILE_BYTES - 1)
    monkeypatch.setattr(snapshot, "_write", lambda *_: pytest.fail("it was copied"))

    assert _refusal(tmp_path / "b.h5").rule in {"RZ-S001", "RZ-S002"}


def test_a_large_file_is_walked_before_it_is_copied(bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(reader, "LARGE", 1)
    assert read_raw(bundle).manifest is not None
    _changed(bundle, lambda file: link(file, EXTRA, h5py.SoftLink("/x")))
    monkeypatch.setattr(snapshot, "_write", lambda *_: pytest.fail("it was copied"))

    assert _refusal(bundle).rule == "RZ-S010"


def test_a_large_bundle_is_mapped(bundle: Path, monkeypatch: pytest.MonkeyPatch):
    small = read_raw(bundle)
    monkeypatch.setattr(snapshot, "LARGE", 1)

    large = read_raw(bundle)

    assert large.manifest == small.manifest
    assert all(large.arrays[name].tobytes() == array.tobytes() for name, array in small.arrays.items())
