"""What attacks find in bundles of senders that train on most of their items: the table of docs/disclosure.md.

    python -m benchmarks.disclosure OUT --mnist mnist.npz --finches finches.npz --cells cells.npz [--before FOLDER]

`mnist.npz` has x_train, shape (n, 28, 28), uint8; `finches.npz` spec, spectrograms of shape (n, 128, 128), uint8, which
are halved; `cells.npz` x, logarithms of counts, shape (n, n_genes). Senders whose file is not given are left out. In
OUT, senders and bundles are kept, and the command goes on where it was. `--before` names a folder with senders and
bundles that another version of the software has made of the same data, with the names that they have in OUT.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rosetta.schemas.audit import AttackResult
from sklearn.datasets import load_digits

import rosetta
from rosetta.arrays import Array, Derived, Floats
from rosetta.audits.items import open_sender_model
from rosetta.disclosure import run_attacks
from rosetta.disclosure.attacks import Effort
from rosetta.disclosure.sides import People, draw_sides
from rosetta.errors import RosettaError
from rosetta.inputs.prepare import expected_in, match_inputs

WORDS: dict[str, Any] = {"license": "CC0-1.0", "title": "Disclosure", "creators": ["benchmark"]}
SMALL: dict[str, Any] = {"latent_dim": 8, "hidden": (256, 128)}
LARGE: dict[str, Any] = {"latent_dim": 16, "hidden": (512, 256)}
SENDERS: dict[str, tuple[str, int, dict[str, Any]]] = {
    "digits-300-long": ("digits", 300, SMALL | {"epochs": 400}),
    "digits-900": ("digits", 900, SMALL),
    "mnist-300-long": ("mnist", 300, LARGE | {"epochs": 200}),
    "mnist-900": ("mnist", 900, LARGE | {"epochs": 30}),
    "mnist-5000": ("mnist", 5000, LARGE | {"epochs": 60}),
    "finches-2000": ("finches", 2000, LARGE | {"epochs": 60}),
    "cells-1000": ("cells", 1000, LARGE | {"epochs": 60}),
    "normal-150": ("normal", 150, LARGE | {"epochs": 5}),
    "normal-3000": ("normal", 3000, LARGE | {"epochs": 5}),
}
ORIGINS = ("decoded", "moments", "averaged")
N_OUTSIDERS = 2000
EFFORT = Effort(n_rows=5000, n_components=784, n_steps=3000, n_hidden=256)


def main() -> None:
    """Train, distil, attack, and print a line for each sender and origin."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    for kind in FILES:
        parser.add_argument(f"--{kind}", type=Path)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--only", nargs="*", default=list(SENDERS))
    chosen = parser.parse_args()
    chosen.out.mkdir(exist_ok=True)
    print(
        "| sender | ceiling | origin | strongest attack | AUC | found at 1 % |\n| --- | --- | --- | --- | --- | --- |"
    )
    for name in chosen.only:
        kind = SENDERS[name][0]
        if kind in FILES and getattr(chosen, kind) is None:
            continue
        for line in _lines(chosen.out, name, getattr(chosen, kind, None), chosen.before):
            print(line, flush=True)


def _lines(out: Path, name: str, file: Path | None, before: Path | None) -> Iterator[str]:
    kind, n_items, settings = SENDERS[name]
    data, run = out / f"{name}.npz", out / name
    if not data.exists():
        items = MADE[kind]() if file is None else FILES[kind](np.load(file))
        order = np.random.default_rng(0).permutation(len(items))
        np.savez(data, train=items[order[:n_items]], held_out=items[order[n_items : n_items + N_OUTSIDERS]])
    if not run.exists():
        rosetta.train(f"{data}::train", run, **settings)
    for origin in ORIGINS:
        bundle = (before or out) / f"{name}-{origin}.h5"
        if not bundle.exists() and before is None:
            pairs = {"pairs": n_items // 20 - 4, "checks": 4} if origin == "averaged" and n_items < 960 else {}
            try:
                rosetta.distill(
                    run, f"{data}::train", bundle, origin=origin, held_out=f"{data}::held_out", **pairs, **WORDS
                )
            except RosettaError as error:
                yield f"| {name} | | {origin} | refused: {str(error).split(': ', 1)[-1][:150]} | | |"
                continue
        if bundle.exists():
            yield _line(name, origin, attacked(bundle, data, bundle.parent / name))


def attacked(path: Path, data: Path, run: Path) -> tuple[AttackResult, ...]:
    """Return what every attack finds, with all the effort there is."""
    bundle = rosetta.Bundle.open(path)
    model = open_sender_model(bundle, run, allow_code=None, allow_pickle=False)
    n_dims = bundle.manifest.content.space.n_dims

    def people(which: str) -> People:
        inputs = match_inputs(f"{data}::{which}", expected_in(bundle)).inputs
        return People(inputs, Derived(inputs, model.encode, n_dims))

    members, others = people("train"), people("held_out")
    sides = draw_sides(members, others, np.random.default_rng(0), n_rows=EFFORT.n_rows, rebuild=model.rebuild)
    inputs: Floats = bundle.inputs.reshape(len(bundle.inputs), -1)
    origin = bundle.manifest.content.origins[0].origin
    return run_attacks(
        inputs, bundle.latents, {origin: np.arange(len(inputs))}, sides, n_items=len(members.inputs),
        weights=bundle.weights, effort=EFFORT,
    )  # fmt: skip


def _line(name: str, origin: str, found: tuple[AttackResult, ...]) -> str:
    ceiling = next(each for each in found if each.is_ceiling)
    worst = max((each for each in found if not each.is_ceiling), key=lambda each: each.low)
    most = max(each.caught_at_1_percent or 0.0 for each in found if not each.is_ceiling)
    area = f"{worst.auc:.2f} ({worst.low:.2f}–{worst.high:.2f})"
    return f"| {name} | {_figures(ceiling)} | {origin} | {worst.attack} | {area} | {most:.0%} |"


def _figures(found: AttackResult) -> str:
    return f"{found.auc:.2f} / {found.caught_at_1_percent or 0:.0%}"


def _halved(images: Array) -> Array:
    n, height, width = images.shape
    blocks = images.reshape(n, height // 2, 2, width // 2, 2)
    return np.asarray(blocks.mean(axis=(2, 4), dtype=np.float32) / 255)


FILES: dict[str, Callable[[Any], Array]] = {
    "mnist": lambda file: file["x_train"],
    "finches": lambda file: _halved(file["spec"]),
    "cells": lambda file: file["x"].astype(np.float32),
}
MADE: dict[str, Callable[[], Array]] = {
    "digits": lambda: (load_digits().images / 16).astype(np.float32),
    "normal": lambda: np.random.default_rng(0).standard_normal((5000, 784), dtype=np.float32),
}


if __name__ == "__main__":
    main()
