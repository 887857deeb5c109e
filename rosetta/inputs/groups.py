"""Whose each item is: the person, animal or patient that is protected, where it has several items."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from rosetta.arrays import Array
from rosetta.errors import IncompatibleError, SelectionError, UsageError
from rosetta.inputs.labels import Columns, labels_of
from rosetta.inputs.matching import some
from rosetta.selection.strata import label_texts

OPTION = "`groups`"


@dataclass(frozen=True)
class GroupCodes:
    """The group of each item.

    Parameters
    ----------
    codes : int array, shape (n_items,)
        From 0, in the order in which the groups first appear.
    names : tuple of str, shape (n_groups,)
        What the groups are called. They name people, so they never go into a file.
    """

    codes: Array
    names: tuple[str, ...]

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know: groups that have one item each make no difference."""
        if len(self.names) < len(self.codes):
            return ()
        return (
            f"each of the {len(self.names):,} groups has one item only, which is the same as no {OPTION}: check that "
            "the column says whose the items are, and not which they are",
        )

    def rows_of(self, names: Iterable[str]) -> Array:
        """Return the numbers of all rows of some groups, in order.

        Raises
        ------
        IncompatibleError
            If there is no group of such a name.
        """
        wanted = dict.fromkeys(names)
        known = {name: code for code, name in enumerate(self.names)}
        for name in wanted:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {some(self.names)}."
                raise IncompatibleError(
                    f"no item is of the group {name!r}: {hint} If its items have been removed from the data, take the "
                    "name out of excluded_groups"
                )
        return np.flatnonzero(np.isin(self.codes, [known[name] for name in wanted]))

    def of_rows(self, rows: Array) -> Array:
        """Return the groups of some rows, from 0 without gaps, in order of appearance: shape (n_rows,)."""
        return in_order(self.codes[rows])[0]


def groups_of(spec: str | None, columns: Columns, n_items: int, *, source: str) -> GroupCodes | None:
    """Return whose each item is, as ``groups`` says; None where it says nothing.

    Parameters
    ----------
    spec : str or None
        A column of the data, or a source of one label for each item, such as ``file.npz::donor``. Labels are strings
        or numbers; whole numbers are called by their digits.
    columns : mapping of str to callable
        Columns of the items, `InputInfo.columns`.
    n_items : int
        How many there are, with those that a policy excludes.
    source : str
        What the data is called in messages.

    Raises
    ------
    UsageError
        If there is no such column or source, or all items are of one group.
    SourceError, IncompatibleError
        If it cannot be read, or does not have one label for each item.
    SelectionError
        If an item has no label.
    """
    if spec is None:
        return None
    labels = labels_of(
        OPTION, spec, columns, n_items, source=source, expected="a column of the data or a source of labels"
    )
    try:
        texts = label_texts(labels)
    except SelectionError as error:
        raise SelectionError(f"{OPTION} {spec}: {error}") from error
    codes, first = in_order(texts)
    if len(first) == 1:
        raise UsageError(
            f"{OPTION} {spec}: all {n_items:,} items are of one group, {str(texts[0])!r}, so that no point could be "
            "made of several and no member told from others: name the column that says whose each item is, or leave "
            "it out"
        )
    return GroupCodes(codes, tuple(texts[first].tolist()))


def in_order(labels: Array) -> tuple[Array, Array]:
    """Return codes from 0 in order of appearance, shape (n_items,), and the row in which each first appears."""
    _, first, codes = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(first)
    ranks = np.empty(len(order), dtype=np.intp)
    ranks[order] = np.arange(len(order))
    return ranks[codes.reshape(-1)], first[order]
