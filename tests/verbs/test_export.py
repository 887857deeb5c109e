"""A run's encoder and decoder run without Rosetta and give Rosetta's numbers."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import safetensors.numpy
import torch
from rosetta.schemas.program import ProgramRecord

import rosetta
from rosetta.arrays import Array
from rosetta.errors import MissingExtraError, ModelError, OutputError, PreprocessingError, UsageError
from rosetta.inputs.models import expected_by, open_model
from rosetta.inputs.prepare import match_inputs
from rosetta.models.checkpoint import load_run
from rosetta.models.vae import decode_array
from tests.conftest import Lab

SUFFIXES = {"torch-export": ".pt2", "onnx": ".onnx", "torchscript": ".pt"}
PARTS = ("encoder", "decoder")

READER = """
import base64, json, sys
import numpy as np

def prepare(items, record):
    for step in record["preprocessing"]:
        arrays = {
            name: np.frombuffer(base64.b64decode(a["base64"]), a["dtype"]).reshape(a["shape"])
            for name, a in step["arrays"].items()
        }
        if step["name"] == "scale":
            low, high = step["parameters"]["low"], step["parameters"]["high"]
            items = (items.astype(np.float32) - np.float32(low)) / np.float32(high - low)
        elif step["name"] == "standardize":
            items = ((items - arrays["mean"]) / arrays["sd"]).astype(np.float32)
        else:
            sys.exit(step["name"])
    return items

def use(format, document, program):
    record = json.loads(document)
    path = f"{folder}/{format}-{record['part']}"
    given = prepare(np.load(f"{folder}/raw.npy"), record) if record["part"] == "encoder" else np.load(f"{folder}/z.npy")
    results = [np.concatenate(rows) for rows in zip(*(program(block) for block in (given[:1], given[1:])), strict=True)]
    np.savez(path, document=document, given=given, **dict(zip(record["gives"], results, strict=True)))

folder = sys.argv[1]
"""
WITH_TORCH = """
import warnings
warnings.simplefilter("ignore")  # torch deprecates TorchScript
import torch

def as_program(module):
    def program(x):
        result = module(torch.tensor(x))
        return [each.numpy() for each in ([result] if torch.is_tensor(result) else result)]
    return program

for part in ("encoder", "decoder"):
    document = {"rosetta.json": ""}
    exported = torch.export.load(f"{folder}/{part}.pt2", extra_files=document).module()
    use("torch-export", document["rosetta.json"], as_program(exported))
    scripted = torch.jit.load(f"{folder}/{part}.pt", _extra_files=document)
    use("torchscript", document["rosetta.json"].decode(), as_program(scripted))
assert "rosetta" not in sys.modules
"""
WITH_ONNXRUNTIME = """
import onnxruntime

for part in ("encoder", "decoder"):
    session = onnxruntime.InferenceSession(f"{folder}/{part}.onnx")
    document = session.get_modelmeta().custom_metadata_map["rosetta"]
    use("onnx", document, lambda x: session.run(None, {json.loads(document)["takes"][0]: x}))
assert not {"rosetta", "torch"} & set(sys.modules)
"""


class Exported(NamedTuple):
    """A run that standardizes its items, and what the readers made of its programs."""

    run: Path
    raw: Array
    latents: Array
    files: dict[tuple[str, str], Path]
    read: dict[tuple[str, str], dict[str, Array]]


@pytest.fixture(scope="module")
def exported(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    folder = tmp_path_factory.mktemp("programs")
    raw = np.load(lab.folder / "digits.npz")["held_out"] * np.float64(16)
    np.save(folder / "raw.npy", raw)
    steps = "scale(0, 16) | standardize"
    rosetta.train(str(folder / "raw.npy"), folder / "run", latent_dim=3, hidden=(16,), epochs=2, preprocess=steps)
    latents = rosetta.latents_of(folder / "run", raw)
    np.save(folder / "z.npy", latents)
    files = {}
    for format, suffix in SUFFIXES.items():
        for part in PARTS:
            files[format, part] = folder / f"{part}{suffix}"
            report = rosetta.export(folder / "run", files[format, part], format=format, part=part)
            assert (report.format, report.part) == (format, part)
            assert report.n_bytes == files[format, part].stat().st_size
    for script in (WITH_TORCH, WITH_ONNXRUNTIME):
        command = [sys.executable, "-I", "-c", READER + script, str(folder)]
        result = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)
        assert (result.returncode, result.stderr) == (0, "")
    read = {key: dict(np.load(folder / f"{'-'.join(key)}.npz")) for key in files}
    return Exported(folder / "run", raw, latents, files, read)


BOTH = [(format, part) for format in SUFFIXES for part in PARTS]


@pytest.mark.parametrize("format", SUFFIXES)
def test_an_encoder_gives_rosettas_latents_where_rosetta_is_not(exported: Exported, format: str):
    read = exported.read[format, "encoder"]

    assert {read["latents"].dtype, read["latents_sd"].dtype} == {np.dtype(np.float32)}
    np.testing.assert_allclose(read["latents"], exported.latents, atol=1e-5 * np.abs(exported.latents).max())
    assert (read["latents_sd"] > 0).all()
    assert read["latents_sd"].shape == exported.latents.shape


@pytest.mark.parametrize("format", SUFFIXES)
def test_the_document_repeats_the_preprocessing_bit_for_bit(exported: Exported, format: str):
    inputs = match_inputs(exported.raw, expected_by(open_model(exported.run))).inputs

    assert exported.read[format, "encoder"]["given"].tobytes() == inputs.tobytes()


@pytest.mark.parametrize("format", SUFFIXES)
def test_a_decoder_gives_rosettas_expected_inputs_where_rosetta_is_not(exported: Exported, format: str):
    expected = decode_array(load_run(exported.run).model, exported.latents)

    inputs = exported.read[format, "decoder"]["inputs"]

    assert (inputs.dtype, inputs.shape) == (np.float32, exported.raw.shape)
    np.testing.assert_allclose(inputs, expected, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize(("format", "part"), BOTH)
def test_the_document_says_what_the_program_is(exported: Exported, format: str, part: str):
    run = load_run(exported.run)

    record = ProgramRecord.model_validate_json(str(exported.read[format, part]["document"]))

    assert (record.part, record.n_dims, record.input_shape) == (part, 3, (8, 8))
    assert (record.space_id, record.weights_sha256) == (run.record.space_id, run.record.weights_sha256)
    assert (record.value_range, record.likelihood) == (run.config.value_range, "gaussian")
    assert [step.name for step in record.preprocessing] == ["scale", "standardize"]
    assert record.preprocessing[1].arrays["sd"].dtype == "<f8"
    assert {"rosetta", "python", "torch"} <= set(record.software)


@pytest.mark.parametrize(("format", "part"), BOTH)
def test_a_program_carries_none_of_the_other_halfs_weights(exported: Exported, format: str, part: str):
    model = load_run(exported.run).model
    data = exported.files[format, part].read_bytes()

    def inside(half: torch.nn.Module) -> set[bool]:
        tensors = [w.detach().numpy() for w in half.parameters() if w.ndim == 2]
        return {w.tobytes() in data or np.ascontiguousarray(w.T).tobytes() in data for w in tensors}

    own, other = (model.encoder, model.decoder) if part == "encoder" else (model.decoder, model.encoder)
    assert inside(own) == {True}
    assert inside(other) == {False}


def test_feature_names_and_the_space_come_along(tmp_path: Path):
    rng = np.random.default_rng(0)
    names = ("TP53", "β-actin", "MYC")
    rosetta.train(rng.uniform(size=(40, 3)), tmp_path / "run", features=names, latent_dim=2, hidden=(4,), epochs=1)

    rosetta.export(tmp_path / "run", tmp_path / "e.pt2")

    document = {"rosetta.json": ""}
    torch.export.load(tmp_path / "e.pt2", extra_files=document)
    assert json.loads(document["rosetta.json"])["feature_names"] == [*names]


def test_a_run_whose_preprocessing_is_damaged_is_refused(exported: Exported, tmp_path: Path):
    shutil.copytree(exported.run, tmp_path / "run")
    safetensors.numpy.save_file({"other": np.zeros(3)}, tmp_path / "run" / "preprocessing.safetensors")

    with pytest.raises(PreprocessingError, match="the declared step 'standardize' cannot be rebuilt"):
        rosetta.export(tmp_path / "run", tmp_path / "e.pt2")


def test_the_report_tells_the_largest_difference(exported: Exported, tmp_path: Path):
    report = rosetta.export(exported.run, tmp_path / "e.onnx", format="onnx")

    assert 0 < report.max_abs_difference < 1e-4  # runtimes round in other orders
    assert report.preprocessing == "scale(0, 16) | standardize"


def test_a_convolutional_network_is_exported_in_every_format(lab: Lab, tmp_path: Path):
    rosetta.train(
        lab.train, tmp_path / "run", architecture="conv", latent_dim=2, channels=(4, 8), hidden=(16,), epochs=1
    )

    for format, part in [*((format, "encoder") for format in SUFFIXES), ("onnx", "decoder")]:
        output = tmp_path / f"{part}{SUFFIXES[format]}"
        assert rosetta.export(tmp_path / "run", output, format=format, part=part).max_abs_difference < 1e-5


NETWORKS = """
import torch
from torch import nn

class Noisy(nn.Linear):
    def forward(self, inputs):
        flat = inputs.flatten(1)
        return super().forward(flat + torch.rand_like(flat))

def decoder(latent_dim):
    return nn.Sequential(nn.Linear(latent_dim, 64), nn.Unflatten(1, (8, 8)))

def plain(input_shape, latent_dim):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 2 * latent_dim)), decoder(latent_dim)

def noisy(input_shape, latent_dim):
    return Noisy(64, 2 * latent_dim), decoder(latent_dim)
"""


OwnNetwork = Callable[[str], tuple[Path, str]]


@pytest.fixture
def own_network(lab: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> OwnNetwork:
    """Train a network of somebody's own, and return its run and the code that it needs."""
    (tmp_path / "networks_to_export.py").write_text(NETWORKS)
    monkeypatch.syspath_prepend(tmp_path)

    def train(factory: str) -> tuple[Path, str]:
        code = f"networks_to_export:{factory}"
        rosetta.train(lab.train, tmp_path / "run", architecture=code, latent_dim=2, epochs=1)
        return tmp_path / "run", code

    return train


def test_a_network_of_ones_own_is_exported_once_its_code_is_allowed(own_network: OwnNetwork, tmp_path: Path):
    run, code = own_network("plain")

    with pytest.raises(ModelError, match=f"pass `allow_code='{code}'`"):
        rosetta.export(run, tmp_path / "e.pt2")
    rosetta.export(run, tmp_path / "e.pt2", allow_code=code)

    assert (tmp_path / "e.pt2").exists()


def test_a_program_that_differs_from_its_model_is_not_kept(own_network: OwnNetwork, tmp_path: Path):
    run, code = own_network("noisy")
    (tmp_path / "there").mkdir()
    output = tmp_path / "there" / "e.pt2"
    output.write_bytes(b"old")

    with pytest.raises(ModelError, match="differs from the run's model by .* random numbers"):
        rosetta.export(run, output, allow_code=code, force=True)

    assert output.read_bytes() == b"old"
    assert [*output.parent.iterdir()] == [output]


@pytest.mark.parametrize(
    ("error", "message", "arguments"),
    [
        (UsageError, "no program format called 'tflite'", {"format": "tflite"}),
        (UsageError, "no part called 'prior'. Known: encoder, decoder.", {"part": "prior"}),
        (OutputError, "must end in .pt2", {"output": "e.pt"}),
        (OutputError, "must end in .onnx", {"format": "onnx"}),
        (OutputError, "must end in .pt: name it e.pt2.pt", {"format": "torchscript"}),
        (OutputError, "the folder .* does not exist", {"output": "missing/e.pt2"}),
        (OutputError, "exists already", {"output": "there.pt2"}),
        (ModelError, "does not exist; expected a run folder", {"run": "nowhere"}),
        (ModelError, "is a file; expected a run folder", {"run": "there.pt2"}),
        (ModelError, "no complete run folder", {"run": "."}),
    ],
)
def test_what_cannot_be_done_is_said_and_leaves_nothing(
    lab: Lab, tmp_path: Path, error: type[Exception], message: str, arguments: dict[str, str]
):
    (tmp_path / "there.pt2").write_bytes(b"old")
    run = tmp_path / arguments["run"] if "run" in arguments else lab.run
    words = {name: value for name, value in arguments.items() if name in ("format", "part")}

    with pytest.raises(error, match=message):
        rosetta.export(run, tmp_path / arguments.get("output", "e.pt2"), **words)  # type: ignore[arg-type]

    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("there.pt2", b"old")]


def test_a_missing_extra_is_said_before_anything_is_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)

    with pytest.raises(MissingExtraError, match=r"pip install 'rosetta-points\[onnx\]'"):
        rosetta.export(tmp_path / "nowhere", tmp_path / "e.onnx", format="onnx")
