"""The typed surface as type checkers see it: ``ok_*.py`` has no error, ``bad_*.py`` exactly those that it says.

A line of ``bad_*.py`` that ends in ``# E: text | other`` must be reported, with one of the texts in the message or its
code; all other lines must not.
"""

from __future__ import annotations

import json
import os
import re
import runpy
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
FILES = sorted([*HERE.glob("ok_*.py"), *HERE.glob("bad_*.py")])
PACKAGE = "inngest_serverless"
_EXPECTED = re.compile(r"# E: (.+)$")
_MYPY_LINE = re.compile(r"(?P<file>[^:]+):(?P<line>\d+): error: (?P<message>.+)")


def _run(*command: str) -> str:
    # Both look for the installed packages beside the first ``python`` on the path.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environ = {**os.environ, "PATH": path, "PYRIGHT_PYTHON_IGNORE_WARNINGS": "1"}
    # The tools are those of this interpreter, and so are their arguments.
    ran = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, env=environ, capture_output=True, text=True)  # noqa: S603, PLW1510
    assert ran.returncode in {0, 1}, ran.stdout + ran.stderr
    return ran.stdout


def _mypy() -> dict[tuple[str, int], list[str]]:
    errors = defaultdict(list)
    output = _run("mypy", "--strict", "--no-pretty", "--hide-error-context", *map(str, FILES))
    for line in output.splitlines():
        if found := _MYPY_LINE.match(line):
            errors[Path(found["file"]).name, int(found["line"])].append(found["message"])
    return errors


def _pyright() -> dict[tuple[str, int], list[str]]:
    errors = defaultdict(list)
    for found in json.loads(_run("pyright", "--outputjson", *map(str, FILES)))["generalDiagnostics"]:
        if found["severity"] == "error":
            place = Path(found["file"]).name, found["range"]["start"]["line"] + 1
            errors[place].append(f"{found['message']} [{found.get('rule', '')}]")
    return errors


TOOLS = {"mypy": _mypy, "pyright": _pyright}


def expected(file: Path) -> dict[int, list[str]]:
    """The marked lines of a file, and the texts of which one is to be in the message."""
    marks = ((number, _EXPECTED.search(line)) for number, line in enumerate(file.read_text("utf-8").splitlines(), 1))
    return {number: mark[1].split(" | ") for number, mark in marks if mark}


@pytest.mark.parametrize("tool", TOOLS)
def test_each_line(tool: str) -> None:
    found = TOOLS[tool]()
    faults = [fault for file in FILES for fault in _faults(file, found, tool)]
    assert not faults, "\n".join([f"{len(faults)} lines are not what they say:", *faults])


def _faults(file: Path, reported: dict[tuple[str, int], list[str]], tool: str) -> Iterator[str]:
    marks = expected(file)
    assert bool(marks) == file.name.startswith("bad_"), f"{file.name}: only bad_*.py has marks, and each of them"
    lines = marks.keys() | {line for name, line in reported if name == file.name}
    for line in sorted(lines):
        told = " ".join(reported.get((file.name, line), []))
        if not told:
            yield f"{file.name}:{line}: is no error to {tool}, though it should be"
        elif line not in marks:
            yield f"{file.name}:{line}: {told}"
        elif not any(text in told for text in marks[line]):
            yield f"{file.name}:{line}: says nothing of {marks[line]}: {told}"


@pytest.mark.parametrize("file", [file for file in FILES if file.name.startswith("ok_")], ids=lambda file: file.stem)
def test_what_is_right_runs(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the types allow there is not refused when the module is imported."""
    monkeypatch.setenv("INNGEST_DEV", "1")
    runpy.run_path(str(file))


def test_every_public_symbol_is_typed() -> None:
    """What ``pyright --verifytypes`` says to users of the package."""
    output = _run("pyright", "--verifytypes", PACKAGE, "--ignoreexternal", "--outputjson")
    completeness = json.loads(output)["typeCompleteness"]
    assert completeness["packageName"] == PACKAGE
    assert completeness["pyTypedPath"], "the package was not found"
    faults = [
        f"{symbol['name']}: {diagnostic['message'].splitlines()[0]}"
        for symbol in completeness["symbols"]
        if symbol["isExported"]
        for diagnostic in symbol["diagnostics"]
    ]
    # What uses something that is not typed is not typed either.
    causes = [fault for fault in faults if "partially unknown" not in fault] or faults
    assert not faults, "\n".join([f"{len(faults)} are not typed, because of {len(causes)}:", *causes])
    assert completeness["completenessScore"] == 1
