"""``inngest-serverless run``: one event, and its runs to their end."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import uuid

import pytest
from cli_server import run_command
from dev_process import BUSY, COMMAND, MARK, Dev, kill, write

pytestmark = pytest.mark.integration

RUN = """
    import os, sys
    from inngest_serverless import NonRetriableError, create_function, event_trigger, inngest_lambda

    def fail(ctx):
        print("failed as well")

    @create_function(id="week", trigger=event_trigger("t/week"))
    def week(ctx):
        print("the app prints this")
        ctx.step.sleep("week", "7d")
        tries = []
        ctx.step.run("flaky", flaky, ctx.attempt)
        return {"data": ctx.event.data, "user": ctx.event.user}

    def flaky(attempt):
        if not attempt:
            raise ValueError("once")

    @create_function(id="bad", trigger=event_trigger("t/bad"), on_failure=fail)
    def bad(ctx):
        raise NonRetriableError("for good")

    @create_function(id="stuck", trigger=event_trigger("t/stuck"))
    def stuck(ctx):
        ctx.step.fetch("ask", os.environ["ASK"])

    handler = inngest_lambda([week, bad, stuck], app_id="app")
    deployed = inngest_lambda([week], app_id="app", is_dev=False, signing_key="signkey-test-ab")

    def raising(event, context):
        if event["requestContext"]["http"]["method"] == "POST":
            raise LookupError("no table")
        return handler(event, context)
"""


class TestRun:
    @pytest.fixture
    def run(self, tmp_path):
        write(tmp_path, "app", RUN)
        return lambda *arguments, **env: run_command("run", *arguments, cwd=tmp_path, **env)

    def test_a_week_is_over_at_once(self, run):
        ran = run("app:handler", "--event", "t/week", "--data", '{"n": 1}', "--user", "-", "--json", stdin='{"id": 7}')
        assert ran.returncode == 0, ran
        assert ran.stderr.count("the app prints this\n") == 4
        document = json.loads(ran.stdout)
        [told] = document["runs"]
        assert (document["ok"], told["status"], told["error"], told["invocations"]) == (True, "completed", None, 4)
        assert told["output"] == {"data": {"n": 1}, "user": {"id": 7}}
        moments = [(moment["what"], moment["step"], moment["attempt"]) for moment in told["timeline"]]
        assert moments == [
            ("Started", "", 0),
            ("Sleep", "week", 0),
            ("Woke", "week", 0),
            ("StepError", "flaky", 0),
            ("StepRun", "flaky", 1),
            ("Returned", "", 0),
        ]
        assert told["timeline"][2]["after_ms"] == 7 * 24 * 3600 * 1000

    def test_the_timeline(self, run):
        ran = run("app:handler", "--event", "t/week")
        assert ran.returncode == 0
        assert "│ 7d 00:00:00 │ week  │ woke" in ran.stdout
        assert ran.stdout.endswith("\ncompleted after 4 invocations: {'data': {}, 'user': {}}\n")

    def test_a_failed_run_and_its_failure_handler(self, run):
        ran = run("app:handler", "--event", "t/bad", "--json")
        assert ran.returncode == 1
        assert "failed as well\n" in ran.stderr
        document = json.loads(ran.stdout)
        assert (document["ok"], [each["status"] for each in document["runs"]]) == (False, ["failed", "completed"])
        assert document["runs"][0]["error"]["message"] == "for good"

    def test_where_the_code_has_raised(self, run, tmp_path):
        lines = (tmp_path / "app.py").read_text("utf-8").splitlines()
        line = lines.index('    raise NonRetriableError("for good")') + 1
        place = f"app.py:{line} in bad"
        ran = run("app:handler", "--event", "t/bad")
        assert f"│ run failed  {place}: NonRetriableError: for good" in ran.stdout
        assert f"\nfailed after 1 invocation: {place}: NonRetriableError: for good\n" in ran.stdout
        ran = run("app:handler", "--event", "t/week")
        line = lines.index('        raise ValueError("once")') + 1
        place = f"app.py:{line} in flaky"
        assert f"raised, will be tried again  {place}: ValueError: once" in ran.stdout

    def test_an_event_that_starts_nothing(self, run):
        for more in ([], ["--real-time"]):
            ran = run("app:handler", "--event", "t/other", *more)
            assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1)
            told = "event 't/other' starts no function: none has this trigger; known are t/bad, t/stuck, t/week\n"
            assert ran.stderr.endswith(told)

    def test_real_time(self, run):
        ran = run("app:handler", "--event", "t/bad", "--real-time", "--json")
        assert (ran.returncode, len(json.loads(ran.stdout)["runs"])) == (1, 2)

    def test_a_request_for_a_function(self, run, tmp_path):
        write(tmp_path, "served", BUSY)
        with Dev(tmp_path, "served:handler") as dev:
            dev.await_said("functions")
            ran = run("app:handler", "--event", "t/stuck", "--json", ASK=dev.app)
        assert ran.returncode == 0, ran

    @pytest.mark.parametrize(
        ("target", "code", "part"),
        [
            ("app:nothing", 2, "app has no attribute 'nothing'"),
            ("nowhere:handler", 2, "there is no module nowhere"),
            ("app:raising", 1, "target 'app:raising' raised LookupError when it was called: no table (app.py:33)"),
            ("app:deployed", 2, "the app at app:deployed is in cloud mode, and was not synced"),
        ],
    )
    def test_what_does_not_work_is_one_line(self, target, code, part, run):
        ran = run(target, "--event", "t/week")
        assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (code, "", 1), ran
        assert part in ran.stderr

    def test_interrupted(self, tmp_path):
        write(tmp_path, "app", BUSY)
        for more in ([], ["--real-time"]):
            mark = uuid.uuid4().hex
            ran = subprocess.Popen(  # noqa: S603 - our own command
                [str(COMMAND), "run", "app:handler", "--event", "t/busy", *more],
                cwd=tmp_path,
                env={**os.environ, MARK: mark},
                stderr=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
            )
            try:
                while (line := ran.stderr.readline()) != "asleep\n":
                    assert line, "it ended"
                ran.send_signal(signal.SIGINT)
                assert ran.wait(timeout=60) == 130
                said = ran.stderr.readline().strip() or ran.stderr.readline().strip()
                assert said == "interrupted"
            finally:
                # What the step has started is not the command's, and keeps the pipe open.
                kill(mark)
                ran.communicate()
