"""A callback anchors anybody's Lightning model, through whatever Lightning does to its loss."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from torch import Tensor, nn

import rosetta
from rosetta.arrays import flat
from rosetta.bundle.layout import INPUTS, LATENTS
from rosetta.errors import IncompatibleError, UsageError
from tests import builders

lightning = pytest.importorskip("lightning", reason="needs the extra `lightning`")
from lightning.pytorch import Callback, LightningModule, Trainer  # noqa: E402
from torch.utils.data import DataLoader  # noqa: E402

from rosetta.lightning import AnchorCallback  # noqa: E402

pytestmark = [
    # Lightning's advice on workers and on logging, which tests of a few steps do not take
    pytest.mark.filterwarnings("ignore:.*does not have many workers:UserWarning"),
    pytest.mark.filterwarnings("ignore:The number of training batches:UserWarning"),
    pytest.mark.filterwarnings("ignore:.*exists and is not empty:UserWarning"),
    pytest.mark.filterwarnings("ignore:`training_step` returned `None`:UserWarning"),
    # of torch, in Lightning's own code
    pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning"),
]


class Pulled(LightningModule):
    """A linear encoder that its own loss pulls away from the anchors, without chance."""

    def __init__(self) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(20, 3))

    def training_step(self, batch: Tensor) -> Any:
        return (self.encoder(batch) - 2).square().sum(1).mean()

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.SGD(self.parameters(), lr=0.01)


class Digits(LightningModule):
    """A small VAE as a user has it."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 6))
        self.decoder = nn.Sequential(nn.Linear(3, 64), nn.ReLU(), nn.Linear(64, 64))

    def encode(self, inputs: Tensor) -> Tensor:
        return self.encoder(inputs)[:, :3]

    def training_step(self, batch: Tensor, batch_idx: int) -> dict[str, Tensor]:
        mean, log_variance = self.encoder(batch).chunk(2, dim=1)
        output = self.decoder(mean + (log_variance / 2).exp() * torch.randn_like(mean))
        reconstruction = 5 * (output - batch.flatten(1)).square().sum(1)
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(1)
        return {"loss": (reconstruction + kl).mean(), "kl": kl.mean().detach()}

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.Adam(self.parameters(), lr=3e-3)


class DivergenceWatch(Callback):
    """Keeps the gradients of each step and what was logged."""

    def __init__(self) -> None:
        self.gradients: list[list[Tensor]] = []
        self.logged: list[dict[str, Tensor]] = []

    def on_before_optimizer_step(self, trainer: Trainer, pl_module: LightningModule, optimizer: Any) -> None:
        self.gradients.append([p.grad.clone() for p in pl_module.parameters()])

    def on_train_batch_end(self, trainer: Trainer, *args: Any) -> None:
        self.logged.append(dict(trainer.callback_metrics))


@pytest.fixture
def bundle(tmp_path: Path) -> rosetta.Bundle:
    return rosetta.Bundle.open(builders.write(tmp_path / "b.h5"))


ITEMS = torch.rand(24, *builders.SHAPE, generator=torch.Generator().manual_seed(1))


def _fit(module: LightningModule, *callbacks: Callback, items: Tensor = ITEMS, ckpt: Any = None, **options: Any) -> Any:
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False, "accelerator": "cpu"}
    trainer = Trainer(callbacks=list(callbacks), enable_model_summary=False, **(quiet | {"max_epochs": 1} | options))
    trainer.fit(module, DataLoader(items, batch_size=len(items) // 6), ckpt_path=ckpt)
    return trainer


def _digits(folder: Path) -> tuple[Path, Tensor]:
    """A bundle of digits 0–4 whose space is their three main axes, and the digits 5–9."""
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)
    alice, bob = images[digits.target < 5], images[digits.target >= 5]
    latents = PCA(3, whiten=True, random_state=0).fit_transform(flat(alice)).astype(np.float32)
    few = slice(builders.N_ANCHORS + builders.N_CHECKS)
    path = builders.write(folder / "digits.h5", builders.arrays() | {INPUTS: alice[few], LATENTS: latents[few]})
    return path, torch.from_numpy(bob)


@pytest.mark.parametrize(("anchored", "least", "most"), [(True, 0.07, 0.13), (False, 0.8, math.inf)])
def test_a_vae_is_in_the_senders_space_with_the_callback_only(
    tmp_path: Path, anchored: bool, least: float, most: float
):
    path, items = _digits(tmp_path)
    bundle = rosetta.Bundle.open(path)
    torch.manual_seed(0)
    module = Digits()

    _fit(module, *([AnchorCallback(path, tolerance=0.1)] if anchored else []), items=items, max_epochs=60)

    with torch.no_grad():
        means = module.encode(torch.from_numpy(bundle.anchor_inputs)).numpy()
    rms = np.sqrt(np.square(means - bundle.anchor_latents).sum(axis=1).mean()) / bundle.latents_total_sd
    assert least < rms < most


def test_accumulated_gradients_are_those_of_the_mean_loss_and_the_anchors(bundle: rosetta.Bundle):
    watch, plain = DivergenceWatch(), Pulled()

    _fit(Pulled(), AnchorCallback(bundle, weight=3, scale=2.0), watch, accumulate_grad_batches=6)

    anchors = rosetta.AnchorLoss(bundle, weight=3)
    ((plain.encoder(ITEMS) - 2).square().sum(1).mean() + 2 * anchors(plain.encoder)).backward()
    assert len(watch.gradients) == 1
    torch.testing.assert_close(watch.gradients[0], [p.grad for p in plain.parameters()])


def test_a_held_weight_moves_once_for_each_step_of_the_optimiser(bundle: rosetta.Bundle):
    callback, plain = AnchorCallback(bundle), rosetta.AnchorLoss(bundle)

    _fit(Pulled(), callback, accumulate_grad_batches=6)
    plain(Pulled().encoder)

    assert callback.anchors.weight == plain.weight != 1


def test_what_is_logged_is_the_error_in_units_of_the_tolerance_and_the_weight(bundle: rosetta.Bundle):
    watch, callback = DivergenceWatch(), AnchorCallback(bundle, name="alice")

    _fit(Pulled(), callback, watch, limit_train_batches=1)

    means = Pulled().encoder(torch.from_numpy(bundle.anchor_inputs)).detach().numpy()
    rms = np.sqrt(np.square(means - bundle.anchor_latents).sum(axis=1).mean()) / bundle.latents_total_sd
    assert float(watch.logged[0]["alice_rms"]) == pytest.approx(rms, rel=1e-5)
    assert float(watch.logged[0]["alice_weight"]) == pytest.approx(callback.anchors.weight)


def test_a_resumed_training_ends_where_an_uninterrupted_one_does(bundle: rosetta.Bundle, tmp_path: Path):
    def callback() -> AnchorCallback:
        return AnchorCallback(bundle, anchors_per_step=5)

    whole, straight = Pulled(), callback()
    _fit(whole, straight, max_epochs=4)
    _fit(Pulled(), callback(), max_epochs=2).save_checkpoint(tmp_path / "half.ckpt")
    resumed, after = Pulled(), callback()
    _fit(resumed, after, max_epochs=4, ckpt=tmp_path / "half.ckpt")

    assert after.anchors.weight == straight.anchors.weight != 1
    assert (after.anchors.draw().latents == straight.anchors.draw().latents).all()
    torch.testing.assert_close(list(resumed.parameters()), list(whole.parameters()), rtol=0, atol=0)


def test_lightnings_own_checkpoints_hold_the_state_and_not_the_pairs(bundle: rosetta.Bundle, tmp_path: Path):
    _fit(Pulled(), AnchorCallback(bundle), enable_checkpointing=True, default_root_dir=tmp_path)

    (path,) = tmp_path.rglob("*.ckpt")
    saved = torch.load(path, weights_only=True)
    (state,) = (v for k, v in saved["callbacks"].items() if k.startswith("AnchorCallback"))
    assert set(saved["state_dict"]) == set(Pulled().state_dict())
    assert {tuple(v.shape) for v in state["anchors"].values() if isinstance(v, Tensor)} == {()}


def test_a_weight_given_on_resuming_is_not_replaced_and_other_anchors_are_refused(
    bundle: rosetta.Bundle, tmp_path: Path
):
    path = tmp_path / "held.ckpt"
    _fit(Pulled(), AnchorCallback(bundle)).save_checkpoint(path)
    given = AnchorCallback(bundle, weight=7)

    _fit(Pulled(), given, max_epochs=2, ckpt=path)

    assert given.anchors.weight == pytest.approx(7)
    with pytest.raises(IncompatibleError, match="trained with 12 anchors, but this callback has 24"):
        _fit(Pulled(), AnchorCallback([bundle, bundle]), max_epochs=2, ckpt=path)


def test_two_callbacks_add_both_and_leave_no_trace(bundle: rosetta.Bundle):
    watch, module = DivergenceWatch(), Pulled()
    pair = [AnchorCallback(bundle, weight=w, name=n, encode="encoder") for w, n in ((1, "first"), (2, "second"))]

    _fit(module, *pair, watch, limit_train_batches=1)

    expected = Pulled()
    loss = (expected.encoder(ITEMS[:4]) - 2).square().sum(1).mean() + rosetta.AnchorLoss(bundle, weight=3)(
        expected.encoder
    )
    loss.backward()
    torch.testing.assert_close(watch.gradients[0], [p.grad for p in expected.parameters()])
    assert {"first_rms", "second_weight"} <= set(watch.logged[0])
    assert "training_step" not in vars(module)


def test_the_step_is_the_modules_own_again_after_a_failure(bundle: rosetta.Bundle):
    class Failing(Pulled):
        def training_step(self, batch: Tensor) -> Tensor:
            raise ZeroDivisionError

    module = Failing()

    with pytest.raises(ZeroDivisionError):
        _fit(module, AnchorCallback(bundle))

    assert "training_step" not in vars(module)


def test_a_step_that_is_skipped_draws_no_anchors(bundle: rosetta.Bundle):
    class Skipping(Pulled):
        def training_step(self, batch: Tensor) -> None:
            return None

    module, callback = Skipping(), AnchorCallback(bundle)

    _fit(module, callback)

    assert callback.anchors.weight == 1
    torch.testing.assert_close(list(module.parameters()), list(Pulled().parameters()))


@pytest.mark.parametrize("precision", ["bf16-mixed", "bf16-true", "64-true"])
def test_every_precision_trains_with_anchors(bundle: rosetta.Bundle, precision: str):
    callback = AnchorCallback(
        bundle, decoder_weight=1, decoder_error=lambda module, latents, inputs: module.encoder(inputs).sum(1)
    )
    module = Pulled()

    _fit(module, callback, precision=precision, items=ITEMS.double() if precision == "64-true" else ITEMS)

    assert callback.anchors.weight > 1
    assert all(p.isfinite().all() for p in module.parameters())


def test_the_first_step_of_mixed_precision_learns_too(bundle: rosetta.Bundle):
    mixed, full = DivergenceWatch(), DivergenceWatch()

    for watch, precision in ((mixed, "bf16-mixed"), (full, "32-true")):
        _fit(Pulled(), AnchorCallback(bundle, weight=1), watch, limit_train_batches=1, precision=precision)

    torch.testing.assert_close(mixed.gradients, full.gradients, rtol=0.05, atol=0.05)


@pytest.mark.filterwarnings("ignore:Found 1 module:UserWarning")  # in evaluation at the start, on purpose
def test_the_encoder_is_tried_without_a_trace(bundle: rosetta.Bundle):
    class Normed(Pulled):
        def __init__(self) -> None:
            super().__init__()
            self.encoder.append(nn.BatchNorm1d(3)).append(nn.Dropout(0.5))
            self.encoder[1].eval()

    module = Normed()

    _fit(module, AnchorCallback(bundle), limit_train_batches=1)

    assert int(module.encoder[2].num_batches_tracked) == 2  # the batch, the anchors
    assert module.encoder[3].training
    assert not module.encoder[1].training


def test_the_encoder_is_tried_once_and_then_sees_the_anchors_once_a_step(bundle: rosetta.Bundle):
    seen: list[int] = []

    def encode(module: Pulled, inputs: Tensor) -> Tensor:
        seen.append(len(inputs))
        return module.encoder(inputs)

    _fit(Pulled(), AnchorCallback(bundle, encode=encode))

    assert seen == [8, 8] + 6 * [builders.N_ANCHORS]


def _sampling(module: Pulled, inputs: Tensor) -> Tensor:
    means = module.encoder(inputs)
    return means + torch.randn_like(means)


@pytest.mark.parametrize(
    ("encode", "words"),
    [
        (lambda module, inputs: (module.encoder(inputs), None), r"gives a tuple.*pass encode=.*\(inputs\)\[0\]"),
        (
            lambda module, inputs: torch.distributions.Normal(module.encoder(inputs), 1.0),
            r"gives a Normal.*\(inputs\)\.mean",
        ),
        (lambda module, inputs: {"embedding": module.encoder(inputs)}, r"gives a dict.*posterior means"),
        (_sampling, "it samples"),
        (lambda inputs: inputs, r"cannot take the bundle's inputs, float32 of shape \(8, 4, 5\).*pass encode="),
        (lambda module, inputs: module.encoder[1](inputs), "cannot take the bundle's inputs"),
        (lambda module, inputs: inputs.flatten(1), r"latents of shape \(12, 20\) for anchors .* of shape \(12, 3\)"),
    ],
)
def test_an_encoder_that_does_not_give_means_is_refused(bundle: rosetta.Bundle, encode: Any, words: str):
    with pytest.raises(IncompatibleError, match=words):
        _fit(Pulled(), AnchorCallback(bundle, encode=encode))


@pytest.mark.parametrize(
    ("encode", "words"),
    [
        ("vae.encoder", "Pulled has no 'vae.encoder'.*pass encode="),
        ("encoder.training", "no function or module"),
        (None, "Bare has neither an encode nor an encoder"),
    ],
)
def test_a_module_without_such_an_encoder_is_refused(bundle: rosetta.Bundle, encode: str | None, words: str):
    class Bare(Pulled):
        def __init__(self) -> None:
            super().__init__()
            self.net = self.encoder
            del self.encoder

    with pytest.raises(UsageError, match=words):
        _fit(Pulled() if encode else Bare(), AnchorCallback(bundle, encode=encode))


def test_a_module_that_optimises_by_hand_is_told_to_add_the_loss_itself(bundle: rosetta.Bundle):
    module = Pulled()
    module.automatic_optimization = False

    with pytest.raises(UsageError, match=r"optimises by hand.*rosetta.AnchorLoss\(bundle\)\(encoder\)"):
        _fit(module, AnchorCallback(bundle))


def test_without_lightning_the_error_names_the_extra(tmp_path: Path):
    code = (
        "import sys; sys.modules['lightning'] = None\n"
        "import rosetta\nfrom rosetta.errors import MissingExtraError\n"
        "try:\n    import rosetta.lightning\nexcept MissingExtraError as error:\n    print(error)"
    )

    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert "pip install 'rosetta-points[lightning]'" in result.stdout, result.stderr


PARALLEL = """
import sys
import torch
from lightning.pytorch import Trainer
from torch.utils.data import DataLoader, DistributedSampler
from rosetta.lightning import AnchorCallback
from tests.test_lightning import ITEMS, Pulled

if __name__ == "__main__":
    callback, module = AnchorCallback(sys.argv[1], anchors_per_step=5), Pulled()
    trainer = Trainer(
        accelerator="cpu", devices=2, strategy="ddp", callbacks=[callback], max_epochs=2, logger=False,
        enable_checkpointing=False, enable_progress_bar=False, enable_model_summary=False,
    )
    sampler = DistributedSampler(ITEMS, 2, rank=trainer.global_rank, shuffle=False)
    trainer.fit(module, DataLoader(ITEMS, batch_size=2, sampler=sampler))
    torch.save((callback.anchors.weight, module.state_dict()), f"{sys.argv[2]}/{trainer.global_rank}.pt")
"""


@pytest.mark.slow
def test_two_processes_train_as_one_does_with_twice_the_batch(bundle: rosetta.Bundle, tmp_path: Path):
    (tmp_path / "parallel.py").write_text(PARALLEL)
    path = builders.write(tmp_path / "b.h5")
    alone, callback = Pulled(), AnchorCallback(bundle, anchors_per_step=5)
    _fit(alone, callback, max_epochs=2)

    subprocess.run(
        [sys.executable, str(tmp_path / "parallel.py"), str(path), str(tmp_path)],
        check=True, timeout=300, env=os.environ | {"PYTHONPATH": str(Path(__file__).parents[1])},
    )  # fmt: skip

    for rank in (0, 1):
        weight, parameters = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert weight == pytest.approx(callback.anchors.weight, rel=1e-5)
        torch.testing.assert_close(parameters, alone.state_dict(), rtol=1e-4, atol=1e-6)
