"""What lies behind a URL is copied once, under its own name, and nothing is left when it is not needed."""

from __future__ import annotations

import functools
import http.server
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import fsspec
import numpy as np
import pytest
import zarr

from rosetta.errors import SourceError
from rosetta.sources import remote
from rosetta.sources.remote import fetched, is_url

ITEMS = np.arange(24).reshape(6, 4)


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where copies go."""
    folder = tmp_path / "copies"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        if "secret" in self.path:
            return self.send_error(403)
        if "cut" in self.path:
            self.send_response(200)
            self.send_header("Content-Length", "100")
            self.end_headers()
            self.wfile.write(b"no more")
            return None
        return super().do_GET()

    def do_HEAD(self) -> None:
        self.send_error(403) if "secret" in self.path else super().do_HEAD()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a folder with an array, a store and images in folders."""
    folder = tmp_path_factory.mktemp("served")
    _fill(folder)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(_Quiet, directory=folder))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def _fill(folder: Path) -> None:
    np.save(folder / "items.npy", ITEMS)
    (folder / "cut.npy").write_bytes(bytes(100))
    zarr.create_array(folder / "store.zarr", data=ITEMS, chunks=(2, 2))
    (folder / "images/a b").mkdir(parents=True)
    (folder / "images/a b/é.png").write_bytes(b"one")
    (folder / "images/z.png").write_bytes(b"two")


@pytest.fixture(params=["http", "file", "memory"])
def place(request: pytest.FixtureRequest, served: str, tmp_path: Path) -> str:
    """The URL of the same folder, by several protocols."""
    if request.param == "http":
        return served
    here = tmp_path / "here"
    here.mkdir()
    _fill(here)
    if request.param == "file":
        return f"file://{here}"
    memory = fsspec.filesystem("memory")
    memory.pipe({f"/bucket/{x.relative_to(here)}": x.read_bytes() for x in here.rglob("*") if x.is_file()})
    return "memory://bucket"


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("s3://bucket/a.npy", True), ("https://x.org/a.zarr", True), ("zip://a.npy::https://x.org/a.zip", True),
        ("a.npy", False), ("/a/b.npz::x", False), (r"C:\a.npy", False), ("C://a.npy", False), ("a//b://c", False),
    ],
)  # fmt: skip
def test_urls_are_told_from_paths(location: str, expected: bool):
    assert is_url(location) is expected


def test_a_file_keeps_its_name_and_goes_when_it_is_not_needed(place: str, temporary: Path):
    path, remove = fetched(f"{place}/items.npy")

    assert path.name == "items.npy"
    assert np.load(path).tolist() == ITEMS.tolist()
    remove()
    remove()
    assert not any(temporary.iterdir())


def test_a_folder_comes_with_all_that_is_in_it(place: str):
    store, remove_store = fetched(f"{place}/store.zarr")
    images, remove_images = fetched(f"{place}/images/")

    assert store.name == "store.zarr"
    assert zarr.open_array(store, mode="r")[:].tolist() == ITEMS.tolist()
    assert images.name == "images"
    found = {each.relative_to(images).as_posix(): each.read_bytes() for each in images.rglob("*") if each.is_file()}
    assert found == {"a b/é.png": b"one", "z.png": b"two"}
    remove_store()
    remove_images()


def test_what_is_not_there_is_said_and_nothing_is_left(place: str, temporary: Path):
    with pytest.raises(SourceError, match=r"nothing\.npy could not be fetched: there is no such file or folder"):
        fetched(f"{place}/nothing.npy")
    assert not any(temporary.iterdir())


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("SERVED/secret.npy", "access is refused: set credentials"),
        ("SERVED/cut.npy", r"cut\.npy could not be fetched: "),
        ("nonsense://bucket/a.npy", "nonsense.* could not be fetched: .*nonsense"),
        ("memory://", "names no file or folder"),
        ("http://127.0.0.1:1/a.npy", r"a\.npy could not be fetched: .*127\.0\.0\.1"),
    ],
)
def test_what_cannot_be_fetched_is_said_and_nothing_is_left(served: str, url: str, words: str, temporary: Path):
    with pytest.raises(SourceError, match=words):
        fetched(url.replace("SERVED", served))
    assert not any(temporary.iterdir())


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "gcsfs", None)

    with pytest.raises(SourceError, match="a package is missing .*gcsfs"):
        fetched("gs://bucket/a.npy")


def test_keys_and_passwords_are_not_told(served: str):
    with pytest.raises(SourceError) as caught:
        fetched(served.replace("http://", "http://me:hush@") + "/secret.npy?signature=hush")

    assert "hush" not in str(caught.value)
    assert "/secret.npy" in str(caught.value)


def test_a_query_is_no_part_of_the_name(served: str):
    path, remove = fetched(f"{served}/items.npy?download=1")

    assert path.name == "items.npy"
    remove()


def test_a_disk_that_is_too_small_is_seen_before(place: str, temporary: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=10))

    with pytest.raises(SourceError, match=r"0\.0 GB left: set TMPDIR to a folder on a larger disk"):
        fetched(f"{place}/items.npy")
    assert not any(temporary.iterdir())


def test_an_interrupted_copy_leaves_nothing(place: str, temporary: Path, monkeypatch: pytest.MonkeyPatch):
    def interrupt(*args: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(remote, "_check_disk", interrupt)

    with pytest.raises(KeyboardInterrupt):
        fetched(f"{place}/items.npy")
    assert not any(temporary.iterdir())


def test_a_server_cannot_place_files_elsewhere():
    entries = [("top/../../evil", "file"), ("top/a.png", "file"), ("top/?C=N;O=D", "file"), ("other/b.png", "file")]
    system = SimpleNamespace(
        protocol=("http", "https"),
        info=lambda place: {"type": "directory"},
        ls=lambda place, detail: [{"name": f"http://x/{name}", "type": kind, "size": 1} for name, kind in entries],
    )

    assert [file.place for file in remote._files(system, "http://x/top", "")] == ["a.png"]


def test_the_end_of_the_process_removes_the_copy(tmp_path: Path, temporary: Path):
    np.save(tmp_path / "items.npy", ITEMS)
    program = f"from rosetta.sources.remote import fetched; print(fetched('file://{tmp_path}/items.npy')[0].is_file())"

    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | {"TMPDIR": str(temporary)}, capture_output=True, text=True
    )

    assert done.stdout == "True\n"
    assert not any(temporary.iterdir())
