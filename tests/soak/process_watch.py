"""What a process uses: memory, threads, open files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression
from time import monotonic, sleep

from waiting import PATIENCE_SECONDS, until

from inngest_serverless.local.processes import session_members

# A server may close a connection well after its caller has gone, on a loaded machine above all.
REST_SECONDS = 1.0


@dataclass
class ProcessWatch:
    """Samples of a process, over the calls that it has answered.

    Attributes:
        pid: The process.
    """

    pid: int
    calls: list[int] = field(default_factory=list)
    resident_kb: list[int] = field(default_factory=list)
    threads: list[int] = field(default_factory=list)
    files: list[int] = field(default_factory=list)

    def sample(self, calls: int) -> None:
        """Look now; the first time, once the number of open files rests."""
        files = self._open_files() if self.files else self._files_at_rest()
        status = dict(line.split(":", 1) for line in Path(f"/proc/{self.pid}/status").read_text().splitlines())
        self.calls.append(calls)
        self.resident_kb.append(int(status["VmRSS"].split()[0]))
        self.threads.append(int(status["Threads"]))
        self.files.append(files)

    def check(self, growth_kb: int) -> str:
        """Make sure that it did not grow; returns what was measured, in words.

        Args:
            growth_kb: How much memory the slope may come to over all calls.
        """
        slope_kb = linear_regression(self.calls, self.resident_kb).slope
        grown_kb = slope_kb * (self.calls[-1] - self.calls[0])
        told = (
            f"{self.calls[-1]} calls: {self.resident_kb[0] / 1024:.1f} to {self.resident_kb[-1] / 1024:.1f} MB, "
            f"{slope_kb * 1024:.1f} bytes a call; threads {self.threads}; files {self.files}"
        )
        assert grown_kb < growth_kb, f"memory grows: {told}"
        assert max(self.threads) <= self.threads[0], f"threads are left: {told}"
        until(
            lambda: self._open_files() <= self.files[0],
            lambda: f"the files and sockets that are left to be closed: {told}",
        )
        return told

    def _files_at_rest(self) -> int:
        end = monotonic() + PATIENCE_SECONDS
        count, since = self._open_files(), monotonic()
        while monotonic() < min(since + REST_SECONDS, end):
            sleep(0.02)
            found = self._open_files()
            if found != count:
                count, since = found, monotonic()
        return count

    def _open_files(self) -> int:
        return len(list(Path(f"/proc/{self.pid}/fd").iterdir()))


def workers(leader: int) -> list[int]:
    """The Python processes of a session, but for its leader."""
    # A process ID says nothing of its age: they start again from the bottom.
    members = (pid for pid in session_members(leader) if pid != leader)
    return [pid for pid in members if b"python" in _command(pid)]


def _command(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:  # it has ended meanwhile
        return b""
