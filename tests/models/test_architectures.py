"""Every architecture keeps to the same contract: shapes, options, replicates as one program, ends that are linear."""

from __future__ import annotations

import copy
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from rosetta.errors import ModelError, UsageError
from rosetta.models import OPTIONS, architectures, options_of
from rosetta.models.layers import first_linear, last_linear

SHAPES = {
    "dense": [(7,), (4, 5), (2, 3, 4)],
    "conv": [(28, 28), (13, 7), (9, 6, 3), (3, 9, 6), (2, 40, 5), (16, 16, 1)],
    "resnet-mnist": [(28, 28), (28, 28, 1), (1, 28, 28)],
    "resnet-birdsong": [(128, 128)],
    "disentanglement": [(64, 64), (64, 64, 3), (3, 64, 64), (6, 64, 64)],
}
CHANGED = {"hidden": (6, 5), "channels": (4, 3, 2), "activation": "tanh", "tied": True, "sparse": 0.25}


def _networks(name: str, shape: tuple[int, ...], **options: object) -> tuple[nn.Module, nn.Module]:
    torch.manual_seed(0)
    return architectures.get(name)(shape, 3, **options)


def _n_parameters(*networks: nn.Module) -> int:
    return sum(p.numel() for network in networks for p in network.parameters())


def test_the_built_in_architectures_are_those_tested_here():
    assert set(SHAPES) == set(architectures)


@pytest.mark.parametrize(("name", "shape"), [(name, shape) for name, shapes in SHAPES.items() for shape in shapes])
def test_an_encoder_gives_means_and_log_variances_and_a_decoder_the_items_shape(name: str, shape: tuple[int, ...]):
    encoder, decoder = _networks(name, shape)

    assert encoder(torch.rand(4, *shape)).shape == (4, 6)
    assert decoder(torch.rand(4, 3)).shape == (4, *shape)


@pytest.mark.parametrize("name", SHAPES)
def test_items_are_treated_one_by_one(name: str):
    encoder, decoder = _networks(name, SHAPES[name][0])
    items, latents = torch.rand(3, *SHAPES[name][0]), torch.rand(3, 3)

    for network, given in ((encoder, items), (decoder, latents)):
        alone = torch.cat([network(given[i : i + 1]) for i in range(3)])
        torch.testing.assert_close(network(given), alone, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", SHAPES)
def test_a_rotation_of_the_latents_folds_into_the_two_linear_ends(name: str):
    encoder, decoder = _networks(name, SHAPES[name][0])
    items, latents = torch.rand(2, *SHAPES[name][0]), torch.rand(2, 3)
    means, output = encoder(items)[:, :3], decoder(latents)
    rotation = torch.linalg.qr(torch.randn(3, 3)).Q

    with torch.no_grad():
        last, first = last_linear(encoder), first_linear(decoder)
        last.weight[:3], last.bias[:3] = rotation @ last.weight[:3], rotation @ last.bias[:3]
        first.weight.copy_(first.weight @ rotation.T)

    torch.testing.assert_close(encoder(items)[:, :3], means @ rotation.T, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(decoder(latents @ rotation.T), output, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("name", "option"),
    [("dense", o) for o in ("hidden", "activation", "tied", "sparse")]
    + [("conv", o) for o in ("channels", "hidden", "activation")],
)
def test_every_option_changes_the_network(name: str, option: str):
    shape = (9, 6)

    def outputs(**options: object) -> Tensor:
        encoder, decoder = _networks(name, shape, **options)
        generator = torch.Generator().manual_seed(1)
        inputs, latents = torch.randn(4, *shape, generator=generator), torch.randn(4, 3, generator=generator)
        return torch.cat([encoder(inputs).flatten(), decoder(latents).flatten()])

    plain, changed = outputs(), outputs(**{option: CHANGED[option]})

    assert not torch.allclose(plain, changed, atol=1e-3)


def test_options_are_the_keyword_only_arguments_with_their_defaults():
    assert options_of(architectures.get("dense")) == {
        "hidden": (512, 256), "activation": "relu", "tied": False, "sparse": 1.0,
    }  # fmt: skip
    assert options_of(architectures.get("resnet-mnist")) == {}
    for name in SHAPES:
        assert set(options_of(architectures.get(name))) <= set(OPTIONS)


def test_an_option_without_a_default_is_refused():
    def odd(input_shape: tuple[int, ...], latent_dim: int, *, hidden: int, width: int = 3) -> None: ...

    with pytest.raises(ModelError, match="odd has no default for hidden"):
        options_of(odd)


@pytest.mark.parametrize(
    ("name", "shape", "options"),
    [
        ("dense", (4, 5), {"hidden": (9, 8)}),
        ("dense", (4, 5), {"hidden": (9, 8), "tied": True}),
        ("dense", (4, 5), {"hidden": (9, 8), "sparse": 0.3, "activation": "gelu"}),
        ("conv", (9, 6, 3), {"channels": (4, 6), "hidden": (8,)}),
        ("resnet-mnist", (28, 28), {}),
        ("disentanglement", (3, 64, 64), {}),
    ],
)
def test_replicates_as_one_program_give_what_each_gives_alone(
    name: str, shape: tuple[int, ...], options: dict[str, object]
):
    replicates = [_halves(name, shape, options) for _ in range(3)]
    items, latents = torch.rand(3, 2, *shape), torch.rand(3, 2, 3)
    stacked, buffers = stack_module_state(replicates)

    def together(weights: dict[str, Tensor], state: dict[str, Tensor], x: Tensor, z: Tensor) -> Tensor:
        return functional_call(replicates[0], (weights, state), (x, z))

    outputs = vmap(together)(stacked, buffers, items, latents)

    for replicate, x, z, output in zip(replicates, items, latents, outputs, strict=True):
        torch.testing.assert_close(output, replicate(x, z), atol=1e-5, rtol=1e-4)
    loss = outputs.square().sum()
    loss.backward()
    for number, replicate in enumerate(replicates):
        replicate(items[number], latents[number]).square().sum().backward()
        for key, parameter in replicate.named_parameters():
            torch.testing.assert_close(stacked[key].grad[number], parameter.grad, atol=1e-3, rtol=1e-3)


class _Halves(nn.Module):
    """Both halves in one module, and the outputs of both side by side."""

    def __init__(self, encoder: nn.Module, decoder: nn.Module) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, items: Tensor, latents: Tensor) -> Tensor:
        return torch.cat([self.encoder(items), self.decoder(latents).flatten(1)], dim=1)


def _halves(name: str, shape: tuple[int, ...], options: dict[str, object]) -> _Halves:
    return _Halves(*architectures.get(name)(shape, 3, **options))


@pytest.mark.parametrize(
    ("name", "shape", "fragment"),
    [
        (
            "resnet-mnist",
            (32, 32),
            r"shape \(28, 28\), \(28, 28, 1\) or \(1, 28, 28\), but these have shape \(32, 32\)",
        ),
        ("resnet-mnist", (28, 28, 3), "but these have shape"),
        ("resnet-mnist", (784,), "but these have shape"),
        ("resnet-birdsong", (64, 64), r"shape \(128, 128\)"),
        ("disentanglement", (28, 28), r"shape \(64, 64\), \(64, 64, channels\)"),
        ("conv", (784,), "takes images, of shape .* but the items have shape"),
        ("conv", (2, 3, 4, 5), "takes images"),
        ("conv", (28, 1), "one pixel cannot be halved: take dense"),
        ("conv", (2, 9), "are 1 × 5 before the 2. time, and one pixel cannot be halved: ask for at most 1 `channels`"),
    ],
)
def test_items_of_another_shape_are_refused_with_the_shape_that_is_wanted(
    name: str, shape: tuple[int, ...], fragment: str
):
    with pytest.raises(ModelError, match=fragment):
        architectures.get(name)(shape, 3)


@pytest.mark.parametrize("name", ["dense", "conv"])
def test_an_unknown_activation_is_refused_with_the_nearest(name: str):
    with pytest.raises(UsageError, match=r"no activation called 'rel'\. Did you mean 'relu'\?"):
        architectures.get(name)((8, 8), 3, activation="rel")


def test_channels_first_and_last_give_the_same_network_on_the_same_image():
    first, last = _networks("conv", (3, 9, 6)), _networks("conv", (9, 6, 3))
    images, latents = torch.rand(2, 3, 9, 6), torch.rand(2, 3)

    torch.testing.assert_close(first[0](images), last[0](images.permute(0, 2, 3, 1)))
    torch.testing.assert_close(first[1](latents), last[1](latents).permute(0, 3, 1, 2))


def test_ends_that_are_not_linear_are_refused():
    with pytest.raises(ModelError, match="the encoder does not end with torch.nn.Linear but with ReLU"):
        last_linear(nn.Sequential(nn.Linear(2, 2), nn.ReLU()))
    with pytest.raises(ModelError, match="the decoder does not begin with torch.nn.Linear but with Flatten"):
        first_linear(nn.Sequential(nn.Sequential(nn.Flatten(), nn.Linear(2, 2))))


def _layer_counts(n_in: int, n_out: int, kernel: int, *, bias: bool = True) -> int:
    return n_in * n_out * kernel**2 + bias * n_out


def _block_count(n_channels: int, n_hidden: int) -> int:
    return _layer_counts(n_channels, n_hidden, 3, bias=False) + _layer_counts(n_hidden, n_channels, 1, bias=False)


def test_the_papers_mnist_network_has_the_papers_layers():
    encoder, decoder = architectures.get("resnet-mnist")((28, 28), 16)

    linear = _layer_counts
    blocks = 2 * _block_count(32, 64)
    assert _n_parameters(encoder) == (
        linear(1, 16, 4) + linear(16, 32, 4) + blocks + linear(1568, 224, 1) + linear(224, 32, 1)
    )
    assert _n_parameters(decoder) == (
        linear(16, 224, 1) + linear(224, 1568, 1) + blocks + linear(32, 16, 4) + linear(16, 1, 4)
    )


def test_the_papers_birdsong_network_has_the_papers_layers():
    encoder, decoder = architectures.get("resnet-birdsong")((128, 128), 32)

    linear = _layer_counts
    blocks = 2 * _block_count(24, 48) + 2 * _block_count(96, 192)
    convolutions = linear(1, 12, 4) + linear(12, 24, 4) + linear(24, 48, 4) + linear(48, 96, 4)
    transposed = linear(96, 48, 4) + linear(48, 24, 4) + linear(24, 12, 4) + linear(12, 1, 4)
    dense_in = linear(6144, 1568, 1) + linear(1568, 224, 1) + linear(224, 64, 1)
    dense_out = linear(32, 224, 1) + linear(224, 1568, 1) + linear(1568, 6144, 1)
    assert _n_parameters(encoder) == convolutions + blocks + dense_in
    assert _n_parameters(decoder) == transposed + blocks + dense_out


@pytest.mark.parametrize(("name", "n_blocks"), [("resnet-mnist", 2), ("resnet-birdsong", 4)])
def test_no_two_residual_blocks_share_their_weights(name: str, n_blocks: int):
    from rosetta.models.residual import ResidualBlock

    for network in _networks(name, SHAPES[name][0]):
        blocks = [m for m in network.modules() if isinstance(m, ResidualBlock)]
        pointers = {p.data_ptr() for block in blocks for p in block.parameters()}
        weights = [next(block.parameters()) for block in blocks]

        assert len(blocks) == n_blocks
        assert len(pointers) == 2 * n_blocks
        assert not any(torch.equal(a, b) for i, a in enumerate(weights) for b in weights[:i] if a.shape == b.shape)


def test_a_residual_block_without_weights_passes_its_input_on():
    from rosetta.models.residual import ResidualBlock

    block = ResidualBlock(3, 5)
    images = torch.randn(2, 3, 4, 4)
    for parameter in block.parameters():
        nn.init.zeros_(parameter)

    assert torch.equal(block(images), images)


def test_the_disentanglement_network_has_the_literatures_layers():
    encoder, decoder = architectures.get("disentanglement")((64, 64, 1), 10)

    linear = _layer_counts
    assert _n_parameters(encoder) == (
        linear(1, 32, 4) + linear(32, 32, 4) + linear(32, 64, 2) + linear(64, 64, 2) + linear(1024, 256, 1)
        + linear(256, 20, 1)
    )  # fmt: skip
    assert _n_parameters(decoder) == (
        linear(10, 256, 1) + linear(256, 1024, 1) + linear(64, 64, 4) + linear(64, 32, 4) + linear(32, 32, 4)
        + linear(32, 1, 4)
    )  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_a_copy_of_both_halves_is_trained_apart_from_the_original(name: str):
    options = {"tied": True, "sparse": 0.5} if name == "dense" else {}
    model = _halves(name, SHAPES[name][0], options)
    items, latents = torch.rand(2, *SHAPES[name][0]), torch.rand(2, 3)
    before = model(items, latents)
    other = copy.deepcopy(model)

    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(1.5)

    torch.testing.assert_close(model(items, latents), before)
    assert not torch.allclose(other(items, latents), before)


def test_another_distribution_adds_an_architecture_by_entry_point(tmp_path: Path):
    (tmp_path / "shallow.py").write_text(
        "import math\n"
        "from torch import nn\n\n"
        "def shallow(input_shape, latent_dim, *, activation='tanh'):\n"
        "    n = math.prod(input_shape)\n"
        "    print('built with', activation)\n"
        "    return (nn.Sequential(nn.Flatten(), nn.Linear(n, 2 * latent_dim)),\n"
        "            nn.Sequential(nn.Linear(latent_dim, n), nn.Unflatten(1, input_shape)))\n"
    )
    metadata = tmp_path / "other-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: other\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text("[rosetta.models]\nshallow = shallow:shallow\n")
    code = (
        "from rosetta.models.vae import build_vae\n"
        "from rosetta.schemas.run import RunConfig, TrainSettings\n"
        "settings = TrainSettings(architecture='shallow', activation='elu', hidden=(3,))\n"
        "config = RunConfig(input_shape=(2, 3), latent_dim=2, value_range=(0.0, 1.0), settings=settings)\n"
        "print(sorted(build_vae(config).state_dict()))\n"
    )

    result = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONPATH": str(tmp_path)}, capture_output=True, text=True, check=True
    )

    assert result.stdout.splitlines() == [
        "built with elu",
        "['decoder.0.bias', 'decoder.0.weight', 'encoder.1.bias', 'encoder.1.weight']",
    ]
