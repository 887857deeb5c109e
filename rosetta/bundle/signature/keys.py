"""Public Ed25519 keys in the files that OpenSSH and OpenSSL write."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rosetta.errors import SourceError
from rosetta.files import read_small

MAX_KEY_BYTES = 2**16
KIND = b"ssh-ed25519"
OTHER_KINDS = (b"ssh-", b"ecdsa-", b"sk-")
PEM, PRIVATE = b"-----BEGIN ", b"PRIVATE KEY-----"


@dataclass(frozen=True)
class PublicKey:
    """A public key and the name that it goes by.

    Attributes
    ----------
    name : str
        What the receiver calls the key's owner; without a name, the fingerprint.
    raw : bytes, length 32
        The key itself.
    """

    name: str
    raw: bytes

    @property
    def fingerprint(self) -> str:
        """The key's SHA-256 fingerprint, as ``ssh-keygen -lf`` prints it."""
        return fingerprint(self.raw)

    @property
    def line(self) -> str:
        """The key as OpenSSH writes it, without a comment."""
        return f"{KIND.decode()} {base64.b64encode(_blob(self.raw)).decode()}"


def fingerprint(raw: bytes) -> str:
    """Return the OpenSSH fingerprint of an Ed25519 public key of 32 bytes.

    Examples
    --------
    >>> fingerprint(bytes(32))
    'SHA256:kmYcvdi2GkPeWxB6XLjrZB8JHsy2Hm8luHMFp9GMvqk'
    """
    return "SHA256:" + base64.b64encode(hashlib.sha256(_blob(raw)).digest()).decode().rstrip("=")


def read_public_key(path: Path) -> PublicKey:
    """Return the key in an OpenSSH or PEM file, named by its comment.

    Raises
    ------
    SourceError
        If the file is no public Ed25519 key, or more than one.
    """
    data = read_key_file(path, "a public key file")
    if PRIVATE in data:
        raise SourceError(
            f"{path} is a private key, which nobody but its owner should have; expected the public one, "
            f"such as {public_path(path).name}"
        )
    if data.lstrip().startswith(PEM):
        return _from_pem(data, str(path))
    lines = [line for line in data.splitlines() if line.strip() and not line.startswith(b"#")]
    if len(lines) != 1:
        raise SourceError(
            f"{path} holds {len(lines)} lines of text; expected one public key: list several in a trust file"
        )
    return parse_public_key(lines[0], where=str(path))


def parse_public_key(line: bytes, *, where: str, name: str | None = None) -> PublicKey:
    """Return the key in one line of OpenSSH, ``ssh-ed25519 AAAA… comment``, named `name` or by its comment."""
    from cryptography.hazmat.primitives.serialization import load_ssh_public_key

    kind, *rest = line.split(maxsplit=2) or [b""]
    if kind != KIND:
        found = (
            f"a key of the kind {kind[:40].decode('ascii', 'replace')!r}" if kind.startswith(OTHER_KINDS) else "none"
        )
        raise SourceError(
            f"{where}: expected an Ed25519 public key, 'ssh-ed25519 AAAA… comment', but found {found}: "
            "make a key with rosetta keygen or ssh-keygen -t ed25519"
        )
    comment = rest[1].decode("utf-8", "replace").strip() if len(rest) > 1 else ""
    try:
        return _public(load_ssh_public_key(b" ".join((kind, *rest[:1]))), where, name or comment)
    except ValueError as error:
        raise SourceError(f"{where}: the key is damaged ({error}): copy the whole line of the .pub file") from error


def public_path(path: Path) -> Path:
    """Return where the public half of the private key at `path` stands."""
    return path.with_name(path.name + ".pub")


def _from_pem(data: bytes, where: str) -> PublicKey:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_public_key

    try:
        return _public(load_pem_public_key(data), where, "")
    except (ValueError, UnsupportedAlgorithm) as error:
        raise SourceError(f"{where} is no public key that can be read ({error}); expected Ed25519") from error


def _public(key: Any, where: str, name: str) -> PublicKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if not isinstance(key, Ed25519PublicKey):
        raise SourceError(f"{where} is a public key of another kind ({type(key).__name__}); expected Ed25519")
    return PublicKey(name or fingerprint(key.public_bytes_raw()), key.public_bytes_raw())


def _blob(raw: bytes) -> bytes:
    """Return a key as OpenSSH encodes it."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in (KIND, raw))


def read_key_file(path: Path, what: str) -> bytes:
    """Return the bytes of a file that holds a key or its passphrase, or raise SourceError."""
    try:
        return read_small(path, limit=MAX_KEY_BYTES, what=what)
    except FileNotFoundError as error:
        raise SourceError(f"there is no file {path}; expected {what}: check the path") from error
