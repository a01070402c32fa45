"""Runs that fail, what is told of them, and replies that are none."""

from __future__ import annotations

import json

import pytest
from engine_app import EVENT, HOUR, Do, EngineError, HttpReply, answering, both, declare, happened

from inngest_serverless import NonRetriableError, create_function, event_trigger
from inngest_serverless.local.rie import LambdaInvocationError

SDK = {"x-inngest-sdk": "test:v1.0.0"}


def op(kind, step="s", **fields):
    return {"op": kind, "id": f"hash-of-{step}", "name": step, "displayName": step, **fields}


# Failures.


@both
def test_a_function_that_keeps_raising_fails(serve, kind):
    def script(_ctx):
        raise ValueError("every time")
        yield

    app = serve(declare(kind, script, retries=2))
    run = app.run()
    assert (run.status, run.output) == ("failed", None)
    assert (run.error["name"], run.error["message"]) == ("ValueError", "every time")
    assert "every time" in run.error["stack"]
    assert [kind for _, kind, _ in happened(run)] == ["Started", "Retrying", "Retrying", "Failed"]
    assert [call.ctx["attempt"] for call in app.calls] == [0, 1, 2]


@both
def test_an_error_that_forbids_retries_fails_at_once(serve, kind):
    def script(_ctx):
        raise NonRetriableError("never")
        yield

    app = serve(declare(kind, script, retries=20))
    assert app.run().error["name"] == "NonRetriableError"
    assert len(app.calls) == 1


@both
def test_a_failure_starts_the_failure_handler(serve, kind):
    def script(ctx):
        yield Do("run", "step", lambda: 1)
        raise ValueError(f"main {ctx.event.data['id']}")

    def on_failure(ctx):
        return [ctx.failure.error.name, ctx.failure.error.message, ctx.failure.event.data, ctx.failure.run_id]

    async def on_failure_async(ctx):
        return on_failure(ctx)

    handler = on_failure if kind == "sync" else on_failure_async
    app = serve(declare(kind, script, retries=0, on_failure=handler))
    app.run()
    failed, handled = app.engine.finish_all()
    assert handled.function.id == "app-fn-failure"
    assert handled.output == ["ValueError", "main 7", {"id": 7}, failed.id]
    assert handled.events[0]["id"] == failed.id
    assert handled.function.max_attempts == 1


@both
def test_every_end_of_a_run_is_an_event(serve, kind):
    def script(ctx):
        return 10 // ctx.event.data["n"]
        yield

    def watch(ctx):
        return ctx.event.data
        yield

    watched = [event_trigger("inngest/function.finished"), event_trigger("inngest/function.failed")]
    app = serve(declare(kind, script, retries=0), declare(kind, watch, id="watch", trigger=watched))
    app.run(n=5)
    app.run(n=0)
    well, badly, finished, *failed = sorted(app.engine.finish_all(), key=lambda run: run.function.id)
    assert finished.output["_inngest"] == {"status": "Completed"}
    assert (finished.output["run_id"], finished.output["result"]) == (well.id, 2)
    assert "error" not in finished.output
    assert [run.events[0]["name"] for run in failed] == ["inngest/function.finished", "inngest/function.failed"]
    for run in failed:
        assert run.output["_inngest"] == {"status": "Failed"}
        assert run.output["error"]["name"] == "ZeroDivisionError"
        assert run.output["error"]["error"] == "invalid status code: 500"
        assert run.output["run_id"] == badly.id
        assert run.output["event"]["data"]["n"] == 0


@both
def test_a_failing_function_for_failures_does_not_go_round_in_circles(serve, kind):
    def script(_ctx):
        raise NonRetriableError("always")
        yield

    every = declare(kind, script, id="every", trigger=event_trigger("inngest/function.failed"))
    app = serve(declare(kind, script), every)
    app.run()
    assert [run.function.id for run in app.engine.finish_all()] == ["app-fn", "app-every"]


OVERFLOWED = {
    "name": "InngestErrFunctionOverflowed",
    "message": "The function run exceeded the step limit of 1000 steps.",
}


@pytest.mark.parametrize(("steps", "error"), [(999, None), (1000, OVERFLOWED)])
def test_a_function_without_end_is_stopped(steps, error):
    naps = [(206, [op("Sleep", str(number), opts={"duration": "1s"})]) for number in range(steps)]
    run = answering(*naps, (200, "done")).execute(EVENT)
    assert run.error == error, "the server calls no function that has 1000 steps"
    assert run.calls == 1000


def test_a_plan_of_too_many_steps_is_refused(serve):
    @create_function(id="fn", trigger=event_trigger("test/started"))
    def fn(ctx):
        ctx.group.parallel([lambda n=n: ctx.step.sleep(f"{n}", "1s") for n in range(1001)])

    app = serve(fn)
    assert (app.run().error, len(app.calls)) == (OVERFLOWED, 1)


# Replies that mean nothing: the server calls again, and in the end the run fails and says why.


@pytest.mark.parametrize(
    ("reply", "message"),
    [
        ((500, b"<html>Internal Server Error"), "status 500: '<html>Internal Server Error'"),
        ((413, b""), "status 413: ''"),
        ((404, {"error": "no such path"}), 'status 404: \'{"error": "no such path"}\''),
        ((502, ["not", "an", "error"]), 'status 502: \'["not", '),
        ((302, b""), "status 302: ''"),
        ((206, b"{"), "the reply (status 206) is not JSON: '{'"),
        ((206, {"op": "StepRun"}), "the reply is not a list of opcodes: "),
        ((206, [1]), "the reply is not a list of opcodes: "),
        ((206, [{"op": "Sleep"}]), "the reply is not a list of opcodes: "),
        ((206, [op("StepError")]), "the reply is not a list of opcodes: "),
        ((206, [op("Sleep", opts=["1s"])]), "the reply is not a list of opcodes: "),
        ((200, b"\xff"), "the reply (status 200) is not JSON: "),
        ((200, b"x" * 1000), f"is not JSON: '{'x' * 200}'..."),
        ((200, b"hello", {}), "the reply (status 200) did not come from an Inngest SDK: 'hello'"),
        ((206, [], {}), "the reply (status 206) did not come from an Inngest SDK: '[]'"),
        ((500, b"[" * 100_000), "status 500: '[[["),
    ],
)
def test_what_is_no_reply_is_a_failure_that_is_tried_again(reply, message):
    run = answering(reply).execute(EVENT)
    assert run.status == "failed"
    assert message in run.error["message"]
    assert [kind for _, kind, _ in happened(run)] == ["Started", "Retrying", "Failed"]


@pytest.mark.parametrize(
    ("status", "headers", "calls"),
    [
        (500, {}, 2),
        (400, {}, 2),
        (500, {"x-inngest-no-retry": "true"}, 1),
        (400, {"x-inngest-no-retry": "true"}, 1),
        (400, {"x-inngest-no-retry": "false"}, 2),
    ],
)
def test_the_header_and_not_the_status_forbids_retries(status, headers, calls):
    run = answering((status, {"name": "E", "message": "m"}, SDK | headers)).execute(EVENT)
    assert (run.error, run.calls) == ({"name": "E", "message": "m"}, calls)


@pytest.mark.parametrize("error", ["told", 5, ["told"]])
def test_an_error_that_is_none_belongs_to_no_step(error):
    """An app that means no good, or a gateway in its place, must not stop the engine in the midst of a run."""
    run = answering((206, [op("StepRun", data=1, error=error)]), (200, "done")).execute(EVENT)
    assert (run.status, run.output) == ("completed", "done")


def test_a_step_that_raised_is_final_with_the_header():
    raised = op("StepError", error={"name": "E", "message": "m"})
    engine = answering((206, [raised], SDK | {"x-inngest-no-retry": "true"}), (200, "caught"))
    assert [kind for _, kind, _ in happened(engine.execute(EVENT))] == ["Started", "StepFailed", "Returned"]


def test_retry_after_in_seconds():
    raised = op("StepError", error={"name": "E", "message": "m"})
    engine = answering((206, [raised], SDK | {"retry-after": "3600"}), (200, "done"))
    assert happened(engine.execute(EVENT))[-1] == (HOUR, "Returned", "")


def test_an_app_that_recovers():
    run = answering((503, b"starting"), (200, "done")).execute(EVENT)
    assert run.output == "done"


# Replies that lead nowhere: an error, or the engine would wait for ever.


@pytest.mark.parametrize(
    ("replies", "message"),
    [
        ([(206, [])], r"'app-fn' makes no progress: the reply reports nothing new: '\[\]'"),
        ([(206, [op("StepRun", data=1)])], "makes no progress: the reply reports nothing new"),
        ([(206, [op("StepPlanned")])], "makes no progress: step 's' was called for, and the reply does not report it"),
        ([(206, [op("StepPlanned")]), (206, [])], "makes no progress: step 's' was called for"),
        ([(206, [op("RunComplete")])], "does not know the opcode 'RunComplete' of step 's'"),
        ([(206, [op("Sleep", name="")])], "the opcode Sleep of step 's' does not say what it needs to"),
        ([(206, [op("Sleep", opts={"duration": 5})])], "the opcode Sleep of step 's' does not say what it needs to"),
        ([(206, [op("Sleep", opts={"duration": "a while"})])], "'a while' is not an instant"),
        ([(206, [op("WaitForSignal")])], "the opcode WaitForSignal of step 's' does not say what it needs to"),
        ([(206, [op("InvokeFunction", opts={})])], "the opcode InvokeFunction of step 's' does not say"),
    ],
)
def test_replies_that_lead_nowhere(replies, message):
    engine = answering(*replies)
    with pytest.raises(Exception, match=message) as caught:
        engine.execute(EVENT)
    assert caught.type.__name__ in {"EngineError", "ConfigurationError"}


def test_another_sdk_puts_durations_and_events_into_the_name():
    nap = op("Sleep", "nap", opts=None) | {"name": "2h"}
    wait = op("WaitForEvent", "wait", opts={"timeout": "1h"}) | {"name": "test/reply"}
    engine = answering((206, [nap]), (206, [wait]), (200, "done"))
    [run] = engine.send(EVENT)
    engine.advance("2h")
    engine.send({"name": "test/reply"})
    engine.finish(run)
    assert happened(run)[2:] == [
        *[(2 * HOUR, "Woke", "nap"), (2 * HOUR, "WaitForEvent", "wait")],
        *[(2 * HOUR, "Received", "wait"), (2 * HOUR, "Returned", "")],
    ]


def test_events_that_are_no_json_are_refused():
    for data in ({"n": float("nan")}, {"n": object()}):
        with pytest.raises(EngineError, match="its events hold something that is no JSON"):
            answering((200, 1)).execute({"name": "test/started", "data": data})


# What stands before the app.


def test_an_invocation_that_fails_is_answered_as_by_the_cloud(serve):
    app = serve(declare("sync", lambda _ctx: iter(())))

    def invoke(error):
        from inngest_serverless.local.endpoints import lambda_endpoint

        def handler(_event):
            raise error

        return lambda_endpoint(handler)("POST", app.engine.functions["app-fn"].url, {}, b"{}")

    crashed = invoke(LambdaInvocationError("Runtime.ImportModuleError", "no module named x", "..."))
    assert (crashed.status, json.loads(crashed.body)["message"]) == (502, "no module named x")
    assert invoke(LambdaInvocationError("RequestEntityTooLargeException", "too large")).status == 413
    with pytest.raises(KeyError):
        invoke(KeyError("a bug of the handler"))


def test_a_reply_that_the_trigger_refuses():
    from inngest_serverless.local.endpoints import lambda_endpoint

    reply = lambda_endpoint(lambda _event: "hello", "alb")("POST", "https://x.test/", {}, b"")
    assert reply.status == 502
    assert "the reply must be an object, not 'hello'" in json.loads(reply.body)["message"]
    assert isinstance(reply, HttpReply)
