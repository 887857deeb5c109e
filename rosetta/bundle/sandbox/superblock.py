"""A look at a file's first bytes before any HDF5 library sees it (spec §3.1)."""

from __future__ import annotations

from rosetta.errors import UnsafeFileError

SIGNATURE = b"\x89HDF\r\n\x1a\n"
UNDEFINED = b"\xff" * 8
HEAD = 2**16  # bytes that are enough to tell, foreign ones before the signature included

# by version: where the two size fields, the base address, the end-of-file address and an address that must be
# undefined stand
_FIELDS = {0: (13, 24, 40, 48), 2: (9, 12, 28, 20), 3: (9, 12, 28, 20)}


def check_superblock(data: bytes, size: int) -> int:
    """Refuse what is not exactly one plain HDF5 file, and return the size of its superblock.

    Parameters
    ----------
    data : bytes
        The first bytes of the file, at least `HEAD` of them or all that there are.
    size : int
        The size of the file.

    Raises
    ------
    UnsafeFileError
        RZ-S001 for another kind of file or a user block, RZ-S003 for another superblock version,
        RZ-S004 for a superblock extension or driver, RZ-S002 for missing or trailing bytes.
    """
    if data[:8] != SIGNATURE:
        at = data.find(SIGNATURE)
        found = f"the HDF5 signature stands at byte {at}, after foreign bytes" if at > 0 else "it has no HDF5 signature"
        found = found if data else "it is empty"
        raise UnsafeFileError("RZ-S001", "/", f"not a plain HDF5 file: {found}; a bundle has it at byte 0")
    length = 96 if data[8:9] == b"\0" else 48
    if len(data) < length:
        raise UnsafeFileError("RZ-S002", "/", f"the file ends after {len(data)} bytes, inside its superblock")
    version = data[8]
    if version not in _FIELDS:
        raise UnsafeFileError("RZ-S003", "/", f"HDF5 superblock version {version}; a bundle has 0, 2 or 3")
    sizes, base, end, undefined = _FIELDS[version]
    if data[sizes : sizes + 2] != b"\x08\x08" or data[base : base + 8] != bytes(8):
        raise UnsafeFileError("RZ-S003", "/", "the HDF5 superblock has odd address sizes or a base address")
    if data[undefined : undefined + 8] != UNDEFINED:
        raise UnsafeFileError("RZ-S004", "/", "the HDF5 superblock has an extension or a driver block")
    declared = int.from_bytes(data[end : end + 8], "little")
    if declared != size:
        problem = "cut short" if declared > size else "followed by foreign bytes"
        raise UnsafeFileError(
            "RZ-S002",
            "/",
            f"the file is {problem}: its header says {declared} bytes, but there are {size}",
        )
    return length
