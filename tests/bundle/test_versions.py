"""Bundles of other versions: newer minors are read and said to be, other majors are refused, old ones are migrated."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from rosetta.schemas.manifest import FORMAT, FORMAT_VERSION

from rosetta.bundle import Bundle, layout
from rosetta.bundle.digest import content_digest
from rosetta.bundle.manifest import as_json, parse_json
from rosetta.bundle.migrate import STEPS, Contents, Step, migrate
from rosetta.bundle.signature.envelope import signature_path
from rosetta.errors import BundleError, IncompatibleError, NewerFormatWarning
from rosetta.validation.opening import open_valid
from rosetta.verbs.migrate import migrate as migrate_file
from rosetta.verbs.validate import validate
from rosetta.verbs.verify import verify
from tests import builders

Change = Callable[[dict[str, Any]], object]


def _newer(path: Path, change: Change = lambda document: None, version: str = "1.1") -> Path:
    """A bundle of a made-up version: the valid one, with changes that only that version knows."""
    document = as_json(builders.manifest(builders.arrays())) | {"format_version": version}
    change(document)
    return builders.write_raw(path, builders.arrays(), builders.text_of(document), version=version)


def _with_new_keys(document: dict[str, Any]) -> None:
    document["content"]["space"]["topology"] = {"kind": "torus"}
    document["content"]["origins"][0]["seed"] = 7
    document["content"]["arrays"][layout.LATENTS]["unit~/s"] = "none"
    document["provenance"]["funding"] = ["a grant"]
    document["motto"] = "per aspera"


UNKNOWN = {
    "/manifest#/content/space/topology",
    "/manifest#/content/origins/0/seed",
    "/manifest#/content/arrays/~1pairs~1latents/unit~0~1s",
    "/manifest#/provenance/funding",
    "/manifest#/motto",
}


def test_a_newer_minor_version_is_valid_with_a_warning_that_names_what_is_left_out(tmp_path: Path):
    report = validate(_newer(tmp_path / "b.h5", _with_new_keys))

    (found,) = [finding for finding in report.findings if finding.rule == "RZ-W211"]
    assert (report.valid, report.schema_version) == (True, "1.0")
    assert "1.1 is newer than this reader's 1.0" in found.message
    assert all(pointer in found.message for pointer in UNKNOWN)
    assert validate(tmp_path / "b.h5", strict=True).exit_code == 1


def test_a_newer_minor_version_opens_with_a_warning(tmp_path: Path):
    path = _newer(tmp_path / "b.h5", _with_new_keys)

    with pytest.warns(NewerFormatWarning, match=r"1\.1 is newer .* left out: .*/provenance/funding"):
        bundle = Bundle.open(path)

    assert bundle.manifest.format_version == "1.1"
    assert bundle.latents.tolist() == builders.arrays()[layout.LATENTS].tolist()
    assert not hasattr(bundle.manifest.provenance, "funding")


def test_what_is_left_out_still_counts_in_the_content_id(tmp_path: Path):
    path = _newer(tmp_path / "b.h5", _with_new_keys)

    with pytest.warns(NewerFormatWarning):
        bundle = Bundle.open(path)

    assert bundle.content_id == content_digest(parse_json(bundle.manifest_bytes)["content"])
    assert bundle.content_id != builders.manifest(builders.arrays()).content_id


def test_a_known_version_opens_without_a_warning(tmp_path: Path):
    path = builders.write(tmp_path / "b.h5")

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Bundle.open(path)


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda document: document["content"].pop("space"), "RZ-V106"),
        (lambda document: document["content"]["space"].update(n_dims="3"), "RZ-V106"),
        (lambda document: document["content"]["origins"][0].update(origin="dreamt", dream=1), "RZ-V106"),
        (lambda document: document.update(requires=["time travel"]), "RZ-V124"),
    ],
    ids=["missing key", "other type", "new word", "requirement"],
)
def test_a_newer_minor_version_must_still_be_understood(change: Change, rule: str, tmp_path: Path):
    report = validate(_newer(tmp_path / "b.h5", change))

    assert (report.exit_code, rule in {finding.rule for finding in report.findings}) == (1, True)


def test_a_key_that_is_unknown_at_a_known_version_is_an_error(tmp_path: Path):
    report = validate(_newer(tmp_path / "b.h5", _with_new_keys, version="1.0"))

    assert {finding.location for finding in report.findings if finding.rule == "RZ-V106"} == UNKNOWN


@pytest.mark.parametrize("version", ["2.0", "0.9", "10.0"])
def test_another_major_version_is_refused_whatever_else_is_in_the_file(version: str, tmp_path: Path):
    with h5py.File(tmp_path / "b.h5", "w", libver=layout.LIBVER) as file:
        file.attrs.create("format", np.bytes_(b"rosetta-bundle"))
        file.attrs.create("format_version", np.bytes_(version.encode()))
        file.create_dataset("/tables/of/another/kind", data=np.zeros(8), chunks=(4,), compression="gzip")

    report = validate(tmp_path / "b.h5")

    assert (report.exit_code, report.valid, report.schema_version) == (3, False, None)
    assert {finding.rule for finding in report.findings if finding.severity != "info"} == {"RZ-V101"}
    with pytest.raises(BundleError, match=rf"format version {version}; this reader knows 1\.x only"):
        Bundle.open(tmp_path / "b.h5")
    with pytest.raises(IncompatibleError):
        open_valid(tmp_path / "b.h5")


def _to_1_1(contents: Contents) -> Contents:
    """A made-up step: the title moves into the content, and latents become f8."""
    document = {**contents.document}
    entry = {**document["content"]["arrays"][layout.LATENTS]}
    latents = contents.arrays[layout.LATENTS].astype(np.float64)
    arrays = {**contents.arrays, layout.LATENTS: latents}
    described = builders.manifest(arrays).content.arrays[layout.LATENTS]
    entry = {"dtype": described.dtype, "shape": list(described.shape), "sha256": described.sha256}
    document["content"] = {
        **document["content"],
        "arrays": {**document["content"]["arrays"], layout.LATENTS: entry},
    }
    return Contents(document, arrays)


@pytest.fixture
def version_1_1(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if this were a reader of format 1.1."""
    monkeypatch.setattr(layout, "MINOR", 1)
    monkeypatch.setitem(STEPS, (1, 0), Step((1, 1), _to_1_1))


def test_a_migrated_bundle_is_valid_and_names_the_one_it_was(tmp_path: Path, version_1_1: None):
    old = builders.sign(tmp_path / "old.h5")
    before = old.read_bytes()

    report = migrate_file(old, tmp_path / "new.h5")

    new = Bundle.open(tmp_path / "new.h5")
    assert (report.from_version, report.to_version, report.output) == ("1.0", "1.1", str(tmp_path / "new.h5"))
    assert (report.content_id, report.bundle_id) == (new.content_id, new.bundle_id)
    assert new.manifest.format_version == "1.1"
    (parent,) = new.manifest.provenance.parents
    assert (parent.content_id, parent.relation) == (Bundle.open(old).content_id, "revised_from")
    assert new.latents.dtype == np.float64
    assert new.latents.tolist() == builders.arrays()[layout.LATENTS].tolist()
    assert validate(tmp_path / "new.h5").valid
    assert old.read_bytes() == before
    assert not (tmp_path / "new.h5.sig.json").exists()


def test_a_migration_that_changes_no_content_keeps_its_id(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(STEPS, (1, 0), Step((1, 1), lambda contents: contents))
    monkeypatch.setitem(STEPS, (1, 1), Step((1, 2), lambda contents: contents))
    document = as_json(builders.manifest(builders.arrays()))

    contents, version = migrate(Contents(document, {}), (1, 0))

    assert version == (1, 2)
    assert contents.document == document | {"format_version": "1.2"}
    assert document["format_version"] == "1.0"


def test_a_bundle_of_the_newest_version_keeps_its_ids_and_signature(tmp_path: Path):
    old = builders.sign(tmp_path / "old.h5")

    report = migrate_file(old, tmp_path / "new.h5")

    assert (report.from_version, report.to_version) == ("1.0", "1.0")
    assert report.bundle_id == Bundle.open(old).bundle_id == Bundle.open(tmp_path / "new.h5").bundle_id
    signature_path(old).rename(signature_path(tmp_path / "new.h5"))
    assert verify(tmp_path / "new.h5", trust_file=builders.trust(tmp_path / "trust.toml")).verified


@pytest.mark.filterwarnings("ignore::rosetta.errors.NewerFormatWarning")
def test_a_bundle_that_is_newer_than_the_reader_is_not_migrated(tmp_path: Path):
    with pytest.raises(IncompatibleError, match="newer than this reader's 1.0"):
        migrate_file(_newer(tmp_path / "b.h5"), tmp_path / "new.h5")


def test_a_manifest_that_leaves_out_defaults_stays_as_it_is(tmp_path: Path):
    document = as_json(builders.manifest(builders.arrays()))
    for part, key in ((document, "requires"), (document, "extensions"), (document["provenance"], "parents")):
        del part[key]
    del document["content"]["preprocessing"]
    old = builders.write_raw(tmp_path / "old.h5", builders.arrays(), builders.text_of(document))

    report = migrate_file(old, tmp_path / "new.h5")

    assert report.bundle_id == Bundle.open(old).bundle_id == Bundle.open(tmp_path / "new.h5").bundle_id


def test_a_bundle_that_is_not_valid_is_not_migrated(tmp_path: Path):
    path = builders.write(tmp_path / "b.h5", license="free for all")

    with pytest.raises(IncompatibleError, match="RZ-V120"):
        migrate_file(path, tmp_path / "new.h5")


def test_reader_and_schema_know_the_same_format():
    assert (layout.FORMAT, f"{layout.MAJOR}.{layout.MINOR}") == (FORMAT, FORMAT_VERSION)


def test_a_key_before_the_content_is_of_no_version(tmp_path: Path):
    report = validate(_newer(tmp_path / "b.h5", lambda document: document.update(a_motto="first")))

    assert [finding.location for finding in report.findings if finding.rule == "RZ-V106"] == ["/manifest#/a_motto"]


@pytest.mark.parametrize(
    ("name", "version"),
    [("rosetta-bundle", "2.0"), ("another", "1.0"), ("rosetta-bundle", "01.0"), ("rosetta-bundle", "1")],
)
def test_of_another_format_not_even_the_other_attributes_are_looked_at(name: str, version: str, tmp_path: Path):
    with h5py.File(tmp_path / "b.h5", "w", libver=layout.LIBVER) as file:
        file.attrs.create("format", np.bytes_(name.encode()))
        file.attrs.create("format_version", np.bytes_(version.encode()))
        file.attrs["purpose"] = "anything"
        file["x"] = h5py.SoftLink("/y")

    assert validate(tmp_path / "b.h5").exit_code == 3


def test_every_version_but_the_newest_has_a_step():
    """A new minor version comes with its step, else old bundles could not become new ones."""
    assert set(STEPS) == {(layout.MAJOR, minor) for minor in range(layout.MINOR)}
