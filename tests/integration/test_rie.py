"""The Lambda runtime on this machine: real emulator, real awslambdaric, small handlers."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from textwrap import dedent

import pytest
from waiting import until

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.local.rie import LambdaInvocationError, LambdaRuntime, LambdaRuntimeError

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parents[2]
MEGABYTE = 2**20
HANDLERS = """
    import os, subprocess, sys, time

    def echo(event, context):
        return event

    def describe(event, context):
        print("written to stdout")
        print("written to stderr", file=sys.stderr)
        name, memory, left = context.function_name, context.memory_limit_in_mb, context.get_remaining_time_in_millis()
        return {"name": name, "memory": memory, "left": left, "env": dict(os.environ), "version": sys.version_info[:2]}

    def process(event, context):
        child = subprocess.Popen(["sleep", "600"])
        return [os.getpid(), child.pid]

    def fail(event, context):
        raise ValueError("no such account: é")

    def sleep(event, context):
        print("asleep for", event["seconds"], flush=True)
        time.sleep(event["seconds"])
        return os.getpid()

    def repeat(event, context):
        return event["text"] * event["times"]

    def leave(event, context):
        print("last words")
        os._exit(3)

    def give_bytes(event, context):
        return b"\\xff{"
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("handlers with a space")
    (path / "app.py").write_text(dedent(HANDLERS))
    (path / "broken.py").write_text("import no_such_module_anywhere\n")
    return path


def is_alive(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"  # a zombie waits for whoever adopted it


@pytest.fixture(scope="module")
def echo(folder):
    with LambdaRuntime("app.echo", cwd=folder) as runtime:
        yield runtime


@pytest.mark.parametrize("event", [{}, {"a": [1, 2.5, None, True, {"b": ""}]}, {"é😀\u2028\x00": "\\u00e9\n\r"}])
def test_replies_are_decoded(echo, event):
    assert echo.invoke(event) == event


@pytest.mark.parametrize("text", ["x" * (5 * MEGABYTE), "日" * 800_000], ids=["ascii", "unicode"])
def test_large_payloads_survive_both_ways(echo, text):
    assert echo.invoke({"body": text}) == {"body": text}


def test_an_event_over_the_limit_is_refused_and_one_at_the_limit_is_not(echo):
    spare = 6_291_556 - len('{"body":"","":0}')
    with pytest.raises(LambdaInvocationError, match="must be smaller than 6291556 bytes") as caught:
        echo.invoke({"body": "x" * (spare + 1), "": 0})
    assert caught.value.error_type == "RequestEntityTooLargeException"
    with pytest.raises(LambdaInvocationError) as caught:  # echoed with spaces, it is too large as a reply
        echo.invoke({"body": "x" * spare, "": 0})
    assert caught.value.error_type == "Function.ResponseSizeTooLarge"
    assert echo.invoke({"after": 1}) == {"after": 1}


def test_concurrent_calls_wait_for_each_other(echo):
    with ThreadPoolExecutor(8) as pool:
        replies = list(pool.map(lambda number: echo.invoke({"number": number}), range(64)))
    assert replies == [{"number": number} for number in range(64)]


def test_the_function_sees_what_lambda_would_show_it(folder, monkeypatch):
    monkeypatch.setenv("INNGEST_SIGNING_KEY", "of this process")
    monkeypatch.setenv("PYTHONPATH", "/nowhere")
    settings = {"env": {"INNGEST_DEV": "1", "AWS_REGION": "eu-west-1"}, "timeout_seconds": 7, "memory_mb": 256}
    with LambdaRuntime("app.describe", cwd=str(folder), function_name="checkout", **settings) as runtime:
        reply = runtime.invoke({})
        log = runtime.log
    env = reply["env"]
    assert (reply["name"], reply["memory"]) == ("checkout", "256")
    assert 5000 < reply["left"] <= 7000
    assert env["INNGEST_DEV"] == "1"
    assert env["AWS_REGION"] == "eu-west-1"
    assert env["AWS_EXECUTION_ENV"] == "AWS_Lambda_python{}.{}".format(*reply["version"])
    assert env["LAMBDA_TASK_ROOT"] == str(folder)
    assert not {"INNGEST_SIGNING_KEY", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE"} & env.keys()
    assert "written to stdout" in log
    assert "written to stderr" in log
    assert runtime.log.startswith(log)


def test_a_raising_handler(folder):
    with LambdaRuntime("app.fail", cwd=folder) as runtime:
        for _ in range(2):
            with pytest.raises(LambdaInvocationError) as caught:
                runtime.invoke({})
    error = caught.value
    assert (error.error_type, error.message) == ("ValueError", "no such account: é")
    assert str(error) == "ValueError: no such account: é"
    assert 'raise ValueError("no such account' in error.stack
    assert error.__notes__ == [error.stack]


@pytest.mark.parametrize(
    ("handler", "error_type", "message"),
    [
        ("broken.handler", "Runtime.ImportModuleError", "No module named 'no_such_module_anywhere'"),
        ("app.missing", "Runtime.HandlerNotFound", "Handler 'missing' missing on module 'app'"),
    ],
)
def test_a_handler_that_cannot_be_imported(folder, handler, error_type, message):
    with LambdaRuntime(handler, cwd=folder) as runtime:
        for _ in range(2):
            with pytest.raises(LambdaInvocationError, match=message) as caught:
                runtime.invoke({})
            assert caught.value.error_type == error_type


def test_a_timeout_ends_the_call_and_the_next_one_gets_a_new_process(folder):
    with LambdaRuntime("app.sleep", cwd=folder, timeout_seconds=1) as runtime:
        first = runtime.invoke({"seconds": 0})
        with pytest.raises(LambdaInvocationError, match=r"^Sandbox\.Timedout: Task timed out after 1\.00 s"):
            runtime.invoke({"seconds": 30})
        assert not is_alive(first)
        assert runtime.invoke({"seconds": 0}) != first


def test_a_reply_over_the_limit(folder):
    with LambdaRuntime("app.repeat", cwd=folder) as runtime:
        with pytest.raises(LambdaInvocationError, match="6291556 bytes") as caught:
            runtime.invoke({"text": "x", "times": 6_291_556 - 1})
        assert caught.value.error_type == "Function.ResponseSizeTooLarge"
        assert len(runtime.invoke({"text": "x", "times": 6_291_556 - 2})) == 6_291_554


def test_a_process_that_exits(folder):
    with LambdaRuntime("app.leave", cwd=folder) as runtime, pytest.raises(LambdaInvocationError) as caught:
        runtime.invoke({})
    assert caught.value.error_type == "Runtime.ExitError"
    assert "exit status 3" in caught.value.message
    assert "last words" in caught.value.stack


def test_a_runtime_that_never_gets_ready(folder, tmp_path):
    false = tmp_path / "python"
    false.write_text('#!/bin/sh\n[ "$1" = -c ] && echo 3.12 || { echo "out of order" >&2; exit 1; }\n')
    false.chmod(0o755)
    runtime = LambdaRuntime("app.echo", cwd=folder, python=str(false))
    # Now and then the emulator itself dies of a runtime that ends at once: a goroutine of its shutdown panics.
    with runtime, pytest.raises((LambdaInvocationError, LambdaRuntimeError), match=r"^Runtime\.ExitError: |no answer"):
        runtime.invoke({})
    assert "out of order" in runtime.log


def test_a_reply_that_is_not_json(folder):
    runtime = LambdaRuntime("app.give_bytes", cwd=folder)
    with runtime, pytest.raises(LambdaInvocationError, match=r"^Runtime\.InvalidReply: not JSON"):
        runtime.invoke({})


def test_stop_leaves_no_process_and_the_log(folder):
    runtime = LambdaRuntime("app.process", cwd=folder)
    runtime.stop()
    runtime.start()
    pids = [runtime.pid, *runtime.invoke({})]
    assert all(map(is_alive, pids))
    runtime.stop()
    assert not any(map(is_alive, pids))
    assert "START RequestId" in runtime.log
    runtime.stop()
    with pytest.raises(LambdaRuntimeError, match="not running"):
        runtime.invoke({})
    with pytest.raises(LambdaRuntimeError, match="not running"):
        _ = runtime.pid


def test_a_stopped_runtime_starts_again(folder):
    runtime = LambdaRuntime("app.echo", cwd=folder)
    for number in range(2):
        with runtime:
            assert runtime.invoke({"number": number}) == {"number": number}
            with pytest.raises(LambdaRuntimeError, match="running already"):
                runtime.start()


def test_an_exception_in_the_block_leaves_no_process(folder):
    def interrupted(pids):
        with LambdaRuntime("app.process", cwd=folder) as runtime:
            pids += [runtime.pid, *runtime.invoke({})]
            raise KeyboardInterrupt

    pids = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(pids)
    assert len(pids) == 3
    assert not any(map(is_alive, pids))


def test_a_signal_as_the_emulator_is_started_leaves_no_process(folder, monkeypatch):
    """It arrives when the emulator is there, and nobody has been told of it yet."""
    emulators = []

    class Interrupted(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            if options.get("start_new_session"):
                emulators.append(self.pid)
                signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(subprocess, "Popen", Interrupted)
    runtime = LambdaRuntime("app.process", cwd=folder)
    with pytest.raises(KeyboardInterrupt):
        runtime.start()
    assert len(emulators) == 1
    assert not is_alive(emulators[0])


def test_an_interpreter_that_exits_leaves_no_process(folder):
    script = (
        "from inngest_serverless.local.rie import LambdaRuntime as R; "
        f"r = R('app.process', cwd={str(folder)!r}); r.start(); print(r.pid, *r.invoke({{}})); 1 / 0"
    )
    command = [sys.executable, "-c", script]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    assert "ZeroDivisionError" in ran.stderr
    pids = [int(pid) for pid in ran.stdout.split()]
    assert len(pids) == 3
    assert not any(map(is_alive, pids))


def wait_until_asleep(runtime):
    until(lambda: "asleep for 60" in runtime.log, lambda: f"the call to begin:\n{runtime.log}")


def test_a_stop_during_a_call_ends_both(folder):
    with LambdaRuntime("app.sleep", cwd=folder) as runtime, ThreadPoolExecutor(1) as pool:
        handler_process = runtime.invoke({"seconds": 0})
        call = pool.submit(runtime.invoke, {"seconds": 60})
        wait_until_asleep(runtime)
        runtime.stop()
        with pytest.raises(LambdaRuntimeError, match="gave no answer"):
            call.result(timeout=30)
        assert not is_alive(handler_process)


def test_a_killed_emulator_is_reported_and_its_handler_ended(folder):
    with LambdaRuntime("app.sleep", cwd=folder) as runtime, ThreadPoolExecutor(1) as pool:
        handler_process = runtime.invoke({"seconds": 0})
        call = pool.submit(runtime.invoke, {"seconds": 60})
        wait_until_asleep(runtime)
        os.kill(runtime.pid, signal.SIGKILL)
        with pytest.raises(LambdaRuntimeError, match="gave no answer"):
            call.result(timeout=30)
        assert not is_alive(handler_process)


def test_a_call_that_is_given_up_stops_the_runtime(folder, monkeypatch):
    with LambdaRuntime("app.sleep", cwd=folder) as runtime:
        handler_process = runtime.invoke({"seconds": 0})
        connection = runtime._connection
        monkeypatch.setattr(connection, "getresponse", lambda: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            runtime.invoke({"seconds": 60})
        assert not is_alive(handler_process)


def test_many_run_side_by_side(folder):
    def call(number):
        with LambdaRuntime("app.echo", cwd=folder) as runtime:
            return runtime.invoke({"number": number})["number"], runtime.pid

    with ThreadPoolExecutor(6) as pool:
        replies = list(pool.map(call, range(12)))
    assert [number for number, _ in replies] == list(range(12))
    assert not any(is_alive(pid) for _, pid in replies)


def test_an_emulator_that_does_not_start_shows_its_log(folder, tmp_path):
    emulator = tmp_path / "emulator"
    emulator.write_text("#!/bin/sh\necho cannot listen; exit 2\n")
    emulator.chmod(0o755)
    runtime = LambdaRuntime("app.echo", cwd=folder, emulator=emulator)
    with pytest.raises(LambdaRuntimeError, match="did not start\nThe log ends:\ncannot listen"):
        runtime.start()
    assert runtime.log == "cannot listen\n"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"emulator": "/no/such/rie"}, "/no/such/rie is not the Lambda runtime emulator"),
        ({"python": "/no/such/python"}, "cannot run /no/such/python"),
        ({"cwd": "/no/such/folder"}, "in /no/such/folder"),
        ({"env": {"PYTHONHOME": "/no/such/home"}}, "cannot run Lambda functions"),
    ],
)
def test_wrong_settings_are_named(folder, options, message):
    runtime = LambdaRuntime("app.echo", **{"cwd": folder, **options})
    with pytest.raises(ConfigurationError, match=message):
        runtime.start()
