"""A policy from a file, what a bundle says of it, and the rows that it leaves."""

from __future__ import annotations

import difflib
import hashlib
import tomllib
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import rfc8785
from pydantic import ValidationError

from rosetta.arrays import Array
from rosetta.credits import parse_licence
from rosetta.errors import IncompatibleError, SourceError, UsageError
from rosetta.files import read_small
from rosetta.inputs.groups import GroupCodes
from rosetta.schemas.audit import PolicyMark
from rosetta.schemas.policy import Policy

PLAIN = {  # a type of Python → what to write in TOML
    "a valid tuple": "a list, such as [1, 2]",
    "a valid string": "text in quotes",
    "a valid integer": "a whole number",
    "a valid number": "a number",
    "a valid boolean": "true or false",
}
LARGEST = 1 << 26  # bytes of a policy: several million excluded rows


def load_policy(path: str | PathLike[str]) -> Policy:
    """Read a ``policy.toml``.

    Raises
    ------
    SourceError
        If there is no such file, or it is no TOML.
    UsageError
        With every key that is unknown or has a value that it cannot have.
    """
    path = Path(path)
    try:
        values = tomllib.loads(read_small(path, limit=LARGEST, what="a policy").decode())
    except FileNotFoundError as error:
        raise SourceError(f"there is no policy {path}: check the path, or the folder that you are in") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SourceError(f"the policy {path} is no TOML file: {error}") from error
    problems = [_unknown(key) for key in values if key not in Policy.model_fields]
    policy = None
    try:
        policy = Policy(**{key: value for key, value in values.items() if key in Policy.model_fields})
        problems += _bad_licences(policy)
    except ValidationError as error:
        problems += _bad_values(error, values)
    if policy is None or problems:
        raise UsageError(f"the policy {path} cannot be used:\n  - " + "\n  - ".join(problems))
    if policy == Policy():
        raise UsageError(
            f"the policy {path} has no clause, so that it would forbid nothing: write one, such as "
            'origins = ["decoded"], or leave the policy out'
        )
    return policy


def policy_mark(policy: Policy, groups: GroupCodes | None = None) -> PolicyMark:
    """Return what a bundle says of its policy: the digest of its clauses, and how many rows it excludes.

    The digest is the sha256 of the policy without `excluded_rows` and `excluded_groups`, as RFC 8785 JSON without the
    clauses that are not given. Row numbers and names would tell something of the data, and so could a digest of them.
    """
    clauses = policy.model_dump(mode="json", exclude={"excluded_rows", "excluded_groups"}, exclude_none=True)
    digest = hashlib.sha256(rfc8785.dumps(clauses)).hexdigest()
    return PolicyMark(sha256=digest, n_excluded_rows=len(_excluded_rows(policy, groups)))


def included_rows(policy: Policy, n_items: int, groups: GroupCodes | None = None) -> Array:
    """Return the numbers of the rows that points may be made from, in order, shape (n_rows,).

    Parameters
    ----------
    n_items : int
        Rows of the data.
    groups : GroupCodes, optional
        Whose each of them is: needed where the policy excludes groups.

    Raises
    ------
    UsageError
        If the policy excludes groups, and nothing says whose each item is.
    IncompatibleError
        If the policy excludes a row or group that there is not, or leaves fewer than two rows.
    """
    given = np.array(policy.excluded_rows, dtype=np.int64)
    if len(given) and given.max() >= n_items:
        raise IncompatibleError(
            f"the policy excludes row {given.max()}, but the data has {n_items} rows, 0 to {n_items - 1}: "
            "it was written for other data, or counts from 1"
        )
    excluded = _excluded_rows(policy, groups)
    rows = np.setdiff1d(np.arange(n_items), excluded, assume_unique=True)
    if len(rows) < 2:
        raise IncompatibleError(
            f"the policy excludes {len(excluded)} of {n_items} rows: at least two must be left to make points from"
        )
    return rows


def _excluded_rows(policy: Policy, groups: GroupCodes | None) -> Array:
    """Return the numbers of excluded rows, and of all rows of excluded groups, each once, in order."""
    rows = np.unique(np.array(policy.excluded_rows, dtype=np.int64))
    if not policy.excluded_groups:
        return rows
    if groups is None:
        raise UsageError(
            f"the policy excludes {len(set(policy.excluded_groups))} groups by name (excluded_groups), and nothing "
            "says whose each item is: pass `groups=COLUMN`, a column of the data, or a source such as file.npz::donor"
        )
    return np.union1d(rows, groups.rows_of(policy.excluded_groups))


def _unknown(key: str) -> str:
    near = difflib.get_close_matches(key, Policy.model_fields, n=1)
    hint = f"; did you mean {near[0]}?" if near else f"; known: {', '.join(Policy.model_fields)}"
    return f"no clause is called {key}{hint}"


def _bad_values(error: ValidationError, values: Mapping[str, Any]) -> list[str]:
    """Return one problem for each clause that has a value it cannot have."""
    found: dict[str, str] = {}
    for each in error.errors(include_url=False):
        clause, *where = each["loc"]
        place = "".join(f"[{part}]" for part in where if isinstance(part, int))
        value = values[str(clause)][where[0]] if place else values[str(clause)]
        expected = each["msg"].lower().replace("input should be", "expected")
        for jargon, plain in PLAIN.items():
            expected = expected.replace(jargon, plain)
        message = f"{clause}{place} is {value!r}: {expected}"
        found.setdefault(str(clause), message)
    return list(found.values())


def _bad_licences(policy: Policy) -> list[str]:
    problems = []
    for text in policy.licenses or ():
        try:
            parse_licence(text)
        except UsageError as error:
            problems.append(f"licenses: {error}")
    return problems
