"""Who is measured, and folders to measure them in: each has a handler's module and all that it needs, and no more."""

from __future__ import annotations

import compileall
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass
from pathlib import Path

__all__ = ["CONTENDERS", "FLOOR", "Contender", "stage", "zipped_mb"]

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
FLOOR = "floor"
# What the package needs where a function declares typed events; an untyped one loads none of it.
_OWN_TYPED = ("httpx", "pydantic")
# Parts of the package that no deployed function loads.
_NOT_DEPLOYED = ("local", "testing", "cli", "__main__.py")


@dataclass(frozen=True)
class Contender:
    """A handler.

    Attributes:
        title: What it is called in tables.
        module: The handler's module, in this folder.
        function: The ID of its function.
        requirements: What it needs from the package index.
        is_own: Whether it is this project's.
    """

    title: str
    module: str
    function: str = "sync"
    requirements: tuple[str, ...] = ()
    is_own: bool = False

    @property
    def is_peer(self) -> bool:
        """Whether it is somebody else's."""
        return bool(self.requirements)


CONTENDERS: dict[str, Contender] = {
    FLOOR: Contender("standard library only", "floor"),
    "sync": Contender("inngest-serverless, sync", "app_sync", is_own=True),
    "async": Contender("inngest-serverless, async", "app_async", function="async", is_own=True),
    "inngest": Contender("inngest + fastapi + mangum", "peer_inngest", requirements=("inngest", "fastapi", "mangum")),
}


def stage(contender: Contender, folder: Path, pins: Path, *, compiled: bool = True) -> None:
    """Fill a folder with what a contender needs.

    Args:
        contender: Who.
        folder: The folder, which is made.
        pins: The versions of the packages of others.
        compiled: Whether the code is compiled before the first start.

    Raises:
        subprocess.CalledProcessError: A package could not be installed.
    """
    folder.mkdir(parents=True)
    if contender.is_peer:
        install = [sys.executable, "-m", "pip", "install", "--quiet", "--no-compile", "--target", str(folder)]
        subprocess.run([*install, "--constraint", str(pins), *contender.requirements], check=True)
    if contender.is_own:
        ignored = shutil.ignore_patterns("__pycache__", *_NOT_DEPLOYED)
        shutil.copytree(ROOT / "inngest_serverless", folder / "inngest_serverless", ignore=ignored)
    shutil.copy(HERE / f"{contender.module}.py", folder)
    if compiled:
        compileall.compile_dir(str(folder), quiet=2)


def zipped_mb(folder: Path) -> float:
    """How large a folder is as a deployment package, in MB, without compiled files."""
    target = folder.with_suffix(".zip")
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file() and "__pycache__" not in path.parts:
                archive.write(path, path.relative_to(folder))
    size = target.stat().st_size / 1e6
    target.unlink()
    return size
