"""TorchScript: for C++ and older torch, ``.pt``. Torch deprecates it in favour of torch.export."""

from __future__ import annotations

import io
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from rosetta.programs import DOCUMENT, Program, ProgramFormat, Traceable, formats, run_by_torch


def write(traceable: Traceable) -> bytes:
    """Return the archive; the document is the extra file ``rosetta.json``."""
    buffer = io.BytesIO()
    with deprecated():
        # it warns where the program will not be the network
        warnings.simplefilter("error", torch.jit.TracerWarning)  # type: ignore[attr-defined]
        # unchecked, because it is checked afterwards with other items
        traced = torch.jit.trace(  # type: ignore[no-untyped-call]
            traceable.module, (traceable.example,), check_trace=False
        )
        torch.jit.save(traced, buffer, _extra_files={DOCUMENT: traceable.document})
    return _without_source_lines(buffer)


def read(data: bytes) -> Program:
    """Load the archive."""
    with deprecated():
        return run_by_torch(torch.jit.load(io.BytesIO(data)))  # type: ignore[no-untyped-call]


def _without_source_lines(archive: io.BytesIO) -> bytes:
    """Return an archive without its debugging records, which name files of this machine and nothing else needs."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(archive) as old, zipfile.ZipFile(buffer, "w") as new:
        for entry in old.infolist():
            if not entry.filename.endswith(".debug_pkl"):
                new.writestr(entry, old.read(entry))
    return buffer.getvalue()


@contextmanager
def deprecated() -> Iterator[None]:
    """Use TorchScript without a warning at every step: our help says once that torch deprecates it."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`torch\.jit\.\w+` is (deprecated|not supported)", DeprecationWarning)
        yield


formats.register("torchscript")(ProgramFormat(".pt", write, read))
