"""The weights of somebody's module."""

from __future__ import annotations

import hashlib

import torch
from torch import nn


def weights_sha256(module: nn.Module) -> str:
    """Return a digest over the names and values of all tensors of a module's state, whatever device they are on."""
    digest = hashlib.sha256(b"rosetta-module-v1\n")
    for name, tensor in sorted(module.state_dict().items()):
        if isinstance(tensor, torch.Tensor):  # a module may keep other things there
            values = tensor.detach().cpu().contiguous()
            digest.update(f"{name} {values.dtype} {tuple(values.shape)} ".encode())
            digest.update(values.flatten().view(torch.uint8).numpy().tobytes() + b"\n")
    return digest.hexdigest()


def floats_of(module: nn.Module) -> torch.dtype:
    """Return the type of numbers that a module computes with."""
    tensors = (*module.parameters(), *module.buffers())
    return next((tensor.dtype for tensor in tensors if tensor.dtype.is_floating_point), torch.float32)
