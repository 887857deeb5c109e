"""How much memory a process may use: that of the machine, or what its control group leaves of it."""

from __future__ import annotations

import os
from pathlib import Path

GROUPS = Path("/sys/fs/cgroup")  # where Linux shows the limits that containers and schedulers set
MEMBERSHIP = Path("/proc/self/cgroup")


def usable_memory() -> int:
    """Return the bytes of memory that are there for this process, used or not: the same from day to day."""
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([physical, *_limits(GROUPS, _text(MEMBERSHIP))])


def _limits(groups: Path, membership: str) -> list[int]:
    """Return the limits of the groups that a process is in, and of those that hold them, as far as they can be seen.

    Each line of `membership` is ``number:controllers:path``; version 2 of control groups has one without controllers.
    """
    limits = []
    for line in membership.splitlines():
        controllers, _, place = line.partition(":")[2].partition(":")
        if controllers not in ("", "memory"):
            continue
        root, name = (groups / "memory", "memory.limit_in_bytes") if controllers else (groups, "memory.max")
        inside = Path(place.lstrip("/"))
        for folder in (inside, *inside.parents):
            text = _text(root / folder / name).strip()
            if text.isdigit():  # without a limit it says max
                limits.append(int(text))
    return limits


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
