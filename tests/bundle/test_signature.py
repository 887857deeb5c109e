"""A signature is accepted for one bundle and by one key; whatever else the file says, it is refused with a reason."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as some
from rosetta.schemas.signature import PAYLOAD_TYPE, PREDICATE_TYPE, STATEMENT_TYPE, SignedBy, Statement

from rosetta.bundle.signature.dsse import is_signed_by, sign_payload
from rosetta.bundle.signature.envelope import (
    MAX_SIGNATURE_BYTES,
    Refusal,
    Signature,
    count_others,
    form_problems,
    parse_signature,
    read_signature,
    signature_path,
    signed_by,
    subject_problems,
    trust_problems,
    trusted_signers,
)
from rosetta.bundle.signature.keys import PublicKey
from rosetta.bundle.signature.signing import add_signature, sign_statement, write_signature
from rosetta.errors import OutputError, SignatureError

LAB_A, LAB_B, STRANGER = (Ed25519PrivateKey.from_private_bytes(bytes([n]) * 32) for n in (1, 2, 3))
A, B = (PublicKey(name, key.public_key().public_bytes_raw()) for name, key in (("Lab A", LAB_A), ("Lab B", LAB_B)))
IDS = {"bundle_id": "b" * 64, "content_id": "c" * 64}
STATEMENT = {
    "_type": STATEMENT_TYPE,
    "subject": [{"name": "a.h5", "digest": {"sha256": IDS["bundle_id"]}}],
    "predicateType": PREDICATE_TYPE,
    "predicate": {
        "content_id": IDS["content_id"],
        "title": "Digits",
        "signed": "2026-01-02T03:04:05Z",
        "software": {"rosetta": "0.1.0"},
    },
}


def _statement(**changes: Any) -> Statement:
    return Statement.model_validate_json(json.dumps(STATEMENT | changes))


def _envelope(payload: bytes = rfc8785.dumps(STATEMENT), *keys: Ed25519PrivateKey, **changes: Any) -> dict[str, Any]:
    """An envelope over any payload at all, signed as DSSE says."""
    signatures = [
        {
            "keyid": PublicKey("", key.public_key().public_bytes_raw()).fingerprint,
            "sig": base64.b64encode(key.sign(_pae(PAYLOAD_TYPE, payload))).decode(),
        }
        for key in keys or (LAB_A,)
    ]
    whole = {"payload": base64.b64encode(payload).decode(), "payloadType": PAYLOAD_TYPE, "signatures": signatures}
    return whole | changes


def _pae(payload_type: str, payload: bytes) -> bytes:
    """DSSE's encoding, from its definition."""
    return b" ".join(
        [b"DSSEv1", str(len(payload_type)).encode(), payload_type.encode(), str(len(payload)).encode(), payload]
    )


def _parse(envelope: dict[str, Any]) -> Signature | Refusal:
    return parse_signature(json.dumps(envelope).encode())


def _refused(found: Signature | Refusal | None, *trust: PublicKey, **ids: str) -> SignatureError:
    with pytest.raises(SignatureError) as caught:
        signed_by(found, trust=trust or (A,), **(IDS | ids))
    return caught.value


def test_what_was_signed_is_accepted_with_the_name_that_the_receiver_gave():
    found = sign_statement(_statement(), LAB_A)

    assert signed_by(found, trust=(B, A), **IDS) == (SignedBy(name="Lab A", key=A.fingerprint),)
    assert found.statement == _statement()


def test_the_signature_is_the_one_that_dsse_defines():
    signature = sign_statement(_statement(), LAB_A)

    own = base64.b64decode(signature.envelope.signatures[0].sig)

    assert signature.payload == rfc8785.dumps(STATEMENT)
    LAB_A.public_key().verify(own, _pae("application/vnd.in-toto+json", signature.payload))
    assert _parse(_envelope()) == signature


@given(payload=some.binary(max_size=50), bit=some.integers(0, 511))
def test_a_signature_is_by_one_key_over_one_payload(payload: bytes, bit: int):
    good = sign_payload(payload, LAB_A)
    bad = (int.from_bytes(good, "big") ^ 1 << bit).to_bytes(64, "big")

    assert is_signed_by(A, payload, [bad, good])
    assert not is_signed_by(B, payload, [good])
    assert not is_signed_by(A, payload + b" ", [good])
    with pytest.raises(InvalidSignature):  # the slow twin agrees
        Ed25519PublicKey.from_public_bytes(A.raw).verify(bad, _pae(PAYLOAD_TYPE, payload))
    assert not is_signed_by(A, payload, [bad])


def test_several_sign_the_same_bytes_and_each_counts_alone():
    both = add_signature(sign_statement(_statement(), LAB_A), LAB_B)

    assert both.payload == sign_statement(_statement(), LAB_A).payload
    assert [s.name for s in signed_by(both, trust=(B, A), **IDS)] == ["Lab B", "Lab A"]
    assert [s.name for s in signed_by(both, trust=(B,), **IDS)] == ["Lab B"]
    assert (count_others(both, (A, B)), count_others(both, (A,))) == (0, 1)
    assert _refused(both, PublicKey("C", bytes(32))).reason == "untrusted_key"


def test_the_key_id_is_a_hint_that_nothing_rests_on():
    envelope = _envelope()
    for keyid in (B.fingerprint, "", "whatever"):
        envelope["signatures"][0]["keyid"] = keyid
        assert [s.name for s in trusted_signers(_parse(envelope), (A, B))] == ["Lab A"]
    del envelope["signatures"][0]["keyid"]
    assert [s.name for s in trusted_signers(_parse(envelope), (A, B))] == ["Lab A"]

    claimed = _envelope(rfc8785.dumps(STATEMENT), STRANGER)
    claimed["signatures"][0]["keyid"] = A.fingerprint
    assert trusted_signers(_parse(claimed), (A, B)) == ()
    del claimed["signatures"][0]["keyid"]
    assert "claims a key that it does not name" in str(_refused(_parse(claimed)))


def test_a_wrong_key_is_refused():
    error = _refused(sign_statement(_statement(), STRANGER))

    assert error.reason == "untrusted_key"
    assert "no trusted key signed this bundle" in str(error)
    assert f"{A.fingerprint} ('Lab A')" in str(error)


def test_another_bundle_is_refused_and_named():
    error = _refused(sign_statement(_statement(), LAB_A), bundle_id="1" * 64, content_id="2" * 64)

    assert error.reason == "other_bundle"
    assert "says that it is for another bundle, 'a.h5' ('Digits'), bundle id bbbbbbbbbbbb…" in str(error)


def test_an_altered_manifest_is_told_from_another_bundle():
    error = _refused(sign_statement(_statement(), LAB_A), bundle_id="1" * 64)

    assert error.reason == "altered_manifest"
    assert "the manifest was altered after signing" in str(error)


def test_an_altered_statement_is_refused_even_if_it_now_names_this_bundle():
    envelope = _envelope()
    other = STATEMENT | {"subject": [{"name": "a.h5", "digest": {"sha256": "1" * 64}}]}
    envelope["payload"] = base64.b64encode(rfc8785.dumps(other)).decode()

    error = _refused(_parse(envelope), bundle_id="1" * 64)

    assert error.reason == "altered_statement"
    assert f"claims the key of 'Lab A' ({A.fingerprint}), but that key did not sign this" in str(error)


def test_a_swapped_payload_type_is_refused_signed_or_not():
    swapped = _envelope(payloadType="application/json")
    genuine = _envelope(payloadType="application/json")
    sig = LAB_A.sign(_pae("application/json", rfc8785.dumps(STATEMENT)))
    genuine["signatures"][0]["sig"] = base64.b64encode(sig).decode()

    for envelope in (swapped, genuine):
        error = _refused(_parse(envelope))
        assert error.reason == "payload_type"
        assert "payloadType is 'application/json'; expected 'application/vnd.in-toto+json'" in str(error)


@pytest.mark.parametrize(("key", "reason"), [("_type", "statement_type"), ("predicateType", "predicate_type")])
def test_a_genuine_signature_on_a_statement_of_another_kind_is_refused(key: str, reason: str):
    error = _refused(_parse(_envelope(rfc8785.dumps(STATEMENT | {key: "https://slsa.dev/provenance/v1"}))))

    assert error.reason == reason
    assert f"{key} is 'https://slsa.dev/provenance/v1'" in str(error)


def test_a_statement_that_contradicts_itself_is_refused():
    error = _refused(sign_statement(_statement(), LAB_A), content_id="1" * 64)

    assert (error.reason, "contradicts itself" in str(error)) == ("malformed", True)


def test_an_unsigned_bundle_is_refused():
    error = _refused(None)

    assert error.reason == "unsigned"
    assert "the bundle is not signed" in str(error)


def test_reasons_come_in_order_and_a_later_one_is_not_given_for_an_earlier_one():
    other = {"subject": [{"name": "x", "digest": {"sha256": "1" * 64}}]}
    predicate = {"predicate": {**STATEMENT["predicate"], "content_id": "2" * 64}}
    worse = STATEMENT | other | predicate
    envelopes = [
        _envelope(rfc8785.dumps(worse | {"_type": "t", "predicateType": "p"}), STRANGER, payloadType="x"),
        _envelope(rfc8785.dumps(worse | {"_type": "t", "predicateType": "p"}), STRANGER),
        _envelope(rfc8785.dumps(worse | {"predicateType": "p"}), STRANGER),
        _envelope(rfc8785.dumps(worse), STRANGER),
        _envelope(rfc8785.dumps(STATEMENT), STRANGER),
    ]

    reasons = [_refused(_parse(envelope)).reason for envelope in envelopes]

    assert reasons == ["payload_type", "statement_type", "predicate_type", "other_bundle", "untrusted_key"]


def _deep(depth: int) -> bytes:
    return b'{"a":' * depth + b"1" + b"}" * depth


def _with(path: tuple[Any, ...], value: Any, whole: dict[str, Any]) -> dict[str, Any]:
    """A copy of a document with one place changed, or removed if the value is `...`."""
    copy = json.loads(json.dumps(whole))
    node = copy
    for step in path[:-1]:
        node = node[step]
    if value is ...:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return copy


GOOD = json.dumps(_envelope()).encode()
MALFORMED: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "bytes": lambda: bytes(range(256)),
    "no JSON": lambda: b"once upon a time",
    "a list": lambda: b"[]",
    "null": lambda: b"null",
    "nested deep": lambda: _deep(33),
    "nested very deep": lambda: b"[" * 60_000,
    "a key twice": lambda: GOOD.replace(b'{"payload"', b'{"payload": "AAAA", "payload"', 1),
    "NaN": lambda: GOOD.replace(b'{"payload"', b'{"x": NaN, "payload"', 1),
    "a lone surrogate": lambda: GOOD.replace(b"SHA256:", b"\\ud800", 1),
    "two documents": lambda: GOOD + GOOD,
    **{
        f"envelope {'/'.join(map(str, path))} {value!r}": lambda path=path, value=value: json.dumps(
            _with(path, value, _envelope())
        ).encode()
        for path, value in [
            (("extra",), 1), (("payload",), ...), (("payloadType",), ...), (("payloadType",), 1),
            (("signatures",), ...), (("signatures",), []), (("signatures",), {}), (("signatures",), None),
            (("signatures",), _envelope()["signatures"] * 65), (("signatures", 0, "extra"), 1),
            (("signatures", 0, "keyid"), 1), (("signatures", 0, "keyid"), "k" * 1001),
            (("signatures", 0, "sig"), ...), (("signatures", 0, "sig"), ""), (("signatures", 0, "sig"), "A" * 88),
            (("signatures", 0, "sig"), "A" * 85 + "B=="), (("signatures", 0, "sig"), "A" * 85 + "B==\n"),
            (("signatures", 0, "sig"), "-" * 86 + "=="), (("payload",), ""), (("payload",), "AAA"),
            (("payload",), "e30=\n"), (("payload",), "e31="), (("payload",), "e30=e30="), (("payload",), "----"),
        ]
    },
    **{
        f"statement {'/'.join(map(str, path))} {value!r}": lambda path=path, value=value: json.dumps(
            _envelope(rfc8785.dumps(_with(path, value, STATEMENT)))
        ).encode()
        for path, value in [
            (("_type",), ...), (("_type",), 1), (("predicateType",), ...), (("subject",), []), (("extra",), 1),
            (("subject",), STATEMENT["subject"] * 2), (("subject", 0, "name"), ""), (("subject", 0, "uri"), "x"),
            (("subject", 0, "digest", "sha256"), "B" * 64), (("subject", 0, "digest", "sha512"), "b" * 64),
            (("predicate",), ...), (("predicate", "title"), "t" * 1001), (("predicate", "signed"), "yesterday"),
            (("predicate", "extra"), 1), (("predicate", "software"), {"a": 1}), (("predicate", "content_id"), "c"),
        ]
    },
    "a statement that is not canonical": lambda: json.dumps(_envelope(json.dumps(STATEMENT).encode())).encode(),
    "a statement that is no JSON": lambda: json.dumps(_envelope(b"once")).encode(),
    "a deep statement": lambda: json.dumps(_envelope(_deep(40))).encode(),
}  # fmt: skip


@pytest.mark.parametrize("name", MALFORMED)
def test_a_malformed_file_is_refused_in_one_printable_line(name: str):
    found = parse_signature(MALFORMED[name]())

    assert isinstance(found, Refusal)
    assert found.reason == "malformed"
    assert "malformed" in found.message
    assert found.message.isprintable()
    assert _refused(found).reason == "malformed"


def test_a_strangers_words_are_escaped_in_every_message():
    evil = "x\n\x1b[31mVERIFIED\u202e"
    subject = [{"name": evil, "digest": {"sha256": "1" * 64}}]
    predicate = STATEMENT["predicate"] | {"title": evil, "content_id": "2" * 64}
    keyed = _envelope(rfc8785.dumps(STATEMENT), STRANGER)
    keyed["signatures"][0]["keyid"] = evil
    found = [
        _parse(_envelope(payloadType=evil)),
        _parse(_envelope(rfc8785.dumps(STATEMENT | {"_type": evil}))),
        _parse(_envelope(rfc8785.dumps(STATEMENT | {"subject": subject, "predicate": predicate}))),
        _parse(_envelope(rfc8785.dumps(STATEMENT | {"subject": subject}))),
        _parse(_envelope() | {evil: 1}),
        _parse(_envelope() | {evil: None}),
        _parse(_envelope() | {"payload": evil}),
        parse_signature(b'{"%s": 1, "%s": 2}' % (json.dumps(evil).encode()[1:-1], json.dumps(evil).encode()[1:-1])),
        _parse(keyed),
    ]

    for each in found:
        assert str(_refused(each)).isprintable()


def test_rules_can_be_written_with_what_finds_problems():
    good, other = sign_statement(_statement(), LAB_A), {"bundle_id": "1" * 64, "content_id": "2" * 64}
    bad = parse_signature(b"{}")

    assert (
        form_problems(None) == form_problems(good) == subject_problems(good, **IDS) == trust_problems(good, (A,)) == []
    )
    assert [p.reason for p in form_problems(bad)] == ["malformed"]
    assert [p.reason for p in subject_problems(good, **other)] == ["other_bundle"]
    assert [p.reason for p in trust_problems(good, (B,))] == ["untrusted_key"]
    for nothing in (None, bad):  # what is no signature is not judged as one
        assert subject_problems(nothing, **other) == trust_problems(nothing, (B,)) == []
        assert trusted_signers(nothing, (A,)) == ()


WRITTEN = rfc8785.dumps(_envelope()) + b"\n"


@given(position=some.integers(0, len(WRITTEN) - 1), bit=some.integers(0, 7))
def test_a_flipped_bit_never_makes_another_statement_verify(position: int, bit: int):
    data = bytearray(WRITTEN)
    data[position] ^= 1 << bit

    found = parse_signature(bytes(data))

    if isinstance(found, Signature) and trusted_signers(found, (A, B)):
        assert found.payload == rfc8785.dumps(STATEMENT)
        assert [s.name for s in trusted_signers(found, (A, B))] == ["Lab A"]


@given(position=some.integers(0, len(WRITTEN) - 1), removed=some.integers(0, 20), added=some.binary(max_size=20))
def test_a_replaced_stretch_never_makes_another_statement_verify(position: int, removed: int, added: bytes):
    found = parse_signature(WRITTEN[:position] + added + WRITTEN[position + removed :])

    if isinstance(found, Signature) and trusted_signers(found, (A, B)):
        assert found.payload == rfc8785.dumps(STATEMENT)


@given(data=some.binary(max_size=300) | some.text().map(str.encode))
def test_any_bytes_at_all_are_read_or_refused(data: bytes):
    assert isinstance(parse_signature(data), Refusal)


def test_a_file_is_read_back_as_it_was_written(tmp_path: Path):
    bundle = tmp_path / "a.h5"
    signature = add_signature(sign_statement(_statement(), LAB_A), LAB_B)

    write_signature(signature_path(bundle), signature, force=False)

    assert signature_path(bundle).name == "a.h5.sig.json"
    assert read_signature(bundle) == signature
    assert read_signature(tmp_path / "b.h5") is None


@pytest.mark.parametrize("what", ["folder", "fifo", "loop", "device", "huge"])
def test_what_is_no_small_regular_file_is_unreadable_at_once(tmp_path: Path, what: str):
    path = tmp_path / "a.h5.sig.json"
    {
        "folder": path.mkdir,
        "fifo": lambda: os.mkfifo(path),
        "loop": lambda: path.symlink_to(path),
        "device": lambda: path.symlink_to("/dev/zero"),
        "huge": lambda: path.write_bytes(WRITTEN + b" " * MAX_SIGNATURE_BYTES),
    }[what]()

    found = read_signature(tmp_path / "a.h5")

    assert isinstance(found, Refusal)
    assert found.reason == "unreadable"
    assert str(path) in found.message


def test_signing_again_replaces_what_claimed_to_be_ours():
    forged = _envelope(rfc8785.dumps(STATEMENT), LAB_A, LAB_B)
    forged["signatures"][0]["sig"] = base64.b64encode(bytes(64)).decode()

    mended = add_signature(_parse(forged), LAB_A)

    assert [s.name for s in trusted_signers(mended, (A, B))] == ["Lab A", "Lab B"]
    assert len(mended.envelope.signatures) == 2


def test_more_signatures_than_a_reader_accepts_are_not_written():
    signature = sign_statement(_statement(), LAB_A)
    for n in range(63):
        signature = add_signature(signature, Ed25519PrivateKey.from_private_bytes(bytes([100 + n]) * 32))

    with pytest.raises(OutputError, match="64 signatures"):
        add_signature(signature, LAB_B)
