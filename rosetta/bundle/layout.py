"""The file's tree: the only place that knows HDF5 paths."""

from __future__ import annotations

import re

MANIFEST = "/manifest"
INPUTS = "/pairs/inputs"
LATENTS = "/pairs/latents"
LATENTS_SD = "/pairs/latents_sd"
WEIGHTS = "/pairs/weights"
ROLES = "/pairs/roles"
SPACE_MEAN = "/space/mean"
SPACE_COVARIANCE = "/space/covariance"

REQUIRED = (INPUTS, LATENTS, ROLES)
PAIR_ARRAYS = (INPUTS, LATENTS, LATENTS_SD, WEIGHTS, ROLES)

FLOATS = frozenset({"f4", "f8"})
NUMBERS = frozenset({"f4", "f8", "u1", "i4", "i8"})
DTYPES: dict[str, frozenset[str]] = {
    INPUTS: NUMBERS,
    LATENTS: FLOATS,
    LATENTS_SD: FLOATS,
    WEIGHTS: frozenset({"f8"}),
    ROLES: frozenset({"u1"}),
    SPACE_MEAN: frozenset({"f8"}),
    SPACE_COVARIANCE: frozenset({"f8"}),
}

ANCHOR, CHECK = 0, 1  # values of /pairs/roles

LEVELS = 255  # the largest stored level, where inputs are stored in 8 bits

FORMAT = "rosetta-bundle"
MAJOR, MINOR = 1, 0  # the newest version of the format that this reader knows
FORMAT_ATTRIBUTE, VERSION_ATTRIBUTE = "format", "format_version"
LIBVER = ("earliest", "v110")  # superblock 0, and the same bytes for the same content

MAX_MANIFEST_BYTES = 4 * 2**20
MAX_FILE_BYTES = 4 * 2**30
MAX_OBJECTS = 256
MAX_PATH = 255  # characters
MAX_RANK = 32

_VERSION = re.compile(r"(0|[1-9][0-9]{0,2})\.(0|[1-9][0-9]{0,2})")
_NAME = r"(?!\.{1,2}$)[A-Za-z0-9_.-]+"  # HDF5 takes . and .. for places
_STEP_ARRAY = re.compile(rf"/preprocessing/{_NAME}")
_EXTENSION_ARRAY = re.compile(rf"/ext/[a-z0-9-]+(\.[a-z0-9-]+)+/{_NAME}")
_GROUP = re.compile(r"/(pairs|space|preprocessing|ext|ext/[a-z0-9-]+(\.[a-z0-9-]+)+)")


def is_array_path(path: str) -> bool:
    """Whether an array may stand at `path`."""
    known = path in DTYPES or _STEP_ARRAY.fullmatch(path) or _EXTENSION_ARRAY.fullmatch(path)
    return bool(known) and len(path) <= MAX_PATH


def is_group_path(path: str) -> bool:
    """Whether a group may stand at `path`."""
    return bool(_GROUP.fullmatch(path)) and len(path) <= MAX_PATH


def is_known_version(name: str, version: str) -> bool:
    """Whether the root's attributes are of this format, in a version whose tree is the one here."""
    parsed = parse_version(version)
    return name == FORMAT and parsed is not None and parsed[0] == MAJOR


def parse_version(text: str) -> tuple[int, int] | None:
    """Return a format version's major and minor number; None for what is no version."""
    numbers = _VERSION.fullmatch(text)
    return (int(numbers[1]), int(numbers[2])) if numbers else None


def step_array(number: int, name: str) -> str:
    """Return where the array `name` of preprocessing step `number`, counted from 0, stands."""
    return f"/preprocessing/{number}.{name}"


def allowed_dtypes(path: str) -> frozenset[str]:
    """Return the dtypes that the array at `path` may have."""
    return DTYPES.get(path, NUMBERS)
