"""Whose signatures are required of a bundle, and who of them signed it."""

from __future__ import annotations

from os import PathLike
from pathlib import Path

from rosetta.bundle import Bundle
from rosetta.bundle.signature.envelope import read_signature, signed_by
from rosetta.bundle.signature.trust import Trust, read_trust
from rosetta.errors import SignatureError
from rosetta.files import Paths, listed
from rosetta.schemas.signature import SignedBy


def trust_of(trusted_keys: Paths, trust_file: str | PathLike[str] | None) -> Trust:
    """Return the keys in public key files and a trust file, or raise UsageError if there are none."""
    return read_trust(None if trust_file is None else Path(trust_file), listed(trusted_keys))


def trust_if_any(trusted_keys: Paths, trust_file: str | PathLike[str] | None) -> Trust | None:
    """Return the keys that a signature is required of, or None if no file is given."""
    files = listed(trusted_keys)
    return trust_of(files, trust_file) if files or trust_file is not None else None


def signers_of(path: str | PathLike[str], bundle: Bundle, trust: Trust | None) -> tuple[SignedBy, ...]:
    """Return who signed the bundle that was read from `path`, or raise SignatureError; nobody, if nobody has to."""
    if trust is None:
        return ()
    try:
        found = read_signature(Path(path))
        return signed_by(found, bundle_id=bundle.bundle_id, content_id=bundle.content_id, trust=trust)
    except SignatureError as error:
        raise SignatureError(error.reason, f"{path}: {error}") from error
