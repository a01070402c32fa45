"""``PowertoolsTraces``: what X-Ray's daemon receives of each call."""

from __future__ import annotations

import logging
import re
import socket
from types import SimpleNamespace

import pytest
from aws_lambda_powertools import Tracer
from aws_xray_sdk.core.emitters.udp_emitter import UDPEmitter
from aws_xray_sdk.core.lambda_launcher import LambdaContext
from aws_xray_sdk.core.recorder import AWSXRayRecorder
from observability_documents import Daemon
from observability_runs import SECRET, Both, Do, Observed, both, declare, failing, two_steps

from inngest_serverless import ConfigurationError, Middleware, NonRetriableError, PowertoolsTraces

ROOT, SEGMENT = "1-5759e988-bd862e3fe1be46a994272793", "53995c3f42cd8ad8"


class Tracing:
    """A tracer of a function on Lambda, whose invocations are sampled, and the daemon that it sends to."""

    def __init__(self, daemon, tracer):
        self.tracer, self.recorder, self.daemon = tracer, tracer.provider, daemon
        self.send_to(daemon.address)

    def observed(self, fn, *more, error_messages=False, **options):
        return Observed(fn, PowertoolsTraces(self.tracer, error_messages=error_messages), *more, **options)

    def send_to(self, address):
        self.close()
        self.recorder.emitter = UDPEmitter(address)

    def received(self):
        return self.daemon.received()

    def close(self):
        self.recorder.emitter._socket.close()


@pytest.fixture(scope="module")
def tracer():
    recorder = AWSXRayRecorder()
    recorder.configure(context=LambdaContext(), streaming_threshold=0, sampling=False)
    made = Tracer(provider=recorder, disabled=False, auto_patch=False)
    Tracer._reset_config()
    return made


@pytest.fixture
def tracing(tracer, monkeypatch):
    monkeypatch.setenv("_X_AMZN_TRACE_ID", f"Root={ROOT};Parent={SEGMENT};Sampled=1")
    monkeypatch.setenv("AWS_XRAY_SDK_ENABLED", "true")
    with Daemon() as daemon:
        made = Tracing(daemon, tracer)
        yield made
        made.close()
        tracer.provider.clear_trace_entities()


def names(segments):
    return [segment["name"] for segment in segments]


@both
def test_one_subsegment_for_the_new_code_of_each_call(kind, tracing):
    tracing.observed(declare(kind, two_steps)).run()
    assert names(tracing.received()) == ["step charge", "fn", "step ship", "fn"]


@both
def test_what_it_says(kind, tracing):
    tracing.observed(declare(kind, two_steps)).call(attempt=1, run_id="01ABC")
    [segment] = tracing.received()
    assert segment["annotations"] == {"run_id": "01ABC", "function_id": "fn", "step_id": "charge", "attempt": 1}
    assert (segment["type"], segment["trace_id"], segment["parent_id"]) == ("subsegment", ROOT, SEGMENT)
    assert segment["end_time"] >= segment["start_time"]
    assert re.fullmatch("[0-9a-f]{16}", segment["id"])
    assert segment["in_progress"] is False
    assert not {"fault", "error", "cause", "metadata"} & segment.keys()


@both
def test_the_function_itself_has_no_step(kind, tracing):
    server = tracing.observed(declare(kind, two_steps))
    server.run()
    assert tracing.received()[-1]["annotations"] == {"run_id": "01RUN", "function_id": "fn", "attempt": 0}


@both
def test_subsegments_of_libraries_are_inside(kind, tracing):
    def request():
        with tracing.recorder.in_subsegment("api.example.com", namespace="remote"):
            pass

    def script(ctx):
        yield Do("run", "charge", request)

    tracing.observed(declare(kind, script)).call()
    inner, outer = tracing.received()
    assert names([inner, outer]) == ["api.example.com", "step charge"]
    assert inner["parent_id"] == outer["id"]


@both
def test_subsegments_that_were_left_open(kind, tracing):
    """The step's own is still closed, and so is the user's around the handler."""

    def around(handler):
        return tracing.tracer.capture_lambda_handler(handler, capture_response=False)

    def forgetful():
        tracing.recorder.begin_subsegment("outer")
        tracing.recorder.begin_subsegment("inner")

    fn = declare(kind, lambda ctx: (yield Do("run", "charge", forgetful)))
    answer = tracing.observed(fn, around=around).call()
    assert answer.ops == [("StepRun", "charge")]
    segments = tracing.received()
    assert names(segments)[:3] == ["inner", "outer", "step charge"]
    assert segments[3]["name"].startswith("## ")
    assert [segment["parent_id"] for segment in segments] == [*(each["id"] for each in segments[1:]), SEGMENT]


@both
@pytest.mark.parametrize("error", [LookupError, NonRetriableError, SystemExit])
@pytest.mark.parametrize("where", ["step", "function"])
def test_errors_without_their_message(kind, where, error, tracing):
    def fail(depth=20):
        if depth:
            fail(depth - 1)
        raise error(SECRET)

    def script(ctx):
        if where == "function":
            fail()
        yield Do("run", "charge", fail)

    tracing.observed(declare(kind, script)).call()
    [segment] = tracing.received()
    assert segment["name"] == ("step charge" if where == "step" else "fn")
    assert segment["fault"] is True
    [cause] = segment["cause"]["exceptions"]
    assert (cause["type"], cause["remote"]) == (error.__name__, False)
    assert "message" not in cause
    assert [frame["label"] for frame in cause["stack"]] == ["fail"] * 10, "where it was raised"
    assert SECRET not in str(segment)


@both
def test_errors_with_their_message(kind, tracing):
    tracing.observed(declare(kind, failing), error_messages=True).call()
    [segment] = tracing.received()
    assert segment["cause"]["exceptions"][0]["message"] == f"no such card: {SECRET}"


@both
def test_an_error_without_words(kind, tracing):
    class MuteError(Exception):
        def __str__(self):
            raise RuntimeError

    def fail():
        raise MuteError

    answer = tracing.observed(declare(kind, lambda ctx: (yield Do("run", "a", fail))), error_messages=True).call()
    assert answer.op["error"]["name"] == "MuteError"
    [segment] = tracing.received()
    assert segment["cause"]["exceptions"][0]["type"] == "MuteError"


@both
def test_the_same_error_again(kind, tracing):
    """The SDK would refer to where it recorded the first."""
    error = LookupError()

    def fail():
        raise error

    server = tracing.observed(declare(kind, lambda ctx: (yield Do("run", "a", fail))))
    server.call()
    server.call(attempt=1)
    causes = [segment["cause"]["exceptions"][0]["type"] for segment in tracing.received()]
    assert causes == ["LookupError"] * 2
    assert not hasattr(error, "_recorded")


@both
def test_what_other_middleware_makes_of_an_error(kind, tracing):
    class Forgiving(Middleware):
        def transform_output(self, output):
            output.error = None

    tracing.observed(declare(kind, failing), Forgiving()).call()
    [segment] = tracing.received()
    assert "fault" not in segment


@both
@pytest.mark.parametrize(
    ("step_id", "name"),
    [
        ("charge-1/2: a.b=c@d", "step charge-1/2: a.b=c@d"),
        ("größe ✓", "step größe _"),
        ("what? (now!) [x] <y> ~$", "step what_ _now__ _x_ _y_ __"),
        ("x" * 300, f"step {'x' * 195}"),
    ],
)
def test_names_that_x_ray_takes(kind, step_id, name, tracing, caplog):
    tracing.observed(declare(kind, lambda ctx: (yield Do("run", step_id, lambda: 1)))).call()
    [segment] = tracing.received()
    assert (segment["name"], segment["annotations"]["step_id"]) == (name, step_id)
    assert caplog.records == []


@both
def test_payloads_are_not_shown(kind, tracing):
    tracing.observed(declare(kind, two_steps), data={"card": SECRET}).run()
    assert SECRET not in str(tracing.received())


@both
def test_plans(kind, tracing):
    def script(ctx):
        yield Both(lambda: (yield Do("run", "a", lambda: 1)), lambda: (yield Do("run", "b", lambda: 2)))

    tracing.observed(declare(kind, script)).run()
    assert names(tracing.received()) == ["fn", "step a", "step b", "fn"]


@both
@pytest.mark.parametrize("hook", ["transform_input", "before_execution", "transform_output", "before_response"])
def test_nothing_is_left_open(kind, hook, tracing):
    """Not even by a call that fails in other middleware."""

    class Failing(Middleware):
        pass

    setattr(Failing, hook, lambda *_: 1 / 0)
    tracing.observed(declare(kind, two_steps), Failing()).call()
    assert tracing.recorder.current_subsegment() is None
    assert all("end_time" in segment for segment in tracing.received())


def test_a_handler_that_raises(tracing):
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tracing.observed(declare("sync", lambda ctx: (yield Do("run", "a", interrupt)))).call()
    assert tracing.recorder.current_subsegment() is None
    assert names(tracing.received()) == ["fn"]


# Where there is nobody to send to.


@both
@pytest.mark.parametrize(
    "header", [None, "", f"Root={ROOT};Parent={SEGMENT};Sampled=0", f"Root={ROOT}", "Root=1-2-3;Parent=4;Sampled=?"]
)
def test_invocations_that_are_not_sampled(kind, header, tracing, monkeypatch, caplog):
    if header is None:
        monkeypatch.delenv("_X_AMZN_TRACE_ID")
    else:
        monkeypatch.setenv("_X_AMZN_TRACE_ID", header)
    with caplog.at_level(logging.INFO):
        assert tracing.observed(declare(kind, two_steps)).run().status == 200
    assert tracing.received() == []
    assert caplog.records == []


@both
def test_the_daemon_is_absent(kind, tracing, caplog):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        address = "{}:{}".format(*free.getsockname())
    tracing.send_to(address)
    with caplog.at_level(logging.INFO):
        assert tracing.observed(declare(kind, two_steps)).run().status == 200
    assert caplog.records == []


@pytest.fixture
def reset(monkeypatch):
    """What tracers share, as it was: outside of Lambda, Powertools turns the X-Ray SDK off."""
    monkeypatch.delenv("LAMBDA_TASK_ROOT", raising=False)
    monkeypatch.setattr("aws_xray_sdk.global_sdk_config.set_sdk_enabled", lambda value: None)
    yield
    Tracer._reset_config()


@both
def test_outside_of_lambda(kind, reset, caplog):
    with caplog.at_level(logging.INFO):
        assert Observed(declare(kind, two_steps), PowertoolsTraces()).run().status == 200
    assert caplog.records == []


@both
def test_a_recorder_that_fails_does_not_change_the_answer(kind, tracing, monkeypatch, caplog):
    def fail(*_):
        raise OSError("no space left")

    for method in ("begin_subsegment", "end_subsegment"):
        with monkeypatch.context() as patch:
            patch.setattr(tracing.recorder, method, fail)
            assert tracing.observed(declare(kind, two_steps)).call().op["data"] == {"card": SECRET}
        assert caplog.messages[-1].endswith("failed; the call goes on without it"), method
        tracing.recorder.clear_trace_entities()


def test_a_tracer_of_another_kind():
    tracer = SimpleNamespace(provider=object(), disabled=False)
    with pytest.raises(ConfigurationError, match="PowertoolsTraces takes a tracer for X-Ray, not one for object"):
        PowertoolsTraces(tracer)


def test_tracers_made_later_still_patch_libraries(reset):
    PowertoolsTraces()
    assert Tracer().auto_patch is True
