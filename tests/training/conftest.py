"""Data that is trained on in a moment."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture(scope="session")
def digits(tmp_path_factory: pytest.TempPathFactory, lab) -> str:
    """Two hundred of Bob's digits: 180 are trained on, 6 steps of 32 an epoch."""
    folder = tmp_path_factory.mktemp("digits")
    np.savez(folder / "digits.npz", bob=np.load(lab.folder / "digits.npz")["bob"][:200])
    return f"{folder / 'digits.npz'}::bob"
