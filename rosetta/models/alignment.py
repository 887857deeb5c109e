"""Bring a model's latents to given ones in closed form: a Procrustes map, folded into its layers."""

from __future__ import annotations

import numpy as np
import torch
from scipy.linalg import orthogonal_procrustes

from rosetta.arrays import Array, Floats
from rosetta.errors import ModelError
from rosetta.models.layers import first_linear, last_linear
from rosetta.models.vae import VAE, encode_array


def procrustes(found: Floats, wanted: Floats) -> tuple[float, Floats, Floats, Floats]:
    """Return scale, rotation and the two centres that bring `found` nearest to `wanted`, both (n_items, n_dims).

    They minimise Σ_k ‖scale · (found_k − centre) rotation + other centre − wanted_k‖² over scales, orthogonal
    matrices and centres (Gower & Dijksterhuis 2004, "Procrustes problems").

    Raises
    ------
    ModelError
        If all of `found` is one point.
    """
    centre, other = found.mean(axis=0, dtype=np.float64), wanted.mean(axis=0, dtype=np.float64)
    a, b = found - centre, wanted - other
    size = float(np.square(a).sum())
    if not size > 0:
        raise ModelError("the encoder gives all anchors the same latent, so there is nothing to align")
    rotation, scale = orthogonal_procrustes(a, b)
    return float(scale) / size, rotation, centre, other


@torch.no_grad()
def align(model: VAE, inputs: Array, latents: Floats) -> None:
    """Change `model` so that its posterior means of `inputs` are as near to `latents` as a similarity map brings them.

    The map is folded into the encoder's last layer, and its inverse into the decoder's first, so that reconstructions
    of posterior means stay what they were. Standard deviations are scaled along, but not rotated: a posterior whose
    dimensions are independent has no rotation that keeps it one.

    Parameters
    ----------
    model : VAE
        Its encoder must end, and its decoder begin, with a linear layer.
    inputs, latents : array, shape (n_items, …) and (n_items, n_dims)
        Anchors, more than there are dimensions.

    Raises
    ------
    ModelError
        If the layers are not linear, or there is nothing to align.
    """
    into, out_of = last_linear(model.encoder), first_linear(model.decoder)
    found, _ = encode_array(model, inputs)
    scale, rotation, centre, other = procrustes(found, latents)
    if not scale > 0:
        raise ModelError("the encoder's latents of the anchors have nothing in common with the stored ones")
    n_dims = latents.shape[1]
    weight, bias = (t.double().numpy() for t in (into.weight.cpu(), into.bias.cpu()))
    weight[:n_dims] = scale * rotation.T @ weight[:n_dims]
    bias[:n_dims] = scale * rotation.T @ (bias[:n_dims] - centre) + other
    bias[n_dims:] += 2 * np.log(scale)
    inward, offset = (t.double().numpy() for t in (out_of.weight.cpu(), out_of.bias.cpu()))
    offset = offset + inward @ (centre - rotation @ other / scale)
    inward = inward @ rotation / scale
    for tensor, values in ((into.weight, weight), (into.bias, bias), (out_of.weight, inward), (out_of.bias, offset)):
        tensor.copy_(torch.from_numpy(values))
