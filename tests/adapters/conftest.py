"""Programs that are written once for all tests."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.export import Dim

from rosetta.programs.torch_export import silent
from tests.adapters.models import Decoder, Encoder, Swapped, images, trained


@dataclass(frozen=True)
class Shelf:
    """A trained model in every form."""

    folder: Path
    encoder: Encoder
    decoder: Decoder

    def export(self, name: str, module: nn.Module, *, n_rows: int | None = None) -> str:
        """Write a module with torch.export, for any number of images or for n_rows of them."""
        example = torch.from_numpy(images(n_rows or 3))
        free = None if n_rows else ({0: Dim("n", min=1)},)
        with silent():
            torch.export.save(torch.export.export(module, (example,), dynamic_shapes=free), self.folder / name)
        return str(self.folder / name)

    def trace(self, name: str, module: nn.Module, example: torch.Tensor | None = None) -> str:
        """Write a module as TorchScript."""
        given = torch.from_numpy(images(3)) if example is None else example
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.save(torch.jit.trace(module, given, strict=False, check_trace=False), str(self.folder / name))
        return str(self.folder / name)

    def onnx(self, name: str, module: nn.Module, gives: tuple[str, ...], *, n_rows: int | None = None) -> str:
        """Write a module as ONNX."""
        example = torch.from_numpy(images(n_rows or 3))
        free = None if n_rows else ({0: Dim("n", min=1)},)
        buffer = io.BytesIO()
        with silent():
            torch.onnx.export(
                module, (example,), buffer, dynamo=True, verbose=False, output_names=gives, dynamic_shapes=free,
                external_data=False,
            )  # fmt: skip
        (self.folder / name).write_bytes(buffer.getvalue())
        return str(self.folder / name)


@pytest.fixture(scope="package")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return Shelf(tmp_path_factory.mktemp("shelf"), *trained())


@pytest.fixture(scope="package")
def exported(shelf: Shelf) -> str:
    return shelf.export("encoder.pt2", shelf.encoder)


@pytest.fixture(scope="package")
def traced(shelf: Shelf) -> str:
    return shelf.trace("encoder.pt", shelf.encoder)


@pytest.fixture(scope="package")
def graphed(shelf: Shelf) -> str:
    return shelf.onnx("encoder.onnx", Swapped(shelf.encoder), ("log_var", "mu"))
