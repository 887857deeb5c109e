"""The sender's own model is what attacks are compared with, and is no attack."""

from __future__ import annotations

import numpy as np

from rosetta.disclosure.verdicts import worst_of
from tests.disclosure.cases import attacked, side, world


def test_a_model_that_reproduces_members_better_is_the_ceiling_and_decides_nothing():
    members, others, rng = world(0)
    given = (
        side(members, rebuilt=(members + rng.normal(0, 0.1, members.shape)).astype(np.float32)),
        side(others, rebuilt=(others + rng.normal(0, 0.5, others.shape)).astype(np.float32)),
    )

    found = attacked("the sender's own model", rng.normal(size=(100, 60)), *given)

    assert found.is_ceiling
    assert found.auc > 0.99
    assert worst_of([found]) is None
