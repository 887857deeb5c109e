"""What is installed is what is in the tree, and works without it."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def test_every_package_of_the_tree_is_listed():
    places = {"rosetta": ROOT / "rosetta", "rosetta.schemas": ROOT / "schemas", "rosetta.cli": ROOT / "cli"}
    found = {
        ".".join([name, *path.parent.relative_to(folder).parts])
        for name, folder in places.items()
        for path in folder.rglob("__init__.py")
    }

    assert sorted(found) == sorted(PROJECT["tool"]["setuptools"]["packages"])


def test_every_dependency_is_locked_at_a_version_that_fits():
    from packaging.requirements import Requirement

    locked = dict(line.split("==") for line in (ROOT / "requirements.lock").read_text().split())
    normal = {name.lower().replace("_", "-"): version for name, version in locked.items()}
    wanted = [*PROJECT["project"]["dependencies"], *PROJECT["project"]["optional-dependencies"]["report"]]

    for each in map(Requirement, wanted):
        assert each.specifier.contains(normal[each.name.lower().replace("_", "-")]), each


def test_the_version_is_the_same_everywhere():
    version = PROJECT["project"]["version"]

    assert f"version: {version}" in (ROOT / "CITATION.cff").read_text()
    assert f"## {version}" in (ROOT / "CHANGELOG.md").read_text()


@pytest.mark.slow
def test_a_wheel_built_and_installed_elsewhere_works(tmp_path: Path):
    subprocess.run(
        [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(tmp_path), str(ROOT)],
        check=True,
        capture_output=True,
    )
    wheel = next(tmp_path.glob("*.whl"))
    names = zipfile.ZipFile(wheel).namelist()
    assert "rosetta/py.typed" in names
    assert "rosetta/schemas/1.0/manifest.schema.json" in names
    assert not [n for n in names if n.startswith(("tests", "cli", "schemas"))]
    venv.create(tmp_path / "env", with_pip=True, system_site_packages=False)
    python = tmp_path / "env" / "bin" / "python"
    site = subprocess.run(
        [python, "-c", "import site; print(site.getsitepackages()[0])"], check=True, capture_output=True, text=True
    ).stdout.strip()
    dependencies = next(p for p in sys.path if p.endswith("site-packages"))
    Path(site, "dependencies.pth").write_text(f"{dependencies}\n")  # found after the wheel; its .pth files are not read
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", wheel], check=True)
    rosetta = str(tmp_path / "env" / "bin" / "rosetta")

    where = subprocess.run(
        [python, "-c", "import rosetta.schemas.export as e; print(e.__file__)"],
        cwd=tmp_path, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    demo = subprocess.run([rosetta, "demo"], cwd=tmp_path, check=False, capture_output=True, text=True)

    assert where.startswith(str(tmp_path))
    assert demo.returncode == 0, demo.stderr
    assert (tmp_path / "rosetta-demo" / "spaces.png").stat().st_size > 10_000
