"""Any network becomes a program in each format, or the error says why not."""

from __future__ import annotations

import io
import sys
import tempfile
import zipfile

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rosetta.arrays import Array
from rosetta.errors import MissingExtraError, ModelError, UsageError
from rosetta.programs import Traceable, check_installed, formats, read_program, run_by_torch, write_program
from rosetta.programs.compare import check_same

FORMATS = ("torch-export", "onnx", "torchscript")
GIVES = ("latents", "latents_sd")


class TwoHeads(nn.Module):
    """A small network of convolutions with two outputs, as an encoder has."""

    def __init__(self) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Unflatten(1, (1, 6)), nn.Conv2d(1, 3, 3, stride=2, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(27, 4)
        )

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.features(inputs).chunk(2, dim=1)
        return mean, (0.5 * log_variance).exp()


class BranchesOnValues(TwoHeads):
    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(inputs if inputs.sum() > 0 else -inputs)


class KnowsItsNumberOfItems(TwoHeads):
    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(inputs * 2 if len(inputs) == 3 else inputs)


class DrawsRandomNumbers(TwoHeads):
    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        return super().forward(inputs + torch.rand_like(inputs))


def traceable(module: nn.Module, document: str = "{}") -> Traceable:
    return Traceable(module.requires_grad_(False), torch.from_numpy(items(3)), ("inputs",), GIVES, document)


def items(n_items: int) -> Array:
    return np.random.default_rng(n_items).uniform(0, 1, (n_items, 6, 6)).astype(np.float32)


def compared(module: nn.Module, format: str) -> float:
    program = read_program(write_program(traceable(module), format), format)
    return check_same(program, run_by_torch(module), [items(n) for n in (1, 2, 17)], gives=GIVES, unit=1)


def test_the_formats_are_those_in_the_help():
    assert set(formats) == set(FORMATS)


@pytest.mark.parametrize("format", FORMATS)
def test_a_program_is_its_network_for_any_number_of_items(format: str):
    torch.manual_seed(0)

    assert compared(TwoHeads(), format) < 1e-6


@pytest.mark.parametrize("module", [BranchesOnValues, KnowsItsNumberOfItems, DrawsRandomNumbers])
@pytest.mark.parametrize("format", FORMATS)
def test_a_network_that_cannot_be_a_program_is_refused(
    format: str, module: type[nn.Module], capfd: pytest.CaptureFixture[str]
):
    with pytest.raises(ModelError, match=f"cannot be written as {format}|so it was not kept") as caught:
        compared(module(), format)

    assert "\n" not in str(caught.value)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("format", FORMATS)
def test_a_program_names_no_file_of_the_machine_that_wrote_it(format: str):
    data = write_program(traceable(TwoHeads()), format)

    if format == "onnx":
        texts = [data]
    else:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            texts = [archive.read(name) for name in archive.namelist()]
            assert {name.split("/")[0] for name in archive.namelist()} == {"archive"}
    for folder in (sys.prefix, tempfile.gettempdir(), __file__, "site-packages"):
        assert not [text for text in texts if folder.encode() in text]


@pytest.mark.parametrize("format", ["torch-export", "onnx"])  # TorchScript numbers classes anew in each process
def test_the_same_network_gives_the_same_bytes(format: str):
    module = TwoHeads()

    first, second = (write_program(traceable(module), format) for _ in range(2))

    assert first == second


def test_an_onnx_program_names_its_axes_inputs_and_outputs():
    import onnx

    model = onnx.load_from_string(write_program(traceable(TwoHeads(), '{"a": "é"}'), "onnx"))

    assert [(v.name, v.type.tensor_type.shape.dim[0].dim_param) for v in model.graph.input] == [("inputs", "n_items")]
    assert [v.name for v in model.graph.output] == [*GIVES]
    assert [(p.key, p.value) for p in model.metadata_props] == [("rosetta", '{"a": "é"}')]
    onnx.checker.check_model(model, full_check=True)


@pytest.mark.parametrize("format", FORMATS)
def test_bytes_that_are_no_program_are_refused(format: str):
    with pytest.raises(ModelError, match="cannot be loaded again"):
        read_program(b"not a program", format)


@pytest.mark.parametrize("format", FORMATS)
def test_items_of_another_shape_are_refused_by_the_program(format: str):
    program = read_program(write_program(traceable(TwoHeads()), format), format)

    with pytest.raises(ModelError, match="does not run on 2 items"):
        program(np.zeros((2, 5, 5), np.float32))


@pytest.mark.parametrize("package", ["onnx", "onnxscript", "onnxruntime"])
def test_a_missing_package_is_named_with_the_extra_that_brings_it(package: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, package, None)

    with pytest.raises(MissingExtraError, match=rf"writing onnx programs needs {package}, .*rosetta-points\[onnx\]"):
        check_installed("onnx")


def test_an_unknown_format_is_answered_with_the_nearest_one():
    with pytest.raises(UsageError, match="no program format called 'torch_export'. Did you mean 'torch-export'?"):
        check_installed("torch_export")
