"""A network of one's own is imported when it is asked for by name, and checked before it is used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from rosetta.schemas.run import RunConfig, TrainSettings

from rosetta.errors import ModelError, UsageError
from rosetta.models.factory import load_factory
from rosetta.models.vae import build_vae

NETWORKS = """
import math
from torch import nn

NUMBER = 3

def _encoder(input_shape, latent_dim):
    return nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), 2 * latent_dim))

def _decoder(input_shape, latent_dim):
    return nn.Sequential(nn.Linear(latent_dim, math.prod(input_shape)), nn.Unflatten(1, input_shape))

def good(input_shape, latent_dim, *, hidden=(7,), width=3):
    hidden_in, hidden_out = nn.Linear(math.prod(input_shape), *hidden), nn.Linear(*hidden, 2 * latent_dim)
    return nn.Sequential(nn.Flatten(), hidden_in, nn.ReLU(), hidden_out), _decoder(input_shape, latent_dim)

def raises(input_shape, latent_dim):
    raise ZeroDivisionError("no such thing")

def one(input_shape, latent_dim):
    return _encoder(input_shape, latent_dim)

def three(input_shape, latent_dim):
    return _encoder(input_shape, latent_dim), _decoder(input_shape, latent_dim), 3

def functions(input_shape, latent_dim):
    return _encoder(input_shape, latent_dim), lambda latents: latents

def no_variances(input_shape, latent_dim):
    return (nn.Sequential(nn.Flatten(), nn.Linear(math.prod(input_shape), latent_dim)),
            _decoder(input_shape, latent_dim))

def flat(input_shape, latent_dim):
    return _encoder(input_shape, latent_dim), nn.Linear(latent_dim, math.prod(input_shape))

class Pair(nn.Module):
    def forward(self, items):
        return items, items

def pair(input_shape, latent_dim):
    return Pair(), _decoder(input_shape, latent_dim)

def misfit(input_shape, latent_dim):
    return nn.Linear(99, 2 * latent_dim), _decoder(input_shape, latent_dim)

def mixing(input_shape, latent_dim):
    return (nn.Sequential(_encoder(input_shape, latent_dim), nn.BatchNorm1d(2 * latent_dim)),
            _decoder(input_shape, latent_dim))

def sharing(input_shape, latent_dim):
    encoder, decoder = _encoder(input_shape, latent_dim), _decoder(input_shape, latent_dim)
    decoder[0].bias = encoder[1].bias = nn.Parameter(encoder[1].bias.detach())
    return encoder, decoder

def lossy(input_shape, latent_dim):
    return nn.Sequential(_encoder(input_shape, latent_dim), nn.Dropout(0.5)), _decoder(input_shape, latent_dim)
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module in the current directory, which is not on the path."""
    (tmp_path / "ours_of_test_factory.py").write_text(NETWORKS)
    (tmp_path / "broken_of_test_factory.py").write_text("import nothing_of_this_name\n")
    (tmp_path / "script_of_test_factory.py").write_text("import sys\nsys.exit(3)\n")
    monkeypatch.setattr(sys, "path", [p for p in sys.path if p not in ("", str(Path.cwd()))])
    monkeypatch.chdir(tmp_path)
    yield "ours_of_test_factory"
    for name in [name for name in sys.modules if name.endswith("_of_test_factory")]:
        del sys.modules[name]


def _config(name: str, **settings: object) -> RunConfig:
    chosen = TrainSettings(architecture=name, **settings)
    return RunConfig(input_shape=(4, 5), latent_dim=3, value_range=(0.0, 1.0), settings=chosen)


def test_a_network_of_ones_own_is_built_with_its_defaults_and_the_settings_that_it_names(module: str):
    name = f"{module}:good"

    plain = build_vae(_config(name), code=name)
    wider = build_vae(_config(name, hidden=(9,), sparse=0.5), code=name)

    assert plain.encoder[1].out_features == 7
    assert wider.encoder[1].out_features == 9
    assert plain.encode(torch.rand(6, 4, 5))[0].shape == (6, 3)


def test_its_first_weights_follow_from_the_seed_alone(module: str):
    name = f"{module}:good"
    one, two, other = (build_vae(_config(name, seed=seed), code=name).encoder[1].weight for seed in (1, 1, 2))

    assert torch.equal(one, two)
    assert not torch.equal(one, other)


def test_networks_come_in_training_mode_though_they_were_checked_without_dropout(module: str):
    model = build_vae(_config(f"{module}:lossy"), code=f"{module}:lossy")

    assert model.training
    assert all(part.training for part in model.modules())


@pytest.mark.parametrize("code", [None, "ours_of_test_factory:one", "dense"])
def test_code_that_a_run_names_is_not_imported_unless_the_user_names_it_too(module: str, code: str | None):
    with pytest.raises(ModelError, match=f"not imported unasked: pass `allow_code='{module}:good'` if you trust it"):
        build_vae(_config(f"{module}:good"), code=code)

    assert module not in sys.modules


@pytest.mark.parametrize("name", ["a:b:c", ":good", "module:", "mod-ule:good", "a..b:c", "a:b; rm -rf", "os\n:system"])
def test_a_name_that_is_none_is_refused_before_it_is_shown_as_one_to_paste(name: str):
    with pytest.raises(UsageError, match="write package.module:factory"):
        build_vae(_config(name), code=None)
    with pytest.raises(UsageError, match="write package.module:factory"):
        build_vae(_config(name), code=name)


@pytest.mark.parametrize(
    ("name", "fragment"),
    [
        ("absent_of_test_factory:good", r"absent_of_test_factory cannot be imported \(ModuleNotFoundError"),
        ("broken_of_test_factory:good", r"broken_of_test_factory cannot be imported .*nothing_of_this_name"),
        ("script_of_test_factory:good", r"script_of_test_factory cannot be imported \(SystemExit: 3\)"),
        ("ours_of_test_factory:absent", "has no absent"),
        ("ours_of_test_factory:NUMBER", "is of type int, which cannot be called"),
    ],
)
@pytest.mark.usefixtures("module")
def test_what_cannot_be_imported_is_refused(name: str, fragment: str):
    with pytest.raises(ModelError, match=fragment):
        load_factory(name)


@pytest.mark.parametrize(
    ("factory", "fragment"),
    [
        ("raises", r"raised ZeroDivisionError for items of shape \(4, 5\) and 3 latent dimensions: no such thing"),
        ("one", "returned Sequential, but must return two torch.nn.Module"),
        ("three", r"returned \['Sequential', 'Sequential', 'int'\], but must return two"),
        ("functions", r"returned \['Sequential', 'function'\], but must return two"),
        ("no_variances", r"the encoder of .* returned \(2, 3\) .* expected shape \(2, 6\)"),
        ("flat", r"the decoder of .* returned \(2, 20\) for two items, shape \(2, 3\); expected shape \(2, 4, 5\)"),
        ("pair", r"the encoder of .* returned tuple .* expected shape \(2, 6\)"),
        ("misfit", r"the encoder of .* raised RuntimeError for two items, shape \(2, 4, 5\)"),
        ("mixing", "has a BatchNorm1d, which mixes the items of a batch"),
        ("sharing", r"registers one tensor twice, as encoder\.1\.bias and decoder\.0\.bias"),
    ],
)
def test_networks_that_do_not_keep_to_the_contract_are_refused(module: str, factory: str, fragment: str):
    size = {"input_shape": (3, 2)} if factory == "sharing" else {}  # both of its biases have six numbers
    config = _config(f"{module}:{factory}").model_copy(update=size)

    with pytest.raises(ModelError, match=fragment):
        build_vae(config, code=f"{module}:{factory}")
