"""The networks, one file for each architecture, and the VAE that is made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import nn

from rosetta.registry import Registry

# (input shape, latent dimensions, hidden sizes) → encoder to (n_items, 2 · n_dims), decoder to (n_items, …)
Architecture = Callable[[tuple[int, ...], int, Sequence[int]], tuple[nn.Module, nn.Module]]

architectures: Registry[Architecture] = Registry("architecture", "rosetta.models")
