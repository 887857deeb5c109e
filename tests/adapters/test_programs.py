"""A program's latents are the means of the model that it was written from, whatever wrote it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from rosetta.adapters import Loading, open_model
from rosetta.errors import IncompatibleError, ModelError
from tests.adapters.conftest import Shelf
from tests.adapters.models import LOADING, Means, Swapped, answer, images

PROGRAMS = ("exported", "traced", "graphed")
CLOSE = {"rtol": 0, "atol": 1e-5}


@pytest.fixture(params=PROGRAMS)
def program(request: pytest.FixtureRequest) -> str:
    found: str = request.getfixturevalue(request.param)
    return found


def test_latents_are_the_models_own_means(program: str, shelf: Shelf):
    inputs = images(41, seed=1)

    model = open_model(program, LOADING)
    means, sds = model.encode(inputs)

    np.testing.assert_allclose(means, answer(shelf.encoder, inputs)[0], **CLOSE)
    assert means.dtype == np.float32
    assert sds is None
    assert "the others were not looked at" in model.notes[0]


def test_the_second_output_is_what_spread_says(program: str, shelf: Shelf):
    inputs = images(9, seed=2)

    means, sds = open_model(program, replace(LOADING, spread="log-variance")).encode(inputs)

    expected = answer(shelf.encoder, inputs)
    np.testing.assert_allclose(means, expected[0], **CLOSE)
    np.testing.assert_allclose(sds, np.exp(expected[1] / 2), **CLOSE)


def test_a_log_variance_is_no_standard_deviation(traced: str):
    with pytest.raises(IncompatibleError, match="negative numbers, so it is no sd: is it a log-variance"):
        open_model(traced, replace(LOADING, spread="sd")).encode(images(9))


def test_the_manifest_is_told_digests_and_no_path(program: str, shelf: Shelf):
    model = open_model(program, LOADING)

    described = model.describe(2)

    assert described.weights_sha256 == model.weights_sha256
    assert described.n_parameters >= 144 * 2 * 2
    assert str(shelf.folder) not in described.model_dump_json()


@pytest.mark.parametrize("kind", ["pt2", "onnx"])
def test_a_program_of_a_fixed_number_of_items_takes_any_number(kind: str, shelf: Shelf):
    module, name = Means(shelf.encoder), f"fixed.{kind}"
    path = shelf.export(name, module, n_rows=4) if kind == "pt2" else shelf.onnx(name, module, ("z",), n_rows=4)

    model = open_model(path, LOADING)

    assert model.input_shape == (1, 6, 6)
    assert model.notes == ()
    for n_items in (1, 4, 7):
        inputs = images(n_items, seed=3)
        np.testing.assert_allclose(model.encode(inputs)[0], answer(module, inputs)[0], **CLOSE)


def test_names_of_outputs_say_which_are_the_means(shelf: Shelf):
    class Named(Swapped):
        def forward(self, inputs: Tensor) -> dict[str, Tensor]:  # type: ignore[override]
            log_variance, mean = super().forward(inputs)
            return {"logvar": log_variance, "z_mean": mean}

    inputs = images(5)
    for path in (
        shelf.export("named.pt2", Named(shelf.encoder)),
        shelf.trace("named.pt", Named(shelf.encoder)),
    ):
        means, _ = open_model(path, LOADING).encode(inputs)

        np.testing.assert_allclose(means, answer(shelf.encoder, inputs)[0], **CLOSE)


def test_a_program_in_double_precision_is_given_it(shelf: Shelf):
    from copy import deepcopy

    inputs = images(5)
    path = shelf.trace("double.pt", deepcopy(shelf.encoder).double(), torch.from_numpy(images(3)).double())

    np.testing.assert_allclose(
        open_model(path, LOADING).encode(inputs)[0], answer(shelf.encoder, inputs)[0], rtol=0, atol=1e-5
    )


def test_a_decoder_is_another_program(exported: str, shelf: Shelf):
    latents = np.random.default_rng(0).normal(size=(6, 2)).astype(np.float32)
    decoder = shelf.trace("decoder.pt", shelf.decoder, torch.zeros(3, 2))

    model = open_model(exported, replace(LOADING, decoder=decoder))

    assert model.decode is not None
    np.testing.assert_allclose(model.decode(latents), answer(shelf.decoder, latents)[0], **CLOSE)


def test_a_whole_autoencoder_is_not_taken_for_an_encoder(shelf: Shelf):
    class Whole(Means):
        def __init__(self) -> None:
            super().__init__(shelf.encoder)
            self.decoder = shelf.decoder

        def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:  # type: ignore[override]
            mean, log_variance = self.encoder(inputs)
            return self.decoder(mean), mean, log_variance

    path = shelf.trace("whole.pt", Whole())

    with pytest.raises(ModelError, match="looks like a reconstruction: give the encoder alone"):
        open_model(path, LOADING).encode(images(4))


@pytest.mark.parametrize(
    ("what", "expected"), [("weights", "holds weights alone, a state dict"), ("model", "is a pickled model")]
)
def test_a_pt_file_that_is_no_program_is_named_for_what_it_is(what: str, expected: str, shelf: Shelf, tmp_path: Path):
    path = tmp_path / "model.pt"
    torch.save(shelf.encoder.state_dict() if what == "weights" else nn.Sequential(nn.Linear(2, 2)), path)

    with pytest.raises(ModelError, match=expected) as caught:
        open_model(str(path), LOADING)

    assert "torch.export.save" in str(caught.value)
    assert "package.module:callable" in str(caught.value)


def test_other_files_are_refused_with_what_a_model_can_be(tmp_path: Path):
    (tmp_path / "model.h5").write_bytes(b"x")
    (tmp_path / "model.onnx").write_bytes(b"x")
    (tmp_path / "model.pt2").write_bytes(b"x")

    for name, expected in (
        ("model.h5", "is a file; expected a run folder.*known too: package.module:callable.*PROGRAM.onnx.*PROGRAM.pt2"),
        ("nowhere", "does not exist; expected a run folder"),
        ("model.onnx", "cannot be loaded as ONNX"),
        ("model.pt2", "no program that torch.export.save wrote"),
    ):
        with pytest.raises(ModelError, match=expected):
            open_model(str(tmp_path / name), Loading(torch.device("cpu")))


def test_an_onnx_program_with_its_weights_beside_it(shelf: Shelf, tmp_path: Path):
    import onnx

    module = Means(shelf.encoder)
    path = tmp_path / "beside.onnx"
    program = onnx.load(shelf.onnx("whole.onnx", module, ("z",)))
    onnx.save_model(program, str(path), save_as_external_data=True, location="numbers", size_threshold=1000)
    inputs = images(4)

    before = open_model(str(path), LOADING)
    np.testing.assert_allclose(before.encode(inputs)[0], answer(module, inputs)[0], **CLOSE)
    numbers = (tmp_path / "numbers").read_bytes()
    (tmp_path / "numbers").write_bytes(numbers[:-4] + b"\0\0\0\0")

    assert open_model(str(path), LOADING).weights_sha256 != before.weights_sha256
