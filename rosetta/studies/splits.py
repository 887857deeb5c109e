"""The items of two labs: what each trains on, and what is held out to measure on."""

from __future__ import annotations

import hashlib
import zipfile
from dataclasses import dataclass, fields, replace
from os import PathLike
from pathlib import Path

import numpy as np

from rosetta.arrays import Array
from rosetta.errors import IncompatibleError, UsageError
from rosetta.schemas.study import StudyData, StudyTraining
from rosetta.sources import read_items

BUILT_IN = "digits"
QUICK_ITEMS, QUICK_HELD_OUT = 320, 80
QUICK = StudyTraining(latent_dim=8, hidden=(128,), epochs=50, receiver_epochs=50, batch_size=64)
LARGE_ITEM = 256  # numbers in an item from which on networks are larger
FEW, MANY = 1000, 3000  # items of a lab


@dataclass(frozen=True)
class Split:
    """Items of one kind, shape (n_items, …) each."""

    sender: Array
    sender_held_out: Array
    receiver: Array
    receiver_held_out: Array
    public: Array | None = None


def read_split(name: str, path: str | PathLike[str] | None) -> Split:
    """Read the arrays of an .npz file, or take scikit-learn's digits where `name` is ``digits`` and there is no file.

    Raises
    ------
    UsageError, SourceError, IncompatibleError
        If there is no such data, if an array is missing or holds no items, or if they differ in shape.
    """
    if path is None and name == BUILT_IN:
        return _digits()
    if path is None:
        raise UsageError(
            f"`data={name!r}` is no NAME=FILE.npz, and only {BUILT_IN} is built in: write a name before the file, such "
            "as mine=FILE.npz"
        )
    if Path(path).suffix != ".npz":
        raise UsageError(f"`data` has {name}={path}; expected an .npz file, with the arrays {', '.join(_names())}")
    arrays = {each: read_items(f"{path}::{each}") for each in _names()}
    with zipfile.ZipFile(path) as archive:
        has_public = "public.npy" in archive.namelist()
    split = Split(**arrays, public=read_items(f"{path}::public") if has_public else None)
    shapes = {each: array.shape[1:] for each, array in _arrays(split).items()}
    if len(set(shapes.values())) > 1:
        raise IncompatibleError(f"{path} holds items of different shapes: {shapes}; the labs must measure alike")
    return split


def first_of(split: Split) -> Split:
    """Return few of the items."""
    few = {
        name: array[: QUICK_HELD_OUT if name.endswith("held_out") else QUICK_ITEMS]
        for name, array in _arrays(split).items()
    }
    return replace(split, **few)


def describe(name: str, split: Split, given: StudyTraining, *, replicates: int) -> StudyData:
    """Return what a data set's cells have in common, whatever `given` leaves open chosen by the items."""
    chosen = _usual_training(split).model_dump() | given.model_dump(exclude_none=True, exclude={"replicates"})
    if given.receiver_epochs is None and given.epochs is not None:
        chosen["receiver_epochs"] = given.epochs
    return StudyData(
        name=name,
        sha256=_digest(split),
        shape=split.sender.shape[1:],
        n_sender=len(split.sender),
        n_sender_held_out=len(split.sender_held_out),
        n_receiver=len(split.receiver),
        n_receiver_held_out=len(split.receiver_held_out),
        n_public=0 if split.public is None else len(split.public),
        training=StudyTraining(**chosen),
        replicates=given.replicates or replicates,
    )


def _usual_training(split: Split) -> StudyTraining:
    is_large, n_items = split.sender[0].size > LARGE_ITEM, len(split.sender)
    epochs = 100 if n_items < FEW else 80 if n_items < MANY else 60
    return StudyTraining(
        latent_dim=16 if is_large else 8,
        hidden=(512, 256) if is_large else (256, 128),
        epochs=epochs,
        receiver_epochs=epochs,
        batch_size=64 if n_items < FEW else 128,
    )


def _digits() -> Split:
    """Return digits 0-4 and 5-9, a fifth of each held out; pixels from 0 to 1."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images / 16).astype(np.float32)
    order = np.random.default_rng(0).permutation(len(images))
    sender, receiver = (images[order[mine[order]]] for mine in (digits.target < 5, digits.target >= 5))
    n_sender, n_receiver = (len(each) // 5 for each in (sender, receiver))
    return Split(sender[n_sender:], sender[:n_sender], receiver[n_receiver:], receiver[:n_receiver])


def _names() -> list[str]:
    return [field.name for field in fields(Split) if field.name != "public"]


def _arrays(split: Split) -> dict[str, Array]:
    return {each.name: array for each in fields(Split) if (array := getattr(split, each.name)) is not None}


def _digest(split: Split) -> str:
    digest = hashlib.sha256()
    for name, array in _arrays(split).items():
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
