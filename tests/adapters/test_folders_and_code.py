"""Run folders, our own exports, code and pythae's folders give the means of their models."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import rosetta
from rosetta.adapters import Adapted, open_model
from rosetta.adapters.probe import check_encoder
from rosetta.errors import ModelError
from rosetta.models.checkpoint import load_run
from rosetta.models.vae import decode_array, encode_array
from tests.adapters.conftest import Shelf
from tests.adapters.models import LOADING, answer, images

CLOSE = {"rtol": 0, "atol": 1e-5}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run")
    np.save(folder / "items.npy", (255 * images(60)[:, 0].clip(0, 1)).astype(np.uint8))
    rosetta.train(
        str(folder / "items.npy"), folder / "run", latent_dim=3, hidden=(8,), epochs=1,
        preprocess="scale(0, 255) | standardize",
    )  # fmt: skip
    return folder / "run"


def facts(model: Adapted) -> dict[str, Any]:
    """What a model says of itself, as far as it can be compared."""
    steps = [(name, dict(s.parameters), {k: a.tolist() for k, a in s.arrays.items()}) for name, s in model.steps or ()]
    return {
        "steps": steps, "shape": model.input_shape, "range": model.value_range, "space": model.space,
        "digest": model.weights_sha256, "likelihood": model.likelihood,
    }  # fmt: skip


def test_a_run_folder_is_its_model(run: Path):
    checkpoint = load_run(run)
    inputs = images(7)[:, 0]

    model = open_model(str(run), LOADING)
    means, sds = model.encode(inputs)

    expected = encode_array(checkpoint.model, inputs)
    assert np.array_equal(means, expected[0])
    assert sds is not None
    assert np.array_equal(sds, expected[1])
    assert model.decode is not None
    assert np.array_equal(model.decode(means), decode_array(checkpoint.model, means))
    assert check_encoder(model, inputs) == 3
    assert model.describe(3).weights_sha256 == checkpoint.record.weights_sha256
    assert model.describe(3).held_out_elbo == checkpoint.record.final.elbo
    assert (model.space_dims, model.kind) == (3, "the run")


@pytest.mark.parametrize("ending", ["pt2", "onnx", "pt"])
def test_our_own_exports_know_what_their_run_knows(ending: str, run: Path, tmp_path: Path):
    format = {"pt2": "torch-export", "onnx": "onnx", "pt": "torchscript"}[ending]
    for part in ("encoder", "decoder"):
        rosetta.export(run, tmp_path / f"{part}.{ending}", format=format, part=part)
    inputs = images(7)[:, 0]

    ours = open_model(str(run), LOADING)
    theirs = open_model(
        str(tmp_path / f"encoder.{ending}"), replace(LOADING, decoder=str(tmp_path / f"decoder.{ending}"))
    )

    assert facts(theirs) == facts(ours)
    assert theirs.notes == ()
    for found, expected in zip(theirs.encode(inputs), ours.encode(inputs), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    latents = ours.encode(inputs)[0]
    assert theirs.decode is not None
    assert ours.decode is not None
    np.testing.assert_allclose(theirs.decode(latents), ours.decode(latents), rtol=1e-5, atol=1e-5)
    with pytest.raises(ModelError, match="is a decoder: give the encoder's as MODEL"):
        open_model(str(tmp_path / f"decoder.{ending}"), LOADING)
    with pytest.raises(ModelError, match="the decoder.* is an encoder"):
        open_model(str(tmp_path / f"encoder.{ending}"), replace(LOADING, decoder=str(tmp_path / f"encoder.{ending}")))


CODE = """
import numpy as np
import torch
from torch import nn

torch.manual_seed(3)
encoder = nn.Sequential(nn.Flatten(), nn.Linear(36, 2), nn.Dropout(0.5)).double()
decoder = nn.Linear(2, 36)

def halves(items):
    return items.reshape(len(items), -1)[:, :2] / 2, np.ones((len(items), 2))

class Network(nn.Module):
    pass
"""


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "somebodys_code.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return "somebodys_code"


def test_code_is_a_module_or_a_function(code: str):
    import somebodys_code  # type: ignore[import-not-found]

    inputs = images(5)
    module = open_model(f"{code}:encoder", replace(LOADING, decoder=f"{code}:decoder"))
    function = open_model(f"{code}:halves", replace(LOADING, spread="variance"))

    expected = answer(somebodys_code.encoder.eval(), inputs.astype(np.float64))[0]
    np.testing.assert_allclose(module.encode(inputs)[0], expected, **CLOSE)
    assert module.decode is not None
    assert module.decode(expected.astype(np.float32)).shape == (5, 36)
    assert module.notes == (f"this ran the code of {code}",)
    means, sds = function.encode(inputs)
    assert np.array_equal(means, inputs.reshape(5, -1)[:, :2] / 2)
    assert sds is not None
    assert (sds == 1).all()
    assert function.weights_sha256 != module.weights_sha256
    with pytest.raises(ModelError, match="is a class, Network: name an object of it"):
        open_model(f"{code}:Network", LOADING)
    with pytest.raises(ModelError, match="has no nothing"):
        open_model(f"{code}:nothing", LOADING)


@pytest.fixture(scope="module")
def pythae_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("pythae")
    from pythae.models import BetaVAE, BetaVAEConfig

    folder = tmp_path_factory.mktemp("pythae") / "model"
    torch.manual_seed(0)
    model = BetaVAE(BetaVAEConfig(input_dim=(1, 6, 6), latent_dim=3, beta=2.0))
    optimizer = torch.optim.Adam(model.parameters(), 1e-3)
    for _ in range(5):
        optimizer.zero_grad()
        model({"data": torch.from_numpy(images(64))}).loss.backward()
        optimizer.step()
    model.save(str(folder))
    return folder


def test_a_pythae_model_gives_its_means_and_never_samples(pythae_folder: Path):
    from pythae.models import AutoModel

    theirs = AutoModel.load_from_folder(str(pythae_folder)).eval()
    inputs = images(70)
    with torch.no_grad():
        output = theirs.encoder(torch.from_numpy(inputs))
        pictures = theirs.decoder(output.embedding).reconstruction.numpy()

    model = open_model(str(pythae_folder), LOADING)
    means, sds = model.encode(inputs)

    np.testing.assert_allclose(means, output.embedding, **CLOSE)
    np.testing.assert_allclose(sds, (output.log_covariance / 2).exp(), **CLOSE)
    assert model.decode is not None
    np.testing.assert_allclose(model.decode(means), pictures, **CLOSE)
    assert check_encoder(model, inputs) == 3
    described = model.describe(3)
    assert (described.architecture, described.framework) == ("BetaVAE", "pythae 0.1.2")
    assert described.training["beta"] == 2.0
    assert model.input_shape == (1, 6, 6)


def test_networks_of_ones_own_in_a_pythae_model_are_pickles(pythae_folder: Path, tmp_path: Path):
    from pythae.models import VAE, VAEConfig
    from pythae.models.nn.default_architectures import Encoder_VAE_MLP

    config = VAEConfig(input_dim=(1, 6, 6), latent_dim=2)
    VAE(config, encoder=Encoder_VAE_MLP(config)).save(str(tmp_path / "own"))

    with pytest.raises(ModelError, match=r"pickled in encoder.pkl, .*`allow_pickle`"):
        open_model(str(tmp_path / "own"), LOADING)
    model = open_model(str(tmp_path / "own"), replace(LOADING, allow_pickle=True))

    assert "ran code from its pickles" in model.notes[0]
    assert model.encode(images(3))[0].shape == (3, 2)


def test_a_pythae_model_without_a_gaussian_posterior_is_said_to_be_one(pythae_folder: Path, tmp_path: Path):
    from pythae.models import AE, AEConfig

    AE(AEConfig(input_dim=(1, 6, 6), latent_dim=2)).save(str(tmp_path / "ae"))

    model = open_model(str(tmp_path / "ae"), LOADING)

    assert model.encode(images(3))[1] is None
    assert "no Gaussian posterior" in model.notes[0]
    assert model.describe(2).objective == "unknown"


def test_a_damaged_pythae_configuration_is_refused(pythae_folder: Path, tmp_path: Path):
    (tmp_path / "model.pt").write_bytes((pythae_folder / "model.pt").read_bytes())
    for text, expected in (("{", "no configuration"), (json.dumps({"name": "os"}), "does not have")):
        (tmp_path / "model_config.json").write_text(text)
        with pytest.raises(ModelError, match=expected):
            open_model(str(tmp_path), LOADING)


def test_the_model_is_found_whichever_form_it_has(exported: str, traced: str, shelf: Shelf):
    inputs = images(6)
    first, second = (open_model(path, LOADING).encode(inputs)[0] for path in (exported, traced))

    np.testing.assert_allclose(first, second, **CLOSE)
