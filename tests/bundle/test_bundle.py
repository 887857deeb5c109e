"""A bundle that opens is whole, and says what the sender wrote."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from rosetta.bundle import Bundle, layout
from rosetta.bundle.manifest import as_json, canonical
from rosetta.errors import BundleError, SourceError, UnsafeFileError
from tests import builders

OPTIONAL = (layout.LATENTS_SD, layout.WEIGHTS, layout.SPACE_MEAN, layout.SPACE_COVARIANCE)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    return Bundle.open(builders.write(tmp_path / "bundle.h5"))


def _refusal(path: Path) -> BundleError:
    with pytest.raises(BundleError) as caught:
        Bundle.open(path)
    return caught.value


def test_a_path_may_be_text(tmp_path: Path):
    path = builders.write(tmp_path / "bundle.h5")

    assert Bundle.open(str(path)).manifest_bytes == Bundle.open(path).manifest_bytes


def test_every_array_has_its_property(bundle: Bundle):
    values = builders.arrays()
    found = {
        layout.INPUTS: bundle.inputs,
        layout.LATENTS: bundle.latents,
        layout.LATENTS_SD: bundle.latents_sd,
        layout.WEIGHTS: bundle.weights,
        layout.ROLES: (~bundle.is_anchor).astype(np.uint8),
        layout.SPACE_MEAN: bundle.space_mean,
        layout.SPACE_COVARIANCE: bundle.space_covariance,
    }

    assert found.keys() == values.keys()
    for name, array in values.items():
        np.testing.assert_array_equal(found[name], array, strict=True)


def test_optional_arrays_that_are_absent_are_none(tmp_path: Path):
    values = {name: array for name, array in builders.arrays().items() if name not in OPTIONAL}

    bundle = Bundle.open(builders.write(tmp_path / "bundle.h5", values))

    assert [bundle.latents_sd, bundle.weights, bundle.space_mean, bundle.space_covariance] == [None] * 4


def test_anchors_and_checks_share_the_pairs_in_their_order(tmp_path: Path):
    values = builders.arrays()
    values[layout.ROLES] = np.random.default_rng(0).permutation(values[layout.ROLES])
    bundle = Bundle.open(builders.write(tmp_path / "bundle.h5", values))

    anchors = [row for row, role in enumerate(values[layout.ROLES]) if role == layout.ANCHOR]
    checks = [row for row, role in enumerate(values[layout.ROLES]) if role == layout.CHECK]

    assert (len(anchors), len(checks)) == (builders.N_ANCHORS, builders.N_CHECKS)
    np.testing.assert_array_equal(bundle.anchor_inputs, values[layout.INPUTS][anchors])
    np.testing.assert_array_equal(bundle.anchor_latents, values[layout.LATENTS][anchors])
    np.testing.assert_array_equal(bundle.check_inputs, values[layout.INPUTS][checks])
    np.testing.assert_array_equal(bundle.check_latents, values[layout.LATENTS][checks])


def test_the_total_sd_is_that_of_the_space_when_its_moments_are_there(bundle: Bundle):
    variances = builders.arrays()[layout.SPACE_COVARIANCE].diagonal()

    assert bundle.latents_total_sd == pytest.approx(sum(variances) ** 0.5, rel=1e-12)


def test_the_total_sd_is_that_of_the_anchors_when_the_moments_are_absent(tmp_path: Path):
    values = {name: array for name, array in builders.arrays().items() if not name.startswith("/space")}
    bundle = Bundle.open(builders.write(tmp_path / "bundle.h5", values))
    anchors = values[layout.LATENTS][: builders.N_ANCHORS].astype(np.float64)

    squares = sum(float(np.sum((row - anchors.mean(axis=0)) ** 2)) for row in anchors)

    assert bundle.latents_total_sd == pytest.approx((squares / builders.N_ANCHORS) ** 0.5, rel=1e-12)


def test_the_ids_are_those_of_manifest_and_content(bundle: Bundle):
    manifest = builders.manifest(builders.arrays())

    assert bundle.manifest == manifest
    assert bundle.manifest_bytes == canonical(manifest)
    assert bundle.space_id == builders.SPACE
    assert bundle.content_id == manifest.content_id
    assert bundle.bundle_id == hashlib.sha256(canonical(manifest)).hexdigest()


def test_other_provenance_is_another_bundle_with_the_same_content(bundle: Bundle, tmp_path: Path):
    other = Bundle.open(builders.write(tmp_path / "other.h5", title="Another"))

    assert other.content_id == bundle.content_id
    assert other.bundle_id != bundle.bundle_id


ARRAYS = st.sampled_from(["<f4", "<f8", "u1", "<i4", "<i8"]).flatmap(
    lambda dtype: arrays_of.arrays(dtype, arrays_of.array_shapes(min_dims=0, max_dims=4))
)


@settings(deadline=None, max_examples=40)
@given(array=ARRAYS)
def test_any_array_of_the_format_comes_back_bit_by_bit(array: np.ndarray):
    values = {**builders.arrays(), "/preprocessing/0.any": array}

    with tempfile.TemporaryDirectory() as folder:
        found = Bundle.open(builders.write(Path(folder) / "bundle.h5", values)).arrays["/preprocessing/0.any"]

    assert (found.dtype, found.shape, found.tobytes()) == (array.dtype, array.shape, array.tobytes())


def test_a_missing_file_is_a_source_error_that_names_it(tmp_path: Path):
    with pytest.raises(SourceError, match=r"there is no bundle .*missing\.h5"):
        Bundle.open(tmp_path / "missing.h5")


def test_a_folder_is_a_source_error(tmp_path: Path):
    with pytest.raises(SourceError, match="is a folder"):
        Bundle.open(tmp_path)


def test_a_file_of_another_kind_is_unsafe(tmp_path: Path):
    (tmp_path / "bundle.h5").write_bytes(b"PK\x03\x04" + bytes(1000))

    refusal = _refusal(tmp_path / "bundle.h5")

    assert isinstance(refusal, UnsafeFileError)
    assert refusal.rule == "RZ-S001"


@pytest.mark.parametrize("name", builders.arrays())
@pytest.mark.parametrize("at", [0, -1])
def test_one_altered_byte_of_an_array_is_found(name: str, at: int, tmp_path: Path):
    path = builders.write(tmp_path / "bundle.h5")
    data, values = bytearray(path.read_bytes()), builders.arrays()[name].tobytes()
    assert data.count(values) == 1

    data[data.index(values) + at % len(values)] ^= 1
    path.write_bytes(data)

    refusal = _refusal(path)
    assert (refusal.rule, refusal.location) == ("RZ-V111", name)


def test_two_latents_that_were_swapped_are_found(tmp_path: Path):
    values = builders.arrays()
    text = canonical(builders.manifest(values))
    swapped = values[layout.LATENTS][[1, 0, *range(2, len(values[layout.LATENTS]))]]

    path = builders.write_raw(tmp_path / "bundle.h5", {**values, layout.LATENTS: swapped}, text)

    assert _refusal(path).rule == "RZ-V111"


def _write_document(path: Path, change: Any, *, content_id: bool = True) -> Path:
    """Write the valid arrays with a manifest that `change` has edited in place."""
    values = builders.arrays()
    document = as_json(builders.manifest(values))
    change(document)
    return builders.write_raw(path, values, builders.text_of(document, content_id=content_id))


def test_a_manifest_with_altered_content_is_found(tmp_path: Path):
    path = _write_document(
        tmp_path / "bundle.h5", lambda document: document["content"]["space"].update(n_dims=4), content_id=False
    )

    assert _refusal(path).rule == "RZ-V112"


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("RZ-V106", lambda document: document.update(extra=1)),
        ("RZ-V107", lambda document: document.update(format_version="1.1")),
        ("RZ-V108", lambda document: document["content"]["arrays"].pop(layout.WEIGHTS)),
        (
            "RZ-V109",
            lambda document: document["content"]["arrays"].update(
                {"/space/x": document["content"]["arrays"][layout.SPACE_MEAN]}
            ),
        ),
        ("RZ-V110", lambda document: document["content"]["arrays"][layout.LATENTS].update(shape=[3, 20])),
        ("RZ-V110", lambda document: document["content"]["arrays"][layout.LATENTS].update(dtype="i4")),
        ("RZ-V111", lambda document: document["content"]["arrays"][layout.LATENTS].update(sha256="0" * 64)),
        ("RZ-V124", lambda document: document.update(requires=["time travel"])),
    ],
)
def test_a_manifest_that_is_not_the_one_of_the_file_is_found(rule: str, change: Any, tmp_path: Path):
    path = _write_document(tmp_path / "bundle.h5", change)

    assert _refusal(path).rule == rule


@pytest.mark.parametrize(
    ("rule", "text"),
    [("RZ-V102", None), ("RZ-V103", b"[]"), ("RZ-V104", b'{"a":1,"a":1}'), ("RZ-V105", b'{"a": 1}')],
)
def test_a_manifest_that_cannot_be_understood_is_refused(rule: str, text: bytes | None, tmp_path: Path):
    path = builders.write_raw(tmp_path / "bundle.h5", builders.arrays(), text)

    assert _refusal(path).rule == rule


@pytest.mark.parametrize(("name", "version"), [("rosetta-bundle", "2.0"), ("rosetta-bundle", "x"), ("other", "1.0")])
def test_another_format_or_version_is_refused_before_its_manifest_is_read(name: str, version: str, tmp_path: Path):
    path = builders.write_raw(tmp_path / "bundle.h5", builders.arrays(), b"what 2.0 has", name=name, version=version)

    assert _refusal(path).rule == "RZ-V101"


@pytest.mark.parametrize("name", layout.REQUIRED)
def test_an_array_that_every_bundle_has_is_missed_even_if_it_is_not_declared(name: str, tmp_path: Path):
    values = builders.arrays()
    declared = builders.manifest(values)
    document = as_json(declared)
    del values[name], document["content"]["arrays"][name]

    refusal = _refusal(builders.write_raw(tmp_path / "bundle.h5", values, builders.text_of(document)))

    assert (refusal.rule, refusal.location) == ("RZ-V109", name)
