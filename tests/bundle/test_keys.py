"""Keys are those of OpenSSH, and every other kind of file is refused by name."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization as form
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from rosetta.bundle.signature.keys import PublicKey, read_public_key
from rosetta.bundle.signature.private_key import public_half, read_passphrase, read_private_key, write_key_pair
from rosetta.errors import SourceError, UsageError

needs_ssh_keygen = pytest.mark.skipif(shutil.which("ssh-keygen") is None, reason="ssh-keygen is not installed")


def _ssh_keygen(*arguments: object) -> str:
    return subprocess.run(
        ["ssh-keygen", *map(str, arguments)], check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL
    ).stdout


def _pem(key, passphrase: bytes | None = None) -> bytes:
    lock = form.BestAvailableEncryption(passphrase) if passphrase else form.NoEncryption()
    return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, lock)


def _public_pem(key) -> bytes:
    return key.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)


@pytest.mark.parametrize("passphrase", [None, "open sesame", "ß" * 60])
def test_a_new_key_is_read_back_by_the_passphrase_alone(tmp_path: Path, passphrase: str | None):
    made = write_key_pair(tmp_path / "k", name="Lab A", passphrase=passphrase, force=False)

    private = read_private_key(tmp_path / "k", passphrase)

    assert public_half(private, "Lab A") == made == read_public_key(tmp_path / "k.pub")
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "k.pub").stat().st_mode & 0o777 == 0o644
    assert sorted(p.name for p in tmp_path.iterdir()) == ["k", "k.pub"]


def test_a_private_key_is_never_to_be_read_by_others_not_even_for_a_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    modes = []
    write = Path.write_bytes
    monkeypatch.setattr(Path, "write_bytes", lambda self, data: modes.append(self.stat().st_mode) or write(self, data))
    place = Path.hardlink_to
    monkeypatch.setattr(
        Path, "hardlink_to", lambda self, target: modes.append(target.stat().st_mode) or place(self, target)
    )

    write_key_pair(tmp_path / "k", name="k", passphrase=None, force=False)

    assert [mode & 0o777 for mode in modes] == [
        0o600,
        0o644,
        0o600,
    ]  # written; then public and private take their names


@needs_ssh_keygen
@pytest.mark.parametrize("passphrase", ["", "open sesame"])
def test_keys_of_ssh_keygen_are_read_and_their_fingerprints_are_its_own(tmp_path: Path, passphrase: str):
    _ssh_keygen("-q", "-t", "ed25519", "-N", passphrase, "-C", "Lab A, 2nd floor", "-f", tmp_path / "k")

    private, public = read_private_key(tmp_path / "k", passphrase or None), read_public_key(tmp_path / "k.pub")

    assert public_half(private, "Lab A, 2nd floor") == public
    assert public.fingerprint == _ssh_keygen("-lf", tmp_path / "k.pub").split()[1]


@needs_ssh_keygen
@pytest.mark.parametrize("passphrase", [None, "open sesame"])
def test_ssh_keygen_reads_our_keys(tmp_path: Path, passphrase: str | None):
    made = write_key_pair(tmp_path / "k", name="Lab A", passphrase=passphrase, force=False)

    assert _ssh_keygen("-lf", tmp_path / "k.pub").split()[1:4] == [made.fingerprint, "Lab", "A"]
    assert _ssh_keygen("-y", "-P", passphrase or "", "-f", tmp_path / "k").split()[:2] == made.line.split()


@pytest.mark.parametrize("passphrase", [None, "open sesame"])
def test_pem_keys_are_read(tmp_path: Path, passphrase: str | None):
    key = Ed25519PrivateKey.generate()
    (tmp_path / "k.pem").write_bytes(_pem(key, passphrase.encode() if passphrase else None))
    (tmp_path / "k.pub.pem").write_bytes(_public_pem(key))

    public = read_public_key(tmp_path / "k.pub.pem")

    assert public_half(read_private_key(tmp_path / "k.pem", passphrase)).raw == public.raw
    assert public.name == public.fingerprint


def test_a_passphrase_is_asked_for_only_where_there_is_one(tmp_path: Path):
    words = "open sesame"
    write_key_pair(tmp_path / "open", name="k", passphrase=None, force=False)
    write_key_pair(tmp_path / "locked", name="k", passphrase=words, force=False)

    read_private_key(tmp_path / "open", lambda: pytest.fail("asked"))
    read_private_key(tmp_path / "locked", lambda: words)

    with pytest.raises(UsageError, match="is encrypted: pass `passphrase`"):
        read_private_key(tmp_path / "locked")
    for wrong in ("q", ""):
        with pytest.raises(SourceError, match="is not opened by this passphrase"):
            read_private_key(tmp_path / "locked", wrong)
    with pytest.raises(UsageError, match="is not encrypted, so that a passphrase has no effect"):
        read_private_key(tmp_path / "open", words)


GOOD = PublicKey("k", bytes(range(32))).line.encode()
NO_PUBLIC_KEYS = {
    "nothing": (b"", "holds 0 lines of text; expected one public key"),
    "two keys": (GOOD + b" a\n" + GOOD + b" b\n", "holds 2 lines of text; expected one public key"),
    "prose": (b"once upon a time", "but found none"),
    "bytes": (bytes(range(256)).replace(b"\n", b"").replace(b"\r", b""), "expected an Ed25519 public key"),
    "a damaged key": (GOOD[:40], "the key is damaged"),
    "a bare kind": (b"ssh-ed25519", "the key is damaged"),
    "another kind's line": (b"ssh-rsa AAAAB3NzaC1yc2E= me", "a key of the kind 'ssh-rsa'"),
    "a hardware key": (b"sk-ssh-ed25519@openssh.com AAAA me", "a key of the kind 'sk-ssh-ed25519@openssh.com'"),
    "a certificate": (b"ssh-ed25519-cert-v01@openssh.com AAAA", "a key of the kind 'ssh-ed25519-cert-v01@openssh.com'"),
    "another kind inside": (b"ssh-ed25519 AAAAB3NzaC1yc2E= me", "the key is damaged"),
    "a private key": (_pem(Ed25519PrivateKey.generate()), "is a private key, which nobody but its owner should have"),
    "another kind's PEM": (_public_pem(ec.generate_private_key(ec.SECP256R1())), "of another kind (ECPublicKey)"),
    "a damaged PEM": (
        b"-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n",
        "no public key that can be read",
    ),
    "something large": (b"a" * 70_000, "larger than 65,536 bytes"),
}


@pytest.mark.parametrize("name", NO_PUBLIC_KEYS)
def test_what_is_no_public_ed25519_key_is_refused_by_name(tmp_path: Path, name: str):
    data, words = NO_PUBLIC_KEYS[name]
    (tmp_path / "k.pub").write_bytes(data)

    with pytest.raises(SourceError) as caught:
        read_public_key(tmp_path / "k.pub")

    assert words in str(caught.value)
    assert "k.pub" in str(caught.value)
    assert str(caught.value).isprintable()


OPENSSH = b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"
NO_PRIVATE_KEYS = {
    "a public key": (GOOD, "is a public key; expected a private key"),
    "a public PEM": (_public_pem(Ed25519PrivateKey.generate()), "is a public key; expected a private key"),
    "prose": (b"once upon a time", "is no key file; expected a private key"),
    "another kind": (_pem(rsa.generate_private_key(65537, 2048)), "of another kind (RSAPrivateKey); expected Ed25519"),
    "a damaged key": (OPENSSH, "is damaged or of another kind"),
    "a damaged PEM": (OPENSSH.replace(b"OPENSSH ", b""), "is damaged or of another kind"),
}


@pytest.mark.parametrize("name", NO_PRIVATE_KEYS)
def test_what_is_no_private_ed25519_key_is_refused_by_name(tmp_path: Path, name: str):
    data, words = NO_PRIVATE_KEYS[name]
    (tmp_path / "k").write_bytes(data)

    with pytest.raises(SourceError) as caught:
        read_private_key(tmp_path / "k")

    assert words in str(caught.value)


@pytest.mark.parametrize("text", ["", "\n", "two\nlines\n", "tab\t"])
def test_a_passphrase_file_holds_one_line(tmp_path: Path, text: str):
    (tmp_path / "good").write_text("open sesame\r\n", newline="")
    (tmp_path / "bad").write_text(text)

    assert read_passphrase(tmp_path / "good") == "open sesame"
    with pytest.raises(SourceError, match="expected one line of text"):
        read_passphrase(tmp_path / "bad")
