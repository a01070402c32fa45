"""Measures contenders side by side: in every round each of them has its turn, in a process of its own."""

from __future__ import annotations

import compileall
import json
import os
import shutil
import statistics
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calls import CASES, KEY, RUN
from contenders import stage, zipped_mb
from runtime import make_runtime, packages_of, python_of, time_calls

from inngest_serverless.errors import InngestError
from inngest_serverless.local.rie import LambdaRuntime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from calls import Case
    from contenders import Contender

__all__ = ["Bench", "BenchError"]

CHILD = Path(__file__).with_name("child.py")
_FIRST = next(iter(CASES))
# What is called in the Lambda runtime once it is warm, by the figure's name.
_WARM_IN_RUNTIME = {"runtime-0": "0", "runtime-1000": "1000"}


class BenchError(Exception):
    """A contender could not be measured, or answered wrongly."""


class Bench:
    """A bench with its contenders in place.

    Args:
        contenders: Who is measured, by name.
        folder: An empty folder to work in.
        pins: The versions of the packages of others.
        tell: Told what is being done.
        seconds: How long a warm call is repeated in each round.

    Raises:
        BenchError: A package could not be installed.
    """

    def __init__(
        self,
        contenders: Mapping[str, Contender],
        folder: Path,
        pins: Path,
        tell: Callable[[str], None],
        seconds: float = 0.25,
    ) -> None:
        self._contenders = contenders
        self._folder = folder
        self._tell = tell
        self._seconds = seconds
        make_runtime(self._runtime)
        for name, contender in contenders.items():
            tell(f"installing {contender.title}")
            source, compiled = self.home(name, source=True), self.home(name)
            try:
                stage(contender, source, pins)
            except subprocess.CalledProcessError as error:
                what = "installed; pip" if contender.build is None else "built; scripts/build_lambda"
                raise BenchError(f"{contender.title} cannot be {what} says why, above") from error
            shutil.copytree(source, compiled)
            if contender.build is None:
                compileall.compile_dir(str(compiled), quiet=2)

    def measure(self, cold_rounds: int, warm_rounds: int) -> dict[str, dict[str, float]]:
        """Everything, by contender and figure.

        Args:
            cold_rounds: How often each start is measured.
            warm_rounds: How often each warm call is, over and over, and each start in the Lambda runtime.

        Raises:
            BenchError: A contender could not be measured, or answered wrongly.
        """
        figures = self.cold(cold_rounds)
        for part in (self.warm(warm_rounds), self.in_runtime(warm_rounds)):
            for name, measured in part.items():
                figures[name].update(measured)
        singles = {"over": self.over_runtime(cold_rounds), "memory": self.memory(warm_rounds), "zipped": self.sizes()}
        for key, values in singles.items():
            for name, value in values.items():
                figures[name][key] = value
        return figures

    def sizes(self) -> dict[str, float]:
        """The size of each deployment package, in MB, without compiled files."""
        return {name: zipped_mb(self.home(name, source=True)) for name in self._contenders}

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
        """The median of the best round of warm calls, in microseconds of CPU time, for every case that there is."""
        best: dict[str, dict[str, float]] = {name: {} for name in self._contenders}
        for number in range(rounds):
            self._tell(f"warm calls, round {number + 1} of {rounds}")
            for name, figures in best.items():
                for signed in (False, True):
                    cases = [key for key, case in CASES.items() if case.signed is signed]
                    for case, measured in self._output("warm", name, cases, signed=signed).items():
                        self._check(name, CASES[case], measured["reply"])
                        figures[case] = min(figures.get(case, measured["us"]), measured["us"])
        return best

    def in_runtime(self, rounds: int) -> dict[str, dict[str, float]]:
        """Whole calls in the Lambda runtime, in milliseconds of wall time, as whoever calls sees them.

        ``runtime-first`` and ``runtime-source`` are the time from the start of the handler's process to its first
        reply, with and without compiled files; ``runtime-run`` is the sum of all calls of a run, warm, without what the
        engine does between them; the others are warm calls. Of these, a round counts with its median, and the best
        round of all: the clock on the wall goes on for whatever else the machine does.
        """
        best: dict[str, dict[str, float]] = {name: {} for name in self._contenders}
        for number in range(rounds):
            self._tell(f"calls in the Lambda runtime, round {number + 1} of {rounds}")
            for name, figures in best.items():
                for key, taken in self._round_in_runtime(name).items():
                    figures[key] = min(figures.get(key, taken), taken)
        return best

    def _round_in_runtime(self, name: str) -> dict[str, float]:
        figures: dict[str, float] = {}
        try:
            with self._in_runtime(name) as runtime:
                figures["runtime-first"] = self._call_in_runtime(runtime, name, CASES[_FIRST])
                for key, case in _WARM_IN_RUNTIME.items():
                    figures[key] = self._call_in_runtime(runtime, name, CASES[case], self._seconds)
                figures["runtime-run"] = self._run_in_runtime(runtime, name)
            with self._in_runtime(name, source=True) as runtime:
                figures["runtime-source"] = self._call_in_runtime(runtime, name, CASES[_FIRST])
        except InngestError as error:
            title = self._contenders[name].title
            raise BenchError(f"{title} cannot be measured in the Lambda runtime: {error}") from error
        return figures

    def _in_runtime(self, name: str, *, source: bool = False) -> LambdaRuntime:
        handler = f"{self._contenders[name].module}.handler"
        env = {"INNGEST_DEV": "1", "PYTHONDONTWRITEBYTECODE": "1"}
        return LambdaRuntime(handler, cwd=self.home(name, source=source), python=python_of(self._runtime), env=env)

    def _run_in_runtime(self, runtime: LambdaRuntime, name: str) -> float:
        calls = RUN if self._contenders[name].calls.ONE_STEP_A_CALL else RUN[:1]
        runs: list[float] = []
        while not runs or sum(runs) < self._seconds * 1000:
            runs.append(sum(self._call_in_runtime(runtime, name, case) for case in calls))
        return statistics.median(runs)

    def _call_in_runtime(self, runtime: LambdaRuntime, name: str, case: Case, seconds: float = 0) -> float:
        event = self._event(name, case)
        taken, reply = time_calls(runtime, event, seconds)
        self._check(name, case, reply)
        return taken

    def home(self, name: str, *, source: bool = False) -> Path:
        """A contender's folder: compiled, or with nothing but sources unless it was built without."""
        return self._folder / (f"{name}-source" if source else name)

    def _medians(self, mode: str, rounds: int, what: str) -> dict[str, float]:
        values: dict[str, list[float]] = {name: [] for name in self._contenders}
        for number in range(rounds):
            self._tell(f"{what}, round {number + 1} of {rounds}")
            for name, measured in values.items():
                measured.append(self._output(mode, name, [_FIRST]))
        return {name: statistics.median(measured) for name, measured in values.items()}

    def _check(self, name: str, case: Case, reply: Any) -> None:
        contender = self._contenders[name]
        try:
            is_right = contender.calls.reported(reply) == contender.calls.expected(case)
        except (LookupError, TypeError, ValueError):  # not even the shape of a reply
            is_right = False
        if not is_right:
            raise BenchError(f"{contender.title} answers {case.title!r} wrongly: {str(reply)[:300]}")

    def _cpu_ms(self, mode: str, name: str, *, source: bool = False) -> float:
        process = self._start(mode, name, [_FIRST], source=source)
        assert process.stdout is not None  # noqa: S101 - it is a pipe
        with process.stdout as pipe:
            output = pipe.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise BenchError(f"{self._contenders[name].title} cannot be measured ({mode})")
        if mode == "first":
            for case, reply in json.loads(output).items():
                self._check(name, CASES[case], reply)
        return (usage.ru_utime + usage.ru_stime) * 1000

    def _output(self, mode: str, name: str, cases: list[str], *, signed: bool = False) -> Any:
        process = self._start(mode, name, cases, signed=signed)
        output, _ = process.communicate()
        if process.returncode != 0:
            raise BenchError(f"{self._contenders[name].title} cannot be measured ({mode})")
        return json.loads(output)

    def _start(
        self, mode: str, name: str, cases: list[str], *, source: bool = False, signed: bool = False
    ) -> subprocess.Popen[bytes]:
        events = self._folder / "events.json"
        # Made anew for each process: signatures are good for 5 minutes only.
        made = {case: event for case in cases if (event := self._event(name, CASES[case])) is not None}
        events.write_text(json.dumps(made), "utf-8")
        # Without site, which would look for packages elsewhere; the runtime client comes last on the path.
        arguments = [mode, self._contenders[name].module, str(events), str(self._seconds)]
        runtime = [str(packages_of(self._runtime))] if mode == "over" else []
        environment = {
            "PYTHONPATH": os.pathsep.join([str(self.home(name, source=source)), *runtime]),
            "PATH": os.defpath,
            "AWS_LAMBDA_FUNCTION_NAME": "bench",
            **({"INNGEST_SIGNING_KEY": KEY} if signed else {"INNGEST_DEV": "1"}),
        }
        command = [sys.executable, "-S", "-B", str(CHILD), *arguments]
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE)

    def _event(self, name: str, case: Case) -> Any:
        contender = self._contenders[name]
        return contender.calls.make_event(case, contender.function)

    @property
    def _runtime(self) -> Path:
        return self._folder / "runtime"
