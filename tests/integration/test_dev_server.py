"""The dev server with an app of each kind: an event comes in, runs go to their end, and changes are taken up."""

from __future__ import annotations

import json
import re
import subprocess
from contextlib import ExitStack
from textwrap import dedent

import pytest
from cli_server import run_command
from dev_process import COMMAND, ROOT, Dev, request, write
from waiting import until

from inngest_serverless.local.functions_framework import FunctionsFramework
from inngest_serverless.local.processes import reserve_port

pytestmark = pytest.mark.integration

LAMBDA = """
    import pathlib, time
    from pydantic import BaseModel
    from inngest_serverless import Event, create_function, event_trigger, inngest_lambda

    class Go(BaseModel):
        number: int

    class Started(Event[Go], name="t/typed"): ...

    def meet(name):
        # Ends when three of these are under way: each is in a process of its own.
        folder = pathlib.Path("met")
        folder.mkdir(exist_ok=True)
        (folder / name).touch()
        deadline = time.monotonic() + 20
        while len(list(folder.iterdir())) < 3:
            assert time.monotonic() < deadline, "the others do not come"
            time.sleep(0.01)
        return name

    @create_function(id="meeting", trigger=event_trigger("t/meeting"))
    def meeting(ctx):
        return list(ctx.group.parallel([lambda n=n: ctx.step.run(n, meet, n) for n in "abc"]))

    @create_function(id="small", trigger=[event_trigger("t/small"), event_trigger(Started)])
    def small(ctx):
        print("the app prints this")
        one = ctx.step.run("one", lambda: 1)
        ctx.step.sleep("nap", "10ms")
        return {"one": one, "shape": shape}

    handle, shape = inngest_lambda([meeting, small], app_id="app"), []

    def handler(event, context):
        assert context.get_remaining_time_in_millis() > 1000
        http, proxy = event["requestContext"].get("http"), event.get("resource")
        shape[:] = ["v2" if http else "v1" if proxy else "alb", sorted(event)]
        return handle(event, context)
"""
CLOUD_FUNCTION = """
    from inngest_serverless import create_function, event_trigger, inngest_gcf, inngest_gcf_async

    @create_function(id="small", trigger=event_trigger("t/small"))
    def small(ctx):
        print("the app prints this")
        return ctx.step.run("one", lambda: __name__)

    handler = inngest_gcf([small], app_id="app")
    asgi = inngest_gcf_async([small], app_id="app")
"""
SHAPES = {
    "function-url": ("v2", "rawPath"),
    "http-api": ("v2", "rawPath"),
    "http-api-v1": ("v1", "version"),
    "rest-api": ("v1", "resource"),
    "alb": ("alb", "headers"),
    "alb-multi-value": ("alb", "multiValueHeaders"),
}


@pytest.mark.parametrize("trigger", SHAPES)
def test_a_lambda_handler_behind_each_trigger(trigger, tmp_path):
    write(tmp_path, "app", LAMBDA)
    with Dev(tmp_path, "app:handler", "--trigger", trigger) as dev:
        listed = dev.await_said("functions")["functions"]
        assert [each["id"] for each in listed] == ["app-meeting", "app-small"]
        output = dev.completed(dev.send("t/small"))
        shape, key = SHAPES[trigger]
        assert output["one"] == 1
        assert (output["shape"][0], key in output["shape"][1]) == (shape, True)
        until(lambda: "the app prints this\n" in dev.written, "what the app prints to come out on stderr")
        kinds = [line["what"] for line in dev.said("moment")]
        assert kinds == ["Started", "StepRun", "Sleep", "Woke", "Returned"]
        assert dev.stop() == 0


def test_parallel_steps_run_in_as_many_environments(tmp_path):
    write(tmp_path, "app", LAMBDA)
    with Dev(tmp_path, "app.handler") as dev:
        assert dev.completed(dev.send("t/meeting")) == ["a", "b", "c"]
        # The page offers forms for typed events, which only the app's processes know.
        _, _, document = request("GET", f"{dev.origin}/page/app")
        assert '"number"' in document.decode()


def test_the_real_lambda_runtime(tmp_path):
    write(tmp_path, "app", LAMBDA)
    with Dev(tmp_path, "app:handler", "--runtime", "rie", "--trigger", "rest-api") as dev:
        assert dev.completed(dev.send("t/small"))["shape"][0] == "v1"
        until(lambda: "the app prints this\n" in dev.written, "what the app prints to come out on stderr")
        assert dev.completed(dev.send("t/meeting")) == ["a", "b", "c"]
        assert not [line for line in dev.written if "(rapid)" in line or "RequestId" in line], dev.state


@pytest.mark.parametrize("name", ["handler", "asgi"])
def test_a_cloud_function_in_functions_framework(name, tmp_path):
    write(tmp_path, "main", CLOUD_FUNCTION)
    with Dev(tmp_path, f"main:{name}") as dev:
        # Not the name that an import gives it, but that which the framework gives it.
        assert dev.completed(dev.send("t/small")) == "main"
        until(lambda: "the app prints this\n" in dev.written, "what the app prints to come out on stderr")


def test_a_cloud_function_that_only_the_framework_cannot_load(tmp_path):
    (tmp_path / "jobs").mkdir()
    # The framework gives the module a name of its own.
    odd = 'if __name__ == "main":\n    raise RuntimeError("only there")\n'
    (tmp_path / "jobs" / "main.py").write_text(dedent(CLOUD_FUNCTION) + odd)
    with Dev(tmp_path, "jobs.main:handler") as dev:
        told = dev.await_problem("functions-framework did not start")
        assert told == "functions-framework did not start: RuntimeError: only there; waiting for a change"
        write(tmp_path / "jobs", "main", CLOUD_FUNCTION)
        assert dev.completed(dev.send("t/small")) == "main"


def test_an_app_that_is_running_elsewhere(tmp_path):
    write(tmp_path, "main", CLOUD_FUNCTION)
    with ExitStack() as stack:
        port = reserve_port(stack)
        app = FunctionsFramework(
            "handler", source=tmp_path / "main.py", env={"INNGEST_DEV": f"http://127.0.0.1:{port}"}
        )
        stack.enter_context(app)
        dev = stack.enter_context(Dev(tmp_path, "--url", f"{app.origin}/api/inngest", "--port", str(port)))
        dev.await_said("functions")
        assert dev.completed(dev.send("t/small")) == "main"


def test_an_app_that_is_not_there_yet_and_one_that_registers_elsewhere(tmp_path):
    write(tmp_path, "main", CLOUD_FUNCTION)
    with ExitStack() as stack:
        with ExitStack() as nobody:
            url = f"http://127.0.0.1:{reserve_port(nobody)}/api/inngest"
            dev = stack.enter_context(Dev(tmp_path, "--url", url))
            dev.await_problem("no reply from 127.0.0.1:")
        other = stack.enter_context(Dev(tmp_path, "main:handler"))
        other.await_said("functions")
        elsewhere = stack.enter_context(Dev(tmp_path, "--url", other.app))
        told = elsewhere.await_problem("registered itself elsewhere")
        assert f"set INNGEST_DEV={elsewhere.origin} for it" in told


def test_an_app_in_cloud_mode_is_not_synced(tmp_path):
    write(tmp_path, "app", LAMBDA.replace('app_id="app"', 'app_id="app", is_dev=False'))
    with Dev(tmp_path, "app:handler") as dev:
        assert "is in cloud mode, and was not synced" in dev.await_problem("cloud mode")


def test_functions_without_a_handler(tmp_path):
    write(tmp_path, "app", LAMBDA)
    with Dev(tmp_path, "app:small") as dev:
        assert dev.completed(dev.send("t/small"))["one"] == 1


def test_settings_that_would_lead_elsewhere_are_left_out(tmp_path):
    write(tmp_path, "app", LAMBDA)
    settings = dict.fromkeys(("INNGEST_BASE_URL", "INNGEST_SERVE_ORIGIN"), "https://elsewhere.invalid")
    keys = {"INNGEST_SIGNING_KEY": "signkey-prod-" + "a1" * 32, "INNGEST_EVENT_KEY": "secret"}
    with Dev(tmp_path, "app:handler", **settings, **keys, INNGEST_SERVE_PATH="/jobs") as dev:
        assert dev.app.endswith("/jobs")
        assert dev.completed(dev.send("t/small"))["one"] == 1


RELOADED = """
    from inngest_serverless import create_function, event_trigger, inngest_lambda
    from helper import VERSION

    @create_function(id="fn", trigger=event_trigger("t/fn"))
    def fn(ctx):
        before = ctx.step.run("before", lambda: VERSION)
        ctx.step.wait_for_event("wait", event="t/go", timeout="1h")
        return [before, ctx.step.run("after", lambda: VERSION)]

    handler = inngest_lambda([fn], app_id="app")
"""


@pytest.mark.parametrize("runtime", ["process", "rie"])
def test_changes_are_taken_up_and_runs_outlive_them(runtime, tmp_path):
    write(tmp_path, "app", RELOADED)
    write(tmp_path, "helper", "VERSION = 1\n")
    with Dev(tmp_path, "app:handler", "--runtime", runtime) as dev:
        dev.await_said("functions")
        first = dev.send("t/fn")
        dev.await_said("moment", what="WaitForEvent")
        # As long as before, and within the same second: what Python has compiled looks up to date.
        write(tmp_path, "helper", "VERSION = 2\n")
        dev.await_said("note", text="helper.py changed: starting the app anew")
        dev.await_said("note", 2, text="the app is up")
        dev.send("t/go")
        assert dev.completed(first) == [1, 2]

        write(tmp_path, "helper", "VERSION = \n")
        told = dev.await_problem("(helper.py:1)")
        assert told.startswith("target 'app:handler': importing app raised SyntaxError: invalid syntax (")
        assert told.endswith("(helper.py:1); waiting for a change")
        status, _, body = request("GET", dev.app)
        assert (status, "SyntaxError" in json.loads(body)["message"]) == (503, True)
        second = dev.send("t/fn")
        dev.await_said("moment", 2, what="Started")

        write(tmp_path, "helper", "VERSION = 3\n")
        dev.await_said("moment", 2, what="WaitForEvent")
        dev.send("t/go")
        assert dev.completed(second) == [3, 3]
        failures = [line for line in dev.said("moment") if line["what"] in {"Retrying", "Failed"}]
        assert not failures, "runs waited for the repair"


def test_a_call_that_is_under_way_is_finished_by_the_old_code(tmp_path):
    slow = """
        import pathlib, time
        from inngest_serverless import create_function, event_trigger, inngest_lambda

        def work():
            print("begun", flush=True)
            while not pathlib.Path("go").exists():
                time.sleep(0.01)
            return "old"

        @create_function(id="fn", trigger=event_trigger("t/fn"), retries=0)
        def fn(ctx):
            return [ctx.step.run("work", work), "old"]

        handler = inngest_lambda([fn], app_id="app")
    """
    write(tmp_path, "app", slow)
    with Dev(tmp_path, "app:handler") as dev:
        event_id = dev.send("t/fn")
        until(lambda: "begun\n" in dev.written, "the step to begin")
        write(tmp_path, "app", slow.replace('"old"]', '"new"]'))
        dev.await_said("note", 2, text="the app is up")
        (tmp_path / "go").touch()
        assert dev.completed(event_id) == ["old", "new"]


def test_without_reloading_a_target_that_does_not_load_ends_the_command(tmp_path):
    write(tmp_path, "app", "import no_such_module_anywhere\n")
    with Dev(tmp_path, "app:handler", "--no-reload") as dev:
        assert dev.wait() == 2
        [line] = until(lambda: dev.written, "the reason")
    assert line.startswith("inngest-serverless: target 'app:handler': importing app raised ModuleNotFoundError: ")


def test_the_text_that_people_read(tmp_path):
    """The banner, then a line for each thing that happens."""
    write(tmp_path, "app", LAMBDA)
    dev = subprocess.Popen(  # noqa: S603 - our own command
        [str(COMMAND), "dev", "app:handler", "--port", "0", "--gateway-port", "0"],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)},
    )
    with dev:
        lines = []
        for line in dev.stdout:
            lines.append(line.rstrip("\n"))
            if "the app is up" in line:
                address = next(text.split()[-1] for text in lines if text.startswith("  INNGEST_DEV"))
                request("POST", f"{address}/e/any", b'{"name": "t/small"}')
            if "run completed" in line:
                dev.terminate()
    assert dev.returncode == 0
    text = "\n".join(lines)
    assert lines[0].endswith(", for development only")
    for part in (
        "  page         http://127.0.0.1:",
        "  event API    http://127.0.0.1:",
        "  app          http://127.0.0.1:",
    ):
        assert part in text
    assert "  functions    app-meeting  t/meeting\n               app-small  t/small, t/typed\n" in text
    assert [line.split("  ", 1)[1] for line in lines if " app-small " in line and "  app-small" not in line] == [
        "run started (t/small)",
        "one: ran",
        "nap: sleeps (10ms)",
        "nap: woke",
        "run completed",
    ]
    assert "\x1b" not in text, "no colours where no terminal is"


MISTAKEN = """
    import uuid
    from inngest_serverless import create_function, event_trigger, inngest_lambda

    def note(text):
        return text

    @create_function(id="unstable", trigger=event_trigger("t/unstable"), retries=0)
    def unstable(ctx):
        ctx.step.run(f"note-{uuid.uuid4()}", note, "x")

    @create_function(id="forgetful", trigger=event_trigger("t/forgetful"), retries=0)
    async def forgetful(ctx):
        return ctx.step.run("note", note, "x")["text"]

    @create_function(id="calling", trigger=event_trigger("t/calling"), retries=0)
    def calling(ctx):
        ctx.step.invoke_by_id("call", function_id="nobody")

    handler = inngest_lambda([unstable, forgetful, calling], app_id="app")
"""


def test_mistakes_of_newcomers_are_named(tmp_path):
    write(tmp_path, "app", MISTAKEN)
    with Dev(tmp_path, "app") as dev:
        listed = dev.await_said("functions")["functions"]
        assert [each["id"] for each in listed] == ["app-unstable", "app-forgetful", "app-calling"], "as app:handler"
        dev.send("t/unstabel")
        told = "event 't/unstabel' starts no function: none has this trigger (did you mean 't/unstable'?)"
        dev.await_said("note", text=told)
        for name, message in {
            "unstable": r"EngineError: run \w+ of 'app-unstable' comes to no end: each call finds a new step, 'note-",
            "forgetful": "ConfigurationError: step 'note' was not awaited, so it never ran: write 'await' before it$",
            "calling": "Error: could not find function with ID: app-nobody$",
        }.items():
            dev.send(f"t/{name}")
            failed = dev.await_said("moment", what="Failed", function_id=f"app-{name}")
            assert re.match(message, failed["detail"]), failed
        invoked = dev.await_said("moment", what="Invoked")
        assert invoked["detail"] == (
            "no function 'app-nobody' is served; known are app-calling, app-forgetful, app-unstable"
        )
        assert "was never awaited" not in "".join(dev.written), dev.state

        origin = dev.app.removesuffix("/api/inngest")
        sent = run_command("send", "t/unstable", "--to", origin)
        assert (sent.returncode, sent.stderr.count("\n")) == (1, 1), sent
        told = f"{origin} is an app, which takes no events: give --to dev, or the address of the dev server\n"
        assert sent.stderr == f"inngest-serverless: {told}"


def test_a_module_that_is_not_there_ends_it(tmp_path):
    (tmp_path / "src").mkdir()
    write(tmp_path / "src", "main", MISTAKEN)
    with Dev(tmp_path, "main:handler") as dev:
        assert dev.wait() == 2
        told = "there is no module main in {}: start in the folder that has it (cd src, then main:handler)\n"
        assert "".join(dev.written).endswith(told.format(tmp_path)), dev.state


def test_a_name_that_is_not_there_may_still_come(tmp_path):
    write(tmp_path, "app", MISTAKEN)
    with Dev(tmp_path, "app:handlr") as dev:
        told = dev.await_problem("app has no attribute 'handlr'")
        assert told.endswith("'handlr' (did you mean app:handler?); waiting for a change")
        write(tmp_path, "app", MISTAKEN + "    handlr = handler\n")
        dev.await_said("functions")
        # What was there once is waited for, as while files are being replaced.
        (tmp_path / "app.py").unlink()
        dev.await_problem("there is no module app")
        write(tmp_path, "app", MISTAKEN + "    handlr = handler  # anew\n")
        dev.await_said("note", 2, text="the app is up")
        assert dev.stop() == 0
