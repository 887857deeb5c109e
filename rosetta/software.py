"""Which software a document was made with, and when."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version

DISTRIBUTION = "rosetta-points"


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Rosetta, Python and the named packages."""
    try:
        own = version(DISTRIBUTION)
    except PackageNotFoundError:  # run from a source tree that was never installed
        own = "0+unknown"
    return {"rosetta": own, "python": platform.python_version(), **{name: version(name) for name in packages}}


def now() -> str:
    """Return the time in UTC to the second; the environment's SOURCE_DATE_EPOCH stands in for it if it is set."""
    epoch = os.environ.get("SOURCE_DATE_EPOCH", "")
    seconds = float(epoch) if epoch.isdecimal() else time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
