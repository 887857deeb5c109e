"""Whom a receiver trusts: public keys, each pinned to a name."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from pathlib import Path

from pydantic import ValidationError

from rosetta.bundle.manifest import without_echoes
from rosetta.bundle.signature.keys import PublicKey, parse_public_key, read_public_key
from rosetta.errors import SourceError, UsageError
from rosetta.files import read_small
from rosetta.schemas.signature import TrustFile

MAX_TRUST_BYTES = 2**20
EXPECTED = 'expected blocks of [[signers]], each with name = "…" and key = "ssh-ed25519 AAAA…"'

Trust = tuple[PublicKey, ...]


def read_trust(trust_file: Path | None, key_files: Iterable[Path] = ()) -> Trust:
    """Return the keys of a trust file and of public key files, each key once; the trust file's names win.

    Raises
    ------
    UsageError
        If there is no key at all.
    SourceError
        If a file cannot be read or is something else.
    """
    pinned = read_trust_file(trust_file) if trust_file is not None else ()
    keys = {key.raw: key for key in (*map(read_public_key, key_files), *pinned)}
    if not keys:
        raise UsageError(
            "no key to trust is given, and a signature is worth no more than its key: "
            "pass `trusted_keys=KEY.pub` or `trust_file=FILE`"
        )
    return tuple(keys.values())


def read_trust_file(path: Path) -> Trust:
    """Return the keys that a TOML file pins to names, or raise SourceError with the place of what is wrong."""
    try:
        text = read_small(path, limit=MAX_TRUST_BYTES, what="a trust file").decode("utf-8")
        written = tomllib.loads(text)
        signers = TrustFile.model_validate(written, strict=False).signers
    except FileNotFoundError as error:
        raise SourceError(f"there is no trust file {path}: check the path") from error
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is not UTF-8 text, at byte {error.start}; expected a trust file in TOML") from error
    except ValidationError as error:
        found = "; ".join(
            f"{_place(e['loc'])}: {e['msg']}" for e in without_echoes(error.errors(include_url=False))[:5]
        )
        raise SourceError(f"{path} is no trust file: {found}; {EXPECTED}") from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{path} is not TOML ({error}); {EXPECTED}") from error
    keys = tuple(
        parse_public_key(signer.key.encode(), where=f"{path}, signers[{n}].key", name=signer.name)
        for n, signer in enumerate(signers)
    )
    _refuse_twins(keys, path)
    return keys


def trust_block(key: PublicKey) -> str:
    """Return what pins a key to its name in a trust file.

    Examples
    --------
    >>> print(trust_block(PublicKey('Lab "A"', bytes(32))))
    [[signers]]
    name = "Lab \\"A\\""
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"
    """
    name = key.name.replace("\\", "\\\\").replace('"', '\\"')
    return f'[[signers]]\nname = "{name}"\nkey = "{key.line}"'


def _refuse_twins(keys: Trust, path: Path) -> None:
    """Refuse a key or a name that stands twice: it would be open who signed."""
    seen: dict[bytes | str, int] = {}
    for number, key in enumerate(keys):
        for what, value in (("key", key.raw), ("name", key.name)):
            first = seen.setdefault(value, number)
            if first < number:
                raise SourceError(
                    f"{path}: signers[{number}] has the same {what} as signers[{first}]: pin each key once, to a "
                    "name of its own"
                )


def _place(location: tuple[int | str, ...]) -> str:
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in location).removeprefix(".") or "it"
