"""Imports point down only, and what a quick command needs is quick to load."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WRITERS = ("rosetta.models.checkpoint", "rosetta.training.checkpoint", "rosetta.training.loggers")
GROUND = {"errors", "registry", "arrays", "rounding", "files", "schemas", "software", "settings", "credits", "notes"}
# room → the rooms that it may read, beside the ground; what stands lower never reads what stands higher
ROOMS: dict[str, set[str]] = {
    # arrays in, numbers out
    "bundle": set(),
    "charts": set(),
    "disclosure": set(),
    "metrics": set(),
    "models": set(),
    "objectives": set(),
    "origins": set(),
    "preprocessing": set(),
    "privacy": set(),
    "programs": set(),
    "selection": set(),
    "sources": set(),
    "training": set(),
    "rules": {"bundle", "preprocessing"},  # a rule looks at bundles, and knows the steps there are
    "adapters": {"models", "preprocessing", "programs"},  # our own runs and programs are models too
    "lightning": {"bundle", "objectives"},
    # what verbs are made of, the lowest first
    "inputs": {"adapters", "bundle", "preprocessing", "selection", "sources"},
    "validation": {"bundle", "inputs", "rules"},
    "policies": {"disclosure", "inputs", "sources"},
    "runs": {
        "adapters", "bundle", "charts", "disclosure", "inputs", "models", "objectives", "policies", "preprocessing",
        "sources", "training", "validation",
    },
    "sweeps": {"charts", "models", "objectives", "runs", "training"},
    "distillation": {
        "adapters", "bundle", "disclosure", "inputs", "metrics", "origins", "policies", "preprocessing", "privacy",
        "rules", "runs", "selection", "sources",
    },
    "audits": {
        "adapters", "bundle", "charts", "disclosure", "inputs", "policies", "rules", "runs", "selection", "sources",
    },
    "shadows": {
        "adapters", "bundle", "disclosure", "distillation", "inputs", "metrics", "preprocessing", "runs", "sources",
        "validation",
    },
    "studies": {"adapters", "inputs", "metrics", "models", "sources"},
}  # fmt: skip
ROOMS["verbs"] = set(ROOMS)
ROOMS["cli"] = set(ROOMS)


def _layer(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def _modules() -> dict[str, Path]:
    places = {"rosetta": ROOT / "rosetta", "rosetta.schemas": ROOT / "schemas", "rosetta.cli": ROOT / "cli"}
    return {
        ".".join([name, *path.relative_to(folder).with_suffix("").parts]).removesuffix(".__init__"): path
        for name, folder in places.items()
        for path in folder.rglob("*.py")
    }


def _imports(path: Path) -> set[str]:
    """Every module of ours that a file imports, wherever in it, type checking included."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return {name for name in found if name.startswith("rosetta.") and name in _modules()}


@pytest.mark.parametrize("module", sorted(m for m in _modules() if _layer(m)))
def test_a_room_reads_what_the_map_says_and_nothing_else(module: str):
    layer = _layer(module)
    if layer in GROUND:
        allowed = {"schemas"} if layer == "schemas" else {"errors", "registry", "arrays", "schemas", layer}
    else:
        allowed = GROUND | {layer} | ROOMS[layer]

    beyond = {name for name in _imports(_modules()[module]) if _layer(name) not in allowed}

    assert not beyond, f"{module} imports {sorted(beyond)}"


def test_the_map_has_no_way_back_up_and_no_way_that_nobody_takes():
    taken = {room: set() for room in ROOMS}
    for module, path in _modules().items():
        if _layer(module) in ROOMS:
            taken[_layer(module)] |= {_layer(name) for name in _imports(path)}
    order = list(ROOMS)
    for room, reads in ROOMS.items():
        assert all(order.index(below) < order.index(room) for below in reads), room
        if room not in ("verbs", "cli"):
            assert reads <= taken[room], f"{room} reads no {sorted(reads - taken[room])}"


@pytest.mark.parametrize("layer", ["selection", "metrics"])
def test_selection_and_metrics_never_see_a_bundle(layer: str):
    for module, path in _modules().items():
        if _layer(module) == layer:
            assert "bundle" not in {_layer(name) for name in _imports(path)}


def test_only_sources_bundle_checkpoints_files_and_the_command_line_touch_the_disk():
    touching = {"open", "read_bytes", "read_text", "write_bytes", "write_text", "unlink", "mkdir", "savez_compressed"}
    allowed = {"sources", "bundle", "cli", "files"}
    for module, path in _modules().items():
        if _layer(module) in allowed or module.startswith(WRITERS):
            continue
        calls = [n.func for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        names = {c.attr if isinstance(c, ast.Attribute) else getattr(c, "id", "") for c in calls}
        if module.rpartition(".")[2] in (
            "lightning",
            "embed",
            "export",
            "inspect",
            "sign",
            "results",
            "verify",
        ):  # Bundle.open, or a stream
            names -= {"open"}
        assert not names & touching, f"{module} touches the disk with {names & touching}"


@pytest.mark.parametrize(
    ("code", "absent"),
    [
        ("import rosetta", ("torch", "sklearn", "h5py", "numpy")),
        ("import rosetta.bundle, rosetta.rules; rosetta.rules.catalogue()", ("torch", "sklearn")),
        ("import rosetta.schemas.export; rosetta.schemas.export.documents()", ("torch", "h5py", "numpy")),
        ("import rosetta.cli.app", ("torch", "sklearn", "h5py", "numpy", "pydantic")),
        ("from rosetta.verbs.metrics import metrics; metrics()", ("torch", "sklearn", "h5py")),
        ("from rosetta.verbs import validate, inspect", ("torch", "sklearn", "securesystemslib", "cryptography")),
        ("from rosetta.verbs import sign, verify", ("torch", "sklearn", "securesystemslib", "cryptography")),
    ],
)
def test_light_modules_load_nothing_heavy(code: str, absent: tuple[str, ...]):
    check = f"import sys; {code}; sys.exit(str([m for m in {absent!r} if m in sys.modules] or ''))"

    result = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=False)

    assert result.stderr.strip() == ""


def test_public_names_are_the_verbs_and_not_modules():
    import rosetta
    import rosetta.verbs.train

    for name in rosetta.__all__:
        assert callable(getattr(rosetta, name))
        assert getattr(rosetta, name).__doc__
    with pytest.raises(AttributeError, match="no attribute 'trane'"):
        rosetta.trane  # noqa: B018
