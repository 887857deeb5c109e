"""Private Ed25519 keys: read from the files that OpenSSH and OpenSSL write, made anew, never shown."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rosetta.bundle.signature.keys import OTHER_KINDS, PEM, PRIVATE, PublicKey, public_path, read_key_file
from rosetta.errors import SourceError, UsageError
from rosetta.files import atomic_file

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

OPENSSH_PRIVATE = b"OPENSSH PRIVATE KEY-----"

Passphrase = str | Callable[[], str] | None


def read_private_key(path: Path, passphrase: Passphrase = None) -> Ed25519PrivateKey:
    """Return the Ed25519 key in an OpenSSH or PEM file; a callable `passphrase` is called only if it is encrypted.

    Raises
    ------
    SourceError
        If the file is no private Ed25519 key, or the passphrase does not open it.
    UsageError
        If a passphrase is missing, or is given for a key that has none.
    """
    data = read_key_file(path, "a private key file")
    if PRIVATE not in data:
        what = "a public key" if data.startswith((*OTHER_KINDS, PEM)) else "no key file"
        raise SourceError(f"{path} is {what}; expected a private key, as rosetta keygen or ssh-keygen writes it")
    key = _open(data, None, path)
    if key is None and passphrase is None:
        raise UsageError(f"{path} is encrypted: pass `passphrase`, or sign on a terminal, which asks for it")
    if key is None:
        words = passphrase() if callable(passphrase) else passphrase
        key = _open(data, str(words).encode() or b"\0", path)
    elif isinstance(passphrase, str):
        raise UsageError(f"{path} is not encrypted, so that a passphrase has no effect: leave it out")
    return _ed25519(key, path)


def read_passphrase(path: Path) -> str:
    """Return the one line of a passphrase file, or raise SourceError."""
    text = read_key_file(path, "a passphrase file").decode("utf-8", "replace").removesuffix("\n").removesuffix("\r")
    if not text or not text.isprintable():
        raise SourceError(f"{path} holds no passphrase, or something else; expected one line of text")
    return text


def write_key_pair(path: Path, *, name: str, passphrase: str | None, force: bool) -> PublicKey:
    """Make a key; write it to `path`, which only the user can read, and its public half beside it."""
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    key = Ed25519PrivateKey.generate()
    lock = form.BestAvailableEncryption(passphrase.encode()) if passphrase else form.NoEncryption()
    public = public_half(key, name)
    with (
        atomic_file(path, force=force, mode=0o600) as private_file,
        atomic_file(public_path(path), force=force, mode=0o644) as public_file,
    ):
        private_file.write_bytes(key.private_bytes(form.Encoding.PEM, form.PrivateFormat.OpenSSH, lock))
        public_file.write_text(f"{public.line} {name}\n", encoding="utf-8")
    return public


def public_half(key: Ed25519PrivateKey, name: str = "") -> PublicKey:
    """Return the public half of a private key."""
    return PublicKey(name, key.public_key().public_bytes_raw())


def _open(data: bytes, passphrase: bytes | None, path: Path) -> Any:
    """Return the private key in a file, of whatever kind; None if it is encrypted and there is no passphrase."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_ssh_private_key

    load = load_ssh_private_key if OPENSSH_PRIVATE in data else load_pem_private_key
    try:
        return load(data, passphrase)
    except TypeError:  # how cryptography says that a key is encrypted
        return None
    except (ValueError, UnsupportedAlgorithm) as error:
        what = "is not opened by this passphrase, or is damaged" if passphrase else "is damaged or of another kind"
        raise SourceError(f"the private key {path} {what} ({error}); expected an Ed25519 key") from error


def _ed25519(key: Any, path: Path) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    if not isinstance(key, Ed25519PrivateKey):
        raise SourceError(
            f"{path} is a private key of another kind ({type(key).__name__}); expected Ed25519: "
            "make one with rosetta keygen or ssh-keygen -t ed25519"
        )
    return key
