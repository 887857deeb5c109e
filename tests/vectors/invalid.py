"""Files that every reader refuses: one for each rule, and more where a rule has many sides."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from rosetta.schemas.manifest import PreprocessingStep

from rosetta.bundle import layout
from tests import builders
from tests.rules.test_rules import EXTRA, TRIGGERS
from tests.vectors.small import Document, Write, document, hdf5, pairs, replaced, text, vector

# rule → why no small file shows it
WITHOUT_VECTOR = {
    "RZ-S006": "a file above the limit has more than 4 GiB",
    "RZ-S007": "it is about a path where nothing can be read",
    "RZ-S040": "a reader that is not confined would crash on such a file or never end; tests/hostile has two",
    "RZ-V128": "it is about a signature beside the file",
    "RZ-V129": "it is about a signature beside the file",
    "RZ-V130": "it is about the keys that a receiver trusts",
    **{f"RZ-V13{n}": "only the sender can try it, with model and data" for n in (1, 2, 3, 4)},
}

TITLE = '"title":"A test vector"'


def _dataset(**how: Any) -> Write:
    """One array more, stored in a way that the form does not allow."""
    return hdf5(lambda file: file.create_dataset(EXTRA, **how))


def _attributes(change: Callable[[h5py.AttributeManager], object]) -> Write:
    return hdf5(lambda file: change(file.attrs))


def _manifest_as(dtype: Any, shape: tuple[int, ...] = ()) -> Write:
    """The manifest as another type of string."""

    def change(file: h5py.File) -> None:
        content = file[layout.MANIFEST][()]
        del file[layout.MANIFEST]
        file.create_dataset(layout.MANIFEST, data=np.full(shape, content, dtype=dtype), dtype=dtype)

    return hdf5(change)


def _space_padded(path: Path) -> None:
    """The manifest as a string that is padded with spaces."""
    values = pairs()
    manifest = builders.text_of(document(values))
    builders.write_raw(path, values, None)
    with h5py.File(path, "a", libver=layout.LIBVER) as file:
        kind = h5py.h5t.C_S1.copy()
        kind.set_size(len(manifest) + 5)
        kind.set_strpad(h5py.h5t.STR_SPACEPAD)
        kind.set_cset(h5py.h5t.CSET_UTF8)
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_obj_track_times(False)
        place = h5py.h5d.create(file.id, b"manifest", kind, h5py.h5s.create(h5py.h5s.SCALAR), plist)
        place.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array(manifest.ljust(len(manifest) + 5)), mtype=kind)


def _many_groups(path: Path) -> None:
    """More objects than the limit, in the newer kind of groups, which takes less room."""
    vector()(path)
    with h5py.File(path, "a", libver=("v110", "v110")) as file:
        for number in range(layout.MAX_OBJECTS):
            file.create_group(f"/ext/org.a{number}")


def _compact(file: h5py.File) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_layout(h5py.h5d.COMPACT)
    file.create_dataset(EXTRA, data=np.zeros(2), dcpl=plist)


def _virtual(file: h5py.File) -> None:
    plist, four = h5py.h5p.create(h5py.h5p.DATASET_CREATE), h5py.h5s.create_simple((4,))
    plist.set_obj_track_times(False)
    plist.set_virtual(four, b"elsewhere.h5", b"x", four)
    h5py.h5d.create(file.create_group("preprocessing").id, b"0.extra", h5py.h5t.IEEE_F64LE, four, plist)


def _committed(file: h5py.File) -> None:
    file["preprocessing/type"] = np.dtype("<f4")
    file.create_dataset(EXTRA, data=np.zeros(2, "<f4"), dtype=file["preprocessing/type"])


def _too_deep(manifest: Document) -> None:
    """Objects and arrays nested 33 deep: the document, its provenance, the model, its training and 29 arrays."""
    value: Any = 1
    for _ in range(29):
        value = [value]
    manifest["provenance"]["model"]["training"] = {"a": value}


def _keys_by_code_point(manifest: bytes) -> bytes:
    """JCS sorts by UTF-16: U+1F600 stands before U+FB33, though its number is higher."""
    first, second = '"\U0001f600":"1"', '"\ufb33":"2"'
    assert manifest.count(f"{first},{second}".encode()) == 1
    return manifest.replace(f"{first},{second}".encode(), f"{second},{first}".encode())


def _with(values: Any, name: str, at: object, value: float) -> Any:
    changed = values[name].copy()
    changed[at] = value
    return {**values, name: changed}


def _step(name: str, *after: str, **parameters: Any) -> Write:
    """A step, with others after it that have no parameters."""
    first = PreprocessingStep(name=name, parameters=parameters)
    return vector(preprocessing=(first, *(PreprocessingStep(name=each) for each in after)))


def _standardized(shape: tuple[int, ...], after: str) -> Write:
    """The step `standardize` for items of a shape that the inputs have not, and one after it."""
    places = {"mean": "/preprocessing/0.mean", "sd": "/preprocessing/0.sd"}
    steps = (PreprocessingStep(name="standardize", arrays=places), PreprocessingStep(name=after))
    return vector({**pairs(), **{path: np.ones(shape) for path in places.values()}}, preprocessing=steps)


# "RULE-what": more sides of a rule
MORE: dict[str, Write] = {
    "RZ-S002-cut-off": lambda path: (vector()(path), path.write_bytes(path.read_bytes()[:-8])),
    "RZ-S014": _many_groups,  # the trigger's file is large
    "RZ-S010-external-link": hdf5(lambda file: file.update({EXTRA: h5py.ExternalLink("elsewhere.h5", "/x")})),
    "RZ-S010-dangling-link": hdf5(lambda file: file.update({EXTRA: h5py.SoftLink("/nowhere")})),
    "RZ-S012-group": hdf5(lambda file: file.create_group("notes")),
    "RZ-S012-ext-key": hdf5(lambda file: file.update({"/ext/org/x": 1.0})),
    "RZ-S020-compact": hdf5(_compact),
    "RZ-S020-gzip": _dataset(data=np.zeros(64), compression="gzip"),
    "RZ-S020-external-file": _dataset(shape=(4,), dtype="<f8", external=[("elsewhere.bin", 0, 32)]),
    "RZ-S020-virtual": hdf5(_virtual),
    "RZ-S021-committed": hdf5(_committed),
    "RZ-S021-enum": _dataset(data=np.zeros(4, np.uint8), dtype=h5py.enum_dtype({"a": 0, "b": 1}, basetype="u1")),
    "RZ-S021-compound": _dataset(data=np.zeros(2, [("a", "<f4"), ("b", "<f4")])),
    "RZ-S021-string": _dataset(data=np.bytes_(b"text")),
    "RZ-S021-variable-length": _dataset(data="text", dtype=h5py.string_dtype()),
    "RZ-S021-f2": _dataset(data=np.zeros(4, "<f2")),
    "RZ-S023-manifest-list": _manifest_as(h5py.string_dtype("utf-8", 4000), (2,)),
    "RZ-S021-manifest-ascii": _manifest_as(h5py.string_dtype("ascii", 4000)),
    "RZ-S021-manifest-space-padded": _space_padded,
    "RZ-S021-manifest-variable-length": _manifest_as(h5py.string_dtype("utf-8")),
    "RZ-S030-extra": _attributes(lambda attrs: attrs.create("title", np.bytes_(b"x"))),
    "RZ-S030-missing": _attributes(lambda attrs: attrs.__delitem__("format")),
    "RZ-S030-variable-length": _attributes(lambda attrs: attrs.update({"format": "rosetta-bundle"})),
    "RZ-V101-name": lambda path: builders.write_raw(path, pairs(), builders.text_of(document(pairs())), name="other"),
    "RZ-V101-manifest-too": vector(edit=lambda manifest: manifest.update(format_version="2.0"), version="2.0"),
    "RZ-V103-not-utf8": text(lambda manifest: manifest.replace(b"A test vector", b"A test v\xe9ctor")),
    "RZ-V103-byte-order-mark": text(lambda manifest: b"\xef\xbb\xbf" + manifest),
    "RZ-V103-cut-off": text(lambda manifest: manifest[:-1]),
    "RZ-V103-single-quotes": replaced(TITLE, "'title':'A test vector'"),
    "RZ-V103-too-deep": vector(edit=_too_deep),
    "RZ-V104-null": replaced(TITLE, '"title":null'),
    "RZ-V104-nan": replaced('"largest_gap":0.5', '"largest_gap":NaN'),
    "RZ-V104-infinity": replaced('"largest_gap":0.5', '"largest_gap":Infinity'),
    "RZ-V104-too-large": replaced('"largest_gap":0.5', '"largest_gap":1e999'),
    "RZ-V104-integer": replaced('"n_items":100', '"n_items":9007199254740992'),
    "RZ-V104-lone-surrogate": replaced(TITLE, '"title":"\\ud800"'),
    "RZ-V104-same-key-escaped": replaced(TITLE, f'"titl\\u0065":"another",{TITLE}'),
    "RZ-V105-number-1.0": replaced('"generation":0', '"generation":0.0'),
    "RZ-V105-number-minus-0": replaced('"generation":0', '"generation":-0'),
    "RZ-V105-number-1e21": replaced('"training":{}', '"training":{"a":1e21}'),
    "RZ-V105-number-trailing-0": replaced('"largest_gap":0.5', '"largest_gap":0.50'),
    "RZ-V105-escape": replaced(TITLE, '"title":"\\u0041 test vector"'),
    "RZ-V105-solidus": replaced(TITLE, '"title":"A\\/B"'),
    "RZ-V105-upper-case-escape": replaced(TITLE, '"title":"\\u001F"'),
    "RZ-V105-key-order": text(_keys_by_code_point, software={"\ufb33": "2", "\U0001f600": "1"}),
    "RZ-V106-true-for-1": replaced('"generation":0', '"generation":true'),
    "RZ-V106-fraction": replaced('"generation":0', '"generation":0.5'),
    "RZ-V106-empty-text": replaced(TITLE, '"title":""'),
    "RZ-V106-missing": replaced(f",{TITLE}", ""),
    "RZ-V106-unknown-key": vector(edit=lambda manifest: manifest["content"]["input"].update(colour="red")),
    "RZ-V106-upper-case-digest": vector(
        edit=lambda manifest: manifest["provenance"]["model"].update(weights_sha256="A" * 64)
    ),
    "RZ-V110-shape": vector(edit=lambda manifest: manifest["content"]["arrays"][layout.LATENTS].update(shape=[3, 12])),
    "RZ-V113-infinity": vector(_with(pairs(), layout.LATENTS, (0, 0), np.inf)),
    "RZ-V117-no-anchor": vector(_with(pairs(), layout.ROLES, slice(None), 1)),
    "RZ-V118-below": vector(_with(pairs(), layout.INPUTS, (0, 0), -0.5)),
    "RZ-V119-clip-nothing": _step("clip", low=1, high=1),
    "RZ-V119-clip-overflow": _step("clip", low=0, high=1e39),
    "RZ-V119-total-of-0": _step("normalize_total", target=0),
    "RZ-V119-default-left-out": _step("normalize_total"),
    "RZ-V119-parameter-too-many": _step("log1p", base=2),
    "RZ-V119-resize-fraction": _step("resize", "flatten", height=1.5, width=2),
    "RZ-V119-resize-too-long": _step("resize", "flatten", height=65_537, width=1),
    "RZ-V119-resize-too-large": _step("resize", "flatten", height=65_536, width=1025),
    "RZ-V119-resize-to-another": _step("resize", "log1p", height=2, width=2),
    "RZ-V119-grey-last": _step("grey"),
    "RZ-V119-standardize-shape": _standardized((2, 2), "log1p"),
}

# name → what writes the file
INVALID: dict[str, Write] = {
    rule: trigger for rule, trigger in TRIGGERS.items() if rule[:4] in ("RZ-S", "RZ-V") and rule not in WITHOUT_VECTOR
} | MORE
