"""A lab signs its bundle, and another finds out that it did; a training can insist on it."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

import jsonschema
import numpy as np
import pytest
import rfc8785
from rosetta.schemas.export import documents as schemas
from rosetta.schemas.run import RunRecord

import rosetta
from rosetta.bundle import layout
from rosetta.bundle.signature.envelope import read_signature, signature_path
from rosetta.errors import BundleError, OutputError, SignatureError, SourceError, UsageError
from rosetta.verbs.verify import judge
from tests import builders
from tests.bundle.test_keys import needs_ssh_keygen

ITEMS = np.random.default_rng(0).random((60, 4, 5), dtype=np.float32)
QUICK = {"hidden": (8,), "epochs": 1, "batch_size": 16}


class Signed(NamedTuple):
    """A bundle that Lab A has signed, and the keys of two labs."""

    folder: Path
    bundle: Path
    a: Path
    b: Path


@pytest.fixture
def signed(tmp_path: Path) -> Signed:
    bundle = builders.write(tmp_path / "bundle.h5", preprocessing=())
    for name in ("a", "b"):
        rosetta.keygen(tmp_path / name, name=f"Lab {name.upper()}")
    rosetta.sign(bundle, key=tmp_path / "a")
    return Signed(tmp_path, bundle, tmp_path / "a.pub", tmp_path / "b.pub")


def _key(public: Path) -> Path:
    return public.with_suffix("")


def _refused(bundle: Path, *keys: Path) -> SignatureError:
    with pytest.raises(SignatureError) as caught:
        rosetta.verify(bundle, trusted_keys=keys)
    report = judge(bundle, trusted_keys=keys)
    assert (report.verified, report.reason, report.message) == (False, caught.value.reason, str(caught.value))
    assert (report.signers, report.title, report.signed, report.bundle_id) == ((), None, None, None)
    return caught.value


def test_what_a_lab_signed_another_verifies(signed: Signed, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "0")
    rosetta.sign(signed.bundle, key=_key(signed.a), force=True)
    bundle = rosetta.Bundle.open(signed.bundle)

    report = rosetta.verify(signed.bundle, trusted_keys=signed.a)

    assert report.verified
    assert [signer.name for signer in report.signers] == ["Lab A"]
    assert (report.bundle_id, report.content_id, report.title) == (bundle.bundle_id, bundle.content_id, "A bundle")
    assert (report.signed, report.n_others, report.reason) == ("1970-01-01T00:00:00Z", 0, None)


def test_the_statement_names_the_file_without_its_folder_and_survives_a_new_name(signed: Signed):
    statement = read_signature(signed.bundle).statement
    (signed.folder / "elsewhere").mkdir()
    moved = signed.folder / "elsewhere" / "renamed.h5"
    signature_path(signed.bundle).rename(signature_path(moved))
    signed.bundle.rename(moved)

    assert statement.subject[0].name == "bundle.h5"
    assert {"rosetta", "securesystemslib", "cryptography"} <= statement.predicate.software.keys()
    assert rosetta.verify(moved, trusted_keys=[signed.a]).verified


def test_keygen_prints_what_makes_a_trust_file(tmp_path: Path):
    bundle = builders.write(tmp_path / "b.h5")
    blocks = [rosetta.keygen(tmp_path / name, name=f"The {name!r} lab").trust for name in ("x", "y")]
    (tmp_path / "trust.toml").write_text("\n\n".join(blocks))
    rosetta.sign(bundle, key=tmp_path / "y")

    report = rosetta.verify(bundle, trust_file=tmp_path / "trust.toml")

    assert [signer.name for signer in report.signers] == ["The 'y' lab"]


def test_what_is_written_fits_the_published_schemas(signed: Signed):
    report = rosetta.keygen(signed.folder / "k", name="K")
    documents = {
        "signature": signature_path(signed.bundle).read_text(),
        "statement": read_signature(signed.bundle).payload,
        "trust": json.dumps(tomllib.loads(report.trust)),
        "keygen": report.model_dump_json(),
        "sign": rosetta.sign(signed.bundle, key=signed.folder / "k").model_dump_json(),
        "verify": rosetta.verify(signed.bundle, trusted_keys=signed.a).model_dump_json(),
    }

    for name, text in documents.items():
        jsonschema.validate(json.loads(text), json.loads(schemas()[f"{name}.schema.json"]))
    assert rfc8785.dumps(json.loads(documents["statement"])) == documents["statement"]


def test_the_wrong_key_is_refused(signed: Signed):
    assert _refused(signed.bundle, signed.b).reason == "untrusted_key"


def test_an_unsigned_bundle_is_refused(signed: Signed):
    signature_path(signed.bundle).unlink()

    assert _refused(signed.bundle, signed.a).reason == "unsigned"


def test_the_signature_of_another_bundle_is_refused(signed: Signed):
    other = builders.write(signed.folder / "other.h5", builders.arrays(seed=1), title="Another")
    signature_path(other).write_bytes(signature_path(signed.bundle).read_bytes())

    error = _refused(other, signed.a)

    assert error.reason == "other_bundle"
    assert "another bundle, 'bundle.h5' ('A bundle')" in str(error)


def test_an_altered_manifest_is_refused(signed: Signed):
    builders.write(signed.bundle, preprocessing=(), license="CC0-1.0")

    assert _refused(signed.bundle, signed.a).reason == "altered_manifest"


def test_an_altered_array_is_refused(signed: Signed):
    data = bytearray(signed.bundle.read_bytes())
    at = data.find(np.ascontiguousarray(builders.arrays()[layout.LATENTS]).tobytes())
    data[at] ^= 1
    signed.bundle.write_bytes(data)

    error = _refused(signed.bundle, signed.a)

    assert error.reason == "altered_bundle"
    assert "RZ-V111 at /pairs/latents" in str(error)


def test_what_is_no_bundle_is_unusable_whatever_stands_beside_it(signed: Signed):
    signed.bundle.write_bytes(b"once upon a time")
    with pytest.raises(BundleError, match="RZ-S001"):
        rosetta.verify(signed.bundle, trusted_keys=signed.a)
    signed.bundle.unlink()
    with pytest.raises(SourceError):
        rosetta.verify(signed.bundle, trusted_keys=signed.a)


def test_nobody_is_trusted_by_default(signed: Signed):
    with pytest.raises(UsageError, match="no key to trust is given"):
        rosetta.verify(signed.bundle)


def test_a_second_lab_adds_its_signature_to_the_same_statement(signed: Signed):
    before = read_signature(signed.bundle)

    report = rosetta.sign(signed.bundle, key=_key(signed.b))
    after = read_signature(signed.bundle)

    assert (report.added, report.n_signatures) == (True, 2)
    assert after.payload == before.payload
    assert after.envelope.signatures[:1] == before.envelope.signatures
    both = rosetta.verify(signed.bundle, trusted_keys=[signed.b, signed.a])
    assert [signer.name for signer in both.signers] == ["Lab B", "Lab A"]
    assert rosetta.verify(signed.bundle, trusted_keys=[signed.b]).n_others == 1


def test_signing_twice_changes_nothing_and_says_so(signed: Signed):
    before, notes = signature_path(signed.bundle).read_bytes(), []

    report = rosetta.sign(signed.bundle, key=_key(signed.a), on_note=notes.append)

    assert (report.added, report.n_signatures) == (False, 1)
    assert signature_path(signed.bundle).read_bytes() == before
    assert "has a signature by this key already" in notes[0]


def test_force_starts_anew_without_the_others(signed: Signed):
    rosetta.sign(signed.bundle, key=_key(signed.b), force=True)

    assert rosetta.verify(signed.bundle, trusted_keys=[signed.b]).n_others == 0
    assert _refused(signed.bundle, signed.a).reason == "untrusted_key"


@pytest.mark.parametrize("there", ["another bundle's", "junk", "a folder", "another title's"])
def test_a_signature_file_that_is_not_this_bundles_is_kept(signed: Signed, there: str):
    path = signature_path(signed.bundle)
    if there == "another bundle's":
        builders.write(signed.bundle, builders.arrays(seed=1), preprocessing=())
    elif there == "junk":
        path.write_bytes(b"junk")
    elif there == "a folder":
        path.unlink()
        path.mkdir()
    else:
        found = read_signature(signed.bundle)
        from rosetta.bundle.signature.private_key import read_private_key
        from rosetta.bundle.signature.signing import sign_statement, write_signature

        predicate = found.statement.predicate.model_copy(update={"title": "I owe you 100"})
        statement = found.statement.model_copy(update={"predicate": predicate})
        write_signature(path, sign_statement(statement, read_private_key(_key(signed.a))), force=True)
    before = path.read_bytes() if path.is_file() else None

    with pytest.raises(OutputError, match="`force`"):
        rosetta.sign(signed.bundle, key=_key(signed.b))

    assert (path.read_bytes() if path.is_file() else None) == before
    if there == "a folder":
        with pytest.raises(OutputError, match="is a folder"):
            rosetta.sign(signed.bundle, key=_key(signed.b), force=True)
    else:
        assert rosetta.sign(signed.bundle, key=_key(signed.b), force=True).added
        assert rosetta.verify(signed.bundle, trusted_keys=signed.b).verified


def test_a_damaged_bundle_is_not_signed(signed: Signed):
    data = bytearray(signed.bundle.read_bytes())
    data[-1] ^= 1
    signed.bundle.write_bytes(data)

    with pytest.raises(BundleError):
        rosetta.sign(signed.bundle, key=_key(signed.a), force=True)


def test_a_title_longer_than_a_statement_holds_is_cut(tmp_path: Path):
    bundle = builders.write(tmp_path / "b.h5", title="t" * 100_000)
    public = [Path(rosetta.keygen(tmp_path / name).public_key) for name in ("x", "y")]

    for key in public:
        rosetta.sign(bundle, key=_key(key))

    assert read_signature(bundle).statement.predicate.title == "t" * 1000
    assert len(rosetta.verify(bundle, trusted_keys=public).signers) == 2


@needs_ssh_keygen
def test_a_key_of_ssh_keygen_signs_and_its_public_half_verifies(tmp_path: Path):
    bundle = builders.write(tmp_path / "b.h5")
    words = "open sesame"
    subprocess.run(
        ["ssh-keygen", "-q", "-t", "ed25519", "-N", words, "-C", "me@lab", "-f", str(tmp_path / "k")], check=True
    )

    rosetta.sign(bundle, key=tmp_path / "k", passphrase=words)

    assert [s.name for s in rosetta.verify(bundle, trusted_keys=tmp_path / "k.pub").signers] == ["me@lab"]


@pytest.mark.parametrize("name", ["", " ", "two\nlines", "x" * 1001])
def test_a_keys_name_is_one_line(tmp_path: Path, name: str):
    with pytest.raises(UsageError, match="`name` is"):
        rosetta.keygen(tmp_path / "k", name=name)

    assert not list(tmp_path.iterdir())


def test_a_key_that_is_there_is_never_replaced_by_chance(tmp_path: Path):
    rosetta.keygen(tmp_path / "k")
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    (tmp_path / "j.pub").write_text("mine")

    for name, words in (("k", "k exists already"), ("j", "j.pub exists already"), ("l.pub", "must not end in .pub")):
        with pytest.raises((OutputError, UsageError), match=words):
            rosetta.keygen(tmp_path / name)

    assert {name: (tmp_path / name).read_bytes() for name in before} == before
    assert rosetta.keygen(tmp_path / "k", force=True).key
    assert (tmp_path / "k").read_bytes() != before["k"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["j.pub", "k", "k.pub"]


def test_a_run_records_who_signed_its_anchors(signed: Signed):
    report = rosetta.train(
        ITEMS, signed.folder / "run", anchors=[signed.bundle], trusted_keys=[signed.b, signed.a], **QUICK
    )

    record = RunRecord.model_validate_json((signed.folder / "run" / "run.json").read_text())
    key = rosetta.verify(signed.bundle, trusted_keys=signed.a).signers[0].key
    assert [s.model_dump() for s in record.anchors[0].signed_by] == [{"name": "Lab A", "key": key}]
    assert report.anchors == record.anchors


def test_a_run_that_required_no_signature_records_none(signed: Signed):
    rosetta.train(ITEMS, signed.folder / "run", anchors=[signed.bundle], **QUICK)

    assert json.loads((signed.folder / "run" / "run.json").read_text())["anchors"][0]["signed_by"] == []


def test_a_training_that_requires_a_signature_leaves_nothing_behind_without_one(signed: Signed):
    other = builders.write(signed.folder / "other.h5", builders.arrays(seed=1), preprocessing=())

    for anchors, key, reason in (
        ([signed.bundle], signed.b, "untrusted_key"),
        ([signed.bundle, other], signed.a, "unsigned"),
    ):
        with pytest.raises(SignatureError, match=str(anchors[-1])) as caught:
            rosetta.train(ITEMS, signed.folder / "run", anchors=anchors, trusted_keys=key, **QUICK)
        assert caught.value.reason == reason

    assert not (signed.folder / "run").exists()


def test_keys_to_trust_without_anchors_have_no_effect_and_are_refused(signed: Signed):
    with pytest.raises(UsageError, match="no effect without `anchors`"):
        rosetta.train(ITEMS, signed.folder / "run", trusted_keys=signed.a, **QUICK)


def test_a_verdict_says_who_signed_the_bundle(signed: Signed):
    rosetta.train(ITEMS, signed.folder / "run", anchors=[signed.bundle], **QUICK)

    report = rosetta.check(signed.folder / "run", signed.bundle, trusted_keys=signed.a)
    unasked = rosetta.check(signed.folder / "run", signed.bundle)

    assert [s.name for s in report.signed_by] == ["Lab A"]
    assert unasked == report.model_copy(update={"signed_by": ()})
    with pytest.raises(SignatureError) as caught:
        rosetta.check(signed.folder / "run", signed.bundle, trusted_keys=signed.b)
    assert caught.value.reason == "untrusted_key"


def test_labs_that_sign_at_once_all_get_in(tmp_path: Path):
    path = builders.write(tmp_path / "b.h5")
    for number in range(6):
        rosetta.keygen(tmp_path / f"key-{number}")
    code = "import sys; from rosetta.verbs.sign import sign; sign(sys.argv[1], key=sys.argv[2])"
    commands = [[sys.executable, "-c", code, str(path), str(tmp_path / f"key-{number}")] for number in range(6)]

    signers = [subprocess.Popen(command) for command in commands]

    assert [signer.wait() for signer in signers] == [0] * 6
    report = rosetta.verify(path, trusted_keys=[tmp_path / f"key-{number}.pub" for number in range(6)])
    assert len(report.signers) == 6


@pytest.mark.parametrize("output", ["", ".", "/", ".."])
def test_a_key_needs_a_name(output: str):
    with pytest.raises(UsageError, match="needs the name of a file"):
        rosetta.keygen(output, name="Alice")
