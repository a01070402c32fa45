"""The code of a Lambda function: cut down to what it needs, checked and packed."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from email.parser import HeaderParser
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from lambda_imports import Imports

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

__all__ = ["OWN", "ArtifactError", "check", "drop_sources", "pack", "prune", "size_of"]

OWN = "inngest_serverless"
CHECK = Path(__file__).with_name("lambda_check.py")
_CHECK_SECONDS = 60
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the first day that a zip can name: the same code makes the same file
# Large packages that name all that they import, so that parts of them can go.
_BY_MODULE = {"aws_lambda_powertools"}
# Entry points that are for shells and tests; others are how packages find one another while they run.
_TOOLS = {"console_scripts", "gui_scripts", "pytest11"}


class ArtifactError(Exception):
    """What is wrong with an artifact, or with what it is made of."""


class Pruned(NamedTuple):
    """Packages, by the names by which they are imported: what is left, and what went."""

    kept: list[str]
    gone: list[str]


def prune(folder: Path, handlers: Sequence[str], without: Collection[str], keep: Collection[str]) -> Pruned:
    """Delete what no handler imports, wherever in the code it would, and what only tools read.

    Of packages, whole ones go, and their tests; of this project's own and of Powertools each module is looked at. What
    belongs to no package is the app's own and stays.

    Args:
        folder: The artifact: the app's own code, and packages as pip has installed them.
        handlers: ``module.function``, from the folder.
        without: Names of packages or of parts of them, as they are imported: left out although something imports them.
        keep: Names of packages that stay although nothing seems to import them.

    Raises:
        ArtifactError: A handler's module is not there.
    """
    _drop_litter(folder)
    installed = _installed(folder)
    packages = {OWN, *(entry for _, entries in installed for entry in entries)}
    imports = Imports(folder, packages, by_module={OWN, *_BY_MODULE} & packages, without=set(without), own=OWN)
    plugins = {entry for info, entries in installed if _is_plugin(info) for entry in entries}
    try:
        for handler in handlers:
            module = handler.rpartition(".")[0]
            if not imports.follow(module):
                raise ArtifactError(f"{handler} is not there: there is no module {module!r} in the app's folder")
        for name in {*keep, *plugins}:
            imports.follow(name)
    except SyntaxError as error:
        raise ArtifactError(f"{error.filename}, line {error.lineno}: {error.msg}") from error
    gone: set[str] = set()
    for info, entries in installed:
        if not entries & imports.reached:
            shutil.rmtree(info)
            gone |= entries
    for module in [*gone, *imports.unreached()]:
        _drop(folder, module)
    _drop_empty(folder)
    return Pruned(sorted(packages - gone), sorted(gone))


def _installed(folder: Path) -> list[tuple[Path, set[str]]]:
    """What pip says about each package, and the names by which that is imported."""
    found = []
    for info in sorted(folder.glob("*.dist-info")):
        record = info / "RECORD"
        lines = record.read_text("utf-8").splitlines() if record.exists() else []
        tops = {line.partition(",")[0].partition("/")[0] for line in lines}
        names = {top.partition(".")[0] for top in tops if (folder / top).exists() and not top.endswith(".dist-info")}
        found.append((info, names - {"", "bin", "__pycache__"}))
    return found


def _is_plugin(info: Path) -> bool:
    entry_points = info / "entry_points.txt"
    lines = entry_points.read_text("utf-8").splitlines() if entry_points.exists() else []
    return bool({line.strip("[] ") for line in lines if line.startswith("[")} - _TOOLS)


def _drop_litter(folder: Path) -> None:
    """Bytecode of whoever built it, stubs, commands, and of what pip knows all but names, versions and entry points."""
    for path in [*folder.rglob("__pycache__"), folder / "bin"]:
        shutil.rmtree(path, ignore_errors=True)
    for pattern in ("*.pyi", "py.typed", "*.pyc"):
        for path in folder.rglob(pattern):
            path.unlink()
    for info in folder.glob("*.dist-info"):
        for path in info.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name not in {"METADATA", "RECORD", "entry_points.txt"}:
                path.unlink()
        metadata = info / "METADATA"
        if metadata.exists():
            known = HeaderParser().parsestr(metadata.read_text("utf-8"))
            lines = [f"{name}: {known[name]}\n" for name in ("Metadata-Version", "Name", "Version")]
            metadata.write_text("".join(lines), "utf-8")


def _drop(folder: Path, module: str) -> None:
    path = folder.joinpath(*module.split("."))
    if path.is_dir():
        shutil.rmtree(path)
        return
    for file in path.parent.glob(f"{path.name}.*"):
        if file.suffix in {".py", ".so"}:
            file.unlink()


def _drop_empty(folder: Path) -> None:
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_dir() and not any(path.iterdir()):
            path.rmdir()
    for record in folder.glob("*.dist-info/RECORD"):
        record.unlink()


def drop_sources(folder: Path, packages: Collection[str]) -> None:
    """Leave only bytecode of some packages, the most optimized that there is, where Python finds it by itself."""
    for name in packages:
        for source in [folder / f"{name}.py", *(folder / name).rglob("*.py")]:
            compiled = sorted((source.parent / "__pycache__").glob(f"{source.stem}.*.pyc"), key=lambda path: path.name)
            if source.exists() and compiled:
                # x.cpython-311.opt-2.pyc comes before x.cpython-311.pyc.
                compiled[0].rename(source.with_suffix(".pyc"))
                source.unlink()
                for other in compiled[1:]:
                    other.unlink()
    for cache in list(folder.rglob("__pycache__")):
        if not any(cache.iterdir()):
            cache.rmdir()


def check(python: str, folder: Path, handlers: Sequence[str], layers: Sequence[Path]) -> None:
    """Import the handlers in a clean process that finds nothing but an artifact and layers, and make a first call.

    Args:
        python: The interpreter.
        folder: The artifact.
        handlers: ``module.function``.
        layers: Folders of packages that Lambda finds as well.

    Raises:
        ArtifactError: They cannot be imported, or what serves functions answers wrongly.
    """
    command = [python, "-I", "-S", "-B", str(CHECK), str(folder), ",".join(map(str, layers)), *handlers]
    try:
        ran = subprocess.run(
            command, env={}, cwd=folder, capture_output=True, text=True, timeout=_CHECK_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise ArtifactError(f"importing {', '.join(handlers)} took more than {_CHECK_SECONDS} s") from None
    if ran.returncode:
        lines = ran.stderr.strip().splitlines()
        raise ArtifactError(lines[-1] if lines else f"{python} ended with {ran.returncode}")


def pack(folder: Path, target: Path) -> None:
    """Zip a folder as Lambda takes it; the same files make the same zip."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), _EPOCH)
                entry.external_attr = (path.stat().st_mode | 0o444) << 16
                entry.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(entry, path.read_bytes(), compresslevel=9)


def size_of(folder: Path) -> int:
    """The bytes of all files."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
