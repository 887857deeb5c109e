"""A walk over an HDF5 file that allows only what the format allows (spec §3.2), and says where the arrays lie.

Only the child process imports this (`rosetta.bundle.sandbox.child`): what it reports, the parent checks again.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import h5py
import numpy as np

from rosetta.bundle import layout
from rosetta.bundle.sandbox.extents import Extent
from rosetta.errors import UnsafeFileError

COMMENT_MESSAGE = 1 << 0x0D  # bit of an object header's comment, in HDF5's file format specification

ATTRIBUTES = (layout.FORMAT_ATTRIBUTE, layout.VERSION_ATTRIBUTE)

h5d, h5g, h5l, h5o, h5s, h5t, h5a = h5py.h5d, h5py.h5g, h5py.h5l, h5py.h5o, h5py.h5s, h5py.h5t, h5py.h5a


def walk(file: h5py.h5f.FileID) -> tuple[dict[str, str], list[Extent]]:
    """Return the root's two attributes, and where the file says that its datasets lie.

    A file of another format or major version is not looked at any further: what it may hold is not known here.

    Raises
    ------
    UnsafeFileError
        RZ-S01x for links, names and objects, RZ-S02x for how a dataset is stored, RZ-S030 for attributes.
    """
    root = h5o.open(file, b"/")
    attributes = {name: _text(root, name) for name in ATTRIBUTES}
    if layout.is_known_version(*attributes.values()):
        _refuse_more(root)
        return attributes, list(_visit("/", root, []))
    return attributes, []


def _visit(prefix: str, group: Any, seen: list[bytes]) -> Iterator[Extent]:
    names = list(group)
    seen += names
    if len(names) != len(set(names)):
        raise UnsafeFileError("RZ-S013", prefix, "two links of this group have the same name")
    if len(seen) > layout.MAX_OBJECTS:
        raise UnsafeFileError("RZ-S014", prefix, f"more than {layout.MAX_OBJECTS} objects, the most of a bundle")
    for name in names:
        path = prefix.rstrip("/") + "/" + name.decode("utf-8", "replace")
        if group.links.get_info(name).type != h5l.TYPE_HARD:
            raise UnsafeFileError(
                "RZ-S010", path, "a soft, external or user-defined link; a bundle has hard links only"
            )
        child = h5o.open(group, name)
        if h5o.get_info(child).rc != 1:
            raise UnsafeFileError("RZ-S011", path, "several links lead to this object; a bundle has one for each")
        if isinstance(child, h5g.GroupID) and layout.is_group_path(path):
            _refuse_extras(child, path)
            yield from _visit(path, child, seen)
        elif isinstance(child, h5d.DatasetID) and (path == layout.MANIFEST or layout.is_array_path(path)):
            _refuse_extras(child, path)
            yield _extent(child, path)
        else:
            raise UnsafeFileError("RZ-S012", path, "the format has no such object at this place")


def _extent(dataset: Any, path: str) -> Extent:
    plist = dataset.get_create_plist()
    if plist.get_layout() != h5d.CONTIGUOUS or plist.get_external_count() or plist.get_nfilters():
        raise UnsafeFileError(
            "RZ-S020", path, "chunked, compact, virtual, external or filtered; a bundle is contiguous"
        )
    space = dataset.get_space()
    if space.get_simple_extent_type() not in (h5s.SIMPLE, h5s.SCALAR):
        raise UnsafeFileError("RZ-S022", path, "a null dataspace; a bundle has arrays with values")
    shape = space.get_simple_extent_dims()
    if space.get_simple_extent_dims(True) != shape:
        raise UnsafeFileError("RZ-S022", path, "an extendible dataspace; a bundle has fixed shapes")
    extent = Extent(path, _dtype(dataset.get_type(), path), shape, dataset.get_offset() or 0)
    if not extent.offset or dataset.get_storage_size() != extent.n_bytes or not extent.n_bytes:
        raise UnsafeFileError(
            "RZ-S023", path, f"declares {extent.n_bytes} bytes, but {dataset.get_storage_size()} are stored"
        )
    return extent


def _dtype(stored: Any, path: str) -> str:
    """Return the code of a stored type if it is exactly one that the format allows there."""
    if not stored.committed():
        if path == layout.MANIFEST:
            text = h5t.C_S1.copy()
            text.set_size(stored.get_size())
            text.set_strpad(h5t.STR_NULLPAD)
            text.set_cset(h5t.CSET_UTF8)
            if stored.get_class() == h5t.STRING and not stored.is_variable_str() and stored.equal(text):
                return f"S{stored.get_size()}"
        else:
            for code in layout.NUMBERS:
                if stored.equal(h5t.py_create(np.dtype(f"<{code}"))):
                    return code
    raise UnsafeFileError(
        "RZ-S021",
        path,
        "its type is none of little-endian f4, f8, u1, i4, i8 (the manifest: fixed-length UTF-8)",
    )


def _text(root: Any, name: str) -> str:
    """Return the text of an attribute of the root."""
    if not h5a.exists(root, name.encode()):
        raise UnsafeFileError(
            "RZ-S030", "/", f"the root has no attribute {name}; a bundle has {' and '.join(ATTRIBUTES)}"
        )
    attribute = h5a.open(root, name.encode())
    stored = attribute.get_type()
    is_text = stored.get_class() == h5t.STRING and not stored.is_variable_str() and stored.get_size() <= 64
    is_plain = is_text and stored.get_cset() == h5t.CSET_ASCII and not stored.committed()
    if not is_plain or attribute.get_space().get_simple_extent_type() != h5s.SCALAR:
        raise UnsafeFileError("RZ-S030", "/", f"the attribute {name} is not a short fixed-length ASCII string")
    value = np.zeros((), dtype=f"S{stored.get_size()}")
    attribute.read(value)
    text: str = value.item().decode("ascii", "replace")
    return text


def _refuse_more(root: Any) -> None:
    if _has_comment(root):
        raise UnsafeFileError("RZ-S030", "/", "the root has a comment; all text of a bundle is in its manifest")
    if (n := h5a.get_num_attrs(root)) != len(ATTRIBUTES):
        raise UnsafeFileError("RZ-S030", "/", f"the root has {n} attributes; a bundle has {' and '.join(ATTRIBUTES)}")


def _has_comment(node: Any) -> bool:
    # by the kinds of message in the object's header: h5py's get_comment returns what happens to be in memory
    return bool(h5o.get_info(node).hdr.mesg.present & COMMENT_MESSAGE)


def _refuse_extras(node: Any, path: str) -> None:
    if _has_comment(node):
        raise UnsafeFileError("RZ-S030", path, "it has a comment; all text of a bundle is in its manifest")
    if h5a.get_num_attrs(node):
        raise UnsafeFileError("RZ-S030", path, "it has attributes; only the root of a bundle has any")
