"""Programs that would run code when they are read are refused, and none of it runs."""

from __future__ import annotations

import io
import json
import pickle
import warnings
import zipfile
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from rosetta.adapters import open_model
from rosetta.errors import ModelError
from tests.adapters.conftest import Shelf
from tests.adapters.models import LOADING, images

GRAPH, SAMPLES = "encoder/models/model.json", "encoder/data/sample_inputs/model.pt"


class Writes:
    """A pickle that writes a file when it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def rewritten(old: str, new: Path, change: Callable[[dict[str, bytes]], object]) -> str:
    """Copy an archive with some of its files changed."""
    with zipfile.ZipFile(old) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    with zipfile.ZipFile(new, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return str(new)


def in_json(name: str, change: Callable[[Any], object]) -> Callable[[dict[str, bytes]], None]:
    def apply(files: dict[str, bytes]) -> None:
        document = json.loads(files[name])
        change(document)
        files[name] = json.dumps(document).encode()

    return apply


def saved(thing: object) -> bytes:
    buffer = io.BytesIO()
    torch.save(thing, buffer)
    return buffer.getvalue()


def test_sample_inputs_are_never_unpickled(exported: str, tmp_path: Path):
    mark = tmp_path / "written"
    path = rewritten(exported, tmp_path / "p.pt2", lambda files: files.update({SAMPLES: saved(Writes(mark))}))

    open_model(path, LOADING).encode(images(3))
    assert not mark.exists()

    with suppress(ModelError):
        open_model(path, replace(LOADING, allow_pickle=True))
    assert mark.exists()


@pytest.mark.parametrize("form", ["payload", "legacy", "opaque"])
def test_pickled_weights_are_refused(form: str, exported: str, tmp_path: Path):
    mark = tmp_path / "written"

    def change(files: dict[str, bytes]) -> None:
        if form == "legacy":
            files["encoder/data/weights/model.pt"] = saved({"w": Writes(mark)})
            return
        name = "weight_0" if form == "payload" else "opaque_obj_0"
        place = "weights" if form == "payload" else "constants"
        config = f"encoder/data/{place}/model_{place}_config.json"
        document = json.loads(files[config])
        entry = {"path_name": name, "is_param": False, "use_pickle": True, "tensor_meta": None}
        document["config"]["hostile"] = entry
        files[config] = json.dumps(document).encode()
        files[f"encoder/data/{place}/{name}"] = saved(Writes(mark)) if form == "payload" else pickle.dumps(Writes(mark))

    path = rewritten(exported, tmp_path / "p.pt2", change)
    with pytest.raises(ModelError, match="pickle.*`allow_pickle`"):
        open_model(path, LOADING)

    assert not mark.exists()


def _graph(change: Callable[[Any], object]) -> Callable[[dict[str, bytes]], None]:
    return in_json(GRAPH, lambda document: change(document["graph_module"]))


ATTACKS: dict[str, tuple[Callable[[str], Callable[[Any], object]], str]] = {
    "a function of Python": (
        lambda mark: lambda g: g["graph"]["nodes"][0].update(target="torch.os.mkdir"),
        "none of torch's operators",
    ),
    "an operator on files": (
        lambda mark: lambda g: g["graph"]["nodes"][0].update(target="torch.ops.aten.from_file.default"),
        "none of torch's operators",
    ),
    "a function as an argument": (
        lambda mark: lambda g: g["graph"]["nodes"][0]["inputs"][0].update(arg={"as_operator": "torch.os.mkdir"}),
        "none of torch's operators",
    ),
    "code as a size": (
        lambda mark: lambda g: _first_size(g).update(expr_str=f"open('{mark}', 'w')"),
        "is no formula",
    ),
    "code as a name": (
        lambda mark: lambda g: g["graph"]["inputs"][0]["as_tensor"].update(name=f"x\n    open('{mark}', 'w')"),
        "holds the text",
    ),
    "a class as an argument": (
        lambda mark: (
            lambda g: g["module_call_graph"][0]["signature"].update(
                in_spec='[1, {"type": "collections.defaultdict", "context": "{}", "children_spec": []}]'
            )
        ),
        "of a Python class",
    ),
}


def _first_size(graph: Any) -> dict[str, Any]:
    sizes = (size for value in graph["graph"]["tensor_values"].values() for size in value["sizes"])
    found: dict[str, Any] = next(size["as_expr"] for size in sizes if "as_expr" in size)
    return found


@pytest.mark.parametrize("attack", sorted(ATTACKS))
def test_a_graph_is_of_operators_on_numbers(attack: str, exported: str, tmp_path: Path):
    mark = tmp_path / "written"
    make, expected = ATTACKS[attack]
    path = rewritten(exported, tmp_path / "p.pt2", _graph(make(str(mark))))

    with pytest.raises(ModelError, match=expected):
        open_model(path, LOADING)

    assert not mark.exists()


def test_guards_are_not_executed(exported: str, tmp_path: Path):
    mark = tmp_path / "written"

    def change(document: Any) -> None:
        document["guards_code"] = [f"open({str(mark)!r}, 'w')"]

    path = rewritten(exported, tmp_path / "p.pt2", in_json(GRAPH, change))
    open_model(path, LOADING).encode(images(3))

    assert not mark.exists()


def test_torchscript_that_writes_files_is_refused(tmp_path: Path, shelf: Shelf):
    mark = tmp_path / "written"
    source = f"def forward(self, x):\n    torch.save(x, {str(mark)!r})\n    return x\n"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = torch.jit.ScriptModule()
        module.define(source)
        torch.jit.save(module, str(tmp_path / "p.pt"))

    with pytest.raises(ModelError, match="reads or writes files"):
        open_model(str(tmp_path / "p.pt"), LOADING).encode(images(3))

    assert not mark.exists()


def test_a_pickled_model_is_not_read(tmp_path: Path):
    mark = tmp_path / "written"
    torch.save(Writes(mark), tmp_path / "p.pt")

    with pytest.raises(ModelError, match="is a pickled model"):
        open_model(str(tmp_path / "p.pt"), LOADING)

    assert not mark.exists()


def test_an_archive_that_grows_beyond_measure_is_not_read(tmp_path: Path):
    with zipfile.ZipFile(tmp_path / "p.pt2", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("archive/models/model.json", bytes(1 << 22))

    with pytest.raises(ModelError, match="beyond measure"):
        open_model(str(tmp_path / "p.pt2"), LOADING)
