"""Sign a bundle, with a key that was made for it or with one that is there."""

from __future__ import annotations

from collections.abc import Callable
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from rosetta.bundle import Bundle
from rosetta.bundle.signature.envelope import (
    Signature,
    form_problems,
    read_signature,
    signature_path,
    subject_problems,
)
from rosetta.bundle.signature.keys import public_path
from rosetta.bundle.signature.private_key import Passphrase, public_half, read_private_key, write_key_pair
from rosetta.bundle.signature.signing import (
    add_signature,
    make_statement,
    short_title,
    sign_statement,
    write_signature,
)
from rosetta.bundle.signature.trust import trust_block
from rosetta.errors import OutputError, UsageError
from rosetta.files import check_output, locked, shown
from rosetta.notes import keeps_notes
from rosetta.schemas.signature import MAX_NAME, KeygenReport, SignReport
from rosetta.software import now, versions

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def keygen(
    output: str | PathLike[str], *, name: str | None = None, passphrase: str | None = None, force: bool = False
) -> KeygenReport:
    """Make an Ed25519 key to sign bundles with, as OpenSSH writes one.

    Parameters
    ----------
    output : path
        Where the private key goes; only the user can read it. The public one goes beside it, to ``output.pub``.
    name : str, optional
        Whose key it is, the comment of the public key; the name of the file unless given.
    passphrase : str, optional
        What encrypts the private key.
    force : bool
        Replace keys that are there.

    Returns
    -------
    KeygenReport
        With the block that receivers put into their trust file.

    Raises
    ------
    RosettaError
        If a key is there already or cannot be written, or the name is not one line of text.
    """
    path = Path(output)
    words = path.name if name is None else name
    if not words.strip() or not words.isprintable() or len(words) > MAX_NAME:
        raise UsageError(f"`name` is {words[:80]!r}; expected one line of 1 to {MAX_NAME} characters, such as 'Lab A'")
    check_key_output(path, force=force)
    key = write_key_pair(path, name=words, passphrase=passphrase, force=force)
    return KeygenReport(
        private_key=shown(path),
        public_key=shown(public_path(path)),
        name=words,
        key=key.fingerprint,
        encrypted=bool(passphrase),
        trust=trust_block(key),
    )


def check_key_output(path: Path, *, force: bool) -> None:
    """Refuse a key that cannot or must not be written, before a passphrase is asked for."""
    if path.name in ("", ".."):
        raise UsageError(f"the private key needs the name of a file, but {path} is a folder: such as {path / 'my-key'}")
    if path.suffix == ".pub":
        raise UsageError(f"the private key {path} must not end in .pub, which is for the public one: leave it out")
    for file in (path, public_path(path)):
        check_output(file, force=force, suffix=file.suffix)


@keeps_notes
def sign(
    bundle: str | PathLike[str],
    *,
    key: str | PathLike[str],
    passphrase: Passphrase = None,
    force: bool = False,
    on_note: Callable[[str], None] = lambda note: None,
) -> SignReport:
    """Sign a bundle: state its bundle id, and leave the signed statement beside it, in ``bundle.sig.json``.

    Where others have signed this very bundle, a signature is added to their statement.

    Parameters
    ----------
    bundle : path
        The bundle. It is opened, and every digest in it is checked.
    key : path
        A private Ed25519 key in an OpenSSH or PEM file.
    passphrase : str or callable, optional
        What opens the key; a callable is called only if the key is encrypted.
    force : bool
        Start a new statement even if there is a signature, dropping those of others.
    on_note : callable
        Called with what the user should know.

    Raises
    ------
    RosettaError
        If the bundle or key cannot be used, or the signature file that is there is not of this bundle.
    """
    path = Path(bundle)
    opened = Bundle.open(path)
    target = signature_path(path)
    if not force:
        _earlier(path, opened)  # refuses before a passphrase is asked for
    check_output(target, force=True, suffix=".json")
    private = read_private_key(Path(key), passphrase)
    with locked(path):  # two labs that sign at once both get in
        return _sign(path, opened, private, force=force, on_note=on_note)


def _sign(
    path: Path, opened: Bundle, private: Ed25519PrivateKey, *, force: bool, on_note: Callable[[str], None]
) -> SignReport:
    target, public = signature_path(path), public_half(private)
    earlier = None if force else _earlier(path, opened)
    if earlier is not None and earlier.is_signed_by(public):
        on_note(f"{target} has a signature by this key already, so nothing was written")
        return _report(target, earlier, public.fingerprint, opened, added=False)
    if earlier is None:
        software = versions("securesystemslib", "cryptography")
        statement = make_statement(opened, name=_name(path), signed=now(), software=software)
        signature = sign_statement(statement, private)
    else:
        signature = add_signature(earlier, private)
    write_signature(target, signature, force=force or earlier is not None)
    return _report(target, signature, public.fingerprint, opened, added=True)


def _earlier(path: Path, bundle: Bundle) -> Signature | None:
    """Return the signature of this bundle that is there, or raise OutputError if there is anything else."""
    found = read_signature(path)
    problems = form_problems(found) or subject_problems(found, bundle_id=bundle.bundle_id, content_id=bundle.content_id)
    for problem in problems:
        raise OutputError(f"{signature_path(path)} cannot be added to: {problem.message}. Start anew with `force`")
    if not isinstance(found, Signature):
        return None
    if found.statement.predicate.title != short_title(bundle):
        raise OutputError(
            f"{signature_path(path)} states another title than the bundle has, so that it should not be signed: "
            "start a statement of your own with `force`"
        )
    return found


def _name(path: Path) -> str:
    """Return a file's name as text, which names on a disk need not be."""
    return path.name.encode("utf-8", "replace").decode()


def _report(target: Path, signature: Signature, key: str, bundle: Bundle, *, added: bool) -> SignReport:
    return SignReport(
        signature=shown(target),
        bundle_id=bundle.bundle_id,
        content_id=bundle.content_id,
        key=key,
        added=added,
        n_signatures=len(signature.envelope.signatures),
    )
