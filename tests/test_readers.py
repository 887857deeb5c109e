"""The small readers of `spec/readers` say the same as the library, and refuse what was changed."""

from __future__ import annotations

import importlib.util
import json
import math
import re
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import h5py
import pytest

from rosetta.bundle import Bundle, layout
from tests.vectors.__main__ import FOLDER

READERS = FOLDER.parents[1] / "readers"
VALID = sorted((FOLDER / "valid").glob("*.h5"))
MODULES = READERS / "node_modules"
R_PACKAGES = ("hdf5r", "jsonlite", "openssl")


@dataclass(frozen=True)
class Reader:
    """How a reader is run, and what is missing for it."""

    command: tuple[str, ...]
    missing: Callable[[], str | None]


def _without_node(package: str = "h5wasm") -> str | None:
    if not shutil.which("node"):
        return "no node: install Node.js 18 or newer"
    return None if (MODULES / package).is_dir() else f"no {package}: run npm ci --prefix spec/readers"


@cache
def _without_r() -> str | None:
    if not shutil.which("Rscript"):
        return "no Rscript: install r-base-core r-cran-hdf5r r-cran-jsonlite r-cran-openssl"
    needed = " && ".join(f"requireNamespace('{name}', quietly = TRUE)" for name in R_PACKAGES)
    found = subprocess.run(["Rscript", "-e", f"quit(status = !({needed}))"], check=False, capture_output=True)
    return None if found.returncode == 0 else f"an R package is missing: install {', '.join(R_PACKAGES)}"


LANGUAGES = {
    "Python": Reader((sys.executable, "-W", "error", "reader.py"), lambda: None),
    "JavaScript": Reader(("node", "reader.mjs"), _without_node),
    "R": Reader(("Rscript", "reader.R"), _without_r),
    "Octave": Reader(
        ("octave", "--no-gui", "-qf", "reader.m"),
        lambda: None if shutil.which("octave") else "no octave: install octave 7 or newer",
    ),
}


@pytest.fixture(params=LANGUAGES)
def read(request: pytest.FixtureRequest) -> Callable[[Path], subprocess.CompletedProcess[str]]:
    """Run the reader of a language on a bundle."""
    reader = LANGUAGES[request.param]
    if reason := reader.missing():
        pytest.skip(reason)

    def run(bundle: Path) -> subprocess.CompletedProcess[str]:
        return _run(*reader.command, str(bundle))

    return run


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, cwd=READERS, capture_output=True, encoding="utf-8", errors="replace", check=False, timeout=60
    )


def _expected(path: Path) -> dict[str, Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # one is of a newer minor version
        bundle = Bundle.open(path)
    n_anchors = int(bundle.is_anchor.sum())
    return {
        "content_id": bundle.content_id,
        "n_anchors": n_anchors,
        "n_checks": len(bundle.is_anchor) - n_anchors,
        "n_dims": bundle.manifest.content.space.n_dims,
        "first_latent": bundle.latents[0].tolist(),
        "last_number": float(bundle.inputs.flat[-1]),
        "title": bundle.manifest.provenance.title,
    }


def _alike(found: dict[str, Any], expected: dict[str, Any]) -> bool:
    if not math.isclose(found.pop("last_number"), expected.pop("last_number"), rel_tol=1e-6):
        return False
    numbers = zip(found.pop("first_latent"), expected.pop("first_latent"), strict=True)
    return found == expected and all(math.isclose(a, b, rel_tol=1e-12) for a, b in numbers)


def test_a_reader_finds_in_every_valid_vector_what_the_library_finds(read):
    with ThreadPoolExecutor(2) as pool:
        results = dict(zip(VALID, pool.map(read, VALID), strict=True))

    for path, result in results.items():
        assert result.returncode == 0, (path.name, result.stderr)
        line, end = result.stdout.split("\n")  # not splitlines: a title may hold U+2028
        assert end == ""
        assert _alike(json.loads(line), _expected(path)), (path.name, line)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("RZ-V101", r"2\.0"),
        ("RZ-V101-manifest-too", r"2\.0"),
        ("RZ-V101-name", "not a bundle"),
        ("RZ-V107", "different versions"),
        ("RZ-V111", "/pairs/roles has another digest"),
        ("RZ-V112", "content has another digest"),
        ("RZ-V124", "requires"),
    ],
)
def test_a_reader_refuses_a_bundle_that_it_cannot_understand_or_that_was_changed(read, name: str, reason: str):
    _assert_refused(read(FOLDER / "invalid" / f"{name}.h5"), reason)


@pytest.mark.parametrize("array", [layout.INPUTS, layout.LATENTS, layout.ROLES])
def test_a_reader_refuses_a_flipped_byte_in_an_array(read, array: str, tmp_path: Path):
    bundle = shutil.copyfile(FOLDER / "valid" / "minimal.h5", tmp_path / "changed.h5")
    with h5py.File(bundle) as file:
        offset = file[array].id.get_offset()
    data = bytearray(bundle.read_bytes())
    data[offset] ^= 1
    bundle.write_bytes(data)

    _assert_refused(read(bundle), f"{array} has another digest")


def test_a_reader_refuses_a_changed_content(read, tmp_path: Path):
    bundle = tmp_path / "changed.h5"
    data = (FOLDER / "valid" / "minimal.h5").read_bytes()
    assert data.count(b'"n_dims":3') == 1
    bundle.write_bytes(data.replace(b'"n_dims":3', b'"n_dims":4'))

    _assert_refused(read(bundle), "content has another digest")


def test_a_reader_refuses_a_file_that_is_not_there(read, tmp_path: Path):
    _assert_refused(read(tmp_path / "missing.h5"), "")


def _assert_refused(result: subprocess.CompletedProcess[str], reason: str) -> None:
    assert result.returncode == 1, result.stderr
    assert re.search(reason, result.stderr)
    assert result.stdout == ""


def test_h5dump_shows_the_manifest_as_text_and_exports_its_bytes(tmp_path: Path):
    if not shutil.which("h5dump"):
        pytest.skip("no h5dump: install hdf5-tools")
    bundle = FOLDER / "valid" / "minimal.h5"
    manifest, exported = bundle.with_suffix(".manifest.json").read_bytes(), tmp_path / "manifest.json"

    shown = _run("h5dump", "-d", layout.MANIFEST, str(bundle))
    _run("h5dump", "-d", layout.MANIFEST, "-b", "FILE", "-o", str(exported), str(bundle))

    assert manifest.decode() in shown.stdout
    assert exported.read_bytes() == manifest


def test_jsfive_reads_every_valid_vector():
    if reason := _without_node("jsfive"):
        pytest.skip(reason)
    program = """
        import { readFileSync } from "node:fs";
        import { File } from "jsfive";
        for (const path of process.argv.slice(1)) {
          const file = new File(new Uint8Array(readFileSync(path)).buffer);
          const [text] = [file.get("manifest").value].flat(); // a scalar is a list of one
          const { content_id } = JSON.parse(text.replace(/\\0+$/, ""));
          console.log(JSON.stringify([file.attrs.format.trim(), file.get("pairs/latents").value[0], content_id]));
        }"""

    result = _run("node", "--input-type=module", "-e", program, *map(str, VALID))

    assert result.returncode == 0, result.stderr
    for path, line in zip(VALID, result.stdout.splitlines(), strict=True):
        expected = _expected(path)
        found = json.loads(line)
        assert found == ["rosetta-bundle", pytest.approx(expected["first_latent"][0], abs=0), expected["content_id"]]


def test_pyfive_reads_every_valid_vector():
    if not importlib.util.find_spec("pyfive"):
        pytest.skip("no pyfive: install pyfive")
    import pyfive

    for path in VALID:
        with pyfive.File(path) as file:
            expected = _expected(path)
            assert file[layout.LATENTS][0].tolist() == expected["first_latent"]
            assert json.loads(bytes(file[layout.MANIFEST][()]))["content_id"] == expected["content_id"]


@pytest.mark.parametrize("suffix", ["py", "mjs", "R", "m"])
def test_a_reader_is_short(suffix: str):
    lines = (READERS / f"reader.{suffix}").read_text("utf-8").splitlines()

    assert len(lines) < 75
    assert max(map(len, lines)) <= 120


def test_the_lock_file_of_the_packages_names_no_address_to_download_from():
    lock = (READERS / "package-lock.json").read_text("utf-8")

    assert "://" not in lock
    assert '"resolved"' not in lock
    pinned = json.loads((READERS / "package.json").read_text("utf-8"))
    locked = json.loads(lock)["packages"]
    assert all(re.fullmatch(r"\d+\.\d+\.\d+", version) and locked[f"node_modules/{name}"]["version"] == version
               for name, version in {**pinned["dependencies"], **pinned["devDependencies"]}.items())  # fmt: skip
