"""The package as it is released: built without a network, and installed into environments that have little else."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from importlib.metadata import Distribution, PathDistribution, distribution
from pathlib import Path
from typing import TYPE_CHECKING
from zipfile import Path as ZipPath
from zipfile import ZipFile

from packaging.requirements import Requirement

import inngest_serverless

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT = Path(inngest_serverless.__file__).parents[1]


@dataclass(frozen=True, slots=True)
class Environment:
    """An interpreter with the wheel, and with what the wheel says that it needs; without this checkout."""

    folder: Path

    @property
    def scripts(self) -> Path:
        """Where its commands are."""
        return Path(sysconfig.get_path("scripts", vars={"base": str(self.folder)}))

    def run(
        self, command: str, *arguments: str, cwd: Path, code: int = 0, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run one of its commands; the test fails if the exit code is another than it should be."""
        paths = os.pathsep.join([str(self.scripts), os.environ["PATH"]])
        return run(str(self.scripts / command), *arguments, cwd=cwd, code=code, PATH=paths, **variables)


def run(*command: str, cwd: Path, code: int = 0, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command without settings of ours or of Python's; the test fails if the exit code is another than it should be."""
    own = ("INNGEST_", "PYTHON", "PYTEST", "PIP_", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(own)}
    ran = subprocess.run(  # noqa: S603 - our own commands
        command, cwd=cwd, env=kept | variables, capture_output=True, text=True, timeout=280, check=False
    )
    assert ran.returncode == code, f"{' '.join(command)}: exit code {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
    return ran


def build_wheel(folder: Path) -> Path:
    """The wheel of this checkout, from the backend that pyproject.toml names."""
    ran = run(
        sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(folder), str(ROOT), cwd=folder
    )
    [wheel] = folder.glob("*.whl")
    assert f"Successfully built {wheel.name}" in ran.stdout
    return wheel


def install(wheel: Path, folder: Path, *extras: str, also: tuple[str, ...] = ()) -> Environment:
    """Make an environment that has the wheel and its dependencies.

    The wheel is installed by pip. The dependencies are links to those of the development environment, so that no
    network is needed: those that the wheel's metadata name, with what these need, and no others.

    Args:
        wheel: The wheel.
        folder: Where to make the environment.
        extras: Those that are asked for.
        also: Names of further packages.
    """
    run(sys.executable, "-m", "venv", "--without-pip", str(folder), cwd=folder.parent)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", str(folder)]
    run(*pip, "install", "--no-index", "--no-deps", str(wheel), cwd=folder.parent)
    installed = Path(sysconfig.get_path("purelib", vars={"base": str(folder), "platbase": str(folder)}))
    for name in sorted(_closed([*_needs(_metadata(wheel), extras), *map(Requirement, also)])):
        found = distribution(name)
        for entry in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            if not (installed / entry).exists():
                (installed / entry).symlink_to(Path(str(found.locate_file(entry))).resolve())
    return Environment(folder)


def _metadata(wheel: Path) -> PathDistribution:
    with ZipFile(wheel) as archive:
        [name] = {name.partition("/")[0] for name in archive.namelist() if ".dist-info/" in name}
    return PathDistribution(ZipPath(wheel, f"{name}/"))


def _needs(package: Distribution, extras: Iterable[str]) -> list[Requirement]:
    wanted = ["", *extras]
    found = map(Requirement, package.requires or ())
    return [need for need in found if not need.marker or any(need.marker.evaluate({"extra": it}) for it in wanted)]


def _closed(waiting: list[Requirement]) -> set[str]:
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        need = waiting.pop()
        one = (need.name, frozenset(need.extras))
        if one not in seen:
            seen.add(one)
            waiting += _needs(distribution(need.name), need.extras)
    return {name for name, _ in seen}
