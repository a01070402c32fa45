"""Random runs while the process that serves them is killed, frozen, slowed, cut off, and put into another time.

The short form runs with every test run. The long one: ``INNGEST_CHAOS=1000 scripts/test tests/soak``.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import ExitStack, suppress
from itertools import cycle
from pathlib import Path

import pytest
from process_watch import workers
from soak_calls import KEY
from waiting import until

from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.functions_framework import FunctionsFramework
from inngest_serverless.local.live import LiveEngine
from inngest_serverless.local.rie import LambdaRuntime
from inngest_serverless.protocol.signing import SigningKey, sign

pytestmark = pytest.mark.integration

HERE = Path(__file__).parent
RUNS = int(os.environ.get("INNGEST_CHAOS", "0")) or 60
SEED = int(os.environ.get("INNGEST_CHAOS_SEED", "0")) or random.SystemRandom().randrange(1 << 30)
URL = "https://chaos.example.com/api/inngest"
# So that there is always one under way.
GAP_SECONDS = 0.05
# Far more than a run takes; a failure, not a measurement.
DEADLINE_SECONDS = 60 + RUNS


class Chaos:
    """What goes wrong, one thing after another, until it is told to stop.

    Args:
        leader: The leader of the session in which the process that serves is.
        clock: The file with the offset of its clock, in seconds.
    """

    KINDS = ("kill", "freeze", "slow", "cut", "move_clock")

    def __init__(self, leader, clock):
        self.done = Counter()
        self.is_cut = False
        self._leader = leader
        self._clock = clock
        self._random = random.Random(SEED)  # noqa: S311 - to be repeated
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._rage, daemon=True)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()

    def through(self, endpoint):
        """An endpoint behind a network that can be cut, before the request arrives or after it."""

        def exchange(*request):
            if self.is_cut and self._random.random() < 0.5:
                raise ConnectionError("cut off before the request")
            reply = endpoint(*request)
            if self.is_cut:
                raise ConnectionError("cut off before the reply")
            return reply

        return exchange

    def _rage(self):
        actions = cycle(self.KINDS)
        while not self._stop.wait(self._random.uniform(0.02, 0.2)):
            action = next(actions)
            with suppress(ProcessLookupError):
                if found := workers(self._leader):
                    getattr(self, f"_{action}")(found[0])
                    self.done[action] += 1

    def _kill(self, pid):
        os.kill(pid, signal.SIGKILL)

    def _freeze(self, pid):
        os.kill(pid, signal.SIGSTOP)
        try:
            self._stop.wait(0.3)
        finally:
            os.kill(pid, signal.SIGCONT)

    def _slow(self, pid):
        for _ in range(10):
            os.kill(pid, signal.SIGSTOP)
            try:
                self._stop.wait(0.02)
            finally:
                os.kill(pid, signal.SIGCONT)
            self._stop.wait(0.005)

    def _cut(self, _pid):
        self.is_cut = True
        self._stop.wait(0.2)
        self.is_cut = False

    def _move_clock(self, _pid):
        self._clock.write_text(str(self._random.choice([-86_400, -3_600, 3_600, 86_400])))
        self._stop.wait(0.2)
        self._clock.write_text("0")


def plans(rng):
    """What the runs do, and what has to come of it."""
    for number in range(RUNS):
        plan, expected = [], []
        for place in range(rng.randint(1, 5)):
            kind, name = rng.choice(["step", "step", "nap", "fan", "catch"]), f"s{place}"
            plan.append([kind, name])
            expected += {
                "step": [name.upper()],
                "nap": [],
                "fan": [f"{name}-{n}".upper() for n in range(3)],
                "catch": [f"caught {name}"],
            }[kind]
        yield (
            {"id": f"event-{number}", "name": rng.choice(["chaos/sync", "chaos/async"]), "data": {"plan": plan}},
            expected,
        )


def rage(endpoint, engine, leader, clock, log):
    """Let the runs go through it, and check every one of them."""
    headers = {"X-Inngest-Signature": sign(b"", SigningKey(KEY), time.time())}
    assert endpoint("PUT", URL, headers, b"").status == 200
    expected = {event["id"]: (event, output) for event, output in plans(random.Random(SEED))}  # noqa: S311 - as above
    with Chaos(leader, clock) as chaos:
        engine.reach = chaos.through(endpoint)
        for event, _ in expected.values():
            engine.post([event])
            time.sleep(GAP_SECONDS)
        until(
            lambda: all(_ended(engine, event_id) for event_id in expected),
            f"all runs to end (INNGEST_CHAOS_SEED={SEED})",
            DEADLINE_SECONDS,
        )
    told = f"INNGEST_CHAOS_SEED={SEED}, {dict(chaos.done)}"
    ran = Counter(tuple(line.split()) for line in log.read_text().splitlines())
    for event_id, (event, output) in expected.items():
        [run] = engine.runs_of(event_id)
        assert (run.status, run.output) == ("completed", output), f"{told}: {event}: {run.error} {run.timeline}"
        steps = [moment.step for moment in run.timeline if moment.kind == "StepRun"]
        assert len(steps) == len(set(steps)), f"{told}: a success is recorded twice: {steps}"
        assert all(ran[run.id, step] >= 1 for step in steps), f"{told}: a step is recorded that never ran"
    assert len(chaos.done) == len(Chaos.KINDS), f"not everything went wrong that should: {told}"
    print(f"{len(expected)} runs, {sum(len(run.invocations) for run in engine.runs)} calls, {told}")  # noqa: T201


def _ended(engine, event_id):
    runs = engine.runs_of(event_id)
    return bool(runs) and not runs[0].is_active


class Reaching(LiveEngine):
    """An engine whose way to the app is made later, and replaced."""

    def __init__(self, **options):
        self.reach = None
        super().__init__(self._send, signing_key=KEY, retry_ms=30, **options)

    def _send(self, *request):
        return self.reach(*request)


@pytest.fixture
def place(tmp_path):
    with ExitStack() as stack:
        clock, log = tmp_path / "clock", tmp_path / "log"
        clock.write_text("0")
        log.touch()
        yield stack, clock, log


def settings(api, clock, log):
    return {
        "INNGEST_SIGNING_KEY": KEY,
        "INNGEST_EVENT_KEY": "chaos",
        "INNGEST_BASE_URL": api.origin,
        "INNGEST_SERVE_ORIGIN": URL.removesuffix("/api/inngest"),
        "CHAOS_CLOCK": str(clock),
        "CHAOS_LOG": str(log),
    }


def test_every_run_on_lambda_ends_right(place):
    stack, clock, log = place
    engine = Reaching(threads=4)
    api = stack.enter_context(LocalApi(engine))
    runtime = stack.enter_context(
        LambdaRuntime("chaos_app.handler", cwd=HERE, env=settings(api, clock, log), timeout_seconds=10)
    )
    endpoint = engine.reach = lambda_endpoint(runtime.invoke)
    stack.enter_context(engine)

    rage(endpoint, engine, runtime.pid, clock, log)


def test_every_run_on_cloud_functions_ends_right(place):
    stack, clock, log = place
    engine = Reaching(threads=8)
    api = stack.enter_context(LocalApi(engine))
    server = stack.enter_context(
        FunctionsFramework("serve", source=HERE / "chaos_app.py", env=settings(api, clock, log), timeout_seconds=10)
    )
    engine.reach = server.exchange
    stack.enter_context(engine)

    rage(server.exchange, engine, server.process.pid, clock, log)
