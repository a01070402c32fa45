"""``on_failure``: the function that is registered for it, and what it is told of the failed run."""

# Without ``from __future__ import annotations``: the types of events below are read at run time.

import json
from pathlib import Path

import pytest
from engine_server import both, hash_of
from pydantic import BaseModel
from surface import SECRET, call, check_failed, handle, registered

from inngest_serverless import (
    ConfigurationError,
    Event,
    NonRetriableError,
    RunFailure,
    StepError,
    Throttle,
    create_function,
    event_trigger,
    inngest_lambda,
)

TRANSCRIPTS = Path(__file__).parents[1] / "golden" / "transcripts"
FAILED = "inngest/function.failed"


class Signup(BaseModel):
    email: str


class AccountCreated(Event[Signup], name="api/account.created"):
    """The original event's type."""


class InvoiceSent(Event[dict[str, int]], name="api/invoice.sent"):
    """Another one."""


class Handled:
    """A function "fn" whose failures are handled; notes what the handler is given."""

    def __init__(self, kind="sync", *, trigger="api/account.created", script=None, **options):
        self.contexts, self.script = [], script
        triggers = trigger if isinstance(trigger, list) else [event_trigger(trigger)]
        self.fn = create_function(id="fn", trigger=triggers, on_failure=self._handler(kind), **options)(_fails)

    def _handler(self, kind):
        def handler(ctx):
            self.contexts.append(ctx)
            return self.script(ctx) if self.script else "handled"

        async def async_handler(ctx):
            result = handler(ctx)
            return await result if hasattr(result, "__await__") else result

        return handler if kind == "sync" else async_handler

    def call(self, data, **options):
        failed = {"name": FAILED, "data": data, "id": "01FAILEDRUN", "ts": 1_700_000_000_000}
        return call_failure(self.fn, failed, **options)

    def failure(self, data):
        """What the handler finds in ``ctx.failure``."""
        answer = self.call(data)
        assert answer.status == 200, answer
        assert answer.json == "handled"
        return self.contexts[-1].failure


def _fails(ctx):
    raise ValueError("main failed")


def call_failure(fn, failed, *, memos=None, app_id="app", function_id="fn"):
    handler = inngest_lambda([fn], app_id=app_id, is_dev=True)
    steps = {hash_of(step_id): memo for step_id, memo in (memos or {}).items()}
    ctx = {"run_id": "01HANDLER", "attempt": 0, "max_attempts": 1}
    body = {"ctx": ctx | {"stack": {"stack": list(steps), "current": len(steps)}}, "event": failed}
    body |= {"events": [failed], "steps": steps}
    return handle(handler, "POST", f"fnId={app_id}-{function_id}-failure&stepId=step", json.dumps(body))


def original(data, name="api/account.created", **fields):
    return {"name": name, "data": data, "id": "e1", "ts": 1_700_000_000_000, **fields}


def failed_run(*events, error=None, **fields):
    error = {"name": "ValueError", "message": "main failed", "stack": "Traceback"} if error is None else error
    ids = {"function_id": "app-fn", "run_id": "01FAILEDRUN"}
    return {"error": error, "event": events[0], "events": list(events), **ids, **fields}


# Registration.


def recorded():
    document = json.loads((TRANSCRIPTS / "dev-register.json").read_text("utf-8"))
    functions = json.loads(document["exchanges"][0]["request"]["body"])["functions"]
    return {item["id"]: item for item in functions}["rec-on-failure-failure"]


def test_as_recorded():
    declare = create_function(id="on-failure", trigger=event_trigger("t/on-failure"), retries=0, on_failure=print)
    functions = registered(declare(_fails))
    assert list(functions) == ["rec-on-failure", "rec-on-failure-failure"]
    made, expected = functions["rec-on-failure-failure"], recorded()
    # The recorded SDK sends flow control without entries.
    assert (expected.pop("cancel"), expected.pop("concurrency")) == ([], [])
    url = made["steps"]["step"]["runtime"].pop("url")
    assert url.endswith(expected["steps"]["step"]["runtime"].pop("url").partition("?")[2])
    assert made == expected
    assert made["steps"]["step"]["retries"] == {"attempts": 0}


def test_the_handler_has_nothing_of_the_functions_options():
    declare = create_function(
        id="fn",
        name="My function",
        trigger=[event_trigger("a", "true"), event_trigger("b")],
        retries=7,
        concurrency=3,
        throttle=Throttle(1, "1m"),
        idempotency="event.id",
        on_failure=print,
    )
    made = registered(declare(_fails))["rec-fn-failure"]
    assert made.keys() == {"id", "name", "triggers", "steps"}
    assert made["name"] == "My function (failure)"
    assert made["triggers"] == [{"event": FAILED, "expression": "event.data.function_id == 'rec-fn'"}]
    assert "concurrency" not in made


def test_no_handler_no_function():
    assert list(registered(create_function(id="fn", trigger=event_trigger("a"))(_fails))) == ["rec-fn"]


def test_each_function_has_its_own_handler():
    functions = [
        create_function(id=name, trigger=event_trigger("a"), on_failure=handler)(_fails)
        for name, handler in [("a", print), ("b", repr), ("c", None)]
    ]
    made = registered(*functions)
    assert list(made) == ["rec-a", "rec-a-failure", "rec-b", "rec-b-failure", "rec-c"]
    assert made["rec-b-failure"]["triggers"][0]["expression"] == "event.data.function_id == 'rec-b'"


def test_a_function_of_the_handlers_id():
    taken = create_function(id="fn-failure", trigger=event_trigger("a"))(_fails)
    handled = create_function(id="fn", trigger=event_trigger("a"), on_failure=print)(_fails)
    for functions in ([taken, handled], [handled, taken]):
        with pytest.raises(ConfigurationError, match="'fn-failure'") as caught:
            inngest_lambda(functions, app_id="app", is_dev=True)
        assert "on_failure" in str(caught.value), "nobody wrote that ID twice: say where the other one comes from"


@pytest.mark.parametrize("function_id", ["it's", "a\\b", "a\\' || true || '"])
def test_an_id_does_not_break_the_condition(function_id):
    """Text in the condition is quoted, or such an ID is refused."""
    try:
        declared = create_function(id=function_id, trigger=event_trigger("a"), on_failure=print)(_fails)
        [_, made] = registered(declared).values()
    except ConfigurationError:
        return
    expression = made["triggers"][0]["expression"]
    start = "event.data.function_id == "
    assert expression.startswith(start)
    assert _cel_text(expression.removeprefix(start)) == f"rec-{function_id}"


def _cel_text(literal):
    """The value of a quoted CEL text without special escapes."""
    quote = literal[0]
    assert quote in "'\""
    assert literal.endswith(quote)
    inner = literal[1:-1].replace("\\\\", "\0")
    assert quote not in inner.replace(f"\\{quote}", ""), f"the text ends early: {literal}"
    assert "\\" not in inner.replace(f"\\{quote}", "").replace("\\'", "").replace('\\"', "")
    return inner.replace("\\'", "'").replace('\\"', '"').replace("\0", "\\")


# The recorded failure.


def recorded_calls():
    document = json.loads((TRANSCRIPTS / "dev-on-failure-failure.json").read_text("utf-8"))
    return [(exchange["request"], exchange["reply"]) for exchange in document["exchanges"]]


@both
def test_replay_of_the_recorded_failure(kind):
    def notice(failure):
        return {"err": failure.error.message, "orig": failure.event.name}

    def handler(ctx):
        return ctx.step.run("notify", notice, ctx.failure)

    async def async_handler(ctx):
        return await ctx.step.run("notify", notice, ctx.failure)

    declare = create_function(
        id="on-failure",
        trigger=event_trigger("t/on-failure"),
        on_failure=handler if kind == "sync" else async_handler,
    )
    app = inngest_lambda([declare(_fails)], app_id="rec", is_dev=True)
    for request, reply in recorded_calls():
        answer = handle(app, request["method"], request["path"].partition("?")[2], request["body"])
        assert answer.status == reply["status"]
        expected = json.loads(reply["body"])
        if answer.status == 206:
            expected[0]["opts"] = {"type": "step.run"}
        assert answer.json == expected


def test_all_of_the_recorded_failure():
    request, _ = recorded_calls()[0]
    handled = []
    declare = create_function(id="on-failure", trigger=event_trigger("t/on-failure"), on_failure=handled.append)
    app = inngest_lambda([declare(_fails)], app_id="rec", is_dev=True)
    assert handle(app, "POST", request["path"].partition("?")[2], request["body"]).status == 200
    failure = handled[0].failure
    assert (failure.error.name, failure.error.message) == ("ValueError", "main failed")
    assert failure.error.stack == "Traceback (most recent call last): ..."
    assert (failure.function_id, failure.run_id) == ("rec-on-failure", "01M80BKNWEAZ52TY3A27YB878S")
    assert failure.event == Event("t/on-failure", {"name": "Ada"}, id="01M80BKNTJ8A9MKYCGEKFQXQJ6", ts=1795308509010)
    assert failure.events == [failure.event]
    assert handled[0].event.name == "inngest/function.failed"
    assert handled[0].event.data["_inngest"] == {"status": "Failed"}


# What the handler is told.


@both
def test_the_failure(kind):
    failure = Handled(kind).failure(failed_run(original({"email": "a@b"}, user={"email": "a@b"}, v="2")))
    assert isinstance(failure, RunFailure)
    assert isinstance(failure.error, StepError)
    assert (failure.error.name, failure.error.message, failure.error.stack) == (
        "ValueError",
        "main failed",
        "Traceback",
    )
    assert (failure.function_id, failure.run_id) == ("app-fn", "01FAILEDRUN")
    assert type(failure.event) is Event
    assert failure.event.data == {"email": "a@b"}
    assert (failure.event.id, failure.event.user, failure.event.v) == ("e1", {"email": "a@b"}, "2")


@both
def test_the_original_event_is_of_its_type(kind):
    failure = Handled(kind, trigger=AccountCreated).failure(failed_run(original({"email": "a@b"})))
    assert type(failure.event) is AccountCreated
    assert failure.event.data == Signup(email="a@b")


def test_a_batch_of_several_types():
    triggers = [event_trigger(AccountCreated), event_trigger(InvoiceSent), event_trigger("api/plain")]
    events = [
        original({"total": "5"}, "api/invoice.sent"),
        original({"email": "a@b"}),
        original({"a": 1}, "api/plain"),
    ]
    failure = Handled(trigger=triggers).failure(failed_run(*events))
    assert [type(item) for item in failure.events] == [InvoiceSent, AccountCreated, Event]
    assert failure.events[0].data == {"total": 5}
    assert failure.event == failure.events[0]


@both
@pytest.mark.parametrize("data", [{"address": SECRET}, {}, None])
def test_an_original_event_that_does_not_fit(data, kind):
    """It may be the very reason of the failure: the handler is still told of it, with the data as it is."""
    error = {"name": "EventValidationError", "message": "the data does not fit: email: missing"}
    failure = Handled(kind, trigger=AccountCreated).failure(failed_run(original(data), error=error))
    assert failure.error.name == "EventValidationError"
    assert failure.run_id == "01FAILEDRUN"
    assert failure.event.name == "api/account.created"
    assert failure.event.data == (data or {})


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (failed_run(original({}), error={}), ("Error", "", None)),
        (failed_run(original({}), error={"message": "m"}), ("Error", "m", None)),
        (failed_run(original({}), error={"name": None, "message": None, "stack": None}), ("Error", "", None)),
        (failed_run(original({}), error={"error": "invalid status code: 500"}), ("Error", "", None)),
        (failed_run(original({})) | {"error": None}, ("Error", "", None)),
        ({"event": original({})}, ("Error", "", None)),
        ({"events": [original({})]}, ("Error", "", None)),
    ],
    ids=range(7),
)
def test_a_failure_of_which_little_is_known(data, expected):
    failure = Handled().failure(data)
    assert (failure.error.name, failure.error.message, failure.error.stack) == expected
    assert failure.event.name == "api/account.created"
    assert len(failure.events) == 1


def test_a_failure_of_a_function_that_was_invoked():
    data = failed_run(original({"email": "a@b", "_inngest": {"correlation_id": "01C"}}, "inngest/function.invoked"))
    failure = Handled(trigger=AccountCreated).failure(data)
    assert failure.event.name == "inngest/function.invoked"
    assert failure.event.data == Signup(email="a@b")


def test_the_failure_is_the_same_each_time():
    handled = Handled()
    handled.failure(failed_run(original({})))
    ctx = handled.contexts[-1]
    assert ctx.failure.run_id == ctx.failure.run_id
    assert ctx.failure.event == ctx.failure.event
    assert ctx.function_id == "fn-failure"
    assert ctx.run_id == "01HANDLER"


@both
def test_the_failure_can_be_raised_again(kind):
    """``ctx.failure.error`` is an exception: raised, it fails the handler for good, under its own name."""

    def script(ctx):
        raise ctx.failure.error

    answer = Handled(kind, script=script).call(failed_run(original({})))
    assert check_failed(answer, "ValueError", final=True) == "main failed"


# The handler is a function of its own.


@both
def test_the_handler_has_steps(kind):
    handled = Handled(kind, script=lambda ctx: ctx.step.run("notify", lambda: "sent"))
    answer = handled.call(failed_run(original({})))
    assert (answer.op["op"], answer.op["data"]) == ("StepRun", "sent")
    assert handled.call(failed_run(original({})), memos={"notify": {"data": "sent"}}).json == "sent"


@both
def test_a_handler_that_fails(kind):
    def script(ctx):
        raise NonRetriableError("no hope")

    answer = Handled(kind, script=script).call(failed_run(original({})))
    assert check_failed(answer, "NonRetriableError", final=True) == "no hope"


@pytest.mark.parametrize("handler_is_async", [False, True])
@pytest.mark.parametrize("function_is_async", [False, True])
def test_the_handler_need_not_be_like_the_function(function_is_async, handler_is_async):
    def fn(ctx):
        return "main"

    async def async_fn(ctx):
        return "main"

    def handler(ctx):
        return ctx.failure.error.message

    async def async_handler(ctx):
        return ctx.failure.error.message

    declare = create_function(
        id="fn", trigger=event_trigger("x"), on_failure=async_handler if handler_is_async else handler
    )
    declared = declare(async_fn if function_is_async else fn)
    assert call(declared).json == "main"
    failed = {"name": FAILED, "data": failed_run(original({}))}
    assert call_failure(declared, failed).json == "main failed"


def test_the_function_itself_is_not_touched():
    handled = Handled()
    assert call(handled.fn).json["name"] == "ValueError"
    assert handled.contexts == []
    assert handled.fn.id == "fn"


# Elsewhere there is no failure.


@both
@pytest.mark.parametrize("name", ["api/account.created", "inngest/function.finished", "inngest/scheduled.timer"])
def test_no_failure_elsewhere(name, kind):
    failures = []

    def handler(ctx):
        failures.append(ctx.failure)

    async def async_handler(ctx):
        handler(ctx)

    fn = create_function(id="fn", trigger=event_trigger(name), on_failure=print)
    assert call(fn(handler if kind == "sync" else async_handler), original({}, name)).status == 200
    assert failures == [None]


def test_no_failure_in_a_function_of_the_users_own_for_failures():
    """It gets the event, as it asked for; only ``on_failure`` handlers have ``ctx.failure``."""
    seen = []
    fn = create_function(id="fn", trigger=event_trigger(FAILED))(lambda ctx: seen.append((ctx.failure, ctx.event)))
    assert call(fn, {"name": FAILED, "data": failed_run(original({}))}).status == 200
    [(failure, event)] = seen
    assert failure is None
    assert event.data["error"]["message"] == "main failed"


def test_a_type_for_the_failure_event():
    """A user's own function for all failures, typed: the event's data is the user's type."""

    class Problem(BaseModel):
        function_id: str

    class Failed(Event[Problem], name=FAILED):
        pass

    seen = []
    fn = create_function(id="fn", trigger=event_trigger(Failed))(lambda ctx: seen.append((ctx.event, ctx.failure)))
    assert call(fn, {"name": FAILED, "data": failed_run(original({}))}).status == 200
    assert seen[0][0].data == Problem(function_id="app-fn")


def test_a_failure_tells_no_data_in_its_repr():
    failure = Handled(trigger=AccountCreated).failure(failed_run(original({"email": SECRET})))
    assert SECRET not in repr(failure)
