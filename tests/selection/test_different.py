"""Copies are found by keys, and drawing is even, in one pass."""

from __future__ import annotations

import numpy as np
import pytest

from rosetta.arrays import row_blocks
from rosetta.selection import different
from rosetta.selection.different import draw_different, first_rows, keys_of, make_salt

NONE = np.empty(0, np.uint64)


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_equal_rows_have_equal_keys_and_others_different_ones(dtype: type):
    grid = np.stack(np.meshgrid(*[np.arange(-50, 50)] * 2), axis=-1).reshape(-1, 2).astype(dtype)
    salt = make_salt(grid, np.random.default_rng(0))

    keys = keys_of(grid, salt)

    assert len(set(keys.tolist())) == len(grid)
    assert (keys_of(np.asfortranarray(grid)[::3], salt) == keys[::3]).all()
    assert (keys_of(-grid, salt) == keys_of(0 - grid, salt)).all()  # −0 is 0


def test_every_item_is_drawn_as_often_as_any_other_and_copies_no_more_often():
    latents = np.repeat(np.arange(40.0), 1 + np.arange(40) % 3)[:, None]
    strata = (latents[:, 0] >= 30).astype(int)
    counts = np.zeros(40)
    for seed in range(400):
        salt = make_salt(latents, np.random.default_rng(seed))
        rows, codes, is_whole = draw_different(latents, 10, salt, banned=NONE, strata=strata, n_strata=2)
        assert np.bincount(codes).tolist() == [10, 10]
        assert is_whole.tolist() == [False, True]
        assert (rows == np.searchsorted(latents[:, 0], latents[rows, 0])).all()  # the first of copies
        counts[latents[rows, 0].astype(int)] += 1

    assert counts[30:].tolist() == [400] * 10  # a stratum that is drawn whole
    assert counts[:30] == pytest.approx(np.full(30, 400 / 3), abs=4.5 * np.sqrt(400 * 2 / 9))


def test_blocks_make_no_difference(monkeypatch: pytest.MonkeyPatch):
    latents = np.random.default_rng(0).integers(4, size=(500, 3)).astype(np.float32)
    strata = np.random.default_rng(1).integers(3, size=500)
    salt = make_salt(latents, np.random.default_rng(2))
    banned = np.sort(keys_of(latents[:5], salt))
    whole = draw_different(latents, 9, salt, banned=banned, strata=strata, n_strata=3)

    monkeypatch.setattr(different, "row_blocks", lambda array: row_blocks(array, 40))
    parts = draw_different(latents, 9, salt, banned=banned, strata=strata, n_strata=3)

    assert (whole[0] == parts[0]).all()
    assert (whole[1] == parts[1]).all()
    assert (whole[2] == parts[2]).all()
    wanted, groups = keys_of(latents[whole[0]], salt), strata[whole[0]]
    first = [
        next(i for i in range(500) if (latents[i] == latents[row]).all() and strata[i] == strata[row])
        for row in whole[0]
    ]
    assert first_rows(latents, wanted, salt, strata=strata, groups=groups).tolist() == first
