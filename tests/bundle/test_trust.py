"""A trust file pins each key to one name, and says where it does not."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as some

from rosetta.bundle.signature.keys import PublicKey
from rosetta.bundle.signature.trust import read_trust, read_trust_file, trust_block
from rosetta.errors import SourceError, UsageError

A, B = (PublicKey(name, bytes([n]) * 32) for n, name in enumerate(("Lab A", "Lab B")))


def _write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_a_trust_file_is_the_blocks_that_keygen_prints(tmp_path: Path):
    path = _write(tmp_path / "t.toml", f"# whom we know\n{trust_block(A)}\n\n{trust_block(B)}\n")

    assert read_trust_file(path) == (A, B)


@given(name=some.text(some.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=50))
def test_any_printable_name_survives_the_block(tmp_path_factory: pytest.TempPathFactory, name: str):
    key = PublicKey(name, A.raw)
    path = tmp_path_factory.getbasetemp() / "t.toml"
    path.write_text(trust_block(key), encoding="utf-8")

    assert read_trust_file(path) == (key,)


def test_the_trust_files_name_wins_over_a_comment(tmp_path: Path):
    trust_file = _write(tmp_path / "t.toml", trust_block(A))
    loose = _write(tmp_path / "a.pub", f"{A.line} somebody@somewhere\n")
    other = _write(tmp_path / "b.pub", f"{B.line}\n")

    assert read_trust(trust_file, [loose, other]) == (A, PublicKey(B.fingerprint, B.raw))
    assert read_trust(None, [loose, loose]) == (PublicKey("somebody@somewhere", A.raw),)


def test_trusting_nobody_is_an_error():
    with pytest.raises(UsageError, match="no key to trust is given"):
        read_trust(None, [])


BAD = {
    "no TOML": ("[[signers", "is not TOML"),
    "nested deep": ("a = " + "[" * 5000, "is not TOML"),
    "a huge number": ("a = " + "9" * 5000, "is not TOML"),
    "nothing": ("", "signers: Field required"),
    "no signers": ("signers = []", "signers: Tuple should have at least 1 item"),
    "an unknown key": (trust_block(A) + "\nsince = 2020", "signers[0].since: Extra inputs are not permitted"),
    "an unknown table": (trust_block(A) + "\n[more]", "more: Extra inputs are not permitted"),
    "no name": (trust_block(A).replace('name = "Lab A"', ""), "signers[0].name: Field required"),
    "an empty name": (trust_block(A).replace("Lab A", ""), "signers[0].name: String should have at least 1"),
    "a number for a name": (trust_block(A).replace('"Lab A"', "1"), "signers[0].name: Input should be a valid string"),
    "a key twice": (
        trust_block(A) + "\n" + trust_block(PublicKey("C", A.raw)),
        "signers[1] has the same key as signers[0]",
    ),
    "a name twice": (
        trust_block(A) + "\n" + trust_block(PublicKey("Lab A", B.raw)),
        "signers[1] has the same name as signers[0]",
    ),
    "a key written twice": (trust_block(A) + '\nname = "C"', "is not TOML (Cannot overwrite a value"),
    "another kind": (
        trust_block(A) + '\n[[signers]]\nname = "C"\nkey = "ssh-rsa AAAA"',
        "signers[1].key: expected an Ed25519 public key",
    ),
    "no key": ('[[signers]]\nname = "C"\nkey = " "', "signers[0].key: expected an Ed25519 public key"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, name: str):
    text, words = BAD[name]
    path = _write(tmp_path / "t.toml", text)

    with pytest.raises(SourceError) as caught:
        read_trust_file(path)

    assert words in str(caught.value)
    assert str(path) in str(caught.value)


def test_what_is_no_trust_file_at_all_is_refused(tmp_path: Path):
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")

    for name, words in (("none", "there is no trust file"), ("bytes", "is not UTF-8"), (".", "no regular file")):
        with pytest.raises(SourceError, match=words):
            read_trust_file(tmp_path / name)
