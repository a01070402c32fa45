"""Replays in processes of their own: where sets have another order, and modules are imported anew.

This file is the program of such a process as well: it reads from one file what to replay, and writes to another one
what the functions asked for.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.testing.apps import functions_of
from inngest_serverless.testing.session import Session
from inngest_serverless.testing.sources import users_modules
from inngest_serverless.testing.traces import Asked, observed
from inngest_serverless.testing.wire import WireCall

if TYPE_CHECKING:
    from types import ModuleType

    from inngest_serverless.testing.apps import Target

__all__ = ["Recorded", "find_origin", "replays"]

_SECONDS = 120.0

_MAIN = "__main__"
_is_replaying = False

Recorded = dict[str, Any]


def find_origin(target: Target) -> dict[str, Any] | None:
    """Where a target can be imported from; None if it is made inside of a function, or its module has no file."""
    if _is_replaying:
        # Code that checks itself while it is imported would start processes without end.
        return None
    functions = functions_of(target)
    wanted = [target] if functions is None else functions
    named: dict[int, tuple[ModuleType, str]] = {}
    for module in users_modules():
        for name, value in vars(module).items():
            # The first name is that of the definition; a loop's variable, say, comes later.
            named.setdefault(id(value), (module, name))
    if not all(id(each) in named for each in wanted):
        return None
    parts = [(module.__name__, str(module.__file__), name) for module, name in (named[id(each)] for each in wanted)]
    return {"parts": parts, "is_handler": functions is None, "path": sys.path}


def replays(origin: dict[str, Any], calls: list[Recorded], count: int) -> list[list[list[Asked]]]:
    """What is asked for on calls, in each of some fresh processes.

    Args:
        origin: What ``find_origin`` found.
        calls: The calls, as ``WireCall`` has them.
        count: How many processes; they run at the same time.

    Raises:
        ConfigurationError: One came to no end; the message says why.
    """
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder) / "calls.json"
        given.write_text(json.dumps({"origin": origin, "calls": calls}), "utf-8")
        files = [Path(folder) / f"{number}.json" for number in range(count)]
        processes = [_started(given, file, seed) for seed, file in enumerate(files, 1)]
        try:
            for process in processes:
                _, errors = process.communicate(timeout=_SECONDS)
                if process.returncode:
                    raise _not_replayed(errors.decode(errors="replace"))
        except subprocess.TimeoutExpired:
            raise _not_replayed(f"it takes longer than {_SECONDS:.0f} s") from None
        finally:
            for process in processes:
                process.kill()
                process.wait()
        return [_read(file) for file in files]


def _started(given: Path, file: Path, seed: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", f"from {__name__} import _main; _main({str(given)!r}, {str(file)!r})"]
    environment = {**os.environ, "PYTHONHASHSEED": str(seed), "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    return subprocess.Popen(  # noqa: S603 - this very program
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )


def _read(file: Path) -> list[list[Asked]]:
    return [[Asked.from_json(asked) for asked in trace] for trace in json.loads(file.read_text("utf-8"))]


def _not_replayed(why: str) -> ConfigurationError:
    last = (why.strip().splitlines() or ["it ended without a word"])[-1]
    return ConfigurationError(
        f"assert_deterministic: the function cannot be replayed in a fresh process: {last}; "
        "make its module importable by itself, or leave this part out by processes=0"
    )


# In the other process.


def _main(given_file: str, file: str) -> None:
    global _is_replaying  # noqa: PLW0603 - a process is for nothing else
    _is_replaying = True
    given = json.loads(Path(given_file).read_text("utf-8"))
    sys.path[:] = given["origin"]["path"]
    with Session() as session:
        loaded = [_loaded(*part) for part in given["origin"]["parts"]]
        session.serve(loaded[0] if given["origin"]["is_handler"] else loaded)
        traces: list[list[Any]] = []
        for call in given["calls"]:
            with observed() as trace:
                session.preview(WireCall(**call))
            traces.append([asked.to_json() for asked in trace])
    Path(file).write_text(json.dumps(traces), "utf-8")


def _loaded(module_name: str, file: str, name: str) -> Any:
    module: Any = None
    if module_name == _MAIN:
        module_name = "__replayed__"  # a program is not to be run again
    else:
        with suppress(ImportError):
            module = importlib.import_module(module_name)
    if module is None or getattr(module, "__file__", None) != file:
        spec = importlib.util.spec_from_file_location(module_name, file)
        if spec is None or spec.loader is None:
            raise ImportError(f"{file} is no module")
        module = sys.modules[module_name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    return getattr(module, name)
