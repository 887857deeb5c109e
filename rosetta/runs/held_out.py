"""Which rows of the data a run was trained on, and which it held out: from its record, where that proves it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from rosetta.adapters import Training
from rosetta.arrays import Array, row_blocks
from rosetta.errors import UsageError
from rosetta.inputs.prepare import Prepared, Streamable
from rosetta.inputs.streaming import inputs_digest
from rosetta.runs.configure import rows_digest, split_items
from rosetta.schemas.run import RunConfig, RunRecord


@dataclass(frozen=True)
class KnownSplit:
    """Sorted row numbers of all that a run was given."""

    trained: Array
    held_out: Array


def known_split(
    training: Training | None, items: Prepared | Streamable, groups: Array | None = None
) -> KnownSplit | str:
    """Return which rows of `items` a run was trained on and which it held out, or why nobody can say.

    The run's record has the digest of the inputs that it was given, and the seed and number of those held out. Rows
    that a policy excludes are in neither.

    Parameters
    ----------
    groups : int array, shape (n_kept,), optional
        Whose each item is that no policy excludes.
    """
    if training is None:
        return "the model is not a run of rosetta train, and nothing says what it was trained on"
    record = training.record
    if record.data.inputs_sha256 is None:
        return "the run was trained with an older version, whose records do not say on which data: train it again"
    if record.started_from is not None:
        return "the run started from another one (`start_from`), which may have seen what this one held out"
    rows = np.arange(len(items.inputs)) if items.kept is None else items.kept
    if len(rows) != record.data.n_items or items.sha256 != record.data.inputs_sha256:
        return (
            f"the data is not what the run was trained on: {record.data.n_items:,} items, in the same order and "
            f"preprocessed in the same way (the data has {len(rows):,})"
        )
    split = split_rows(training.config, record, groups)
    if record.data.n_validation and rows_digest(split.held_out) != record.data.held_out_sha256:
        return "the run held out whole groups, and nothing says whose each item is: pass `groups` as in the training"
    return KnownSplit(rows[split.trained], rows[split.held_out])


def split_rows(config: RunConfig, record: RunRecord, groups: Array | None = None) -> KnownSplit:
    """Return the rows that a run was trained on and those that it held out, in memory or streamed."""
    if record.data.n_groups is not None and groups is not None:
        held_out, trained = split_items(record.data.n_items, config.settings, groups)
        return KnownSplit(trained, held_out)
    order = np.random.default_rng(config.settings.seed).permutation(record.data.n_items)
    n_held_out = record.data.n_validation
    return KnownSplit(np.sort(order[n_held_out:]), np.sort(order[:n_held_out]))


def has_seen_excluded(training: Training | None, items: Prepared | Streamable) -> bool | None:
    """Return whether a run was trained on rows of `items` that a policy excludes; None where its record proves neither.

    The record has the digest of all inputs that the run was given: those that the policy leaves, or all of them.
    """
    if training is None or training.record.data.inputs_sha256 is None or items.kept is None:
        return None
    found = training.record.data
    if found.n_items == len(items.inputs) and found.inputs_sha256 == inputs_digest(
        block for _, block in row_blocks(items.inputs)
    ):
        return True
    is_clean = found.inputs_sha256 == items.sha256 and training.record.started_from is None
    return False if is_clean else None


def require_split(found: KnownSplit | str, *, has_held_out: bool) -> KnownSplit:
    """Return the split that ``audit_held_out`` needs, or raise UsageError with what is missing."""
    if has_held_out:
        raise UsageError(
            "`audit_held_out` and `held_out` are two ways to give the audit items that the model has not seen: leave "
            "one of them out"
        )
    if isinstance(found, KnownSplit) and not len(found.held_out):
        found = "the run held out none of its items (`validation=0`)"
    if isinstance(found, str):
        raise UsageError(
            f"`audit_held_out` cannot be used: {found}. Pass items that the model has not seen with `held_out`"
        )
    return found
