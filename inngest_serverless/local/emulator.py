"""What the Lambda runtime needs of this machine: the emulator's binary, and an interpreter."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

from inngest_serverless.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["find_emulator", "runtime_version"]

_INSTALLED = Path(".tools/sam/samcli/local/rapid")  # where scripts/setup puts it
_ARCHITECTURES = {"AMD64": "x86_64", "aarch64": "arm64"}  # by the names that the binaries do not use


def find_emulator(named: Path | str | None, cwd: Path) -> str:
    """Finds the runtime interface emulator's binary.

    Args:
        named: The path that the caller gives, if any; ``$AWS_LAMBDA_RIE`` comes second.
        cwd: Where the search for what scripts/setup installed begins, then upwards; the current folder is next.

    Returns:
        Its absolute path.

    Raises:
        ConfigurationError: There is none; the message says how to get it.
    """
    if named := named or os.environ.get("AWS_LAMBDA_RIE"):
        if os.access(named, os.X_OK) and Path(named).is_file():
            return str(Path(named).absolute())
        raise ConfigurationError(f"{named} is not the Lambda runtime emulator: no program is there")
    machine = platform.machine()
    name = f"aws-lambda-rie-{_ARCHITECTURES.get(machine, machine)}"
    for folder in _emulator_folders(cwd):
        if os.access(folder / name, os.X_OK):
            return str(folder / name)
    if found := shutil.which("aws-lambda-rie"):
        return str(Path(found).absolute())
    raise ConfigurationError(
        f"the Lambda runtime emulator ({name}) is not installed: run scripts/setup, or pip install aws-sam-cli, "
        "or set AWS_LAMBDA_RIE to its path; it runs on Linux only"
    )


def _emulator_folders(cwd: Path) -> Iterator[Path]:
    for start in (cwd.absolute(), Path.cwd()):
        for folder in chain([start], start.parents):
            yield folder / _INSTALLED
    sam = importlib.util.find_spec("samcli")  # finds it without importing it
    for location in (sam and sam.submodule_search_locations) or ():
        yield Path(location, "local", "rapid")


def runtime_version(python: str, cwd: Path, env: Mapping[str, str]) -> str:
    """Asks an interpreter for its version, and makes sure that it can run Lambda functions.

    Args:
        python: The interpreter.
        cwd: The handler's folder.
        env: The function's variables; with the folder they decide what can be imported.

    Returns:
        The version as Lambda writes it, e.g. ``"3.12"``.

    Raises:
        ConfigurationError: The interpreter or its awslambdaric is missing.
    """
    program = "import sys, awslambdaric; print('%d.%d' % sys.version_info[:2])"
    try:
        ran = subprocess.run([python, "-c", program], cwd=cwd, env=env, capture_output=True, check=True)  # noqa: S603
    except OSError as error:
        raise ConfigurationError(f"cannot run {python} in {cwd}: {error}") from error
    except subprocess.CalledProcessError as error:
        reason = cast("bytes", error.stderr).decode(errors="replace").strip().rpartition("\n")[2]
        raise ConfigurationError(
            f"{python} cannot run Lambda functions ({reason}): {python} -m pip install awslambdaric"
        ) from error
    return ran.stdout.decode().strip()
