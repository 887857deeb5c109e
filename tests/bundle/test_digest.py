"""Digests name values, not the way in which they were stored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from rosetta.bundle.digest import array_digest, content_digest, dtype_code, manifest_digest

DTYPES = st.sampled_from(["<f4", "<f8", "u1", "<i4", "<i8"])
ARRAYS = DTYPES.flatmap(lambda dtype: arrays_of.arrays(dtype, arrays_of.array_shapes(min_dims=0, max_dims=4)))


def _digest_by_hand(array: np.ndarray) -> str:
    """The definition, spelt out number by number (spec §6.1)."""
    shape = ",".join(map(str, array.shape))
    header = f'rosetta-array-v1\n{{"dtype":"{array.dtype.kind}{array.dtype.itemsize}","shape":[{shape}]}}\n'
    little = array.dtype.newbyteorder("<")
    values = b"".join(np.array(array[index], dtype=little).tobytes() for index in np.ndindex(*array.shape))
    return hashlib.sha256(header.encode() + values).hexdigest()


@settings(deadline=None, max_examples=50)
@given(array=ARRAYS)
def test_an_array_digest_is_what_its_definition_says(array: np.ndarray):
    assert array_digest(array) == _digest_by_hand(array)


@settings(deadline=None, max_examples=50)
@given(array=ARRAYS)
def test_byte_order_and_memory_layout_leave_an_array_digest_alone(array: np.ndarray):
    spread = np.zeros((*array.shape, 2), dtype=array.dtype)
    spread[..., 1] = array

    digests = {
        array_digest(each)
        for each in (array, array.astype(array.dtype.newbyteorder(">")), array.copy(order="F"), spread[..., 1])
    }

    assert digests == {array_digest(array.copy())}


@pytest.mark.parametrize(
    "other",
    [
        np.array([[1, 2, 3], [4, 5, 7]], dtype="<i4"),
        np.array([[1, 2, 3], [4, 5, 6]], dtype="<i8"),
        np.array([[1, 2], [3, 4], [5, 6]], dtype="<i4"),
        np.array([[1, 2, 3], [4, 5, 6]], dtype="<i4").T,
        np.array([[1, 2, 3], [4, 5, 6]], dtype="<i4").view("<f4"),
    ],
    ids=["value", "width", "shape", "transpose", "kind"],
)
def test_another_value_shape_or_dtype_is_another_array(other: np.ndarray):
    array = np.array([[1, 2, 3], [4, 5, 6]], dtype="<i4")

    assert array_digest(array) != array_digest(other)


@pytest.mark.parametrize(("dtype", "code"), [("<f4", "f4"), (">f8", "f8"), ("u1", "u1"), (">i4", "i4"), ("<i8", "i8")])
def test_a_dtype_code_has_no_byte_order(dtype: str, code: str):
    assert dtype_code(np.dtype(dtype)) == code


def test_a_content_digest_is_that_of_the_canonical_json():
    canonical = b'rosetta-content-v1\n{"a":1,"b":[true,null]}'

    assert content_digest({"b": [True, None], "a": 1.0}) == hashlib.sha256(canonical).hexdigest()


@pytest.mark.parametrize("changed", [{"a": 2}, {"b": 1}, {"a": 1, "b": 1}, {}])
def test_other_content_has_another_digest(changed: Mapping[str, Any]):
    assert content_digest(changed) != content_digest({"a": 1})


def test_a_manifest_digest_is_the_plain_sha256_of_its_bytes():
    assert manifest_digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
