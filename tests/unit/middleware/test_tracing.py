"""Spans: which there are, whose children they are, and what they say."""

from __future__ import annotations

import asyncio
import builtins
import sys
from functools import partial

import pytest
from engine_server import Both, Do, both, declare
from hooked import Hooked, acting, raising

from inngest_serverless import ConfigurationError, Middleware, NonRetriableError, StepError
from inngest_serverless.tracing import TracingMiddleware, with_tracing

TRACE, PARENT = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
HEADERS = {"traceparent": f"00-{TRACE}-{PARENT}-01", "tracestate": "vendor=1"}
SECRET = "S3CR3T-value"

every_way = pytest.mark.parametrize(
    ("kind", "by"), [("sync", "group"), ("async", "group"), ("async", "gather"), ("async", "tasks")]
)


def served(kind, script, middleware=(), headers=HEADERS, **options):
    return Hooked(declare(kind, script), middleware=middleware, headers=headers, **options)


def two_steps(ctx):
    a = yield Do("run", "a", lambda: 1)
    yield Do("sleep", "nap", "1s")
    b = yield Do("run", "b", lambda: 2)
    return [a, b]


def broken(ctx):
    raise IndexError


def ids(span):
    return f"{span.context.trace_id:032x}", f"{span.context.span_id:016x}"


def parent_of(span):
    return None if span.parent is None else (f"{span.parent.trace_id:032x}", f"{span.parent.span_id:016x}")


# Which there are.


@both
def test_of_several_the_last_one_counts(kind, telemetry):
    from opentelemetry.sdk.trace import TracerProvider

    other = TracingMiddleware(TracerProvider())
    served(kind, two_steps, [other, partial(TracingMiddleware, telemetry.provider)]).run()
    assert telemetry.names == ["step a", "step b", "fn"]
    assert [parent_of(span) for span in telemetry.spans] == [(TRACE, PARENT)] * 3


@both
@pytest.mark.parametrize("middleware", [[], [TracingMiddleware]], ids=["by itself", "named"])
def test_one_span_for_the_new_code_of_each_call(kind, middleware, telemetry):
    served(kind, two_steps, middleware).run()
    assert telemetry.names == ["step a", "step b", "fn"]


@both
def test_an_instance_with_a_provider_of_its_own(kind, telemetry):
    from opentelemetry.sdk.trace import TracerProvider

    telemetry.trace._TRACER_PROVIDER = TracerProvider()
    served(kind, two_steps, [TracingMiddleware(telemetry.provider)]).run()
    assert telemetry.names == ["step a", "step b", "fn"]


@both
def test_named_more_than_once(kind, telemetry):
    middleware = [TracingMiddleware, TracingMiddleware(), TracingMiddleware(), partial(TracingMiddleware)]
    server = served(kind, two_steps, [*middleware, middleware[1]])
    server.run()
    assert telemetry.names == ["step a", "step b", "fn"]


@both
def test_a_replay_and_a_plan_have_none(kind, telemetry):
    def script(ctx):
        yield Do("run", "a", lambda: 1)
        yield Both(
            lambda: (yield Do("run", "b", lambda: 1)),
            lambda: (yield Do("wait_for_event", "w", event="x", timeout="1s")),
        )
        yield Do("sleep", "nap", "1s")

    server = served(kind, script)
    server.remember("a", {"data": 1})
    assert len(server.call().ops) == 2
    server.remember("b", {"data": 1})
    server.remember("w", None)
    assert server.call().ops == [("Sleep", "nap")]
    assert server.call_for("no such step").status == 500
    assert telemetry.spans == []


@every_way
def test_parallel_steps(kind, by, telemetry):
    def branch(letter):
        def steps():
            yield Do("run", f"{letter}1", lambda: note(telemetry, letter))
            yield Do("run", f"{letter}2", lambda: note(telemetry, letter))

        return steps

    def script(ctx):
        yield Both(*map(branch, "abc"), by=by)

    served(kind, script).run()
    spans = telemetry.spans
    steps = [f"{letter}{number}" for number in "12" for letter in "abc"]
    assert [span.name for span in spans] == [
        name for step in steps for name in (f"inside {step[0]}", f"step {step}")
    ] + ["fn"]
    for inner, outer in zip(spans[:-1:2], spans[1::2], strict=True):
        assert parent_of(inner) == ids(outer)
        assert parent_of(outer) == (TRACE, PARENT)


def note(telemetry, name):
    with telemetry.tracer.start_as_current_span(f"inside {name}"):
        pass


@every_way
def test_the_last_branch_runs_in_its_span(kind, by, telemetry):
    """A step that is run in the call which found it, though another branch was the last to be replayed."""

    def script(ctx):
        yield Both(
            lambda: (yield Do("run", "a", lambda: note(telemetry, "a"))),
            lambda: (yield Do("run", "b", lambda: note(telemetry, "b"))),
            by=by,
        )

    for known in "ab":
        server = served(kind, script)
        server.remember(known, {"data": 1})
        server.call()
    inner_b, step_b, inner_a, step_a = telemetry.spans
    assert [step_b.name, step_a.name] == ["step b", "step a"]
    assert (parent_of(inner_b), parent_of(inner_a)) == (ids(step_b), ids(step_a))


# Whose children they are.


@both
def test_they_are_children_of_the_servers_span(kind, telemetry):
    served(kind, two_steps).run()
    for span in telemetry.spans:
        assert parent_of(span) == (TRACE, PARENT)
        assert span.parent.is_remote
        assert span.context.trace_state.get("vendor") == "1"
        assert span.kind is telemetry.trace.SpanKind.INTERNAL


@both
@pytest.mark.parametrize("traceparent", [None, "", "nonsense", f"00-{'0' * 32}-{PARENT}-01"])
def test_without_a_trace_of_the_server(kind, traceparent, telemetry):
    headers = {} if traceparent is None else {"traceparent": traceparent}
    served(kind, two_steps, headers=headers).run()
    assert telemetry.names == ["step a", "step b", "fn"]
    assert [span.parent for span in telemetry.spans] == [None] * 3


@both
def test_what_the_server_does_not_sample(kind, telemetry):
    served(kind, two_steps, headers={"traceparent": f"00-{TRACE}-{PARENT}-00"}).run()
    assert telemetry.spans == []


@both
def test_within_a_span_of_the_platform(kind, telemetry):
    """Of another trace: the server's goes first. Of the same trace: it stands between."""
    server = served(kind, lambda ctx: (yield Do("run", "a", lambda: 1)))
    with telemetry.tracer.start_as_current_span("platform"):
        server.call()
    step, _platform = telemetry.spans
    assert parent_of(step) == (TRACE, PARENT)

    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    telemetry.exporter.clear()
    with telemetry.tracer.start_as_current_span("platform", TraceContextTextMapPropagator().extract(HEADERS)):
        server.call()
    step, platform = telemetry.spans
    assert parent_of(platform) == (TRACE, PARENT)
    assert parent_of(step) == ids(platform)


@both
def test_spans_of_ones_own(kind, telemetry):
    """Those of new code are inside the call's span; those of a replay are beside it."""

    def script(ctx):
        note(telemetry, "replayed code")
        yield Do("run", "a", lambda: note(telemetry, "the body"))
        note(telemetry, "new code")

    server = served(kind, script)
    server.call()
    server.remember("a", {"data": 1})
    server.call()
    by_name = {}
    for span in telemetry.spans:
        by_name.setdefault(span.name, []).append(span)
    assert list(by_name) == ["inside replayed code", "inside the body", "step a", "inside new code", "fn"]
    [body], [step], [new], [end] = (by_name[name] for name in list(by_name)[1:])
    assert (parent_of(body), parent_of(new)) == (ids(step), ids(end))
    assert [parent_of(span) for span in by_name["inside replayed code"]] == [(TRACE, PARENT)] * 2


@both
def test_spans_of_ones_own_before_a_plan_have_a_parent(kind, telemetry):
    def script(ctx):
        yield Do("run", "a", lambda: 1)
        note(telemetry, "new code")
        yield Do("sleep", "nap", "1s")

    server = served(kind, script)
    server.remember("a", {"data": 1})
    server.call()
    inner, outer = telemetry.spans
    assert (inner.name, outer.name) == ("inside new code", "fn")
    assert parent_of(inner) == ids(outer)


def test_tasks_and_threads_of_a_body(telemetry):
    async def body():
        async def task(name):
            await asyncio.sleep(0)
            note(telemetry, name)

        await asyncio.gather(task("one"), task("two"))
        await asyncio.to_thread(note, telemetry, "three")

    served("async", lambda ctx: (yield Do("run", "a", body))).call()
    *inner, step = telemetry.spans
    assert sorted(span.name for span in inner) == ["inside one", "inside three", "inside two"]
    assert {parent_of(span) for span in inner} == {ids(step)}


@both
def test_nothing_of_it_is_left_behind(kind, telemetry):
    before = telemetry.trace.get_current_span()
    server = served(kind, two_steps, [raising("before_response", ValueError())])
    server.call()
    served(kind, broken).call()
    assert telemetry.trace.get_current_span() is before


# What they say.


@both
def test_attributes(kind, telemetry):
    server = served(kind, two_steps)
    server.call(attempt=1, run_id="01ABC")
    server.remember("a", {"data": 1})
    server.remember("nap", None)
    server.remember("b", {"data": 1})
    server.call(run_id="01ABC")
    step, function = telemetry.spans
    shared = {"inngest.app_id": "app", "inngest.function_id": "fn", "inngest.run_id": "01ABC"}
    assert dict(step.attributes) == {**shared, "inngest.step_id": "a", "inngest.attempt": 1}
    assert dict(function.attributes) == {**shared, "inngest.attempt": 0}
    assert step.instrumentation_scope.name == "inngest_serverless"
    assert step.status.is_unset
    assert step.end_time >= step.start_time


@both
def test_the_current_span_can_be_told_more(kind, telemetry):
    def body():
        span = telemetry.trace.get_current_span()
        assert span.is_recording()
        span.set_attribute("one", 1)
        span.set_attributes({"two": 2})
        span.add_event("looked", {"at": "it"})
        span.add_link(telemetry.trace.INVALID_SPAN_CONTEXT)
        span.set_status(telemetry.trace.StatusCode.OK)
        span.record_exception(KeyError("k"))
        span.update_name("is set at the end")
        span.end()
        span.set_attribute("three", 3)

    def script(ctx):
        span = telemetry.trace.get_current_span()
        span.set_attribute("replayed", ctx.attempt)
        yield Do("run", "a", body)

    served(kind, script).call()
    [span] = telemetry.spans
    assert span.name == "step a"
    assert [span.attributes[key] for key in ("one", "two", "three")] == [1, 2, 3]
    assert "replayed" not in span.attributes
    assert [event.name for event in span.events] == ["looked", "exception"]
    assert span.status.is_ok


@both
@pytest.mark.parametrize("where", ["step", "function"])
@pytest.mark.parametrize("attempt", [0, 3])
@pytest.mark.parametrize("error", [ValueError, NonRetriableError, SystemExit])
def test_errors(kind, where, attempt, error, telemetry):
    def fail():
        raise error("it broke")

    def script(ctx):
        if where == "function":
            fail()
        yield Do("run", "a", fail)

    served(kind, script).call(attempt=attempt)
    [span] = telemetry.spans
    assert span.name == ("step a" if where == "step" else "fn")
    assert span.status.status_code is telemetry.trace.StatusCode.ERROR
    assert span.status.description == f"{error.__name__}: it broke"
    [event] = span.events
    assert event.attributes["exception.message"] == "it broke"
    assert event.attributes["exception.type"].endswith(error.__name__)


@both
def test_a_failed_step_that_is_not_caught(kind, telemetry):
    server = served(kind, two_steps)
    server.remember("a", {"error": {"name": "E", "message": "it broke"}})
    server.call()
    [span] = telemetry.spans
    assert (span.name, span.status.description) == ("fn", f"{StepError.__name__}: it broke")


@both
def test_an_error_without_words(kind, telemetry):
    class MuteError(Exception):
        def __str__(self):
            raise RuntimeError

    def fail():
        raise MuteError

    answer = served(kind, lambda ctx: (yield Do("run", "a", fail))).call()
    assert answer.op["error"]["name"] == "MuteError"
    [span] = telemetry.spans
    assert span.status.description == "MuteError"


@both
def test_payloads_are_not_shown(kind, telemetry):
    def unwritable():
        return {SECRET: object(), "more": {SECRET}}

    def script(ctx):
        yield Do("run", "a", lambda: {"card": SECRET})
        yield Do("run", "b", unwritable)

    server = served(kind, script, data={"card": SECRET})
    server.run()
    assert "step a" in telemetry.names
    assert telemetry.spans[1].status.description.startswith("OutputError: step 'b' returned a value")
    for span in telemetry.spans:
        assert SECRET not in span.to_json().replace(f"value.{SECRET}", "")


@both
def test_what_other_middleware_makes_of_an_error(kind, telemetry):
    def hide(output):
        if output.error is not None:
            output.error = ValueError("hidden")

    served(kind, broken, [acting(transform_output=hide)]).call()
    [span] = telemetry.spans
    assert span.status.description == "ValueError: hidden"


@both
def test_a_hook_that_fails_behind_a_step(kind, telemetry):
    served(kind, two_steps, [raising("transform_output", ValueError("the store is on fire"))]).call()
    [span] = telemetry.spans
    assert (span.name, span.status.description) == ("step a", "ValueError: the store is on fire")


# When it is in use.


@both
def test_not_where_nobody_has_imported_opentelemetry(kind):
    assert "opentelemetry.trace" not in sys.modules
    served(kind, two_steps).run()
    assert "opentelemetry.trace" not in sys.modules


def test_importing_it_is_not_using_it():
    from surface import loaded_modules

    program = f"import sys; sys.path[:0] = {sys.path!r}; import inngest_serverless.tracing"
    assert not {name for name in loaded_modules(program) if name.startswith("opentelemetry")}


def test_it_goes_before_all_others(telemetry):
    other, own = Middleware(), TracingMiddleware()
    assert with_tracing([other]) == (TracingMiddleware, other)
    assert with_tracing([other, own]) == (other, own)
    assert with_tracing([other, TracingMiddleware]) == (other, TracingMiddleware)


def test_without_opentelemetry(monkeypatch):
    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name.startswith("opentelemetry"):
            raise ModuleNotFoundError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ConfigurationError, match=r"pip install 'inngest-serverless\[tracing\]'"):
        TracingMiddleware()
    with pytest.raises(ConfigurationError, match="TracingMiddleware needs OpenTelemetry"):
        served("sync", two_steps, [TracingMiddleware])


def test_without_a_provider(telemetry, monkeypatch):
    """The API alone, without the SDK: nothing is recorded, and nothing breaks."""
    monkeypatch.setattr(telemetry.trace, "_TRACER_PROVIDER", None)
    assert served("sync", two_steps).run().json == [1, 2]
    assert telemetry.spans == []
