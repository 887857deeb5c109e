"""The first bytes of a file are judged before HDF5 sees them."""

from __future__ import annotations

from pathlib import Path

import h5py
import pytest

from rosetta.bundle.sandbox.superblock import SIGNATURE, check_superblock
from rosetta.errors import UnsafeFileError
from tests import builders


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    return builders.write(tmp_path_factory.mktemp("bundle") / "a.h5").read_bytes()


def _newer(folder: Path, **settings: object) -> bytes:
    """A file with a superblock of version 2 or 3."""
    with h5py.File(folder / "newer.h5", "w", **settings) as file:
        file["pairs"] = 1.0
    return (folder / "newer.h5").read_bytes()


def _refusal(data: bytes) -> UnsafeFileError:
    with pytest.raises(UnsafeFileError) as caught:
        check_superblock(data, len(data))
    return caught.value


@pytest.mark.parametrize("version", [0, 2, 3])
def test_a_plain_file_passes(version: int, bundle: bytes, tmp_path: Path):
    oldest = {2: "v108", 3: "v110"}
    data = bundle if version == 0 else _newer(tmp_path, libver=(oldest[version], "latest"))

    check_superblock(data, len(data))

    assert data[8] == version


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", SIGNATURE[:7], b"\x00" * 4096, b"\x88" + SIGNATURE[1:]])
def test_bytes_without_the_signature_are_not_hdf5(data: bytes):
    refusal = _refusal(data)

    assert (refusal.rule, refusal.location) == ("RZ-S001", "/")
    assert ("no HDF5 signature" if data else "it is empty") in refusal.message


@pytest.mark.parametrize("n_bytes", [1, 512, 1024])
def test_a_user_block_is_refused_and_named(n_bytes: int, bundle: bytes):
    refusal = _refusal(b"PK\x03\x04".ljust(n_bytes, b"\0")[:n_bytes] + bundle)

    assert refusal.rule == "RZ-S001"
    assert f"at byte {n_bytes}" in refusal.message


@pytest.mark.parametrize("extra", [b"\0", b"PK\x03\x04", b"x" * 4096])
def test_appended_bytes_are_refused(extra: bytes, bundle: bytes):
    refusal = _refusal(bundle + extra)

    assert refusal.rule == "RZ-S002"
    assert "followed by foreign bytes" in refusal.message
    assert f"{len(bundle)} bytes, but there are {len(bundle) + len(extra)}" in refusal.message


@pytest.mark.parametrize("n_cut", [1, 8, 4096])
def test_cut_bytes_are_refused(n_cut: int, bundle: bytes):
    refusal = _refusal(bundle[:-n_cut])

    assert refusal.rule == "RZ-S002"
    assert "cut short" in refusal.message


@pytest.mark.parametrize("n_left", [9, 24, 95])
def test_a_file_that_ends_inside_its_superblock_is_refused(n_left: int, bundle: bytes):
    refusal = _refusal(bundle[:n_left])

    assert refusal.rule == "RZ-S002"
    assert "inside its superblock" in refusal.message


def test_nothing_but_a_signature_is_refused():
    assert _refusal(SIGNATURE).rule == "RZ-S002"


@pytest.mark.parametrize(
    ("at", "new", "rule"),
    [
        (8, b"\x01", "RZ-S003"),
        (8, b"\x04", "RZ-S003"),
        (8, b"\xff", "RZ-S003"),
        (13, b"\x04", "RZ-S003"),
        (14, b"\x04", "RZ-S003"),
        (24, b"\x01", "RZ-S003"),
        (31, b"\x80", "RZ-S003"),
        (40, b"\x00", "RZ-S002"),
        (47, b"\x80", "RZ-S002"),
        (48, b"\x00" * 8, "RZ-S004"),
        (48, b"\x60" + b"\x00" * 7, "RZ-S004"),
    ],
)
def test_a_changed_field_is_refused_by_its_rule(at: int, new: bytes, rule: str, bundle: bytes):
    changed = bundle[:at] + new + bundle[at + len(new) :]

    assert _refusal(changed).rule == rule


@pytest.mark.parametrize(("at", "rule"), [(9, "RZ-S003"), (12, "RZ-S003"), (20, "RZ-S004"), (28, "RZ-S002")])
def test_a_changed_field_of_a_newer_superblock_is_refused_by_its_rule(at: int, rule: str, tmp_path: Path):
    data = _newer(tmp_path, libver=("v110", "v110"))

    assert _refusal(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]).rule == rule


def test_paged_file_space_is_a_superblock_extension(tmp_path: Path):
    data = _newer(tmp_path, libver=("v110", "v110"), fs_strategy="page", fs_persist=True)

    assert _refusal(data).rule == "RZ-S004"
