"""What the Lambda runtime needs of this machine: the emulator's binary, an interpreter, ports, an end to processes."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, cast

from inngest_serverless.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from contextlib import ExitStack

__all__ = ["HOST", "end_session", "find_emulator", "reserve_port", "runtime_version"]

HOST = "127.0.0.1"
_INSTALLED = Path(".tools/sam/samcli/local/rapid")  # where scripts/setup puts it
_ARCHITECTURES = {"AMD64": "x86_64", "aarch64": "arm64"}  # by the names that the binaries do not use
_TERM_SECONDS = 2.0
_KILL_SECONDS = 5.0
_POLL_SECONDS = 0.005


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


def reserve_port(stack: ExitStack) -> int:
    """Picks a free port and keeps it ours until the stack closes, for the emulator to listen on.

    The socket is bound but does not listen: the system gives its port to nobody who asks for any free one, while the
    emulator, which asks for this one and shares (SO_REUSEADDR), may listen. The option comes after the bind, since a
    socket that is willing to share while it picks may be given a port that another one holds.
    """
    holder = stack.enter_context(socket.socket())
    holder.bind((HOST, 0))
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return cast("int", holder.getsockname()[1])


def end_session(leader: subprocess.Popen[bytes]) -> None:
    """Ends a process that leads a session, and every process in that session; returns when they are gone.

    The process group is not enough: the emulator gives the handler's process a group of its own, and leaves it
    running when it is killed or crashes during a call.
    """
    leader.terminate()  # the emulator then kills the handler's process itself
    with suppress(subprocess.TimeoutExpired):
        leader.wait(_TERM_SECONDS)
    deadline = time.monotonic() + _KILL_SECONDS
    while (members := _session_members(leader.pid)) and time.monotonic() < deadline:
        for pid in members:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(_POLL_SECONDS)
        leader.poll()  # collects it, should it be among them
    leader.wait(_TERM_SECONDS)


def _session_members(session: int) -> list[int]:
    """Lists the live processes of a session, from /proc/PID/stat: after the name come state, parent, group, session."""
    members: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            state, _, _, owner = stat.read_text(errors="replace").rpartition(")")[2].split()[:4]
            if int(owner) == session and state not in {"Z", "X"}:
                members.append(int(stat.parent.name))
    return members
