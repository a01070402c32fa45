"""Servers in processes of their own: started and waited for, their log kept, ended with all that they have started."""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import tempfile
import threading
import time
from concurrent.futures import Future
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inngest_serverless.errors import InngestError

__all__ = ["HOST", "Program", "ServerProcess", "end_session", "reserve_port", "session_members"]

HOST = "127.0.0.1"
_START_SECONDS = 30.0
_TERM_SECONDS = 2.0
_KILL_SECONDS = 5.0
_POLL_SECONDS = 0.005
_LOG_TAIL_LINES = 20
_LOG_PART_BYTES = 1 << 20


class Program(NamedTuple):
    """What to start.

    Attributes:
        arguments: The program and its arguments.
        cwd: The folder to start it in.
        env: Its variables, all of them.
    """

    arguments: list[str]
    cwd: Path
    env: Mapping[str, str]


class ServerProcess:
    """A program that listens on this machine and leads a session; on Linux only.

    Args:
        name: What messages call it.
        error: What is raised; where there is a log, the message ends with its end.
    """

    def __init__(self, name: str, error: type[InngestError]) -> None:
        self._name = name
        self._error = error
        self._running: ExitStack | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._log_file: IO[bytes] | None = None
        self._last_log = ""
        self.port: int = 0

    @property
    def is_running(self) -> bool:
        """Whether it was started and not stopped; it may have died."""
        return self._running is not None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """The program; what it has started is in the session that it leads.

        Raises:
            InngestError: It is not running; of the class that was given, as everywhere here.
        """
        if self._process is None:
            raise self._error(f"{self._name} is not running")
        return self._process

    @property
    def log(self) -> str:
        """What the program and all that it started have written since the start; it stays after the stop."""
        file = self._log_file
        if file is None:
            return self._last_log
        try:
            # pread leaves the position alone, which the file shares with the processes that write to it.
            return os.pread(file.fileno(), os.fstat(file.fileno()).st_size, 0).decode(errors="replace")
        except ValueError:  # another thread has stopped it meanwhile
            return self._last_log

    def read_log(self, offset: int) -> bytes:
        """What has been written to the log after so many bytes; nothing once it has been stopped."""
        file = self._log_file
        try:
            return b"" if file is None else os.pread(file.fileno(), _LOG_PART_BYTES, offset)
        except ValueError:  # another thread has stopped it meanwhile
            return b""

    @property
    def log_tail(self) -> str:
        """The end of the log, for a message."""
        return "\n".join(["The log ends:", *self.log.splitlines()[-_LOG_TAIL_LINES:]])

    def check_stopped(self) -> None:
        """Make sure that it may be started.

        Raises:
            InngestError: It is running already.
        """
        if self._running is not None:
            raise self._error(f"{self._name} is running already")

    def start(self, program: Callable[..., Program], *, more_ports: int = 0) -> None:
        """Start a program and wait until it listens.

        Args:
            program: Takes the port to listen on, and as many more as are asked for; returns what to start.
            more_ports: How many ports it needs besides.

        Raises:
            InngestError: It does not come up, or is running already.
        """
        self.check_stopped()
        stack = self._running = ExitStack()
        try:
            # Before there is anything to end: a signal's handler may raise at any time.
            atexit.register(self.stop)
            ports = [reserve_port(stack) for _ in range(1 + more_ports)]
            self.port = ports[0]
            self._log_file = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
            stack.callback(self._forget)
            self._process = _launch(stack, program(*ports), self._log_file)
            self._wait_until_it_listens(self._process)
        except OSError as error:
            self.stop()
            raise self._error(f"{self._name} did not start: {error}") from error
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End the program and what it has started; does nothing when it is not running."""
        running, self._running = self._running, None
        if running is not None:
            atexit.unregister(self.stop)
            running.close()

    def _wait_until_it_listens(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while process.poll() is None and time.monotonic() < deadline:
            try:
                socket.create_connection((HOST, self.port), timeout=1).close()
            except OSError:
                time.sleep(_POLL_SECONDS)
            else:
                return
        raise self._error(f"{self._name} did not start\n{self.log_tail}")

    def _forget(self) -> None:
        self._last_log = self.log
        self._log_file = self._process = None


def reserve_port(stack: ExitStack) -> int:
    """Picks a free port and keeps it ours until the stack closes, for a program to listen on.

    The socket is bound but does not listen: the system gives its port to nobody who asks for any free one, while the
    program, which asks for this one and shares (SO_REUSEADDR), may listen. The option comes after the bind, since a
    socket that is willing to share while it picks may be given a port that another one holds.
    """
    holder = stack.enter_context(socket.socket())
    holder.bind((HOST, 0))
    holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return cast("int", holder.getsockname()[1])


def _launch(stack: ExitStack, program: Program, log: IO[bytes]) -> subprocess.Popen[bytes]:
    """Starts a program whose session ends when the stack closes.

    It starts in a thread, because handlers of signals run in the main one: what they raise, KeyboardInterrupt say,
    would come out of Popen where the process is there already and nobody knows of it yet.
    """
    launched: Future[subprocess.Popen[bytes]] = Future()

    def launch() -> None:
        if not launched.set_running_or_notify_cancel():
            return
        try:
            process = subprocess.Popen(  # noqa: S603 - the programs that the caller named
                program.arguments,
                cwd=program.cwd,
                env=program.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        except BaseException as fault:  # noqa: BLE001 - it is raised in the thread that waits
            launched.set_exception(fault)
        else:
            launched.set_result(process)

    stack.callback(_end_launched, launched)
    threading.Thread(target=launch, name="launch", daemon=True).start()
    return launched.result()


def _end_launched(launched: Future[subprocess.Popen[bytes]]) -> None:
    # One that can be cancelled has not begun, and now never will.
    if not launched.cancel() and launched.exception() is None:
        end_session(launched.result())


def end_session(leader: subprocess.Popen[bytes]) -> None:
    """Ends a process that leads a session, and every process in that session; returns when they are gone.

    The process group is not enough: the Lambda emulator gives the handler's process a group of its own, and leaves it
    running when it is killed or crashes during a call.
    """
    try:
        leader.terminate()  # most programs then end theirs themselves
        with suppress(subprocess.TimeoutExpired):
            leader.wait(_TERM_SECONDS)
    finally:  # whoever is impatient, and interrupts the wait, wants it ended all the more
        deadline = time.monotonic() + _KILL_SECONDS
        while (members := session_members(leader.pid)) and time.monotonic() < deadline:
            _kill(members)
            time.sleep(_POLL_SECONDS)
            leader.poll()  # collects it, should it be among them
        leader.wait(_TERM_SECONDS)


def _kill(members: list[int]) -> None:
    for pid in members:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def session_members(session: int) -> list[int]:
    """Lists the live processes of a session, from /proc/PID/stat: after the name come state, parent, group, session."""
    members: list[int] = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):  # it ended meanwhile
            state, _, _, owner = stat.read_text(errors="replace").rpartition(")")[2].split()[:4]
            if int(owner) == session and state not in {"Z", "X"}:
                members.append(int(stat.parent.name))
    return members
