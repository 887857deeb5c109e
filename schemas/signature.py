"""Who signed a bundle: the file beside it, the file that says whom a receiver trusts, and what the commands print."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints
from rosetta.schemas.record import Count, Positive, Record, Sha256, Text

STATEMENT_TYPE: Literal["https://in-toto.io/Statement/v1"] = "https://in-toto.io/Statement/v1"
PREDICATE_TYPE: Literal["urn:rosetta-points:bundle-signature:1"] = "urn:rosetta-points:bundle-signature:1"
PAYLOAD_TYPE: Literal["application/vnd.in-toto+json"] = "application/vnd.in-toto+json"
MAX_NAME = 1000  # code points

Base64 = Annotated[str, StringConstraints(pattern=r"^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$")]
Ed25519Signature = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9+/]{86}==$")]
Fingerprint = Annotated[str, StringConstraints(pattern=r"^SHA256:[A-Za-z0-9+/]{43}$")]
Time = Annotated[str, StringConstraints(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z$")]
Word = Annotated[str, StringConstraints(min_length=1, max_length=100)]
Name = Annotated[str, StringConstraints(min_length=1, max_length=MAX_NAME)]

RefusalReason = Literal[
    "unsigned",
    "unreadable",
    "malformed",
    "payload_type",
    "statement_type",
    "predicate_type",
    "other_bundle",
    "altered_manifest",
    "altered_bundle",
    "altered_statement",
    "untrusted_key",
]


class Digests(Record):
    """The digest of a statement's subject: the bundle id."""

    sha256: Sha256


class Subject(Record):
    """The bundle that a statement is about; its name is that of the file when it was signed."""

    name: Name
    digest: Digests


class Predicate(Record):
    """What a signer states of the bundle."""

    content_id: Sha256
    title: Name
    signed: Time
    software: dict[Word, Word]


class Statement(Record):
    """The in-toto statement that is signed, as RFC 8785 canonical JSON."""

    type_: Literal["https://in-toto.io/Statement/v1"] = Field(alias="_type")
    subject: Annotated[tuple[Subject, ...], Field(min_length=1, max_length=1)]
    predicate_type: Literal["urn:rosetta-points:bundle-signature:1"] = Field(alias="predicateType")
    predicate: Predicate


class EnvelopeSignature(Record):
    """One signature; `keyid` is the key's OpenSSH fingerprint, a hint that nothing rests on."""

    keyid: Annotated[str, StringConstraints(max_length=MAX_NAME)] = ""
    sig: Ed25519Signature


class Envelope(Record):
    """`FILE.sig.json`: a DSSE envelope with the statement as its payload."""

    payload: Annotated[Base64, Field(min_length=4)]
    payload_type: Literal["application/vnd.in-toto+json"] = Field(alias="payloadType")
    signatures: Annotated[tuple[EnvelopeSignature, ...], Field(min_length=1, max_length=64)]


class TrustedSigner(Record):
    """A key, as in an OpenSSH .pub file, and the name that the receiver knows its owner by."""

    name: Name
    key: Name


class TrustFile(Record):
    """Whom a receiver trusts, written in TOML."""

    signers: Annotated[tuple[TrustedSigner, ...], Field(min_length=1)]


class SignedBy(Record):
    """A trusted key whose signature was checked, under the name that the receiver gave it."""

    name: Text
    key: Fingerprint


class KeygenReport(Record):
    """`rosetta keygen`; `trust` is what receivers put into their trust file."""

    private_key: str
    public_key: str
    name: str
    key: Fingerprint
    encrypted: bool
    trust: str


class SignReport(Record):
    """`rosetta sign`; `added` is false if this key had signed the bundle before."""

    signature: str
    bundle_id: Sha256
    content_id: Sha256
    key: Fingerprint
    added: bool
    n_signatures: Positive
    notes: tuple[Text, ...] = ()  # what the user should know, as it goes to stderr


class VerifyReport(Record):
    """`rosetta verify`; `reason` is a word for programs, and null if the signature is good.

    `title`, `content_id` and `bundle_id` are the bundle's own, `signed` is what the signers state; all are null where
    the signature was refused. `n_others` counts signatures in the file by nobody who is trusted.
    """

    bundle: str
    verified: bool
    reason: RefusalReason | None
    message: str
    signers: tuple[SignedBy, ...] = ()
    n_others: Count = 0
    title: Text | None = None
    signed: Time | None = None
    content_id: Sha256 | None = None
    bundle_id: Sha256 | None = None
