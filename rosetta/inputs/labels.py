"""Labels of items: a column of the data, or an array that stands elsewhere."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path

from rosetta.arrays import Array
from rosetta.errors import IncompatibleError, UsageError
from rosetta.inputs.matching import some
from rosetta.sources import read_array

Columns = Mapping[str, Callable[[], Array]]


def labels_of(option: str, wanted: str, columns: Columns, n_items: int, *, source: str, expected: str) -> Array:
    """Return the label of each item that an option asks for, shape (n_items,), numbers or strings.

    Parameters
    ----------
    option : str
        The option's name, for messages, such as ``groups``.
    wanted : str
        A name in `columns`, or a source such as ``file.npz::donor``, which has a label for each of the items that
        ``rows``, ``where`` and ``skip_bad`` leave.
    columns : mapping of str to callable
        What is known of the items that are left.
    source : str
        What the data is called in messages.
    expected : str
        What the option takes, for messages.

    Raises
    ------
    UsageError
        If there is no such column or source.
    SourceError
        If the source cannot be read.
    IncompatibleError
        If there is not one label for each item.
    """
    if wanted in columns:
        labels = columns[wanted]()
    elif "::" in wanted or Path(wanted).is_file():
        labels = read_array(wanted)
    else:
        there = f"its columns are {some(list(columns))}" if columns else f"{source} has no columns"
        near = difflib.get_close_matches(wanted, columns, n=1)
        hint = f". Did you mean {near[0]}?" if near else ""
        raise UsageError(f"{option} {wanted}: expected {expected}; {there}{hint}")
    if labels.shape != (n_items,):
        raise IncompatibleError(
            f"{option} {wanted} has shape {labels.shape}, but one label for each of the {n_items:,} items is needed"
            + (", after `rows` and `where` have left some out" if labels.ndim == 1 and len(labels) > n_items else "")
        )
    return labels
