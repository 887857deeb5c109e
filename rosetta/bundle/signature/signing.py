"""Making the signature beside a bundle, or adding one to it."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import rfc8785

from rosetta.bundle.bundle import Bundle
from rosetta.bundle.signature.dsse import sign_payload
from rosetta.bundle.signature.envelope import MAX_SIGNATURE_BYTES, Refusal, Signature, parse_signature
from rosetta.bundle.signature.private_key import public_half
from rosetta.errors import OutputError
from rosetta.files import atomic_file
from rosetta.schemas.signature import MAX_NAME, PAYLOAD_TYPE, PREDICATE_TYPE, STATEMENT_TYPE, Statement

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def make_statement(bundle: Bundle, *, name: str, signed: str, software: Mapping[str, str]) -> Statement:
    """Return what is stated of a bundle.

    Parameters
    ----------
    name : str
        The file's name, without its folder.
    signed : str
        The time in UTC.
    software : mapping of str to str
        Versions of what signs.
    """
    return Statement.model_validate(
        {
            "_type": STATEMENT_TYPE,
            "subject": ({"name": name, "digest": {"sha256": bundle.bundle_id}},),
            "predicateType": PREDICATE_TYPE,
            "predicate": {
                "content_id": bundle.content_id,
                "title": short_title(bundle),
                "signed": signed,
                "software": dict(software),
            },
        }
    )


def short_title(bundle: Bundle) -> str:
    """Return as much of the bundle's title as a statement holds."""
    return bundle.manifest.provenance.title[:MAX_NAME]


def sign_statement(statement: Statement, key: Ed25519PrivateKey) -> Signature:
    """Return an envelope with one signature."""
    return _signature(rfc8785.dumps(statement.model_dump(mode="json", by_alias=True)), [], key)


def add_signature(signature: Signature, key: Ed25519PrivateKey) -> Signature:
    """Return the envelope, its payload byte for byte, with one signature more; one that claimed this key is left out.

    Raises
    ------
    OutputError
        If the file would be larger than a reader accepts.
    """
    own = public_half(key).fingerprint
    others = [each.model_dump(exclude_unset=True) for each in signature.envelope.signatures if each.keyid != own]
    return _signature(signature.payload, others, key)


def write_signature(path: Path, signature: Signature, *, force: bool) -> None:
    """Write a signature file, whole or not at all."""
    with atomic_file(path, force=force) as temporary:
        temporary.write_bytes(_file(signature.envelope.model_dump(mode="json", by_alias=True, exclude_unset=True)))


def _signature(payload: bytes, others: list[dict[str, str]], key: Ed25519PrivateKey) -> Signature:
    own = {"keyid": public_half(key).fingerprint, "sig": base64.b64encode(sign_payload(payload, key)).decode()}
    data = _file(
        {
            "payload": base64.b64encode(payload).decode(),
            "payloadType": PAYLOAD_TYPE,
            "signatures": [*others, own],
        }
    )
    signature = parse_signature(data)
    if isinstance(signature, Refusal) or len(data) > MAX_SIGNATURE_BYTES:
        raise OutputError(
            "the signature file would hold more than a reader accepts, 64 signatures or "
            f"{MAX_SIGNATURE_BYTES:,} bytes: start a new one with `force`"
        )
    return signature


def _file(envelope: Mapping[str, object]) -> bytes:
    return rfc8785.dumps(dict(envelope)) + b"\n"  # type: ignore[arg-type] # JSON values, all of them
