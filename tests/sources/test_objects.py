"""Data in memory is read as files are, whatever holds it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from torch.utils.data import Dataset, IterableDataset, TensorDataset

from rosetta.errors import SourceError
from rosetta.sources import Source, open_rows, read_items

ITEMS = np.random.default_rng(0).integers(0, 5, size=(20, 6)).astype(np.float32)
NAMES = list("abcdef")


class Labelled(Dataset):  # type: ignore[type-arg]
    """Pictures as torchvision gives them: an item and its label."""

    def __len__(self) -> int:
        return len(ITEMS)

    def __getitem__(self, number: int) -> tuple[torch.Tensor, int]:
        return torch.from_numpy(ITEMS[number]), number


class Changing(Labelled):
    def __getitem__(self, number: int) -> Any:
        return ITEMS[number, : 6 if number < 9 else 5]


class Words(Labelled):
    def __getitem__(self, number: int) -> Any:
        return "word" if number < 9 else object()


class Once(IterableDataset):  # type: ignore[type-arg]
    def __iter__(self) -> Any:
        return iter(ITEMS)


@pytest.mark.parametrize(
    "data",
    [
        ITEMS, ITEMS.tolist(), ITEMS.astype(">f8"), torch.from_numpy(ITEMS), torch.tensor(ITEMS, requires_grad=True),
        scipy.sparse.csr_matrix(ITEMS), scipy.sparse.csc_array(ITEMS), scipy.sparse.coo_matrix(ITEMS),
        pd.DataFrame(ITEMS, columns=NAMES), TensorDataset(torch.from_numpy(ITEMS)), Labelled(),
        torch.utils.data.Subset(Labelled(), range(20)),
    ],
    ids=lambda data: type(data).__name__,
)  # fmt: skip
def test_items_are_those_of_the_array(data: Any):
    rows = open_rows(data)

    assert rows.shape == ITEMS.shape
    assert np.array_equal(rows.read(3, 9), ITEMS[3:9])
    assert np.array_equal(read_items(Source(data, rows="::3")), ITEMS[::3])


def test_frames_have_names_and_columns():
    frame = pd.DataFrame(ITEMS, columns=NAMES)
    frame["kind"] = ["kea", "tui"] * 10

    rows = open_rows(frame)

    assert rows.features == tuple(NAMES)
    assert dict(rows.not_numbers) == {"kind": "text"}
    assert rows.columns["kind"]().tolist() == ["kea", "tui"] * 10
    assert np.array_equal(open_rows(Source(frame, where=["kind=tui"])).read(0, 10), ITEMS[1::2])


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (Once(), "a Once, can only be gone through once: .* Give a Dataset with __len__ and __getitem__"),
        ((each for each in ITEMS), "a generator, can only be gone through once"),
        (np.ma.masked_array(ITEMS, ITEMS > 3), "a masked array, whose mask would be lost: fill it first"),
        ([[1, 2], [3]], "a list, is no array of numbers"),
        (object(), "items must be real numbers"),
        (None, "items must be real numbers"),
        (3, "the data has shape"),
        ({"a": 1}, "items must be real numbers"),
        (torch.utils.data.Subset(Labelled(), []), "the Subset is empty"),
        (Words(), "entries of the Words have dtype <U4, expected numbers"),
        (torch.from_numpy(ITEMS).to_sparse(), "a Tensor, is no array of numbers"),
        (ITEMS.astype(complex), "must be real numbers"),
    ],
    ids=lambda each: type(each).__name__ if not isinstance(each, str) else "",
)
def test_what_holds_no_items_is_refused(data: Any, words: str):
    with pytest.raises(SourceError, match=words):
        open_rows(data)


def test_an_entry_of_another_shape_is_named():
    rows = open_rows(Changing())

    assert np.array_equal(rows.read(0, 9), ITEMS[:9])
    with pytest.raises(SourceError, match=r"entry 9 of the Changing has shape \(5,\), entry 0 has \(6,\)"):
        rows.read(5, 12)


def test_a_gap_in_memory_is_found():
    with pytest.raises(SourceError, match="the data holds NaN or infinity, the first in row 4"):
        read_items(torch.where(torch.arange(20)[:, None] == 4, torch.nan, torch.from_numpy(ITEMS)))
