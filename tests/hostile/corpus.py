"""Files that a stranger could send, made anew for every test, and the rule that each has to end in.

Each case starts from a valid bundle and does one bad thing to it.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import h5py
import numpy as np

from rosetta.bundle import layout
from rosetta.bundle.manifest import canonical
from rosetta.bundle.signature.envelope import signature_path
from tests import builders
from tests.hostile.documents import AMBIGUOUS, NOT_CANONICAL, NOT_JSON

EXTRA = "/preprocessing/0.extra"  # a place where an array may stand
SYSTEM_FILE = "/etc/passwd"

Change = Callable[[h5py.File], object]
Edit = Callable[[bytes], bytes]
Make = Callable[[Path], object]


class Case(NamedTuple):
    """A hostile file: how it is made at a path, the rules that it may end in, and where."""

    make: Make
    rules: tuple[str, ...]
    location: str | None = None


def link(file: h5py.File, name: str, link: object) -> None:
    """Put something at a place, whatever stands there."""
    if name in file:
        del file[name]
    file[name] = link


def from_hdf5(change: Change) -> Make:
    """Change the valid bundle with h5py."""

    def make(path: Path) -> None:
        with h5py.File(builders.write(path), "a", libver=layout.LIBVER) as file:
            change(file)

    return make


def from_bytes(edit: Edit, first: Make = builders.write) -> Make:
    """Change the bytes of a file."""

    def make(path: Path) -> None:
        first(path)
        path.write_bytes(edit(path.read_bytes()))

    return make


def from_text(text: bytes) -> Make:
    """Write the valid arrays with other bytes for a manifest."""
    return lambda path: builders.write_raw(path, builders.arrays(), text)


def replaced(old: bytes, new: bytes) -> Edit:
    """Replace bytes that stand in the file once."""

    def edit(data: bytes) -> bytes:
        assert data.count(old) == 1
        return data.replace(old, new)

    return edit


def put(at: int, format: str, *values: int) -> Edit:
    """Put numbers at a place, counted from the first node of a B-tree."""

    def edit(data: bytes) -> bytes:
        changed, node = bytearray(data), data.index(b"TREE")
        struct.pack_into(format, changed, node + at, *(node if value < 0 else value for value in values))
        return bytes(changed)

    return edit


LINKS = {
    "soft link": lambda file: link(file, EXTRA, h5py.SoftLink("/pairs/latents")),
    "dangling link": lambda file: link(file, EXTRA, h5py.SoftLink("/nowhere")),
    "link to itself": lambda file: link(file, EXTRA, h5py.SoftLink(EXTRA)),
    "external link": lambda file: link(file, EXTRA, h5py.ExternalLink(SYSTEM_FILE, "/")),
    "soft link for a group": lambda file: link(file, "/space", h5py.SoftLink("/pairs")),
    "soft link above the pairs": lambda file: file.move("/pairs", "/zz") or link(file, "/pairs", h5py.SoftLink("/zz")),
    "external link for the pairs": lambda file: link(file, "/pairs", h5py.ExternalLink("other.h5", "/pairs")),
    "soft link for the manifest": lambda file: link(file, "/manifest", h5py.SoftLink("/pairs/latents")),
}

ALIASES = {
    "two links to an array": lambda file: link(file, EXTRA, file[layout.LATENTS]),
    "latents under two names": lambda file: link(file, layout.LATENTS_SD, file[layout.LATENTS]),
    "two links to a group": lambda file: link(file, "/space", file["/pairs"]),
    "cycle through the root": lambda file: link(file, "/ext", file["/"]),
    "cycle below": lambda file: link(file.create_group("/ext"), "org.example", file["/ext"]),
}

TYPES = {
    "big-endian float": ">f4",
    "big-endian integer": ">i8",
    "half": "<f2",
    "long double": np.longdouble,
    "complex": "<c8",
    "unsigned": "<u4",
    "short": "<i2",
    "signed byte": "i1",
    "bool": np.bool_,
    "fixed string": "S8",
    "variable string": h5py.string_dtype(),
    "variable array": h5py.vlen_dtype(np.dtype("<f4")),
    "enum": h5py.enum_dtype({"anchor": 0, "check": 1}, basetype="u1"),
    "compound": np.dtype([("x", "<f4"), ("y", "<f4")]),
    "array type": np.dtype(("<f4", (2,))),
    "opaque": np.dtype("V8"),
    "object reference": h5py.ref_dtype,
    "region reference": h5py.regionref_dtype,
}


def _created(settings: Callable[[Any], object], dtype: Any = h5py.h5t.IEEE_F64LE) -> Change:
    """Make an array with settings that only the low-level interface has."""

    def change(file: h5py.File) -> None:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings(plist)
        parent = file.require_group("preprocessing").id
        h5py.h5d.create(parent, b"0.extra", dtype, h5py.h5s.create_simple((8,)), plist)

    return change


def _virtual(file: h5py.File) -> None:
    source = h5py.VirtualLayout(shape=(3,), dtype="<f8")
    source[:] = h5py.VirtualSource(SYSTEM_FILE, "x", shape=(3,))
    file.create_virtual_dataset(EXTRA, source)


def _filtered(*filters: int) -> Change:
    def settings(plist: Any) -> None:
        plist.set_chunk((8,))
        for each in filters:
            plist.set_filter(each, h5py.h5z.FLAG_OPTIONAL, (9,) if each == h5py.h5z.FILTER_DEFLATE else ())

    return _created(settings)


DEFLATE, UNKNOWN_FILTER = h5py.h5z.FILTER_DEFLATE, 32_000

STORAGES = {
    "chunks": lambda file: file.create_dataset(EXTRA, data=np.zeros(8), chunks=(4,)),
    "extendible": lambda file: file.create_dataset(EXTRA, data=np.zeros(8), maxshape=(None,)),
    "gzip": lambda file: file.create_dataset(EXTRA, data=np.zeros(8), compression="gzip"),
    "lzf": lambda file: file.create_dataset(EXTRA, data=np.zeros(8), compression="lzf"),
    "shuffle": lambda file: file.create_dataset(EXTRA, data=np.zeros(8), shuffle=True),
    "checksum": lambda file: file.create_dataset(EXTRA, data=np.zeros(8), fletcher32=True),
    "triple deflate": _filtered(DEFLATE, DEFLATE, DEFLATE),
    "unknown filter": _filtered(UNKNOWN_FILTER),
    "huge chunk": lambda file: file.create_dataset(EXTRA, (2**40,), "u1", chunks=(2**31,)),
    "compact": _created(lambda plist: plist.set_layout(h5py.h5d.COMPACT)),
    "virtual dataset": _virtual,
    "external storage": lambda file: file.create_dataset(EXTRA, (8,), "u1", external=[(SYSTEM_FILE, 0, 8)]),
}


def _committed_attribute(file: h5py.File) -> None:
    named = h5py.h5t.C_S1.copy()
    named.set_size(14)
    named.set_strpad(h5py.h5t.STR_NULLPAD)
    named.commit(file.id, b"zz")
    del file.attrs["format"]
    made = h5py.h5a.create(file.id, b"format", named, h5py.h5s.create(h5py.h5s.SCALAR))
    made.write(np.array(b"rosetta-bundle", dtype="S14"))
    del file["zz"]


ATTRIBUTES = {
    "third attribute": ("/", lambda file: file.attrs.update({"extra": 1})),
    "missing attribute": ("/", lambda file: file.attrs.__delitem__("format_version")),
    "renamed attribute": ("/", lambda file: file.attrs.pop("format") and file.attrs.update({"form": np.bytes_(b"x")})),
    "attribute of variable length": ("/", lambda file: file.attrs.update({"format": "rosetta-bundle"})),
    "numeric attribute": ("/", lambda file: file.attrs.update({"format_version": 1.0})),
    "attribute of several values": ("/", lambda file: file.attrs.update({"format_version": np.array([b"1.0"] * 2)})),
    "long attribute": ("/", lambda file: file.attrs.update({"format": np.bytes_(b"x" * 65)})),
    "empty attribute": ("/", lambda file: file.attrs.update({"format": h5py.Empty("S3")})),
    "attribute of a group": ("/pairs", lambda file: file["pairs"].attrs.update({"units": np.bytes_(b"m")})),
    "attribute of an array": ("/pairs/latents", lambda file: file["pairs/latents"].attrs.update({"units": 1})),
    "attribute of the manifest": ("/manifest", lambda file: file["manifest"].attrs.update({"units": 1})),
    "attribute in UTF-8": ("/", lambda file: file.attrs.create("format", "x", dtype=h5py.string_dtype("utf-8", 1))),
    "committed attribute": ("/", _committed_attribute),
    "comment": ("/", lambda file: h5py.h5o.set_comment(file.id, b"secret")),
}  # fmt: skip


def _committed(file: h5py.File) -> None:
    file["/committed"] = np.dtype("<f4")
    file.create_dataset(EXTRA, (3,), file["/committed"])
    del file["/committed"]


def _damaged_heap(path: Path) -> None:
    """A text of variable length whose heap lies about its size: reading it never ends in some versions of HDF5."""
    from_hdf5(lambda file: file.attrs.update({"format": "rosetta-bundle"}))(path)
    data = bytearray(path.read_bytes())
    heap = data.index(b"GCOL")
    struct.pack_into("<Q", data, heap + 8, 0)
    path.write_bytes(data)


def _user_defined_link(path: Path) -> None:
    from_hdf5(lambda file: link(file, EXTRA, h5py.ExternalLink("other.h5", "/")))(path)
    path.write_bytes(replaced(b"\x01\x08\x40\x070.extra", b"\x01\x08\x65\x070.extra")(path.read_bytes()))


def _one_name_twice(path: Path) -> None:
    from_hdf5(lambda file: file.update({"/preprocessing/mean_1": 1.0, "/preprocessing/mean_2": 2.0}))(path)
    path.write_bytes(replaced(b"mean_2", b"mean_1")(path.read_bytes()))


def _many_links(file: h5py.File) -> None:
    for number in range(20_000):
        file[f"/preprocessing/{number}"] = h5py.SoftLink("/pairs")


def _many_hard_links(file: h5py.File) -> None:
    for number in range(20_000):
        file[f"/preprocessing/{number}"] = file[layout.LATENTS]


def _paged(path: Path) -> None:
    with h5py.File(path, "w", libver=("v110", "v110"), fs_strategy="page", fs_persist=True) as file:
        file["x"] = 1.0


def _large_and_sparse(path: Path) -> None:
    """Several arrays of which each would do and all together are too many, in a file that takes no room."""

    def settings(plist: Any) -> None:
        plist.set_alloc_time(h5py.h5d.ALLOC_TIME_EARLY)
        plist.set_fill_time(h5py.h5d.FILL_TIME_NEVER)

    with h5py.File(builders.write(path), "a", libver=layout.LIBVER) as file:
        space = h5py.h5s.create_simple((layout.MAX_FILE_BYTES // 4,))
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        settings(plist)
        parent = file.create_group("preprocessing").id
        for number in range(5):
            h5py.h5d.create(parent, f"{number}.extra".encode(), h5py.h5t.STD_U8LE, space, plist)


def _swapped(path: Path) -> None:
    with h5py.File(builders.write(path), "a") as file:
        latents = file[layout.LATENTS][()]
        file[layout.LATENTS][[0, 1]] = latents[[1, 0]]


def _flipped(path: Path) -> None:
    with h5py.File(builders.write(path)) as file:
        at = file[layout.INPUTS].id.get_offset() + 17
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def _signed_for_another(path: Path) -> None:
    builders.sign(builders.write(path, title="Another bundle"))
    signature = signature_path(path).read_bytes()
    builders.write(path, builders.arrays(seed=1))
    signature_path(path).write_bytes(signature)


def _at(offset: Callable[[h5py.File], int]) -> Make:
    """Let the latents of the valid bundle lie at another place of the file."""

    def make(path: Path) -> None:
        with h5py.File(builders.write(path)) as file:
            latents, new = file[layout.LATENTS].id, offset(file)
            old, n_bytes = latents.get_offset(), latents.get_storage_size()
        before, after = (struct.pack("<BBQQ", 3, 1, at, n_bytes) for at in (old, new))
        path.write_bytes(replaced(before, after)(path.read_bytes()))

    return make


MANIFEST = canonical(builders.manifest(builders.arrays()))

CASES: dict[str, Case] = {
    "nothing": Case(lambda path: path.write_bytes(b""), ("RZ-S001",)),
    "picture": Case(lambda path: path.write_bytes(b"\x89PNG\r\n\x1a\n" * 99), ("RZ-S001",)),
    "pickle": Case(lambda path: path.write_bytes(b"cos\nsystem\n(S'touch x'\ntR."), ("RZ-S001",)),
    "user block with a ZIP header": Case(from_bytes(lambda data: b"PK\x03\x04".ljust(512, b"\0") + data), ("RZ-S001",)),
    "appended bytes": Case(from_bytes(lambda data: data + b"PK\x05\x06"), ("RZ-S002",)),
    "eight bytes cut": Case(from_bytes(lambda data: data[:-8]), ("RZ-S002",)),
    "unknown superblock": Case(from_bytes(lambda data: data[:8] + b"\1" + data[9:]), ("RZ-S003",)),
    "driver block": Case(from_bytes(lambda data: data[:48] + bytes(8) + data[56:]), ("RZ-S004",)),
    "paged file space": Case(_paged, ("RZ-S004",)),
    "zeros after the superblock": Case(from_bytes(lambda data: data[:96] + bytes(len(data) - 96)), ("RZ-S005",)),
    "damaged tree": Case(from_bytes(lambda data: data.replace(b"SNOD", b"XNOD", 1)), ("RZ-S005",)),
    "tree that contains itself": Case(from_bytes(lambda data: put(32, "<Q", -1)(put(5, "<B", 1)(data))), ("RZ-S040",)),
    "tree that is its own neighbour": Case(from_bytes(put(16, "<Q", -1)), ("RZ-S040",)),
    "sparse arrays above the limit": Case(_large_and_sparse, ("RZ-S006",)),
    "folder": Case(lambda path: path.mkdir(), ("RZ-S007",)),
    **{name: Case(from_hdf5(change), ("RZ-S010",)) for name, change in LINKS.items()},
    "user-defined link": Case(_user_defined_link, ("RZ-S010",), EXTRA),
    **{name: Case(from_hdf5(change), ("RZ-S011",)) for name, change in ALIASES.items()},
    "unknown array": Case(from_hdf5(lambda file: file.update({"/pairs/extra": 1.0})), ("RZ-S012",), "/pairs/extra"),
    "long name": Case(from_hdf5(lambda file: file.update({"/preprocessing/" + "x" * 60_000: 1.0})), ("RZ-S012",)),
    "two links with one name": Case(_one_name_twice, ("RZ-S013",), "/preprocessing"),
    "20,000 soft links": Case(from_hdf5(_many_links), ("RZ-S014",)),
    "20,000 hard links": Case(from_hdf5(_many_hard_links), ("RZ-S011", "RZ-S014")),
    **{name: Case(from_hdf5(change), ("RZ-S020",), EXTRA) for name, change in STORAGES.items()},
    **{name: Case(from_hdf5(lambda file, dtype=dtype: file.create_dataset(EXTRA, (3,), dtype)), ("RZ-S021",), EXTRA)
       for name, dtype in TYPES.items()},
    "committed type": Case(from_hdf5(_committed), ("RZ-S021",), EXTRA),
    "null dataspace": Case(from_hdf5(lambda file: link(file, EXTRA, h5py.Empty("<f4"))), ("RZ-S022",), EXTRA),
    "2^40 numbers never written": Case(
        from_hdf5(lambda file: file.create_dataset(EXTRA, (2**40,), "<f8")), ("RZ-S023",), EXTRA
    ),
    "array in the superblock": Case(_at(lambda file: 8), ("RZ-S024",), layout.LATENTS),
    "array beyond the end": Case(_at(lambda file: file.id.get_filesize() - 4), ("RZ-S024", "RZ-S005")),
    "arrays that overlap": Case(_at(lambda file: file[layout.LATENTS_SD].id.get_offset() + 4), ("RZ-S025",)),
    **{name: Case(from_hdf5(change), ("RZ-S030",), place) for name, (place, change) in ATTRIBUTES.items()},
    "damaged heap": Case(_damaged_heap, ("RZ-S030", "RZ-S005")),
    **{f"manifest: {name}": Case(from_text(text), ("RZ-V103",))
       for name, text in NOT_JSON.items() if text and not text.endswith(b"\0")},
    **{f"manifest: {name}": Case(from_text(text), ("RZ-V104",)) for name, text in AMBIGUOUS.items()},
    **{f"manifest: {name}": Case(from_text(text), ("RZ-V105",)) for name, text in NOT_CANONICAL.items()},
    "manifest: key of the schema twice": Case(
        from_text(MANIFEST[:-1] + b',"requires":[]}'), ("RZ-V104",), layout.MANIFEST
    ),
    "flipped bit": Case(_flipped, ("RZ-V111",), layout.INPUTS),
    "two latents swapped": Case(_swapped, ("RZ-V111",), layout.LATENTS),
    "signature of another bundle": Case(_signed_for_another, ("RZ-V129",), "/"),
}  # fmt: skip
