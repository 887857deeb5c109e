"""keygen, sign and verify as a user types them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from rosetta.schemas.export import DOCUMENTS

from tests import builders

KEYS = {
    "keygen": "private_key public_key name key encrypted trust",
    "sign": "signature bundle_id content_id key added n_signatures notes",
    "verify": "bundle verified reason message signers n_others title signed content_id bundle_id",
}


@pytest.fixture
def folder(run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle, a key that signed it, another that did not, and a trust file with the first."""
    monkeypatch.chdir(tmp_path)
    builders.write(Path("b.h5"), preprocessing=())
    np.save("items.npy", np.random.default_rng(0).random((40, 4, 5), dtype=np.float32))
    trust = [run("keygen", "-o", name, "--name", f"Lab {name.upper()}", "--json").json["trust"] for name in "ac"]
    Path("trust.toml").write_text(trust[0])
    run("sign", "b.h5", "--key", "a")
    return tmp_path


def test_a_bundle_is_signed_and_verified(run, folder: Path):
    by_file = run("verify", "b.h5", "--trust-file", "trust.toml")
    by_key = run("verify", "b.h5", "--trusted-key", "c.pub", "--trusted-key", "a.pub", "--json")

    assert (by_file.code, by_key.code) == (0, 0)
    assert by_file.out.startswith("verdict     VERIFIED: signed by Lab A (SHA256:")
    assert [signer["name"] for signer in by_key.json["signers"]] == ["Lab A"]
    assert by_file.err == by_key.err == ""


def test_a_refusal_exits_with_one_and_says_why(run, folder: Path):
    text, document = (run("verify", "b.h5", "--trusted-key", "c.pub", *json) for json in ([], ["--json"]))

    assert (text.code, document.code) == (1, 1)
    assert text.out.startswith("verdict  NOT VERIFIED: no trusted key signed this bundle")
    assert text.out.endswith("reason   untrusted_key\n")
    assert (document.json["verified"], document.json["reason"]) == (False, "untrusted_key")


@pytest.mark.parametrize("command", sorted(KEYS))
def test_json_is_one_document_with_the_promised_keys(run, folder: Path, command: str):
    arguments = {
        "keygen": ["-o", "d"],
        "sign": ["b.h5", "--key", "c"],
        "verify": ["b.h5", "--trusted-key", "a.pub"],
    }[command]

    result = run(command, *arguments, "--json")

    assert result.code == 0
    assert list(result.json) == KEYS[command].split()
    DOCUMENTS[command].model_validate_json(result.out)


def test_keygen_shows_the_fingerprint_and_the_block_for_receivers(run, folder: Path):
    result = run("keygen", "-o", "d", "--name", "Lab D")

    public = Path("d.pub").read_text().split()
    assert f'name = "Lab D"\nkey = "{" ".join(public[:2])}"' in result.out
    assert "fingerprint  SHA256:" in result.out
    assert result.err == "note: the private key is not encrypted: whoever gets the file can sign as you\n"


def test_an_encrypted_key_needs_its_passphrase_file(run, folder: Path):
    Path("words").write_text("open sesame\n")
    Path("wrong").write_text("open\n")

    made = run("keygen", "-o", "d", "--passphrase-file", "words")
    without = run("sign", "b.h5", "--key", "d")
    wrong = run("sign", "b.h5", "--key", "d", "--passphrase-file", "wrong")
    right = run("sign", "b.h5", "--key", "d", "--passphrase-file", "words")

    assert made.err == ""
    assert "is encrypted: pass --passphrase-file" in without.err
    assert "is not opened by this passphrase" in wrong.err
    assert (without.code, wrong.code, right.code) == (2, 2, 0)
    assert "2 signatures" in right.out


def test_a_passphrase_is_asked_for_on_a_terminal(run, folder: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("typer.prompt", lambda text, **how: asked.append((text, how)) or "open sesame")

    run("keygen", "-o", "d")
    encrypted = run("sign", "b.h5", "--key", "d")
    run("sign", "b.h5", "--key", "a")

    assert encrypted.code == 0
    assert [text for text, _ in asked] == ["Passphrase for the new key (empty for none)", "Passphrase of the key"]
    assert all(how["hide_input"] and how["err"] for _, how in asked)
    assert asked[0][1]["confirmation_prompt"]


def test_signing_twice_is_noted(run, folder: Path):
    result = run("sign", "b.h5", "--key", "a")

    assert result.code == 0
    assert result.err == "note: b.h5.sig.json has a signature by this key already, so nothing was written\n"


def test_signatures_of_others_are_counted_beside_those_that_are_trusted(run, folder: Path):
    run("sign", "b.h5", "--key", "c")

    result = run("verify", "b.h5", "--trusted-key", "a.pub")

    assert result.code == 0
    assert result.err == "note: 1 more in the signature file is by nobody that you trust\n"


BAD = {
    "no key to trust": (["verify", "b.h5"], "no key to trust is given"),
    "a private key to trust": (["verify", "b.h5", "--trusted-key", "a"], "a is a private key"),
    "a missing key": (["verify", "b.h5", "--trusted-key", "z.pub"], "there is no file z.pub"),
    "a missing trust file": (["verify", "b.h5", "--trust-file", "z.toml"], "there is no trust file z.toml"),
    "a key as a trust file": (["verify", "b.h5", "--trust-file", "a.pub"], "a.pub is not TOML"),
    "a trust file as a key": (["verify", "b.h5", "--trusted-key", "trust.toml"], "expected one public key"),
    "a missing bundle": (["verify", "z.h5", "--trusted-key", "a.pub"], "z.h5"),
    "no bundle": (["verify", "items.npy", "--trusted-key", "a.pub"], "RZ-S001"),
    "signing with a public key": (["sign", "b.h5", "--key", "a.pub"], "a.pub is a public key; expected a private key"),
    "signing with a folder": (["sign", "b.h5", "--key", "."], "no regular file, but a private key file is one"),
    "signing nothing": (["sign", "z.h5", "--key", "a"], "z.h5"),
    "a passphrase for an open key": (
        ["sign", "b.h5", "--key", "a", "--passphrase-file", "trust.toml"],
        "expected one line of text",
    ),
    "a key over a key": (["keygen", "-o", "a"], "a exists already"),
    "a key nowhere": (["keygen", "-o", "no/a"], "does not exist: create it first"),
    "a key without a name": (["keygen", "-o", "d", "--name", ""], "--name is ''"),
    "requiring it of nobody": (
        ["train", "items.npy", "-o", "run", "--anchors", "b.h5", "--require-signature"],
        "--require-signature does not say by whom",
    ),
    "a trust file for nothing": (
        ["train", "items.npy", "-o", "run", "--anchors", "b.h5", "--trust-file", "trust.toml"],
        "--trust-file without --require-signature has no effect",
    ),
    "a key for nothing": (
        ["check", "run", "b.h5", "--trusted-key", "a.pub"],
        "--trusted-key without --require-signature has no effect",
    ),
    "requiring it of no bundle": (
        ["train", "items.npy", "-o", "run", "--require-signature", "--trusted-key", "a.pub"],
        "have no effect without --anchors",
    ),
}


@pytest.mark.parametrize("name", sorted(BAD))
def test_bad_input_is_one_clear_error_and_leaves_everything_as_it_was(run, folder: Path, name: str):
    before = {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}
    arguments, words = BAD[name]

    result = run(*arguments)

    assert result.code == 2
    assert words in result.err
    assert result.err.startswith("error: ")
    assert result.out == ""
    assert {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()} == before


def test_training_and_checking_insist_on_a_signature(run, folder: Path):
    train = ["train", "items.npy", "-o", "run", "--anchors", "b.h5", "--epochs", 1, "--hidden", 8]
    required = ["--require-signature", "--trust-file", "trust.toml"]
    refused = run(*train, "--require-signature", "--trusted-key", "c.pub")
    left = Path("run").exists()

    trained = run(*train, *required)
    checked = run("check", "run", "b.h5", *required)
    unchecked = run("check", "run", "b.h5", "--require-signature", "--trusted-key", "c.pub")

    assert (refused.code, left) == (1, False)
    assert refused.err.startswith("error: b.h5: no trusted key signed this bundle")
    assert trained.code == 0
    assert ", signed by Lab A\n" in trained.out
    assert "signed by             Lab A (SHA256:" in checked.out
    assert unchecked.code == 1
    assert unchecked.err.startswith("error: b.h5: no trusted key signed this bundle")


def test_a_strangers_text_cannot_forge_a_verdict(run, folder: Path):
    forged = "x\nverdict  VERIFIED: signed by Lab A\x1b[31m"
    builders.write(Path("evil.h5"), title=forged)
    run("sign", "evil.h5", "--key", "c")
    Path("evil.pub").write_text(Path("c.pub").read_text().replace("Lab C", "Lab C\x1b[31m"))
    Path("b.h5.sig.json").write_bytes(Path("evil.h5.sig.json").read_bytes())

    pages = run("verify", "evil.h5", "--trusted-key", "evil.pub"), run("verify", "b.h5", "--trusted-key", "a.pub")

    assert [page.code for page in pages] == [0, 1]
    for page in pages:
        assert [line for line in page.out.splitlines() if line.startswith("verdict")] == [page.out.splitlines()[0]]
        assert "\x1b" not in page.out
