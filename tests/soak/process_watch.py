"""What a process uses: memory, threads, open files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression

from inngest_serverless.local.processes import session_members


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
        """Look now."""
        status = dict(line.split(":", 1) for line in Path(f"/proc/{self.pid}/status").read_text().splitlines())
        self.calls.append(calls)
        self.resident_kb.append(int(status["VmRSS"].split()[0]))
        self.threads.append(int(status["Threads"]))
        self.files.append(len(list(Path(f"/proc/{self.pid}/fd").iterdir())))

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
        # A connection that has just ended may still be open here: what is left for good is in every sample.
        assert min(self.files[-3:]) <= self.files[0], f"files or sockets are left: {told}"
        return told


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
