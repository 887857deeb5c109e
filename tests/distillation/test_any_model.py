"""A bundle comes of anybody's model, or of latents without one, and a receiver can train in its space."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch.export import Dim

import rosetta
from rosetta.errors import IncompatibleError, ModelError, RosettaError, SourceError, UsageError
from rosetta.programs.torch_export import silent
from rosetta.sources import Source
from tests.adapters.conftest import Shelf
from tests.adapters.models import Samples, Swapped, images, trained

SIGNED: dict[str, Any] = {"license": "CC0-1.0", "title": "Blobs", "creators": ["Alice"]}
FEW: dict[str, Any] = SIGNED | {"pairs": 24, "checks": 12}
N_ITEMS = 400
CODE = """
import torch
from torch import nn

class Flat(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.layer = nn.Linear(36, 2)

    def forward(self, items):
        return self.layer(items.flatten(1))

encoder = Flat()
"""


class Shop(NamedTuple):
    """Items, and models of them that Rosetta did not train."""

    folder: Path
    data: str
    shelf: Shelf
    decoder: str


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    folder = tmp_path_factory.mktemp("shop")
    np.save(folder / "items.npy", images(N_ITEMS))
    shelf = Shelf(folder, *trained())
    free = ({0: Dim("n", min=1)},)
    with silent():
        program = torch.export.export(shelf.decoder, (torch.zeros(3, 2),), dynamic_shapes=free)
        torch.export.save(program, folder / "decoder.pt2")
    return Shop(folder, str(folder / "items.npy"), shelf, str(folder / "decoder.pt2"))


def _pythae(shop: Shop) -> str:
    pytest.importorskip("pythae")
    from pythae.models import BetaVAE, BetaVAEConfig

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = BetaVAE(BetaVAEConfig(input_dim=(1, 6, 6), latent_dim=3, beta=0.02))
        optimizer = torch.optim.Adam(model.parameters(), 3e-3)
        data = torch.from_numpy(images(100))
        for _ in range(100):
            optimizer.zero_grad()
            model({"data": data}).loss.backward()
            optimizer.step()
    model.eval().save(str(shop.folder / "pythae"))
    return str(shop.folder / "pythae")


@pytest.fixture(scope="module")
def pythae(shop: Shop) -> str:
    return _pythae(shop)


@pytest.fixture(scope="module")
def pt2(shop: Shop) -> str:
    return shop.shelf.export("encoder.pt2", shop.shelf.encoder)


@pytest.fixture
def code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "labs_own_code.py").write_text(CODE)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    return "labs_own_code:encoder"


MAKERS: dict[str, Callable[[Shop], str]] = {
    "torchscript": lambda shop: shop.shelf.trace("encoder.pt", shop.shelf.encoder),
    "onnx": lambda shop: shop.shelf.onnx("encoder.onnx", Swapped(shop.shelf.encoder), ("log_var", "mu")),
}


@pytest.mark.parametrize(
    ("kind", "origin"),
    [
        ("pythae", "decoded"),
        ("pt2", "moments"),
        ("pt2+decoder", "decoded"),
        ("torchscript", "moments"),
        pytest.param("onnx", "moments", marks=pytest.mark.slow),
        ("code", "moments"),
    ],
)
def test_any_model_gives_a_bundle_that_holds_against_it(
    kind: str, origin: str, shop: Shop, tmp_path: Path, request: pytest.FixtureRequest
):
    name = kind.partition("+")[0]
    model = MAKERS[name](shop) if name in MAKERS else request.getfixturevalue(name)
    decoder = {"decoder": shop.decoder} if "+" in kind else {}

    report = rosetta.distill(model, shop.data, tmp_path / "b.h5", **decoder, **FEW)

    assert [each.origin for each in report.origins] == [origin]
    bundle = rosetta.Bundle.open(tmp_path / "b.h5")
    assert bundle.latents == pytest.approx(rosetta.latents_of(model, bundle.inputs), abs=1e-5)
    assert rosetta.validate(tmp_path / "b.h5").valid
    held = rosetta.validate(tmp_path / "b.h5", model=model, data=shop.data)
    assert held.valid
    assert bundle.manifest.provenance.model.objective in ("vae", "unknown")


def test_latents_alone_give_a_bundle_of_items(shop: Shop, tmp_path: Path):
    latents = np.random.default_rng(0).normal(size=(N_ITEMS, 5))
    np.save(tmp_path / "z.npy", latents)

    report = rosetta.distill(None, shop.data, tmp_path / "b.h5", latents=str(tmp_path / "z.npy"), **FEW)

    bundle = rosetta.Bundle.open(tmp_path / "b.h5")
    items = {item.tobytes(): row for row, item in enumerate(images(N_ITEMS))}
    rows = [items[each.tobytes()] for each in bundle.inputs]
    assert [each.origin for each in report.origins] == ["observed"]
    assert (bundle.latents == latents[rows].astype(np.float32)).all()
    assert rosetta.validate(tmp_path / "b.h5", data=shop.data).valid


@pytest.mark.parametrize("kind", ["pythae", "pt2"])
def test_a_receiver_trains_in_the_space_of_anothers_model(
    kind: str, shop: Shop, tmp_path: Path, request: pytest.FixtureRequest
):
    model = request.getfixturevalue(kind)
    origin = "decoded" if kind == "pythae" else "moments"
    rosetta.distill(model, shop.data, tmp_path / "b.h5", origin=origin, pairs=300, checks=32, **SIGNED)

    rosetta.train(
        images(300, seed=1), tmp_path / "bob", anchors=[tmp_path / "b.h5"], hidden=(64,), epochs=60, batch_size=32
    )
    proof = rosetta.check(tmp_path / "bob", tmp_path / "b.h5")
    own = rosetta.check(model, tmp_path / "b.h5")

    assert proof.verdict == "aligned", proof.reason
    assert (own.verdict, own.n_checks) == ("aligned", 32)
    assert rosetta.compare(model, tmp_path / "bob", data=images(200, seed=2))["fvu"].value < 0.5


def test_anothers_model_is_audited_embedded_and_compared(pt2: str, pythae: str, shop: Shop, tmp_path: Path):
    rosetta.distill(pt2, shop.data, tmp_path / "b.h5", origin="observed", **FEW)

    found = rosetta.audit(tmp_path / "b.h5", shop.data, model=pt2, held_out=images(300, seed=1))
    report = rosetta.embed(pt2, shop.data, tmp_path / "z.npy")

    assert {each.attack for each in found.audit.attacks} >= {"nearest latent"}
    assert (report.n_items, report.n_dims) == (N_ITEMS, 2)
    assert (np.load(tmp_path / "z.npy") == rosetta.latents_of(pt2, shop.data)).all()
    assert rosetta.compare(pt2, pythae, data=shop.data)["cka"].value > 0
    with pytest.raises(IncompatibleError, match="is not the model of the bundle"):
        rosetta.audit(tmp_path / "b.h5", shop.data, model=pythae)
    assert not rosetta.validate(tmp_path / "b.h5", model=pythae).valid


def test_the_spread_is_in_the_bundle_where_somebody_says_what_it_is(pt2: str, shop: Shop, tmp_path: Path):
    rosetta.distill(pt2, shop.data, tmp_path / "b.h5", spread="log-variance", origin="observed", **FEW)

    bundle = rosetta.Bundle.open(tmp_path / "b.h5")
    with torch.inference_mode():
        expected = (0.5 * shop.shelf.encoder(torch.tensor(bundle.inputs))[1]).exp().numpy()
    assert bundle.latents_sd == pytest.approx(expected, rel=1e-4)


def test_the_usual_origin_is_the_most_private_that_a_sender_can_give(pt2: str, shop: Shop, tmp_path: Path):
    with pytest.raises(RosettaError, match="decoder"):
        rosetta.distill(pt2, shop.data, tmp_path / "b.h5", origin="decoded", **FEW)
    assert list(tmp_path.iterdir()) == []


Z = np.random.default_rng(0).normal(size=(N_ITEMS, 2))
NAN = np.where(np.arange(N_ITEMS)[:, None] == 7, np.nan, Z)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"latents": None}, UsageError, "neither a model nor `latents`"),
        ({"origin": "decoded"}, UsageError, "`origin='decoded'` makes points that a model has to label"),
        ({"origin": ["observed", "mixed=3"]}, UsageError, "`origin='mixed'` makes points that a model has to label"),
        ({"spread": "sd"}, UsageError, "`spread` has no effect with `latents`"),
        ({"decoder": "d.pt2"}, UsageError, "`decoder` has no effect with `latents`"),
        ({"resume": True}, UsageError, "`resume` has no effect with `latents`"),
        ({"allow_pickle": True}, UsageError, "`allow_pickle` has no effect with `latents`"),
        ({"latents": Z[:-3]}, IncompatibleError, "has 397 rows, but the data has 400 items: one for each"),
        ({"latents": Z[:, None]}, IncompatibleError, r"has shape \(400, 1, 2\), but latents are \(n_items, n_dims\)"),
        ({"latents": NAN}, SourceError, "NaN or infinity, the first in row 7"),
        ({"latents": Z * 1e200}, IncompatibleError, "beyond 32-bit floats"),
        ({"latents": np.array([["a"]] * N_ITEMS)}, SourceError, "items must be real numbers"),
        ({"latents": "none.npy"}, SourceError, "there is no file none.npy"),
        ({"data": Source(images(N_ITEMS), rows=":100")}, IncompatibleError, "but the data has 100 items"),
    ],
)
def test_latents_that_do_not_belong_to_the_data_are_refused_and_nothing_written(
    change: dict[str, Any], error: type[Exception], words: str, tmp_path: Path
):
    settings = FEW | {"latents": Z, "data": images(N_ITEMS)} | change
    data = settings.pop("data")
    with pytest.raises(error, match=words):
        rosetta.distill(None, data, tmp_path / "b.h5", **settings)
    assert list(tmp_path.iterdir()) == []


def test_models_that_cannot_be_right_are_refused_with_advice(pt2: str, shop: Shop, tmp_path: Path):
    samples = shop.shelf.trace("samples.pt", Samples(shop.shelf.encoder))
    last = images(N_ITEMS).transpose(0, 2, 3, 1)

    with pytest.raises(UsageError, match="a model and `latents` are both given"):
        rosetta.distill(pt2, shop.data, tmp_path / "b.h5", latents=Z, **FEW)
    with pytest.raises(IncompatibleError, match="(?s)twice|sample"):
        rosetta.distill(samples, shop.data, tmp_path / "b.h5", **FEW)
    with pytest.raises(IncompatibleError, match="`preprocess='channels_first'`"):
        rosetta.distill(pt2, last, tmp_path / "b.h5", **FEW)
    with pytest.raises(ModelError, match="Other models are known too"):
        rosetta.distill(shop.data, shop.data, tmp_path / "b.h5", **FEW)
    assert list(tmp_path.iterdir()) == []

    rosetta.distill(pt2, last, tmp_path / "b.h5", preprocess="channels_first", origin="observed", **FEW)
    with_steps = rosetta.Bundle.open(tmp_path / "b.h5")
    assert with_steps.inputs.shape[1:] == (1, 6, 6)
    assert rosetta.validate(tmp_path / "b.h5", model=pt2, data=last).valid
