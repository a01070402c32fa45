"""The Lambda functions of template.yaml as scripts/deploy_aws builds them, and an interpreter that has what Lambda's has.

What deploys to AWS is not part of the development environment: ``scripts/setup --aws`` installs it.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from contextlib import contextmanager
from importlib.metadata import distribution
from pathlib import Path
from platform import machine
from typing import TYPE_CHECKING

import pytest
from packaging.requirements import Requirement

import inngest_serverless

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(inngest_serverless.__file__).parents[1]
TOOLS = ROOT / ".tools"
ARCHITECTURES = ("arm64", "x86_64")
HERE_ARCHITECTURE = "arm64" if machine() in {"arm64", "aarch64"} else "x86_64"
RUNTIME = f"python3.{sys.version_info.minor}"


def tool(name: str) -> str:
    """The path of a tool: ``"aws/bin/sam"`` for example. Where it is not installed the test is skipped, in CI it fails."""
    path = TOOLS / name
    if not path.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"{path} is not there: run scripts/setup --aws")
    return str(path)


def aws_environment() -> dict[str, str]:
    """Variables for tools of AWS: no account, no telemetry, and our own interpreter before others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "SAM_", "INNGEST_"))}
    bins = [Path(sys.executable).parent, TOOLS / "aws" / "bin"]
    return kept | {
        "PATH": os.pathsep.join([*map(str, bins), kept["PATH"]]),
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "none",
        "AWS_SECRET_ACCESS_KEY": "none",
        "AWS_EC2_METADATA_DISABLED": "true",
        "SAM_CLI_TELEMETRY": "0",
    }


def run(*command: str) -> str:
    """Run a tool; its output. Where it fails, so does the test, with all that it said."""
    ran = subprocess.run(  # noqa: S603 - the test's own
        command, cwd=ROOT, env=aws_environment(), capture_output=True, text=True, timeout=280, check=False
    )
    assert ran.returncode == 0, f"{' '.join(command)}\n{ran.stdout}\n{ran.stderr}"
    return ran.stdout


def build(factory: pytest.TempPathFactory, architecture: str = HERE_ARCHITECTURE) -> Path:
    """Build the functions, once for all workers of a session.

    Returns:
        The folder, which has one for each function, and the template that names them.
    """
    tool("aws/bin/sam")
    base = factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / f"aws-{architecture}"
    with _lock(folder.with_suffix(".lock")):
        if not (done := folder / "done").exists():
            settings = ["--set", f"Architecture={architecture}", "--set", f"PythonRuntime={RUNTIME}"]
            run("scripts/deploy_aws", "dev", "--build-only", "--build-dir", str(folder / "build"), *settings)
            done.touch()
    return folder / "build"


@contextmanager
def _lock(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def lambda_python(folder: Path, *names: str) -> str:
    """Make an interpreter that has some of this one's packages, with what they need, and nothing else.

    Args:
        folder: Where to make it.
        names: Of the packages. Lambda's own has awslambdaric and boto3.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder], check=True)  # noqa: S603 - ourselves
    [packages] = (folder / "lib").glob("python3.*/site-packages")
    for name in _closure(names):
        found = distribution(name)
        for entry in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
            if not (packages / entry).exists():
                (packages / entry).symlink_to(Path(str(found.locate_file(entry))).resolve())
    return str(folder / "bin" / "python")


def _closure(names: tuple[str, ...]) -> set[str]:
    closed: set[str] = set()
    waiting = list(names)
    while waiting:
        name = waiting.pop()
        closed.add(name)
        needs = map(Requirement, distribution(name).requires or ())
        waiting += [need.name for need in needs if not need.marker or need.marker.evaluate({"extra": ""})]
    return closed
