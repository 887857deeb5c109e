"""Shared by the examples: Alice's bundle, Bob's digits, and the agreement of the two models."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from sklearn.datasets import load_digits

import rosetta
from rosetta.metrics.fvu import fvu


class Setting(NamedTuple):
    """Bob's data, and for the comparison only, items of Alice's that neither model was trained on."""

    bundle: rosetta.Bundle
    items: np.ndarray  # Bob's digits 5–9, float32 from 0 to 1, shape (n_items, 8, 8)
    epochs: int
    unseen: np.ndarray  # Alice's, shape (n_unseen, 8, 8)
    latents: np.ndarray  # her encoder's latents of them, shape (n_unseen, n_dims)

    def show(self, name: str, encode: Callable[[np.ndarray], np.ndarray]) -> None:
        """Print the fraction of variance unexplained (fvu) of Alice's latents: 0 is perfect, 2 unrelated."""
        print(f"{name + ':':<17}{fvu(self.latents, encode(self.unseen)):.3f}")


def setting(purpose: str | None) -> Setting:
    """Parse the command line, and make Alice's bundle unless one is given."""
    parser = argparse.ArgumentParser(description=purpose)
    parser.add_argument("--anchors", type=Path, help="a bundle of 8 × 8 digits [default: train a model and make one]")
    parser.add_argument("--epochs", type=int, default=40, help="epochs of Alice's and of Bob's training")
    options = parser.parse_args()
    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)
    alice, bob = images[digits.target < 5], images[digits.target >= 5]
    if options.anchors:
        bundle = rosetta.Bundle.open(options.anchors)
        return Setting(bundle, bob, options.epochs, bundle.check_inputs, bundle.check_latents)
    unseen, hers = alice[:180], alice[180:]
    with TemporaryDirectory() as folder:
        run, file = Path(folder) / "alice", Path(folder) / "alice.h5"
        rosetta.train(hers, run, latent_dim=8, hidden=(128,), batch_size=64, epochs=options.epochs)
        words = {"title": "Digits 0–4", "creators": ["Alice"], "license": "CC-BY-4.0"}
        rosetta.distill(run, hers, file, origin="decoded", pairs=512, **words)
        return Setting(rosetta.Bundle.open(file), bob, options.epochs, unseen, rosetta.latents_of(run, unseen))
