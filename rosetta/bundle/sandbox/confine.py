"""What a process gives up before it looks at a stranger's file: more files, memory, time, and the system around it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import struct
import sys

CPU_S = 4
MEMORY = 2**29  # on top of what the process has already

_CREATE_RULESET, _RESTRICT_SELF, _NO_NEW_PRIVILEGES = 444, 446, 38  # the same on every Linux architecture
_FILES = {1: 0x1FFF, 2: 0x3FFF, 3: 0x7FFF, 4: 0x7FFF, 5: 0xFFFF}  # what access to files Landlock knows, by its version
_NETWORK, _SCOPES = 0x3, 0x3  # TCP, from version 4; signals and abstract sockets, from version 6


def confine() -> dict[str, str]:
    """Give up everything that a walk does not need, and return what is in force: name → how, empty if it is not."""
    memory = _address_space() + MEMORY
    return {"landlock": _deny_everything(), "limits": _limit_resources(memory)}


def _limit_resources(memory: int) -> str:
    limits = {
        "core": (resource.RLIMIT_CORE, 0),
        "file size": (resource.RLIMIT_FSIZE, 0),
        "processor time": (resource.RLIMIT_CPU, CPU_S),
        "processes": (getattr(resource, "RLIMIT_NPROC", None), 0),
        "memory": (getattr(resource, "RLIMIT_AS", None), memory),
        "open files": (resource.RLIMIT_NOFILE, 0),  # those that are open stay so; none can be added
    }
    held = []
    for name, (limit, most) in limits.items():
        with contextlib.suppress(OSError, ValueError):
            if limit is not None:
                resource.setrlimit(limit, (most, most))
                held.append(name)
    return ", ".join(held)


def _address_space() -> int:
    """Return how many bytes of addresses the process uses, as far as the system tells."""
    try:
        with open("/proc/self/statm", "rb") as file:  # noqa: PTH123  the child loads no more than it needs
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 2**31


def _deny_everything() -> str:
    """Deny the process every file, TCP connection and signal to others by Landlock; "" where there is none."""
    if sys.platform != "linux":
        return ""
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint(1))
    if version < 1:
        return ""
    known = min(version, max(_FILES))
    fields = [_FILES[known], *([_NETWORK] if version >= 4 else []), *([_SCOPES] if version >= 6 else [])]
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    ruleset = libc.syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint(0))
    if ruleset < 0:
        return ""
    denied = (
        libc.prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0) == 0
        and libc.syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint(0)) == 0
    )
    os.close(ruleset)
    return f"version {version}" if denied else ""
