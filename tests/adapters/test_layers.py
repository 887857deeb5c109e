"""Activations of a layer are what the module itself gives there, whatever the model was written as."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import rosetta
from rosetta.adapters import Adapted, open_model
from rosetta.errors import ModelError
from rosetta.models.checkpoint import load_run
from tests.adapters.conftest import Shelf
from tests.adapters.models import LOADING, images
from tests.conftest import Lab


class Nested(nn.Module):
    """An encoder with layers in layers, a method that calls some, two outputs, and a layer that is not used."""

    def __init__(self) -> None:
        super().__init__()
        n_features = images(1)[0].size
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(n_features, 7), nn.ReLU(), nn.Sequential(nn.Linear(7, 5)))
        self.head = nn.Linear(5, 4)
        self.unused = nn.Linear(3, 3)

    def encode(self, inputs: Tensor) -> Tensor:
        out: Tensor = self.head(self.body(inputs))
        return out

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.encode(inputs).chunk(2, dim=1)
        return mean, log_variance


NESTED = Nested().eval()
LAYERS = ("body.1", "body.2", "body.3.0", "body.3", "body", "head")


def _by_hand(module: nn.Module, inputs: np.ndarray, names: Sequence[str]) -> dict[str, np.ndarray]:
    """Run the sequence up to each layer."""
    found = {}
    with torch.inference_mode():
        x = torch.from_numpy(inputs)
        for number, layer in enumerate(module.body):
            x = layer(x)
            found[f"body.{number}"] = x.numpy()
        found["body.3.0"] = found["body"] = x.numpy()
        found["head"] = module.head(x).numpy()
    return {name: found[name] for name in names}


@pytest.fixture(params=["traced", "scripted", "exported", "of fixed size", "code"])
def nested(request: pytest.FixtureRequest, shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> Adapted:
    if request.param == "code":
        monkeypatch.setattr(sys.modules[__name__], "encoder", NESTED, raising=False)
        return open_model(f"{__name__}:encoder", LOADING)
    if request.param == "scripted":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            torch.jit.save(torch.jit.script(NESTED), str(shelf.folder / "scripted.pt"))
        return open_model(str(shelf.folder / "scripted.pt"), LOADING)
    if request.param == "traced":
        return open_model(shelf.trace("nested.pt", NESTED), LOADING)
    n_rows = 6 if request.param == "of fixed size" else None
    return open_model(shelf.export(f"nested-{n_rows}.pt2", NESTED, n_rows=n_rows), LOADING)


def test_activations_are_those_of_running_the_layers_one_after_the_other(nested: Adapted):
    inputs = images(17, seed=4)

    found = nested.activations(inputs, LAYERS)

    assert tuple(found) == LAYERS
    for name, expected in _by_hand(NESTED, inputs, LAYERS).items():
        np.testing.assert_allclose(found[name], expected, rtol=0, atol=1e-5)
        assert found[name].dtype == np.float32
    assert nested.activations(inputs, []) == {}


def test_a_layer_that_there_is_not_has_a_suggestion_and_one_that_is_not_run_is_refused(nested: Adapted):
    with pytest.raises(ModelError, match=r"no layer called 'bodi\.1'\. Did you mean 'body\.1'\? Known: body"):
        nested.activations(images(3), ["bodi.1"])
    with pytest.raises(ModelError, match="unused"):
        nested.activations(images(3), ["unused"])


def test_our_own_models_have_the_layers_of_both_halves(lab: Lab):
    run, items = load_run(lab.run).model, np.load(lab.folder / "digits.npz")["held_out"][:9].astype(np.float32)
    adapted = open_model(str(lab.run), LOADING)

    found = adapted.activations(items, ["encoder.1", "encoder", "decoder"])

    means, _ = adapted.encode(items)
    with torch.inference_mode():
        first = run.encoder[1](torch.from_numpy(items).flatten(1)).numpy()
    np.testing.assert_allclose(found["encoder.1"], first, rtol=0, atol=1e-4)
    np.testing.assert_allclose(found["encoder"][:, : means.shape[1]], means, rtol=0, atol=1e-5)
    assert found["decoder"].shape == items.shape


def double(items: np.ndarray) -> np.ndarray:
    """Stand for a function that a user names."""
    return 2 * items.reshape(len(items), -1)


@pytest.mark.parametrize(
    ("model", "words"),
    [("graphed", "the ONNX program gives no activations: onnxruntime runs the graph as a whole"),
     (f"{__name__}:double", "gives no activations: it is a function, which has no layers")],
)  # fmt: skip
def test_a_model_whose_layers_cannot_be_reached_says_why(model: str, words: str, request: pytest.FixtureRequest):
    adapted = open_model(model if ":" in model else request.getfixturevalue(model), LOADING)

    with pytest.raises(ModelError, match=words):
        adapted.activations(images(3), ["head"])


def test_metrics_compare_activations(lab: Lab):
    items = np.load(lab.folder / "digits.npz")["held_out"].astype(np.float32)
    layers = open_model(str(lab.run), LOADING).activations(items, ["encoder.1", "encoder.2"])

    report = rosetta.compare(layers["encoder.1"], layers["encoder.2"], metrics=["cka"])

    assert 0.3 < report["cka"].value < 1
