"""Rosetta: share a latent space without sharing the data.

::

    sources → preprocessing → adapters → embed → distill(selection, origins, disclosure) → bundle
                                                                                           │
    compare(metrics) ← check ← train(anchors) ← preprocessing ← validate(rules) ←──────────┘

Alice trains a VAE and distils a bundle of Rosetta points, (input, latent) pairs. Bob trains on his own data,
anchored to her bundle, and his latents are in her coordinates.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rosetta.bundle import Bundle
    from rosetta.errors import RosettaError
    from rosetta.objectives.anchors import AnchorLoss
    from rosetta.sources import Source
    from rosetta.verbs.audit import audit
    from rosetta.verbs.check import check
    from rosetta.verbs.compare import compare
    from rosetta.verbs.distill import distill
    from rosetta.verbs.embed import embed, latents_of
    from rosetta.verbs.export import export
    from rosetta.verbs.inspect import inspect
    from rosetta.verbs.migrate import migrate
    from rosetta.verbs.sign import keygen, sign
    from rosetta.verbs.study import study_origins
    from rosetta.verbs.sweep import sweep
    from rosetta.verbs.train import train
    from rosetta.verbs.validate import validate
    from rosetta.verbs.verify import verify

_HOMES = {
    "AnchorLoss": "rosetta.objectives.anchors",
    "Bundle": "rosetta.bundle",
    "RosettaError": "rosetta.errors",
    "Source": "rosetta.sources",
    "audit": "rosetta.verbs.audit",
    "check": "rosetta.verbs.check",
    "compare": "rosetta.verbs.compare",
    "distill": "rosetta.verbs.distill",
    "embed": "rosetta.verbs.embed",
    "export": "rosetta.verbs.export",
    "inspect": "rosetta.verbs.inspect",
    "keygen": "rosetta.verbs.sign",
    "latents_of": "rosetta.verbs.embed",
    "migrate": "rosetta.verbs.migrate",
    "sign": "rosetta.verbs.sign",
    "study_origins": "rosetta.verbs.study",
    "sweep": "rosetta.verbs.sweep",
    "train": "rosetta.verbs.train",
    "validate": "rosetta.verbs.validate",
    "verify": "rosetta.verbs.verify",
}

__all__ = [
    "AnchorLoss",
    "Bundle",
    "RosettaError",
    "Source",
    "audit",
    "check",
    "compare",
    "distill",
    "embed",
    "export",
    "inspect",
    "keygen",
    "latents_of",
    "migrate",
    "sign",
    "study_origins",
    "sweep",
    "train",
    "validate",
    "verify",
]


def __getattr__(name: str) -> Any:
    """Load a public name when it is first asked for, so that `import rosetta` loads neither torch nor HDF5."""
    if name not in _HOMES:
        raise AttributeError(f"module 'rosetta' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
