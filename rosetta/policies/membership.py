"""Whose items there are and which of them a policy leaves, known as soon as the data is open."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from rosetta.arrays import Array
from rosetta.inputs.groups import GroupCodes, groups_of
from rosetta.policies.reading import included_rows
from rosetta.schemas.policy import Policy
from rosetta.sources import Rows


@dataclass
class Membership:
    """Finds out at the data's opening, before anything is fitted to it.

    Parameters
    ----------
    policy : Policy
        What excludes rows and groups.
    spec : str or None
        What says whose each item is: `groups_of`.
    source : str
        What the data is called in messages.
    groups : GroupCodes or None
        Of all rows, those that are excluded as well.
    rows : int array
        Numbers of the rows that may shape anything, in order.
    n_excluded : int
        Rows that the policy excludes.
    """

    policy: Policy
    spec: str | None
    source: str
    groups: GroupCodes | None = field(init=False, default=None)
    rows: Array = field(init=False, default_factory=lambda: np.empty(0, np.intp))
    n_excluded: int = field(init=False, default=0)

    def included(self, rows: Rows) -> Array:
        """Return the numbers of the rows that may shape anything, in order."""
        n_items = rows.shape[0]
        self.groups = groups_of(self.spec, rows.columns, n_items, source=self.source)
        self.rows = included_rows(self.policy, n_items, self.groups)
        self.n_excluded = n_items - len(self.rows)
        return self.rows
