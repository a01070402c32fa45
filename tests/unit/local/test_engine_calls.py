"""The engine's calls are those of the real server: compared with the recorded exchanges, through every trigger."""

from __future__ import annotations

import importlib
import json
import re
from urllib.parse import parse_qsl, urlsplit

import pytest
from engine_app import TRIGGERS
from transcripts import load

ULID = re.compile(r"01[0-9A-HJKMNP-TV-Z]{24}")
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
JOB_ID = re.compile(r"[0-9a-z]{11,14}")
# What an invocation's event says beside this is about traces and accounts, which the engine has none of.
ORIGIN = {"correlation_id", "expire", "fn_id", "name", "source_fn_id", "source_fn_v"}
NAMES = [
    *("no-steps", "sequential", "sleep", "wait-match", "invoke", "child", "send-event", "parallel", "step-retry"),
    *("step-fails", "fn-retry", "fn-non-retriable", "step-non-retriable", "on-failure", "on-failure-failure"),
    *("flow-control", "wait-in-try"),
]
TRIGGERED_BY = {"child": "t/invoke", "on-failure-failure": "t/on-failure", "wait-in-try": "t/wait-none"}


@pytest.fixture(params=["recorded_app", "recorded_app_async"])
def recorded_app(request):
    """The recorded functions, as sync and as async ones."""
    return importlib.import_module(request.param)


def play(serve, app, name, **options):
    """Let the engine run a recorded function with the recorded event; returns what it called that function with."""
    recorded = load(f"dev-{name}").calls
    event = json.loads(recorded[0].body)["event"]
    if name in TRIGGERED_BY:  # the event that started the other function, which then starts this one
        event = {"data": {"name": "Ada"}}
    served = serve(*app.FUNCTIONS, app_id=app.APP_ID, **options)
    trigger = TRIGGERED_BY.get(name, f"t/{name}")
    served.engine.send({"name": trigger, "data": event["data"], "user": {}})
    if name == "wait-match":
        served.engine.advance("2s")
        served.engine.send({"name": "t/wait-match.reply", "data": {"id": 7, "v": "yes"}})
    served.engine.finish_all()
    return recorded, [call for call in served.calls if call.query["fnId"] == f"rec-{name}"]


def shape(path, headers, body):
    """A call without what is different in each run, and with what must agree within it checked."""
    named = {name.lower(): value for name, value in headers.items()}
    document = json.loads(body)
    ctx = document["ctx"]
    assert named.pop("x-run-id") == ctx["run_id"]
    assert named.pop("x-request-id") == ctx.pop("request_id")
    assert named["x-inngest-job-id"] == ctx.pop("job_id")
    assert JOB_ID.fullmatch(named.pop("x-inngest-job-id"))
    assert named["x-inngest-generation-id"] == str(ctx["generation_id"])
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", named.pop("traceparent"))
    ctx["stack"]["stack"].sort()  # parallel steps finish in any order
    del ctx["qi_id"]
    return dict(parse_qsl(urlsplit(path).query)), named, blurred(document)


def blurred(value):
    """A value without IDs, times, tracebacks, and what only the recorded SDK writes."""
    if isinstance(value, dict):
        kept = {key: item for key, item in value.items() if key != "code" and (key, item) != ("user", {})}
        if "correlation_id" in kept:
            kept = {key: item for key, item in kept.items() if key in ORIGIN}
        return {key: "..." if key == "stack" and isinstance(item, str) else blurred(item) for key, item in kept.items()}
    if isinstance(value, list):
        return [blurred(item) for item in value]
    if isinstance(value, str):
        return UUID.sub("UUID", ULID.sub("ULID", value))
    return "time" if isinstance(value, int) and value > 1_700_000_000_000 else value


@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize("name", NAMES)
def test_the_calls_are_the_recorded_ones(serve, recorded_app, name, trigger):
    recorded, calls = play(serve, recorded_app, name, trigger=trigger)
    expected = [shape(call.path, call.headers, call.body) for call in recorded]
    made = [shape(call.url, call.headers, call.body) for call in calls]
    if name == "step-retry":  # the recorded SDK did not report the step that raised, so its version was not known yet
        for call in (expected[1],):
            call[1]["x-inngest-req-version"], call[2]["version"] = "2", 2
    if name == "step-non-retriable":  # the recorded SDK failed the run at once; ours lets the function catch the error
        assert len(made) == len(expected) + 1
        del made[-1]
    assert made == expected


def test_state_over_the_limit_is_left_out_of_the_calls(serve, recorded_app):
    recorded, calls = play(serve, recorded_app, "big-state")
    expected = [shape(call.path, call.headers, call.body) for call in recorded]
    assert [shape(call.url, call.headers, call.body) for call in calls] == expected
    assert [call.ctx["use_api"] for call in calls] == [False, False, False, True, True]
    assert json.loads(calls[-1].reply.body) == [1_500_000] * 4


def test_retries_are_of_the_same_job_in_another_generation(serve, recorded_app):
    _, calls = play(serve, recorded_app, "fn-retry")
    jobs = [call.ctx["job_id"] for call in calls]
    assert jobs[0] != jobs[1] == jobs[2]
    assert [call.ctx["generation_id"] for call in calls] == [1, 1, 2]


def test_calls_of_a_run_are_one_trace(serve, recorded_app):
    _, calls = play(serve, recorded_app, "sequential")
    traces, spans = zip(*[call.headers["Traceparent"].split("-")[1:3] for call in calls], strict=True)
    assert len(set(traces)) == 1
    assert len(set(spans)) == len(calls)


def test_the_body_is_canonical(serve, recorded_app):
    recorded, _ = play(serve, recorded_app, "no-steps")
    served = serve(*recorded_app.FUNCTIONS, app_id="rec")
    signed = json.loads(load("signed-no-steps").calls[0].body)["event"]
    served.run({"name": "t/no-steps", "data": {**signed["data"], "f": 1.0}})
    text = served.calls[0].body.decode()
    assert '"data":{"big":12345678901234567000,"e":1e+21,"f":1,"name":"Zoë ✓ \u2028 </script>"}' in text
    assert list(json.loads(text)) == list(json.loads(recorded[0].body))
