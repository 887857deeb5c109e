"""Options that several commands share."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Device(StrEnum):
    """Where numbers are computed."""

    auto = "auto"
    cpu = "cpu"
    cuda = "cuda"
    mps = "mps"


DATA_HELP = "Items: file.npy, file.npz::name or file.h5::path."

Data = Annotated[str, typer.Argument(metavar="DATA", help=DATA_HELP)]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A run folder, as `rosetta train -o` leaves it.")]
BundlePath = Annotated[Path, typer.Argument(metavar="B.h5", help="A bundle.")]
Features = Annotated[
    str | None,
    typer.Option(metavar="SOURCE", help="Names of the features: an array of strings, as DATA is named."),
]
Seed = Annotated[
    int,
    typer.Option(min=0, max=2**32 - 1, help="Seed: the same seed gives the same result on the same machine."),
]
DeviceOption = Annotated[Device, typer.Option(help="Where numbers are computed.")]
Force = Annotated[bool, typer.Option("--force", help="Replace an output that is there.")]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else there.")]
