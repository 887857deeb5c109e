"""Read a bundle with h5py and the standard library: python reader.py BUNDLE.h5

For bundles from people you trust: of the form of the file (section 3) it checks nothing.
"""

import hashlib
import json
import sys

import h5py


def refuse(reason):
    sys.exit(f"refused: {reason}")


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).hexdigest()


def read(path):
    with h5py.File(path, "r") as file:
        version = file.attrs["format_version"].decode().rstrip()
        if file.attrs["format"].rstrip() != b"rosetta-bundle":
            refuse("not a bundle")
        if version.split(".")[0] != "1":
            refuse(f"its format is {version}, and this program knows 1")
        text = file["manifest"][()].rstrip(b"\0").decode("utf-8")
        manifest = json.loads(text)
        if manifest["format_version"] != version:
            refuse("attribute and manifest name different versions")
        if manifest.get("requires"):
            refuse(f"it requires {manifest['requires']}")
        # The manifest is canonical, so its content stands first, as it was digested: nothing is written anew.
        start = len('{"content":')
        end = json.JSONDecoder().raw_decode(text, start)[1]
        if sha256(b"rosetta-content-v1\n", text[start:end].encode("utf-8")) != manifest["content_id"]:
            refuse("the content has another digest than content_id")
        arrays = {name: file[name][()] for name in manifest["content"]["arrays"]}
    for name, entry in manifest["content"]["arrays"].items():
        array = arrays[name]  # little-endian, in C order
        header = json.dumps({"dtype": array.dtype.str[1:], "shape": array.shape}, separators=(",", ":"))
        if json.loads(header) != {"dtype": entry["dtype"], "shape": entry["shape"]}:
            refuse(f"{name} has another type or shape than the manifest says")
        if sha256(b"rosetta-array-v1\n", header.encode(), b"\n", array.tobytes()) != entry["sha256"]:
            refuse(f"{name} has another digest than the manifest says")
    return manifest, arrays


def inputs_of(manifest, arrays):
    """Return what the encoder sees: where inputs are stored in 8 bits, the numbers that the levels stand for."""
    stored, span = arrays["/pairs/inputs"], manifest["content"]["input"].get("stored_range")
    return stored if span is None else (span[0] + stored * (span[1] - span[0]) / 255).astype("f4")


manifest, arrays = read(sys.argv[1])
summary = {
    "content_id": manifest["content_id"],
    "n_anchors": int((arrays["/pairs/roles"] == 0).sum()),
    "n_checks": int((arrays["/pairs/roles"] == 1).sum()),
    "n_dims": manifest["content"]["space"]["n_dims"],
    "first_latent": arrays["/pairs/latents"][0].tolist(),
    "last_number": float(inputs_of(manifest, arrays).flat[-1]),
    "title": manifest["provenance"]["title"],
}
print(json.dumps(summary))
