"""Fatal rules: what is found while the file is read. The reader stops at the first."""

from __future__ import annotations

from rosetta.rules.engine import declare

_FRESH = "Ask the sender for the file again, over a channel that keeps bytes as they are."
_FOREIGN = "Do not open the file with other tools. Ask the sender for a bundle written by this format's writer."

for _id, _section, _fix, _text in (
    ("RZ-S001", "3.1", _FRESH, "The file is HDF5 from its first byte: no other kind of file, no user block."),
    (
        "RZ-S002",
        "3.1",
        _FRESH,
        "The file is as long as its header says: nothing is cut off, nothing is appended.",
    ),
    (
        "RZ-S003",
        "3.1",
        _FOREIGN,
        "The superblock has version 0, 2 or 3, eight-byte addresses and no base address.",
    ),
    ("RZ-S004", "3.1", _FOREIGN, "The superblock has no extension and no driver information."),
    ("RZ-S005", "3.2", _FRESH, "The HDF5 structure can be walked without an error."),
    ("RZ-S006", "3.1", _FOREIGN, "The file is within the size limit."),
    ("RZ-S007", "7", "Give the path of a bundle, and make sure that you may read it.", "There is a file to read."),
    ("RZ-S010", "3.2", _FOREIGN, "Every link is a hard link."),
    ("RZ-S011", "3.2", _FOREIGN, "Every object is reached by exactly one link."),
    ("RZ-S012", "3.2", _FOREIGN, "Every group and dataset has a name and place that the format knows."),
    ("RZ-S013", "3.2", _FOREIGN, "The names in a group are different from each other."),
    ("RZ-S014", "3.2", _FOREIGN, "The number of objects is within the limit."),
    ("RZ-S020", "3.2", _FOREIGN, "Every dataset is contiguous, in the file itself, without filters."),
    ("RZ-S021", "3.2", _FOREIGN, "Every dataset has one of the format's types, not committed."),
    ("RZ-S022", "3.2", _FOREIGN, "Every dataset has a simple dataspace of fixed shape."),
    (
        "RZ-S023",
        "3.2",
        _FOREIGN,
        "Every dataset stores exactly the bytes that it declares; the manifest is one string.",
    ),
    ("RZ-S024", "3.2", _FRESH, "Every dataset lies inside the file."),
    ("RZ-S025", "3.2", _FOREIGN, "No two datasets share bytes."),
    (
        "RZ-S030",
        "3.3",
        _FOREIGN,
        "The root has the two format attributes, short fixed-length strings; nothing else has any.",
    ),
    (
        "RZ-S040",
        "7",
        _FOREIGN,
        "The process that walks the file ends by itself, within its limits of time and memory.",
    ),
):
    declare(_id, _text, section=_section, fix=_fix)
