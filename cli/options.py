"""Options that several commands share."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer


class Device(StrEnum):
    """The device to compute on."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


DATA_HELP = (
    "Items: .npy, .npz::name, .h5::path, .zarr::path, .csv, .parquet, .arrow (::columns), .h5ad (::layer), a folder of "
    "images or of .wav, or the URL of one."
)
MODEL_HELP = (
    "A run folder, or a model from other software: .pt2, TorchScript or .onnx, a pythae or scvi-tools folder, or "
    "package.module:callable, whose code is run."
)

Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help=MODEL_HELP)]
BundlePath = Annotated[Path, typer.Argument(metavar="B.h5", help="A bundle.")]
Features = Annotated[
    str | None,
    typer.Option(metavar="SOURCE", help="Names of the features: an array of strings, written like DATA."),
]
Groups = Annotated[
    str | None,
    typer.Option(
        metavar="COLUMN",
        help="The person each item belongs to, if people have several: a column of DATA, or a source: file.npz::donor.",
        rich_help_panel="What they reveal",
    ),
]
AllowCode = Annotated[
    str | None,
    typer.Option(
        metavar="PACKAGE.MODULE:FACTORY",
        help="Import this code of the run's network. It can do anything: allow it only if you trust it.",
    ),
]
AllowPickle = Annotated[
    bool,
    typer.Option("--allow-pickle", help="Read a pickled model, which can run any code: only if you trust it."),
]
Preprocess = Annotated[
    str | None,
    typer.Option(
        metavar="STEPS", help="Preprocessing for other software's model, such as 'log1p | standardize': fitted on DATA."
    ),
]
Memory = Annotated[
    float | None,
    typer.Option(metavar="GIB", help="Memory for items; larger data is read in blocks.", show_default="0.5"),
]
Seed = Annotated[
    int,
    typer.Option(min=0, max=2**32 - 1, help="Seed: the same seed gives the same result on the same machine."),
]
DeviceOption = Annotated[Device, typer.Option(help="The device to compute on.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an existing output.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout, and nothing else.")]
PassphraseFile = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="A file with the key's passphrase, one line; otherwise a terminal asks for it."),
]
TrustedKeys = Annotated[
    list[Path] | None,
    typer.Option("--trusted-key", metavar="KEY.pub", help="A public key that you trust; may be repeated."),
]
TrustFile = Annotated[
    Path | None,
    typer.Option("--trust-file", metavar="FILE", help="A TOML file of keys that you trust, with names."),
]
RequireSignature = Annotated[
    bool,
    typer.Option(
        "--require-signature", help="Refuse a bundle without a signature by a key of --trusted-key or --trust-file."
    ),
]


def trust_options(required: bool, trusted_key: list[Path] | None, trust_file: Path | None) -> dict[str, Any]:
    """Return whom a signature is required of, as arguments of a verb, or raise UsageError."""
    from rosetta.errors import UsageError

    given = bool(trusted_key) or trust_file is not None
    if required and not given:
        raise UsageError(
            "--require-signature does not say by whom: pass --trust-file FILE or --trusted-key KEY.pub too"
        )
    if given and not required:
        name = "--trusted-key" if trusted_key else "--trust-file"
        raise UsageError(f"{name} without --require-signature has no effect: pass both, or leave it out")
    return {"trusted_keys": trusted_key or (), "trust_file": trust_file}


def read_passphrase_file(path: Path | None) -> str | None:
    """Return the passphrase in a file, if one is given."""
    from rosetta.bundle.signature.private_key import read_passphrase

    return None if path is None else read_passphrase(path)


def is_terminal() -> bool:
    """Whether stdin is a terminal."""
    return sys.stdin is not None and sys.stdin.isatty()
