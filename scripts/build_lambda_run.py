"""What scripts/build_lambda does: gathers an app and its packages, and leaves what Lambda needs of them."""

from __future__ import annotations

import argparse
import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lambda_artifact import OWN, ArtifactError, check, drop_sources, pack, prune, size_of
from lambda_compile import compile_command, find_python
from rich.console import Console

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

ROOT = Path(__file__).resolve().parent.parent
# typing_extensions is there for models. An app that imports it itself can keep it.
UNTYPED = ("httpx", "pydantic", "typing_extensions")
# Wheels for Amazon Linux 2023, which has glibc 2.34, and for what older releases had.
_GLIBC = ("2_34", "2_28", "2_17")
_MACHINES = {"arm64": "aarch64", "x86_64": "x86_64"}
_HERE = "arm64" if platform.machine() in {"arm64", "aarch64"} else "x86_64"
_IGNORED = shutil.ignore_patterns("__pycache__", ".*")
EPILOG = """
What the handlers import is read from the source, inside of functions as well; of installed packages and of this toolkit
all else is left out. What is imported by names made at run time has to be kept by name (--keep). The result is tried
out: a clean process imports the handlers from it and makes a signed call. See docs/deploy-aws.md.
"""


def main() -> int:
    """Build."""
    arguments = read_arguments()
    console = Console(stderr=True)
    output = Path(arguments.output).absolute()
    staged = output.with_name(f"{output.name}.new")
    try:
        with console.status("gathering") as status:
            _drop(staged)
            summary = build(arguments, staged, status.update)
            _drop(output)
            for suffix in ("", ".zip"):
                staged.with_name(f"{staged.name}{suffix}").rename(output.with_name(f"{output.name}{suffix}"))
    except (ArtifactError, OSError) as error:
        _drop(staged)
        console.print(f"build_lambda: {error}", style="red", markup=False, highlight=False, soft_wrap=True)
        return 1
    print(f"{summary}\n{output} and {output.name}.zip")
    return 0


def build(arguments: argparse.Namespace, folder: Path, tell: Callable[[str], None]) -> str:
    """Make the artifact, and the zip beside it; returns what became of it, in two lines.

    Raises:
        ArtifactError: It cannot be built, or does not work.
    """
    handlers, runtime = arguments.handlers, arguments.runtime
    python = find_python(runtime)
    if python is None:
        raise ArtifactError(f"{runtime} is not on PATH: bytecode of another version is of no use, so install it")
    gather(Path(arguments.source), folder, arguments)
    packed = folder.with_name(f"{folder.name}.zip")
    pack(folder, packed)
    before = (packed.stat().st_size, size_of(folder))
    without = {*arguments.without, *(UNTYPED if arguments.untyped else ())} - {*arguments.keep}
    tell("looking for what is imported")
    pruned = prune(folder, handlers, without, arguments.keep)
    tell("compiling")
    compile_all(python, folder, runtime, () if arguments.keep_sources else pruned.kept)
    tell("trying it out")
    is_runnable = arguments.architecture == _HERE or not any(folder.rglob("*.so"))
    if is_runnable:
        check(python, folder, handlers, [Path(layer).absolute() for layer in arguments.layer])
    tell("packing")
    pack(folder, packed)
    zipped, unpacked = zip(before, (packed.stat().st_size, size_of(folder)), strict=True)
    checked = f"tried out with {runtime}" if is_runnable else f"not tried out: its machine code is not for this {_HERE}"
    return (
        f"zipped {_mb(*zipped)}, unpacked {_mb(*unpacked)}, compiled; {checked}\n"
        f"left out: {', '.join(pruned.gone) or 'no package'}"
    )


def compile_all(python: str, folder: Path, runtime: str, packages: Collection[str]) -> None:
    """Compile everything, and leave nothing but bytecode of some packages.

    Raises:
        ArtifactError: A file cannot be compiled, or is compiled for another Python.
    """
    tag = f".cpython-{runtime.removeprefix('python').replace('.', '')}-"
    for path in folder.rglob("*.cpython-3*.so"):
        if tag not in path.name:
            raise ArtifactError(f"{path.relative_to(folder)} is for another Python than {runtime}")
    # Nobody reads this toolkit's docstrings there, and it has no asserts; those of others may be needed.
    optimized = [compile_command(python, folder, OWN, optimize=2)] if OWN in packages else []
    for command in [compile_command(python, folder), *optimized]:
        if subprocess.run(command, check=False).returncode:
            raise ArtifactError("a file cannot be compiled; Python says why, above")
    drop_sources(folder, packages)


def gather(source: Path, folder: Path, arguments: argparse.Namespace) -> None:
    """Copy an app, and install what its requirements.txt says."""
    if not source.is_dir():
        raise ArtifactError(f"{source} is not a folder")
    shutil.copytree(source, folder, ignore=_IGNORED)
    requirements = folder / "requirements.txt"
    if requirements.exists() and not arguments.installed:
        install(requirements, folder, arguments)
    if not (folder / OWN).is_dir():
        raise ArtifactError(f"{source} has no {OWN}, and no requirements.txt that brings it")


def install(requirements: Path, folder: Path, arguments: argparse.Namespace) -> None:
    """Have pip install packages for the processor and the Python that they will run on."""
    machine = _MACHINES[arguments.architecture]
    platforms = [f"--platform=manylinux_{glibc}_{machine}" for glibc in _GLIBC]
    target = ["--target", str(folder), "--no-compile", "--only-binary=:all:", *platforms]
    version = ["--implementation=cp", f"--python-version={arguments.runtime.removeprefix('python')}"]
    command = [sys.executable, "-m", "pip", "install", "--quiet", *target, *version, "-r", str(requirements)]
    if subprocess.run(command, check=False).returncode:
        raise ArtifactError("pip cannot install the packages; it says why, above")


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/build_lambda",
        description="Builds the code of a Lambda function: what it imports, compiled, and nothing else.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("handlers", nargs="+", metavar="HANDLER", help="handlers.aws_http.handler: as Lambda is told")
    add("--source", metavar="DIR", default=str(ROOT / "templates" / "aws" / "function"), help="the app's folder")
    add("--output", metavar="DIR", default=str(ROOT / ".build" / "lambda"), help=".build/lambda, and .build/lambda.zip")
    add("--runtime", default="python3.13", help="Lambda's: python3.13, whose Python has to be on PATH")
    add("--architecture", choices=sorted(_MACHINES), default="arm64", help="Lambda's processor")
    add("--untyped", action="store_true", help="without pydantic and httpx: no types, and plain connections")
    add(
        "--without",
        action="append",
        default=[],
        metavar="NAME",
        help="leave out a package, or a part of one: what a layer has, or what is never needed",
    )
    add("--layer", action="append", default=[], metavar="DIR", help="a layer's packages, for the check to find them")
    add("--keep", action="append", default=[], metavar="NAME", help="keep a package that nothing imports by name")
    add("--keep-sources", action="store_true", help="keep the packages' sources beside their bytecode")
    add("--installed", action="store_true", help="the folder has its packages already, as sam build leaves it")
    arguments = parser.parse_args()
    if not re.fullmatch(r"python3\.\d+", arguments.runtime):
        parser.error(f"--runtime takes python3.13, say, not {arguments.runtime!r}")
    if any("." not in handler for handler in arguments.handlers):
        parser.error("a handler is module.function: handlers.aws_http.handler")
    return arguments


def _drop(artifact: Path) -> None:
    shutil.rmtree(artifact, ignore_errors=True)
    artifact.with_name(f"{artifact.name}.zip").unlink(missing_ok=True)


def _mb(before: int, after: int) -> str:
    return f"{before / 1e6:.2f} -> {after / 1e6:.2f} MB"


if __name__ == "__main__":
    sys.exit(main())
