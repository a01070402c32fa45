"""The dev server's limits, and its ends."""

from __future__ import annotations

import signal
import socket

import pytest
from cli_server import run_command
from dev_process import BUSY, Dev, processes, request, write
from waiting import until

pytestmark = pytest.mark.integration

MEGABYTE = 1024 * 1024
# What a trigger answers: to what is too large, to a function that fails, ends at its timeout or replies too much.
ANSWERS = {
    "function-url": (
        (413, b'{"Message":"Request must be smaller than 6291456 bytes for the InvokeFunction operation"}'),
        (502, b"Internal Server Error"),
    ),
    "http-api": ((500, b'{"message":"Internal Server Error"}'),) * 2,
    "rest-api": ((413, b'{"message": "Request Too Long"}'), (502, b'{"message": "Internal server error"}')),
    "alb": ((413, b"413 Request Entity Too Large"), (502, b"502 Bad Gateway")),
}


@pytest.mark.parametrize("trigger", ANSWERS)
def test_a_trigger_answers_as_aws_does(trigger, tmp_path):
    write(tmp_path, "app", BUSY)
    (large, large_text), (failed, failed_text) = ANSWERS[trigger]
    with Dev(tmp_path, "app:handler", "--trigger", trigger) as dev:
        dev.await_said("functions")
        origin = dev.app.removesuffix("/api/inngest")
        size = MEGABYTE + 1 if trigger == "alb" else 7 * MEGABYTE
        status, _, body = request("POST", dev.app, b"1" * size, content_type="application/json")
        assert (status, large_text in body) == (large, True), body
        for path, reason in {
            "/leave": "Runtime.ExitError: the runtime exited: exit code 7",
            "/raise": "LookupError: no such table",
            "/large": "the reply has 7,000,0",
            "/odd": "the reply is refused: ",
        }.items():
            status, _, body = request("GET", origin + path)
            assert (status, failed_text in body) == (failed, True), (path, body)
            told = until(
                lambda reason=reason: [line["text"] for line in dev.said("problem") if reason in line["text"]],
                lambda path=path: f"the reason of {path}; it said\n{dev.state}",
            )
            assert told[0].startswith(f"{trigger} answers {failed}: "), told
        status, _, _ = request("GET", dev.app)
        assert status == 200, "environments that ended are replaced"


@pytest.mark.parametrize("runtime", ["process", "rie"])
def test_a_function_has_so_much_time(runtime, tmp_path):
    write(tmp_path, "app", BUSY)
    with Dev(tmp_path, "app:handler", "--runtime", runtime, "--timeout", "2") as dev:
        dev.await_said("functions")
        origin = dev.app.removesuffix("/api/inngest")
        assert request("GET", f"{origin}/slow")[::2] == (502, b"Internal Server Error")
        dev.await_problem("function-url answers 502: Sandbox.Timedout: Task timed out after 2.00 seconds")
        assert request("GET", f"{origin}/leave")[::2] == (502, b"Internal Server Error")
        until(lambda: request("GET", dev.app)[0] == 200, "what ended to be replaced")


def test_cloud_run_gives_up_on_a_function(tmp_path):
    write(tmp_path, "main", BUSY)
    with Dev(tmp_path, "main:cloud", "--timeout", "2", "--retry-interval", "1") as dev:
        dev.send("t/busy")
        retrying = dev.await_said("moment", what="Retrying")
        assert "504" in retrying["detail"]
        assert "upstream request timeout" in retrying["detail"]
        status, _, body = request("POST", dev.app, b"1" * (33 * MEGABYTE))
        assert (status, body) == (413, b"Request Entity Too Large")


@pytest.mark.parametrize(
    ("arguments", "number"),
    [
        (["app:handler"], signal.SIGINT),
        (["app:handler"], signal.SIGTERM),
        (["app:handler", "--runtime", "rie"], signal.SIGINT),
        (["app:cloud"], signal.SIGTERM),
    ],
)
def test_a_signal_ends_everything_amid_a_call(arguments, number, tmp_path):
    write(tmp_path, "app", BUSY)
    with Dev(tmp_path, *arguments) as dev:
        dev.send("t/busy")
        until(lambda: "asleep\n" in dev.written, lambda: f"the step to begin; it said:\n{dev.state}")
        assert dev.stop(number) == 0
        assert not [line for line in dev.written if "Traceback" in line], dev.state


@pytest.mark.parametrize(
    "source", ["import time\ntime.sleep(600)\n", "raise SystemExit(3)\n", "import os\nos._exit(3)\n"]
)
def test_a_signal_ends_everything_amid_a_start(source, tmp_path):
    write(tmp_path, "app", source)
    with Dev(tmp_path, "app:handler") as dev:
        dev.await_said("ready")
        until(lambda: dev.said("problem") or len(processes(dev.mark)) > 1, "the app to start")
        assert dev.stop() == 0
        assert not dev.written


def test_a_module_that_hangs_is_given_up_for_its_next_version(tmp_path):
    write(tmp_path, "app", "import sys, time\nprint('hangs', flush=True)\ntime.sleep(600)\n")
    with Dev(tmp_path, "app:handler") as dev:
        until(lambda: "hangs\n" in dev.written, "the import to begin")
        write(tmp_path, "app", BUSY)
        dev.await_said("functions")


def test_a_killed_server_leaves_no_environment(tmp_path):
    write(tmp_path, "app", BUSY)
    dev = Dev(tmp_path, "app:handler")
    dev.await_said("functions")
    dev._process.kill()
    until(lambda: not processes(dev.mark), lambda: f"the environments to end: {processes(dev.mark)}")
    with dev:
        pass


def test_it_goes_on_when_nobody_reads_what_it_says(tmp_path):
    write(tmp_path, "app", BUSY)
    with Dev(tmp_path, "app:handler") as dev:
        dev.await_said("functions")
        dev.listens = False
        # The reader leaves with the first run's line, the server notices with the second's, and still starts the third.
        for number in (1, 2, 3):
            dev.send("t/busy")
            until(
                lambda number=number: dev.written.count("asleep\n") == number, lambda: f"a step to begin\n{dev.state}"
            )
        assert dev.stop() == 0
        assert not [line for line in dev.written if "Traceback" in line], dev.state


@pytest.mark.parametrize("option", ["--port", "--gateway-port"])
def test_a_port_in_use_is_one_line_that_names_the_option(option, tmp_path):
    write(tmp_path, "app", BUSY)
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = str(other.getsockname()[1])
        given = ["--port", "0", "--gateway-port", "0"]
        given[given.index(option) + 1] = port
        ran = run_command("dev", "app:handler", *given, cwd=tmp_path)
    assert (ran.returncode, ran.stdout, ran.stderr.count("\n")) == (2, "", 1), ran
    assert f"cannot listen on 127.0.0.1:{port}: Address already in use" in ran.stderr
    assert ran.stderr.endswith(f" Choose another port with {option}\n")


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        ([], "give one of the two: a TARGET, or --url URL (see inngest-serverless dev --help)"),
        (["app:handler", "--url", "http://x.y"], "give one of the two: a TARGET, or --url URL (see inngest-serverless dev --help)"),
        (["--url", "http://x.y", "--timeout", "3"], "--timeout is for a TARGET: leave it out with --url (see inngest-serverless dev --help)"),
        (["app:cloud", "--trigger", "alb"], "--trigger is for Lambda, and 'app:cloud' is a Cloud Function"),
        (["app:handler", "--timeout", "901"], "--timeout: a Lambda function has 900 seconds at most"),
        (["app:busy", "--runtime", "rie"], "--runtime rie: the Lambda runtime takes a handler, and 'app:busy' is none: name what inngest_lambda returned"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_wrong_usage_is_one_line(arguments, line, tmp_path):
    write(tmp_path, "app", BUSY)
    ports = [] if "--url" in arguments else ["--gateway-port", "0"]
    ran = run_command("dev", *arguments, "--port", "0", *ports, cwd=tmp_path)
    assert (ran.returncode, ran.stderr) == (2, f"inngest-serverless: {line}\n")
