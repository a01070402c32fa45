"""Lambda environments: how many there are, and how one of them ends."""

from __future__ import annotations

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from textwrap import dedent

import pytest
from waiting import until

from inngest_serverless.local.dev.environment import ProcessEnvironment, StoppedError, TargetError
from inngest_serverless.local.dev.environments import Environments
from inngest_serverless.local.rie import LambdaInvocationError

HANDLERS = """
    import os, sys, threading, time
    print("imported")

    def handler(event, context):
        match event["do"]:
            case "reply":
                return {"said": event["text"], "stdin": sys.stdin.read(), "name": context.function_name}
            case "print":
                print("{ no JSON")
                os.write(1, b"{ nor this\\n")
                return None
            case "raise":
                raise LookupError("é")
            case "exit":
                sys.exit(3)
            case "leave":
                os._exit(3)
            case "bytes":
                return b"x"
            case "time":
                return context.get_remaining_time_in_millis()
            case "thread":
                threading.Thread(target=time.sleep, args=(600,)).start()
            case "sleep":
                time.sleep(600)
"""


class Fake:
    """An environment whose calls end when they are let go."""

    def __init__(self):
        self.is_usable = True
        self.calls, self.stops = [], 0
        self.gate = threading.Semaphore(0)

    def invoke(self, event):
        self.calls.append(event)
        assert self.gate.acquire(timeout=20)
        if event == "break":
            self.is_usable = False
            raise LambdaInvocationError("Runtime.ExitError", "broken")
        return event

    def stop(self):
        self.stops += 1


class TestEnvironments:
    @pytest.fixture
    def pool(self):
        with ThreadPoolExecutor(8) as pool:
            yield pool

    def made(self, most, first=None):
        made = []

        def start():
            made.append(Fake())
            return made[-1]

        return Environments(start, most, first), made

    def test_calls_one_after_another_share_one(self):
        first = Fake()
        first.gate.release(2)
        environments, made = self.made(3, first)
        assert [environments.invoke(n) for n in (1, 2)] == [1, 2]
        assert (first.calls, made) == ([1, 2], [])

    def test_calls_that_overlap_have_one_each_up_to_the_limit(self, pool):
        environments, made = self.made(2)
        calls = [pool.submit(environments.invoke, n) for n in range(3)]
        until(lambda: len(made) == 2 and all(each.calls for each in made), "two calls")
        assert not any(call.done() for call in calls)
        for each in made:
            each.gate.release(2)
        assert sorted(call.result(20) for call in calls) == [0, 1, 2]
        assert len(made) == 2

    def test_one_that_is_broken_is_replaced(self):
        environments, made = self.made(1)

        def invoke(event):
            with ThreadPoolExecutor(1) as pool:
                call = pool.submit(environments.invoke, event)
                until(lambda: any(event in each.calls for each in made), "the call")
                made[-1].gate.release()
                return call.result(20)

        with pytest.raises(LambdaInvocationError, match="broken"):
            invoke("break")
        assert made[0].stops == 1
        assert invoke("fine") == "fine"
        assert len(made) == 2

    def test_one_that_broke_while_it_was_idle_is_replaced(self):
        first = Fake()
        first.is_usable = False
        environments, made = self.made(1, first)
        with ThreadPoolExecutor(1) as pool:
            call = pool.submit(environments.invoke, 1)
            until(lambda: made, "an environment")
            made[0].gate.release()
            assert call.result(20) == 1

    def test_one_that_cannot_be_started_takes_no_place(self):
        problems = [TargetError("target 'app': importing app raised SyntaxError")] * 2

        def start():
            if problems:
                raise problems.pop()
            environment = Fake()
            environment.gate.release()
            return environment

        environments = Environments(start, 1)
        for _ in range(2):
            with pytest.raises(LambdaInvocationError, match=r"Runtime\.ImportModuleError: target 'app'"):
                environments.invoke(1)
        assert environments.invoke(1) == 1


@pytest.mark.integration
class TestProcess:
    @pytest.fixture
    def make(self, tmp_path):
        (tmp_path / "app.py").write_text(dedent(HANDLERS), encoding="utf-8")
        made = []

        def make(target="app:handler", timeout_seconds=60):
            env = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(os.environ.get("PYTHONPATH", "").split())}
            environment = ProcessEnvironment(target, cwd=tmp_path, env=env, timeout_seconds=timeout_seconds)
            made.append(environment)
            return environment

        yield make
        for environment in made:
            environment.stop()

    def test_calls(self, make, tmp_path, capfd):
        environment = make()
        found = environment.start()
        assert (found.kind, found.module, found.attribute) == ("lambda", "app", "handler")
        assert found.file == str(tmp_path / "app.py")
        assert environment.invoke({"do": "print"}) is None
        reply = environment.invoke({"do": "reply", "text": "é\n"})
        assert reply == {"said": "é\n", "stdin": "", "name": "local"}
        assert 59_000 < environment.invoke({"do": "time"}) <= 60_000
        environment.stop()
        written = capfd.readouterr()
        assert written.out == ""
        assert sorted(written.err.split("\n")) == ["", "imported", "{ no JSON", "{ nor this"]

    @pytest.mark.parametrize(
        ("what", "told", "is_usable"),
        [
            ("raise", "LookupError: é", True),
            ("bytes", "Runtime.MarshalError: Object of type bytes is not JSON serializable", True),
            ("leave", "Runtime.ExitError: the runtime exited: exit code 3", False),
            ("exit", "Runtime.ExitError: the runtime exited: exit code 3", False),
        ],
    )
    def test_a_call_that_fails(self, what, told, is_usable, make):
        environment = make()
        environment.start()
        with pytest.raises(LambdaInvocationError) as raised:
            environment.invoke({"do": what})
        assert str(raised.value) == told
        assert environment.is_usable is is_usable
        if what == "raise":
            assert "raise LookupError" in raised.value.stack

    def test_a_call_that_takes_too_long(self, make):
        environment = make(timeout_seconds=1)
        environment.start()
        with pytest.raises(LambdaInvocationError, match=r"^Sandbox.Timedout: Task timed out after 1.00 seconds$"):
            environment.invoke({"do": "sleep"})
        assert not environment.is_usable

    def test_one_that_is_stopped_amid_a_call(self, make):
        environment = make()
        environment.start()
        timer = threading.Timer(0.05, environment.stop)
        timer.start()
        with pytest.raises(LambdaInvocationError, match=r"Runtime\.ExitError: the runtime exited: signal 9"):
            environment.invoke({"do": "sleep"})
        timer.join()
        with pytest.raises(LambdaInvocationError):
            environment.invoke({"do": "time"})

    def test_one_that_is_stopped_amid_its_start(self, make, tmp_path):
        (tmp_path / "slow.py").write_text("import time\ntime.sleep(600)\n")
        environment = make("slow:handler")
        timer = threading.Timer(0.05, environment.stop)
        timer.start()
        with pytest.raises(StoppedError):
            environment.start()
        timer.join()
        with pytest.raises(StoppedError):
            environment.start()

    @pytest.mark.parametrize(
        ("source", "told"),
        [
            ("def handler(event, context:\n", "SyntaxError: '(' was never closed (broken.py:1)"),
            (
                "x = 1\n\nimport nowhere\n",
                "ModuleNotFoundError: No module named 'nowhere' (broken.py:3)",
            ),
            ("import os\nos._exit(5)\n", "the process that imported it ended (exit code 5)"),
        ],
    )
    def test_a_target_that_does_not_load(self, source, told, make, tmp_path):
        (tmp_path / "broken.py").write_text(source)
        with pytest.raises(TargetError) as raised:
            make("broken:handler").start()
        assert told.format(folder=tmp_path) in str(raised.value)
        assert "\n" not in str(raised.value)

    def test_threads_of_the_app_do_not_keep_it(self, make):
        environment = make()
        environment.start()
        environment.invoke({"do": "thread"})
        process = environment._process
        process.stdin.close()
        assert process.wait(20) == 0
