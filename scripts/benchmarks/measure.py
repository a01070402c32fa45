"""Measures contenders side by side: in every round each of them has its turn, in a process of its own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calls import CASES, KEY, expected, function_url_event, reported
from contenders import stage, zipped_mb

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from contenders import Contender

__all__ = ["Bench", "BenchError"]

CHILD = Path(__file__).with_name("child.py")


class BenchError(Exception):
    """A contender could not be measured, or answered wrongly."""


class Bench:
    """A bench with its contenders in place.

    Args:
        contenders: Who is measured, by name.
        folder: An empty folder to work in.
        pins: The versions of the packages of others.
        tell: Told what is being done.
    """

    def __init__(
        self, contenders: Mapping[str, Contender], folder: Path, pins: Path, tell: Callable[[str], None]
    ) -> None:
        self._contenders = contenders
        self._folder = folder
        self._tell = tell
        for name, contender in contenders.items():
            tell(f"installing {contender.title}")
            stage(contender, self._home(name), pins)
            stage(contender, self._home(f"{name}-source"), pins, compiled=False)
            events = {key: function_url_event(case, contender.function) for key, case in CASES.items()}
            first = next(iter(events))
            self._write(name, "first", {first: events[first]})
            self._write(name, "open", {key: event for key, event in events.items() if not CASES[key].signed})
            self._write(name, "signed", {key: event for key, event in events.items() if CASES[key].signed})

    def sizes(self) -> dict[str, float]:
        """The size of each deployment package, in MB."""
        return {name: zipped_mb(self._home(f"{name}-source")) for name in self._contenders}

    def cold(self, rounds: int) -> dict[str, dict[str, float]]:
        """Medians over the bare interpreter, in milliseconds of CPU time: ``import``, ``first`` and ``source``."""
        times: dict[str, dict[str, list[float]]] = {name: {} for name in self._contenders}
        bare: list[float] = []
        for number in range(rounds):
            self._tell(f"cold starts, round {number + 1} of {rounds}")
            bare.append(self._cpu_ms("nothing", next(iter(self._contenders))))
            for name, figures in times.items():
                figures.setdefault("import", []).append(self._cpu_ms("import", name))
                figures.setdefault("first", []).append(self._cpu_ms("first", name))
                figures.setdefault("source", []).append(self._cpu_ms("first", name, source=True))
        base = statistics.median(bare)
        return {
            name: {key: statistics.median(values) - base for key, values in figures.items()}
            for name, figures in times.items()
        }

    def over_runtime(self, rounds: int) -> dict[str, float]:
        """What the import adds once Lambda's own runtime client is loaded, in milliseconds of CPU time."""
        return self._medians("over", rounds, "imports after the runtime client's")

    def memory(self, rounds: int) -> dict[str, float]:
        """Resident memory after the first call, in MB."""
        return self._medians("memory", rounds, "memory")

    def warm(self, rounds: int) -> dict[str, dict[str, float]]:
        """The median of the best round of warm calls, in microseconds of CPU time, for every case."""
        best: dict[str, dict[str, float]] = {name: {} for name in self._contenders}
        for number in range(rounds):
            self._tell(f"warm calls, round {number + 1} of {rounds}")
            for name, figures in best.items():
                for kind in ("open", "signed"):
                    for case, measured in self._output("warm", name, kind).items():
                        self._check(name, case, measured["reply"])
                        figures[case] = min(figures.get(case, measured["us"]), measured["us"])
        return best

    def _medians(self, mode: str, rounds: int, what: str) -> dict[str, float]:
        values: dict[str, list[float]] = {name: [] for name in self._contenders}
        for number in range(rounds):
            self._tell(f"{what}, round {number + 1} of {rounds}")
            for name, measured in values.items():
                measured.append(self._output(mode, name, "first"))
        return {name: statistics.median(measured) for name, measured in values.items()}

    def _check(self, name: str, case: str, reply: Any) -> None:
        if reported(reply) != expected(CASES[case]):
            raise BenchError(
                f"{self._contenders[name].title} answers {CASES[case].title!r} wrongly: {str(reply)[:300]}"
            )

    def _cpu_ms(self, mode: str, name: str, *, source: bool = False) -> float:
        process = self._start(mode, name, "first", source=source)
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        with process.stdout as pipe:
            output = pipe.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise BenchError(f"{self._contenders[name].title} cannot be measured ({mode})")
        if mode == "first":
            for case, reply in json.loads(output).items():
                self._check(name, case, reply)
        return (usage.ru_utime + usage.ru_stime) * 1000

    def _output(self, mode: str, name: str, kind: str) -> Any:
        process = self._start(mode, name, kind)
        output, _ = process.communicate()
        if process.returncode != 0:
            raise BenchError(f"{self._contenders[name].title} cannot be measured ({mode})")
        return json.loads(output)

    def _start(self, mode: str, name: str, kind: str, *, source: bool = False) -> subprocess.Popen[bytes]:
        home = self._home(f"{name}-source" if source else name)
        module = self._contenders[name].module
        # Without site, which would look for packages elsewhere; the runtime client comes last on the path.
        command = [sys.executable, "-S", "-B", str(CHILD), mode, module, str(self._events(name, kind))]
        runtime = [path for path in sys.path if path.endswith("site-packages")] if mode == "over" else []
        variables = {"INNGEST_SIGNING_KEY": KEY} if kind == "signed" else {"INNGEST_DEV": "1"}
        environment = {"PYTHONPATH": os.pathsep.join([str(home), *runtime]), "PATH": os.defpath, **variables}
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)

    def _write(self, name: str, kind: str, events: dict[str, Any]) -> None:
        self._events(name, kind).write_text(json.dumps(events), "utf-8")

    def _home(self, name: str) -> Path:
        return self._folder / name

    def _events(self, name: str, kind: str) -> Path:
        return self._folder / f"{name}-{kind}.json"
