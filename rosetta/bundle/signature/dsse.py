"""Ed25519 signatures over DSSE's encoding of a payload and its type."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from rosetta.bundle.signature.keys import PublicKey
from rosetta.schemas.signature import PAYLOAD_TYPE

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def sign_payload(payload: bytes, key: Ed25519PrivateKey) -> bytes:
    """Return the signature, 64 bytes."""
    from securesystemslib.dsse import Envelope
    from securesystemslib.signer import CryptoSigner  # type: ignore[attr-defined] # exported, but not in __all__

    return bytes.fromhex(Envelope(payload, PAYLOAD_TYPE, {}).sign(CryptoSigner(key)).signature)


def is_signed_by(key: PublicKey, payload: bytes, signatures: Iterable[bytes]) -> bool:
    """Whether one of the signatures, 64 bytes each, is by `key`."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
    from securesystemslib.dsse import Envelope
    from securesystemslib.exceptions import UnverifiedSignatureError
    from securesystemslib.signer import Signature, SSlibKey  # type: ignore[attr-defined] # as above

    checker = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(key.raw), keyid=key.fingerprint)
    encoded = Envelope(payload, PAYLOAD_TYPE, {}).pae()
    for signature in signatures:
        try:
            checker.verify_signature(Signature(key.fingerprint, signature.hex()), encoded)
        except UnverifiedSignatureError:
            continue
        return True
    return False
