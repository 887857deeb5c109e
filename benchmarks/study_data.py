"""The split files that `rosetta study origins --data NAME=FILE.npz` takes, of MNIST and of zebra-finch syllables.

Run: python -m benchmarks.study_data FOLDER [--mnist mnist.npz] [--finches zebrafinch_syllables_128.npz] [--small]

`mnist.npz` holds x_train, y_train, x_test, y_test; the finches' file spec, bird and file_index (its recordings).
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from rosetta.arrays import Array

FULL = (5000, 1000)  # items to train on, and held out, of each lab at most
SMALL_MNIST, SMALL_FINCHES = (450, 100), (320, 80)
COARSE = 17  # small finches have 16 levels of grey, which compress well
SENDER_DIGITS = 5  # the sender has the digits below


def mnist(path: Path, sizes: tuple[int, int]) -> dict[str, Array]:
    """Return digits 0-4 and 5-9; held-out ones are of the test images, public ones scikit-learn's, enlarged."""
    rng = np.random.default_rng(0)
    arrays = {}
    with np.load(path) as data:
        for part, n_items, suffix in (("train", sizes[0], ""), ("test", sizes[1], "_held_out")):
            images, labels = data[f"x_{part}"], data[f"y_{part}"]
            for lab, mine in (("sender", labels < SENDER_DIGITS), ("receiver", labels >= SENDER_DIGITS)):
                rows = rng.permutation(np.flatnonzero(mine))[:n_items]
                arrays[lab + suffix] = images[np.sort(rows)]
    return arrays | {"public": public_digits()}


def public_digits() -> Array:
    """Return scikit-learn's digits as MNIST shows its own: 20 pixels of 28, uint8, shape (1797, 28, 28)."""
    from scipy.ndimage import zoom
    from sklearn.datasets import load_digits

    enlarged = zoom(load_digits().images, (1, 2.5, 2.5), order=1, grid_mode=True, mode="nearest")
    return np.pad(np.clip(np.rint(enlarged * 255 / 16), 0, 255).astype(np.uint8), ((0, 0), (4, 4), (4, 4)))


def finches(path: Path, sizes: tuple[int, int], *, block: int) -> dict[str, Array]:
    """Return the two birds' syllables, means of block x block pixels; a fifth of the recordings is held out whole."""
    rng = np.random.default_rng(0)
    arrays = {}
    with np.load(path) as data:
        spectrograms, birds, recordings = data["spec"], data["bird"], data["file_index"]
    for number, lab in enumerate(("sender", "receiver")):
        mine = np.flatnonzero(birds == number)
        files = rng.permutation(np.unique(recordings[mine]))
        is_held_out = np.isin(recordings[mine], files[: len(files) // 5])
        for suffix, rows, n_items in (("", mine[~is_held_out], sizes[0]), ("_held_out", mine[is_held_out], sizes[1])):
            chosen = np.sort(rng.permutation(rows)[:n_items])
            arrays[lab + suffix] = block_means(spectrograms[chosen], block)
    return arrays


def block_means(images: Array, block: int) -> Array:
    """Return images, uint8, shape (n_items, h, w), as the means of block x block pixels, rounded."""
    n_items, height, width = images.shape
    blocks = images.reshape(n_items, height // block, block, width // block, block)
    return np.rint(blocks.mean(axis=(2, 4))).astype(np.uint8)


def main() -> None:
    """Write the files that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--mnist", type=Path)
    parser.add_argument("--finches", type=Path)
    parser.add_argument("--small", action="store_true", help="few items, and finches of 32 x 32: what the tests use")
    chosen = parser.parse_args()
    chosen.folder.mkdir(parents=True, exist_ok=True)
    found = {}
    if chosen.mnist:
        found["mnist"] = mnist(chosen.mnist, SMALL_MNIST if chosen.small else FULL)
        if chosen.small:
            found["mnist"]["public"] = found["mnist"]["public"][::6]
    if chosen.finches and chosen.small:
        small = finches(chosen.finches, SMALL_FINCHES, block=4)
        found["finches"] = {
            key: np.rint(array / COARSE).astype(np.uint8) * np.uint8(COARSE) for key, array in small.items()
        }
    elif chosen.finches:
        found["finches"] = finches(chosen.finches, FULL, block=2)
    for name, arrays in found.items():
        np.savez_compressed(chosen.folder / f"{name}.npz", **arrays)  # type: ignore[arg-type]
        print(chosen.folder / f"{name}.npz", {key: array.shape for key, array in arrays.items()})


if __name__ == "__main__":
    main()
