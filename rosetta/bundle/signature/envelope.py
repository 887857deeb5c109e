"""The signature beside a bundle: read as a stranger's file, and judged in one order (spec, signatures).

::

    bytes → envelope → payload type → statement and predicate type → subject → signature by a trusted key

Whatever the file says is a claim, good for choosing a message, until `signed_by` has returned.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from pydantic import ValidationError

from rosetta.bundle.manifest import parse_json, parse_object
from rosetta.bundle.signature.dsse import is_signed_by
from rosetta.bundle.signature.keys import PublicKey
from rosetta.bundle.signature.trust import Trust
from rosetta.errors import BundleError, SignatureError, SourceError
from rosetta.files import read_small
from rosetta.schemas.record import Record
from rosetta.schemas.signature import (
    PAYLOAD_TYPE,
    PREDICATE_TYPE,
    STATEMENT_TYPE,
    Envelope,
    RefusalReason,
    SignedBy,
    Statement,
)

MAX_SIGNATURE_BYTES = 2**16
SUFFIX = ".sig.json"

Document = TypeVar("Document", bound=Record)


class Refusal(NamedTuple):
    """Why a signature is not accepted: a word for programs, and a message."""

    reason: RefusalReason
    message: str


@dataclass(frozen=True)
class Signature:
    """A well-formed envelope with a statement of the right type, of which nothing is proven."""

    envelope: Envelope
    payload: bytes
    statement: Statement

    @property
    def signatures(self) -> list[bytes]:
        """The signatures over the payload; the key ids that stand beside them are not asked."""
        return [base64.b64decode(each.sig) for each in self.envelope.signatures]

    def is_signed_by(self, key: PublicKey) -> bool:
        """Whether one of the signatures is by `key`."""
        return is_signed_by(key, self.payload, self.signatures)


Found = Signature | Refusal | None  # what stands beside a bundle: a claim, something that is none, or nothing


class _Refused(Exception):
    """Carries a refusal out of the parsing."""

    def __init__(self, reason: RefusalReason, message: str) -> None:
        super().__init__(message)
        self.refusal = Refusal(reason, message)


def signature_path(bundle: Path) -> Path:
    """Return where the signature of the bundle at `bundle` stands."""
    return bundle.with_name(bundle.name + SUFFIX)


def read_signature(bundle: Path) -> Found:
    """Return what stands in the signature file of the bundle at `bundle`, without trusting any of it; never raises."""
    path = signature_path(bundle)
    try:
        return parse_signature(read_small(path, limit=MAX_SIGNATURE_BYTES, what="a signature file"))
    except FileNotFoundError:
        return None
    except SourceError as error:
        return Refusal("unreadable", str(error))


def parse_signature(data: bytes) -> Signature | Refusal:
    """Return the envelope in a signature file's bytes, or why it is none."""
    try:
        value = _object(data, "the signature file")
        _expect(value, "payloadType", PAYLOAD_TYPE, "payload_type")
        envelope = _validate(Envelope, data, "the signature file")
        payload = base64.b64decode(envelope.payload)
        if any(base64.b64encode(base64.b64decode(text)).decode() != text for text in _base64_of(envelope)):
            raise _Refused("malformed", "the signature file is malformed: its base64 has stray bits at an end")
        claimed = _object(payload, "the signed statement", canonical=True)
        _expect(claimed, "_type", STATEMENT_TYPE, "statement_type")
        _expect(claimed, "predicateType", PREDICATE_TYPE, "predicate_type")
        return Signature(envelope, payload, _validate(Statement, payload, "the signed statement"))
    except _Refused as error:
        return error.refusal


def form_problems(found: Found) -> list[Refusal]:
    """Return why what stands beside a bundle is no signature file: one reason at the most."""
    return [found] if isinstance(found, Refusal) else []


def subject_problems(found: Found, *, bundle_id: str, content_id: str) -> list[Refusal]:
    """Return why a signature is not about the bundle that has these ids: one reason at the most."""
    if not isinstance(found, Signature):
        return []
    subject, predicate = found.statement.subject[0], found.statement.predicate
    if subject.digest.sha256 == bundle_id:
        message = "the signed statement contradicts itself: its content id is not that of the bundle that it names"
        return [] if predicate.content_id == content_id else [Refusal("malformed", message)]
    ids = f"bundle id {subject.digest.sha256[:12]}…; this one has {bundle_id[:12]}…"
    title = repr(predicate.title[:80])
    if predicate.content_id == content_id:
        message = (
            f"the signature says that it is for the same pairs with another manifest, {title}, {ids}: "
            "the manifest was altered after signing. Get the signed file, or have this one signed"
        )
        return [Refusal("altered_manifest", message)]
    message = (
        f"the signature says that it is for another bundle, {subject.name[:80]!r} ({title}), {ids}. "
        "Get the signature that belongs to it"
    )
    return [Refusal("other_bundle", message)]


def trusted_signers(found: Found, trust: Trust) -> tuple[SignedBy, ...]:
    """Return the trusted keys that signed the envelope, whatever key ids it claims, in the order of `trust`."""
    if not isinstance(found, Signature):
        return ()
    return tuple(SignedBy(name=key.name, key=key.fingerprint) for key in trust if found.is_signed_by(key))


def count_others(found: Found, trust: Trust) -> int:
    """Return how many of the envelope's signatures are by no trusted key."""
    if not isinstance(found, Signature):
        return 0
    return sum(not any(is_signed_by(key, found.payload, [each]) for key in trust) for each in found.signatures)


def trust_problems(found: Found, trust: Trust) -> list[Refusal]:
    """Return why no trusted key stands behind a signature: one reason at the most."""
    if not isinstance(found, Signature) or trusted_signers(found, trust):
        return []
    hints = {each.keyid for each in found.envelope.signatures}
    for key in trust:
        if key.fingerprint in hints:
            message = (
                f"the signature claims the key of {key.name[:60]!r} ({key.fingerprint}), but that key did not sign "
                "this: the statement or the signature was altered. Ask the signer for the signature file again"
            )
            return [Refusal("altered_statement", message)]
    claimed = ", ".join(sorted(repr(hint[:60]) for hint in hints if hint)[:4]) or "a key that it does not name"
    known = ", ".join(f"{key.fingerprint} ({key.name[:60]!r})" for key in trust[:4]) + (", …" if len(trust) > 4 else "")
    message = (
        f"no trusted key signed this bundle: the signature claims {claimed}; trusted are {known}. If you know the "
        "signer, compare the fingerprint with them, and trust their key"
    )
    return [Refusal("untrusted_key", message)]


def signed_by(found: Found, *, bundle_id: str, content_id: str, trust: Trust) -> tuple[SignedBy, ...]:
    """Return the trusted keys that signed the bundle that has these ids: at least one.

    Raises
    ------
    SignatureError
        With the first reason why the signature is not accepted.
    """
    if found is None:
        raise SignatureError(
            "unsigned",
            f"the bundle is not signed: there is no file of its name with {SUFFIX} added beside it. "
            "Ask the sender for it, who makes it with rosetta sign",
        )
    ids = {"bundle_id": bundle_id, "content_id": content_id}
    for refusal in form_problems(found) or subject_problems(found, **ids) or trust_problems(found, trust):
        raise SignatureError(*refusal)
    return trusted_signers(found, trust)


def _object(data: bytes, what: str, *, canonical: bool = False) -> dict[str, Any]:
    try:
        return parse_json(data) if canonical else parse_object(data)
    except BundleError as error:
        place = error.location.partition("#")[2]
        raise _Refused(
            "malformed", f"{what} is malformed{f' at {place[:60]!r}' if place else ''}: {error.message}"
        ) from error


def _expect(value: dict[str, Any], key: str, expected: str, reason: RefusalReason) -> None:
    """Refuse another type before the rest is looked at: it would be of another form."""
    if isinstance(found := value.get(key), str) and found != expected:
        raise _Refused(reason, f"the signature's {key} is {found[:80]!r}; expected {expected!r}: it is of another kind")


def _validate(record: type[Document], data: bytes, what: str) -> Document:
    try:
        return record.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        found = json.dumps(first["input"], default=str)[:60]
        place = "".join(f"/{str(part)[:60]}" for part in first["loc"])
        raise _Refused("malformed", f"{what} is malformed at {place!r}: {first['msg']}; found {found}") from error


def _base64_of(envelope: Envelope) -> list[str]:
    return [envelope.payload, *(each.sig for each in envelope.signatures)]
