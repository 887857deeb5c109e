"""The bundle: pairs, the moments of the latent space, and a manifest, in one closed HDF5 file.

::

    sandbox → reader → manifest → integrity → Bundle
                    layout, digest → writer ←┘   ↑
                              migrate       signature
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rosetta.bundle.bundle import Bundle

__all__ = ["Bundle"]


def __getattr__(name: str) -> Any:
    """Load `Bundle` when it is first asked for: the child that walks a stranger's file has no use for it."""
    if name != "Bundle":
        raise AttributeError(f"module 'rosetta.bundle' has no attribute {name!r}")
    from rosetta.bundle.bundle import Bundle

    globals()["Bundle"] = Bundle
    return Bundle
