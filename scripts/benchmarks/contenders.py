"""Who is measured, and folders to measure them in: each has a handler's module and all that it needs, and no more."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import calls_durable
import calls_inngest
import calls_restate

if TYPE_CHECKING:
    from calls import Calls

__all__ = ["CONTENDERS", "FLOOR", "Contender", "stage", "zipped_mb"]

BUILD = "build_lambda_run.py"

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FLOOR = "floor"
# Parts of the package that no deployed function loads.
_NOT_DEPLOYED = ("local", "testing", "cli", "__main__.py")


@dataclass(frozen=True)
class Contender:
    """A handler.

    Attributes:
        title: What it is called in the documentation.
        module: The handler's module, in this folder.
        function: The ID of its function.
        requirements: What it needs from the package index.
        is_own: Whether it is this project's.
        is_whole: Whether all of this project's package is there, as pip installs it.
        build: Options for scripts/build_lambda, or None if that has no part in it.
        calls: The protocol that it speaks.
        does_more: The figures of calls in which it does more than the others, and cannot do less.
    """

    title: str
    module: str
    function: str = "sync"
    requirements: tuple[str, ...] = ()
    is_own: bool = False
    is_whole: bool = False
    build: tuple[str, ...] | None = None
    calls: Calls = calls_inngest
    does_more: frozenset[str] = frozenset()

    @property
    def is_peer(self) -> bool:
        """Whether it is somebody else's."""
        return bool(self.requirements) and not self.is_own

    def built(self, *options: str) -> Contender:
        """The same as scripts/build_lambda makes it."""
        return replace(self, build=options)


CONTENDERS: dict[str, Contender] = {
    FLOOR: Contender("standard library only", "floor"),
    "sync": Contender("inngest-serverless, sync", "app_sync", is_own=True),
    "async": Contender("inngest-serverless, async", "app_async", function="async", is_own=True),
    "inngest": Contender("inngest + fastapi + mangum", "peer_inngest", requirements=("inngest", "fastapi", "mangum")),
    "restate": Contender(
        "restate-sdk",
        "peer_restate",
        function="async",
        requirements=("restate-sdk",),
        calls=calls_restate,
        does_more=frozenset({"parallel"}),
    ),
    "durable": Contender(
        "aws-durable-execution-sdk-python",
        "peer_durable",
        requirements=("aws-durable-execution-sdk-python",),
        calls=calls_durable,
        does_more=frozenset({"parallel", "runtime-run"}),
    ),
}


def stage(contender: Contender, folder: Path, pins: Path) -> None:
    """Fill a folder with what a contender needs, in source.

    Args:
        contender: Who.
        folder: The folder, which is made.
        pins: The versions of the packages of others.

    Raises:
        subprocess.CalledProcessError: A package could not be installed.
    """
    folder.mkdir(parents=True)
    if contender.requirements:
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(folder)]
        subprocess.run([*install, "--constraint", str(pins), *contender.requirements], check=True)
    if contender.is_own:
        ignored = shutil.ignore_patterns("__pycache__", *(() if contender.is_whole else _NOT_DEPLOYED))
        shutil.copytree(ROOT / "inngest_serverless", folder / "inngest_serverless", ignore=ignored)
    shutil.copy(HERE / f"{contender.module}.py", folder)
    if contender.build is not None:
        _build(contender, folder, contender.build)


def _build(contender: Contender, folder: Path, options: tuple[str, ...]) -> None:
    """Put in a folder's place what scripts/build_lambda makes of it."""
    target = folder.with_name(f"{folder.name}-made")
    machine = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
    here = ["--runtime", f"python3.{sys.version_info.minor}", "--architecture", machine, "--installed"]
    command = [sys.executable, str(ROOT / "scripts" / BUILD), f"{contender.module}.handler", *here, *options]
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    subprocess.run(
        [*command, "--source", str(folder), "--output", str(target)],
        env=os.environ | {"PATH": path},
        stdout=subprocess.DEVNULL,
        check=True,
    )
    shutil.rmtree(folder)
    target.rename(folder)
    target.with_name(f"{target.name}.zip").unlink()


def zipped_mb(folder: Path) -> float:
    """How large a folder is as a deployment package, in MB."""
    target = folder.with_suffix(".zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder))
    size = target.stat().st_size / 1e6
    target.unlink()
    return size
