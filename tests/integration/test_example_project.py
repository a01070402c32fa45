"""The test kit in a project of a user's: its tests pass with the built wheel alone, in an environment of its own."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
import zipfile
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
PROJECT = ROOT / "tests" / "example_project"
OURS = "inngest_serverless"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The wheel of this checkout, built by the backend that pyproject.toml names, without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = f"from hatchling.build import build_wheel; print(build_wheel({str(folder)!r}))"
    ran = _run(sys.executable, "-c", build, cwd=ROOT)
    return folder / ran.stdout.split()[-1]


@pytest.fixture(scope="module")
def python(tmp_path_factory, wheel):
    """An interpreter that has the wheel, and what it needs, but not this checkout."""
    folder = tmp_path_factory.mktemp("venv")
    venv.create(folder, symlinks=True)
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    installed = Path(paths["purelib"])
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(installed)
    # Dependencies are those of the development environment: copied as links, without the link to this checkout.
    for entry in Path(sysconfig.get_paths()["purelib"]).iterdir():
        if OURS not in entry.name and not (installed / entry.name).exists():
            (installed / entry.name).symlink_to(entry)
    return Path(paths["scripts"]) / "python"


def _run(*command, cwd, **variables):
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("INNGEST_", "PYTHON", "PYTEST"))}
    ran = subprocess.run(  # noqa: S603 - our own commands
        command, cwd=cwd, env=kept | variables, capture_output=True, text=True, timeout=300, check=False
    )
    assert ran.returncode == 0, f"{' '.join(map(str, command))}\n{ran.stdout}\n{ran.stderr}"
    return ran


@pytest.fixture
def project(tmp_path):
    """A copy of the example project, somewhere else."""
    return Path(
        shutil.copytree(PROJECT, tmp_path / "shop", ignore=shutil.ignore_patterns("__pycache__", "conftest.py"))
    )


def test_the_package_is_that_of_the_wheel(python, project):
    ran = _run(python, "-c", f"import {OURS}; print({OURS}.__file__)", cwd=project)
    found = Path(ran.stdout.strip())
    assert ROOT not in found.parents, f"this checkout is seen at {found}"
    assert "site-packages" in found.parts


def test_the_plugin_is_registered_by_the_wheel(wheel):
    with zipfile.ZipFile(wheel) as archive:
        [name] = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        text = archive.read(name).decode()
    assert "[pytest11]\ninngest-serverless = inngest_serverless.testing.pytest_plugin" in text


def test_the_tests_of_a_users_project_pass(python, project):
    ran = _run(python, "-m", "pytest", "-p", "no:cacheprovider", "-ra", cwd=project)
    assert " passed" in ran.stdout, ran.stdout
    assert " skipped" not in ran.stdout, ran.stdout
    assert f"rootdir: {project}" in ran.stdout, ran.stdout


def test_its_types_are_seen(python, project):
    """Strictly: what the kit gives is typed, so the project's own mistakes are found."""
    (project / "tests" / "wrong.py").write_text(
        "from shop.functions import count_stock\n"
        "from inngest_serverless.testing import run\n"
        "total: str = run(count_stock).output\n"
    )
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(python), "tests/wrong.py"]
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    ran = subprocess.run(command, cwd=project, env=kept, capture_output=True, text=True, timeout=300, check=False)  # noqa: S603 - ours
    lines = [line for line in ran.stdout.splitlines() if "error" in line and "wrong.py" in line]
    assert len(lines) == 1, ran.stdout + ran.stderr
    assert lines[0].startswith("tests/wrong.py:3: error: Incompatible types in assignment"), lines
    assert 'expression has type "int", variable has type "str"' in lines[0], lines
