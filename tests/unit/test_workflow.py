"""Workflows, over the protocol: every kind of block, in sync and async workflows."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from functools import partial, wraps
from pathlib import Path
from typing import Any

import pytest
from engine_server import Server, both, hash_of
from pydantic import BaseModel

import inngest_serverless
from inngest_serverless import (
    ConfigurationError,
    Event,
    NonRetriableError,
    Priority,
    RetryAfterError,
    create_function,
    event_trigger,
    inngest_lambda,
)
from inngest_serverless.functions import Function
from inngest_serverless.workflow import Workflow

ROOT = Path(inngest_serverless.__file__).parents[1]
DOCUMENT = ROOT / "docs" / "workflows.md"


class Confirmation(BaseModel):
    id: int


class Confirmed(Event[Confirmation], name="user/confirmed"):
    """A type of event whose data is checked."""


def workflow(**options) -> Workflow:
    return Workflow(**{"id": "fn", "trigger": event_trigger("test/started"), **options})


def of(kind, function):
    """The function itself, or an async one that does the same."""
    if kind == "sync":
        return function

    @wraps(function)
    async def wrapper(**given):
        return function(**given)

    return wrapper


def serve(wf, name=None, **options):
    """A server that calls the function of a name: of the workflow, if not given."""
    server = Server(wf, **options)
    handler, query = server.handler, f"fnId=app-{name or wf.id}&"
    server.handler = lambda event, context: handler(
        event | {"rawQueryString": event["rawQueryString"].replace("fnId=app-fn&", query)}, context
    )
    return server


def returning(value):
    return lambda: value


# --- the whole


@both
def test_a_run_through_every_kind_of_block(kind):
    effects = []
    wf = workflow()

    @wf.run("plan")
    def plan(event):
        effects.append("plan")
        return {"plan": event.data["plan"]}

    @wf.step("charge")
    def charge(event, data):
        effects.append("charge")
        return {"charge_id": f"{event.data['user']}-{data['plan']}"}

    wf.sleep("2s")

    @wf.sleep_until("until launch")
    def until(event, data):
        effects.append("until")
        return event.data["launch_at"]

    wf.wait_for_event("user/confirmed", timeout="3d", match="user.id")
    wf.step("greet")(of(kind, lambda data: {"nick": data["user/confirmed"].data["nick"]}))

    confirmed = {"name": "user/confirmed", "data": {"nick": "ada"}, "ts": 5}
    data = {"plan": "pro", "user": "u1", "launch_at": "2026-11-22"}
    server = Server(wf, data=data, events={"user/confirmed": confirmed})
    answer = server.run()
    assert answer.status == 200
    assert answer.json == {
        "plan": "pro",
        "charge_id": "u1-pro",
        "user/confirmed": {"name": "user/confirmed", "data": {"nick": "ada"}, "ts": 5},
        "nick": "ada",
    }
    ops = [reply.op for _, reply in server.calls[:-1]]
    assert [(op["op"], op["userland"]["id"]) for op in ops] == [
        ("StepRun", "charge"),
        ("Sleep", "sleep 2s"),
        ("Sleep", "until launch"),
        ("WaitForEvent", "user/confirmed"),
        ("StepRun", "greet"),
    ]
    assert ops[1]["opts"] == {"duration": "2s"}
    assert ops[2]["opts"] == {"duration": "2026-11-22T00:00:00.000Z"}
    assert ops[3]["opts"] == {"event": "user/confirmed", "timeout": "3d", "if": "event.user.id == async.user.id"}
    assert effects.count("charge") == 1
    assert effects.count("plan") == len(server.calls) == 6
    assert effects.count("until") == 4  # not on the calls that ended before it
    assert wf.is_async is (kind == "async")


@both
def test_a_repeated_call_answers_the_same(kind):
    wf = workflow()
    wf.run("a")(of(kind, lambda event: {"a": event.data["n"]}))
    wf.sleep("1s")
    wf.step("b")(of(kind, lambda data: {"b": data["a"] + 1}))
    wf.sleep("1s")
    wf.step("c")(of(kind, lambda data: {"a": data["b"] * 10}))
    assert Server(wf, data={"n": 1}).run(twice=True).json == {"a": 20, "b": 2}


@both
def test_the_data_of_a_replay_is_the_data_of_the_first_time(kind):
    """Every block sees the same data on every call that comes to it."""
    seen: dict[str, list[Any]] = {}

    def see(title, result, data):
        seen.setdefault(title, []).append(json.dumps(data))
        return result

    wf = workflow()
    for number in range(6):
        block = partial(see, f"run {number}", {f"run {number}": number, "last": f"run {number}"})
        wf.run(f"run {number}")(_given(kind, block))
        wf.step(f"step {number}")(_given(kind, partial(see, f"step {number}", {"last": (number,)})))
    answer = Server(wf).run()
    assert answer.json == {**{f"run {number}": number for number in range(6)}, "last": [5]}
    assert {title: len(times) for title, times in seen.items() if title.startswith("step")} == {
        f"step {number}": 1 for number in range(6)
    }
    assert len(seen["run 0"]) == 7
    assert all(len(set(times)) == 1 for times in seen.values())


def _given(kind, block):
    def given(data):
        return block(data)

    return of(kind, given)


@both
def test_later_keys_win_and_nothing_returned_adds_nothing(kind):
    wf = workflow()
    wf.run("a")(of(kind, returning({"x": 1, "y": 1})))
    wf.step("b")(of(kind, returning({"y": 2, "z": 2})))
    wf.step("c")(of(kind, returning(None)))
    wf.run("d")(of(kind, returning(None)))
    wf.run("e")(of(kind, returning({})))
    assert Server(wf).run().json == {"x": 1, "y": 2, "z": 2}


@both
def test_data_is_a_copy(kind):
    def spoil(data):
        data["list"].append(2)
        data["nested"]["deep"][0]["x"] = 2
        data["user/confirmed"].data["list"].append(2)
        data["new"] = 2
        del data["gone"]

    wf = workflow()
    wf.run("a")(of(kind, returning({"list": [1], "nested": {"deep": [{"x": 1}]}, "gone": 1})))
    wf.wait_for_event("user/confirmed", timeout="1s")
    wf.run("spoil")(of(kind, spoil))
    wf.step("spoil")(of(kind, spoil))
    confirmed = {"name": "user/confirmed", "data": {"list": [1]}}
    assert Server(wf, events={"user/confirmed": confirmed}).run().json == {
        "list": [1],
        "nested": {"deep": [{"x": 1}]},
        "gone": 1,
        "user/confirmed": confirmed,
    }


@both
def test_a_result_comes_back_as_its_annotation_says(kind):
    launch = datetime(2026, 11, 22, tzinfo=UTC)

    def when() -> dict[str, datetime]:
        return {"launch": launch}

    wf = workflow()
    wf.step("when")(of(kind, when))
    wf.step("next")(of(kind, lambda data: {"year": data["launch"].year}))
    assert Server(wf).run().json == {"launch": "2026-11-22T00:00:00+00:00", "year": 2026}


def test_sync_and_async_blocks_mix():
    wf = workflow()

    @wf.run("a")
    def a():
        return {"a": 1}

    @wf.step("b")
    async def b(data):
        return {"b": data["a"] + 1}

    @wf.run("c")
    async def c(data):
        return {"c": data["b"] + 1}

    @wf.step("d")
    def d(data):
        return {"d": data["c"] + 1}

    @wf.sleep_until("e")
    async def e():
        return datetime(2026, 11, 22, tzinfo=UTC)

    assert wf.is_async
    assert Server(wf).run(twice=True).json == {"a": 1, "b": 2, "c": 3, "d": 4}


def test_decorators_return_the_function_itself():
    def block():
        return None

    wf = workflow()
    assert wf.run("a")(block) is wf.step("a")(block) is wf.sleep_until("a")(block) is block


def test_a_workflow_is_a_function_with_all_its_options():
    def failed(ctx):
        return None

    wf = workflow(
        name="Sign up", retries=7, priority=Priority(run="100"), idempotency="event.data.id", on_failure=failed
    )
    wf.run("a")(returning(None))
    assert isinstance(wf, Function)
    assert (wf.id, wf.name) == ("fn", "Sign up")
    same = {"name": "Sign up", "retries": 7, "priority": Priority(run="100"), "idempotency": "event.data.id"}
    declared = create_function(id="fn", trigger=event_trigger("test/started"), **same)(failed)
    assert wf.options == declared.options
    assert wf.failure_function("app").handler is failed
    assert repr(wf) == "Workflow(id='fn')"
    for name in Function.__slots__:
        assert hasattr(wf, name)


@pytest.mark.parametrize("options", [{"id": ""}, {"retries": 21}, {"trigger": []}])
def test_wrong_options_are_refused(options):
    with pytest.raises(ConfigurationError):
        workflow(**options)


def test_an_unknown_option_is_refused():
    with pytest.raises(TypeError, match="retry"):
        workflow(retry=3)


@both
def test_another_function_invokes_it(kind):
    wf = workflow(id="inner")
    wf.run("a")(of(kind, returning({"a": 1})))

    @create_function(id="fn", trigger=event_trigger("test/started"))
    def outer(ctx):
        return ctx.step.invoke("inner", function=wf)["a"]

    server = Server(outer, wf, results={"inner": {"data": {"a": 1}}})
    assert server.run().json == 1
    assert server.calls[0][1].op["opts"]["function_id"] == "app-inner"


@both
def test_a_failed_run_calls_on_failure(kind):
    seen = []
    wf = workflow(on_failure=lambda ctx: seen.append(ctx.failure.run_id))
    wf.run("a")(of(kind, returning({})))
    server = serve(wf, name="fn-failure")
    failed = {"function_id": "app-fn", "run_id": "01FAILED", "error": {"name": "ValueError", "message": "no"}}
    server.event = {"name": "inngest/function.failed", "data": failed | {"event": {"name": "test/started", "data": {}}}}
    assert server.call().status == 200
    assert seen == ["01FAILED"]


# --- what blocks are given


@both
def test_blocks_take_what_they_name(kind):
    seen = []
    wf = workflow()
    wf.run("none")(of(kind, returning({"x": 1})))
    wf.run("event")(of(kind, lambda event: seen.append(event.name)))
    wf.run("data")(of(kind, lambda data: seen.append(dict(data))))
    wf.run("turned")(of(kind, lambda data, event: seen.append((data, event.name))))
    wf.run("keywords")(of(kind, lambda *, event, data: seen.append((data, event.name))))
    wf.run("ctx")(of(kind, lambda ctx: seen.append((ctx.run_id, ctx.attempt, ctx.function_id))))
    assert Server(wf).run().status == 200
    both_of_them = ({"x": 1}, "test/started")
    assert seen == ["test/started", {"x": 1}, both_of_them, both_of_them, ("01RUN", 0, "fn")]


def test_methods_are_blocks():
    class Billing:
        def charge(self, data):
            return {"charged": data["x"]}

        @classmethod
        def start(cls):
            return {"x": 1}

    wf = workflow()
    wf.run("start")(Billing.start)
    wf.step("charge")(Billing().charge)
    assert Server(wf).run().json == {"x": 1, "charged": 1}


@pytest.mark.parametrize(
    ("block", "strange"),
    [
        (lambda account: account, "account"),
        (lambda event, data, step: step, "step"),
        (lambda event, data=None, more=None: more, "more"),
        (lambda *args: args, "args"),
        (lambda event, **rest: rest, "rest"),
        (lambda event, /: event, "/"),
    ],
)
def test_other_parameters_are_refused_at_import(block, strange):
    with pytest.raises(
        ConfigurationError, match=rf"workflow 'fn', step block 'a': .* cannot have {strange}: .*event, data and ctx"
    ):
        workflow().step("a")(block)


@pytest.mark.parametrize(
    "block", [None, "text", dict, partial(print, 1), create_function(id="x", trigger=event_trigger("x"))(print)]
)
@pytest.mark.parametrize("add", ["run", "step", "sleep_until"])
def test_what_is_no_function_is_refused(add, block):
    with pytest.raises(ConfigurationError, match=rf"workflow 'fn', {add} block 'a': it must be a function, not"):
        getattr(workflow(), add)("a")(block)


# --- what blocks return


@both
@pytest.mark.parametrize("add", ["run", "step"])
@pytest.mark.parametrize("value", [1, "text", [("a", 1)], True, object()])
def test_a_block_that_returns_no_dict(kind, add, value):
    wf = workflow()
    getattr(wf, add)("a")(of(kind, returning(value)))
    answer = Server(wf).run()
    assert answer.error["name"] == "ConfigurationError"
    expected = f"workflow 'fn', {add} block 'a': it returned {type(value).__name__}: return a dict"
    assert answer.error["message"].startswith(expected)
    assert answer.headers["x-inngest-no-retry"] == "true"


@both
def test_a_block_that_returns_what_json_cannot_hold(kind):
    wf = workflow()
    wf.step("a")(of(kind, returning({"x": object()})))
    assert Server(wf).run().error["name"] == "OutputError"


@pytest.mark.parametrize("add", ["run", "step", "sleep_until"])
def test_an_awaitable_in_a_sync_workflow(add):
    async def work():
        return {}

    def block():
        return work()

    wf = workflow()
    getattr(wf, add)("a")(block)
    answer = Server(wf).run()
    assert answer.error["name"] == "ConfigurationError"
    assert f"{add} block 'a': it returned an awaitable" in answer.error["message"]


def test_a_wrapped_async_block_makes_the_workflow_async():
    def traced(function):
        @wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs)

        return wrapper

    wf = workflow()

    @wf.step("a")
    @traced
    async def a(event):
        return {"a": event.name}

    assert wf.is_async
    assert Server(wf).run().json == {"a": "test/started"}


# --- failures


@both
def test_a_run_block_that_raises_is_retried_with_the_call(kind):
    attempts = []

    def flaky(ctx):
        attempts.append(ctx.attempt)
        if ctx.attempt < 2:
            raise ValueError("not yet")
        return {"ok": True}

    wf = workflow()
    wf.run("flaky")(of(kind, flaky))
    server = Server(wf)
    assert server.run().json == {"ok": True}
    assert attempts == [0, 1, 2]
    assert server.calls[0][1].status == 500
    assert server.calls[0][1].json["name"] == "ValueError"


@both
def test_a_step_that_raises_is_retried_and_then_remembered(kind):
    attempts = []

    def flaky(ctx):
        attempts.append(ctx.attempt)
        if ctx.attempt < 2:
            raise ValueError("not yet")
        return {"ok": True}

    wf = workflow()
    wf.step("flaky")(of(kind, flaky))
    wf.step("next")(of(kind, lambda data: {"next": data["ok"]}))
    server = Server(wf)
    assert server.run().json == {"ok": True, "next": True}
    assert attempts == [0, 1, 2]
    assert server.calls[0][1].ops == [("StepError", "flaky")]


@both
def test_a_step_that_failed_for_good_ends_the_workflow(kind):
    def fail():
        raise ValueError("never")

    effects = []
    wf = workflow()
    wf.step("fails")(of(kind, fail))
    wf.run("after")(of(kind, lambda: effects.append("after")))
    server = Server(wf, max_attempts=2)
    answer = server.run()
    assert [reply.ops for _, reply in server.calls[:-1]] == [[("StepError", "fails")], [("StepFailed", "fails")]]
    assert (answer.json["name"], answer.json["message"]) == ("ValueError", "never")
    assert answer.headers["x-inngest-no-retry"] == "true"
    assert effects == []


@both
@pytest.mark.parametrize("add", ["run", "step", "sleep_until"])
def test_non_retriable_errors_stop_at_once(kind, add):
    def stop():
        raise NonRetriableError("stop")

    wf = workflow()
    getattr(wf, add)("stops")(of(kind, stop))
    server = Server(wf)
    answer = server.run()
    assert len(server.calls) == (2 if add == "step" else 1)
    assert answer.json["message"] == "stop"
    assert answer.headers["x-inngest-no-retry"] == "true"


@both
def test_retry_after(kind):
    def later():
        raise RetryAfterError("busy", datetime(2099, 1, 1, tzinfo=UTC))

    wf = workflow()
    wf.step("later")(of(kind, later))
    assert Server(wf).call().headers["retry-after"] == "2099-01-01T00:00:00.000Z"


# --- sleeps


@both
def test_sleeps_of_equal_durations_have_ids_of_their_own(kind):
    wf = workflow()
    wf.sleep("2s")
    wf.sleep(timedelta(seconds=2))
    wf.sleep(2000)
    wf.sleep("2s", id="breathe")
    wf.sleep("1m")
    wf.sleep("60s")
    wf.run("end")(of(kind, returning({"end": True})))
    server = Server(wf)
    assert server.run(twice=True).json == {"end": True}
    ids = [reply.op["userland"]["id"] for _, reply in server.calls[:-2:2]]
    assert ids == ["sleep 2s", "sleep 2s (2)", "sleep 2s (3)", "breathe", "sleep 1m", "sleep 60s"]
    durations = [reply.op["opts"]["duration"] for _, reply in server.calls[:-2:2]]
    assert durations == ["2s", "2s", "2s", "2s", "1m", "60s"]


def test_an_unnamed_sleep_keeps_clear_of_named_ones():
    wf = workflow()
    wf.sleep("1m", id="sleep 2s")
    wf.sleep("2s")
    server = Server(wf)
    server.run()
    assert server.calls[1][1].ops == [("Sleep", "sleep 2s (2)")]


@pytest.mark.parametrize("duration", ["soon", "", -1, None, "3y"])
def test_a_wrong_duration_is_refused_at_import(duration):
    with pytest.raises(ConfigurationError, match="duration"):
        workflow().sleep(duration)


@both
@pytest.mark.parametrize(
    ("when", "instant"),
    [
        (datetime(2026, 11, 22, 9, tzinfo=UTC), "2026-11-22T09:00:00.000Z"),
        ("2026-11-22T09:00:00+02:00", "2026-11-22T07:00:00.000Z"),
        ("Sun, 22 Nov 2026 09:00:00 GMT", "2026-11-22T09:00:00.000Z"),
    ],
)
def test_sleep_until(kind, when, instant):
    wf = workflow()
    wf.run("when")(of(kind, returning({"when": "kept"})))
    wf.sleep_until("launch")(of(kind, returning(when)))
    server = Server(wf)
    assert server.run().json == {"when": "kept"}
    assert server.calls[0][1].op["opts"] == {"duration": instant}


@both
@pytest.mark.parametrize("when", [None, 5, "soon", datetime(2026, 11, 22)])  # noqa: DTZ001 - naive
def test_sleep_until_what_is_no_instant(kind, when):
    wf = workflow()
    wf.sleep_until("launch")(of(kind, returning(when)))
    server = Server(wf)
    answer = server.run()
    assert len(server.calls) == 1
    assert answer.error["name"] == "ConfigurationError"
    assert answer.error["message"].startswith("workflow 'fn', sleep_until block 'launch': ")


# --- waits


@both
@pytest.mark.parametrize(
    ("condition", "expression"),
    [
        ({}, None),
        ({"match": "data.id"}, "event.data.id == async.data.id"),
        ({"if_exp": "async.data.ok == true"}, "async.data.ok == true"),
    ],
)
def test_wait_for_event(kind, condition, expression):
    wf = workflow()
    wf.wait_for_event("user/confirmed", timeout=timedelta(minutes=90), **condition)
    wf.run("after")(of(kind, lambda data: {"late": data["user/confirmed"] is None}))
    server = Server(wf)
    assert server.run().json == {"user/confirmed": None, "late": True}
    opts = {"event": "user/confirmed", "timeout": "1h30m"} | ({"if": expression} if expression else {})
    assert server.calls[0][1].op["opts"] == opts

    received = {"name": "user/confirmed", "data": {"id": 1}, "user": {"a": 1}, "id": "e1", "ts": 3, "v": "1"}
    server = Server(wf, events={"user/confirmed": received})
    assert server.run(twice=True).json == {"user/confirmed": received, "late": False}


@both
def test_wait_for_a_type_of_event(kind):
    seen = []
    wf = workflow()
    wf.wait_for_event(Confirmed, timeout="1d")
    wf.run("after")(of(kind, lambda data: seen.append(data["user/confirmed"].data.id)))
    confirmed = {"name": "user/confirmed", "data": {"id": "7"}}
    assert Server(wf, events={"user/confirmed": confirmed}).run().json["user/confirmed"]["data"] == {"id": 7}
    assert seen == [7]

    wrong = {"name": "user/confirmed", "data": {"id": "x"}}
    assert Server(wf, events={"user/confirmed": wrong}).run().error["name"] == "EventValidationError"


@both
def test_a_required_event_that_does_not_come(kind):
    wf = workflow()
    wf.wait_for_event("user/confirmed", timeout="1d", required=True)
    wf.run("after")(of(kind, returning({})))
    answer = Server(wf).run()
    assert answer.error["name"] == "EventNotReceivedError"
    assert answer.headers["x-inngest-no-retry"] == "true"


def test_two_waits_for_one_event():
    wf = workflow()
    wf.wait_for_event("user/confirmed", timeout="1d")
    wf.wait_for_event("user/confirmed", timeout="2d", id="second chance")
    confirmed = {"name": "user/confirmed", "data": {}}
    server = Server(wf, events={"second chance": confirmed})
    assert server.run().json == {"user/confirmed": confirmed}
    assert [reply.op["userland"]["id"] for _, reply in server.calls[:-1]] == ["user/confirmed", "second chance"]


@pytest.mark.parametrize(
    "options",
    [
        {"event": "", "timeout": "1d"},
        {"event": "a/b", "timeout": "soon"},
        {"event": "a/b", "timeout": "1d", "match": "data.id", "if_exp": "true"},
        {"event": "a/b", "timeout": "1d", "id": ""},
        {"event": None, "timeout": "1d"},
    ],
)
def test_a_wrong_wait_is_refused_at_import(options):
    event = options.pop("event")
    with pytest.raises(ConfigurationError):
        workflow().wait_for_event(event, **options)


# --- titles


ADD = {
    "run": lambda wf, title: wf.run(title)(returning(None)),
    "step": lambda wf, title: wf.step(title)(returning(None)),
    "sleep": lambda wf, title: wf.sleep("1s", id=title),
    "sleep_until": lambda wf, title: wf.sleep_until(title)(returning("2026-11-22")),
    "wait_for_event": lambda wf, title: wf.wait_for_event(title, timeout="1s"),
}


@pytest.mark.parametrize("kind", ADD)
def test_a_title_is_given_once_for_each_kind(kind):
    wf = workflow()
    ADD[kind](wf, "twice")
    with pytest.raises(ConfigurationError, match=f"workflow 'fn', {kind} block 'twice': there is one of that title"):
        ADD[kind](wf, "twice")


def test_blocks_of_different_kinds_share_a_title():
    wf = workflow()
    for add in ADD.values():
        add(wf, "same")
    server = Server(wf)
    assert server.run(twice=True).json == {"same": None}
    assert len({reply.op["id"] for _, reply in server.calls[:-2]}) == 4


@pytest.mark.parametrize("kind", ["run", "step", "sleep_until"])
def test_a_decorator_without_a_title(kind):
    with pytest.raises(ConfigurationError, match=rf"workflow 'fn': a {kind} block needs a title: @workflow.{kind}\("):
        getattr(workflow(), kind)(returning(None))


@pytest.mark.parametrize("kind", ADD)
def test_a_blank_title(kind):
    with pytest.raises(ConfigurationError, match=f"{kind} block ' ': its title must be text"):
        ADD[kind](workflow(), " ")


def test_step_ids_are_the_titles():
    wf = workflow()
    wf.step("charge")(returning({"x": 1}))
    assert Server(wf).call().op["id"] == hash_of("charge")


# --- when it is served


def test_a_workflow_without_blocks_is_refused_when_it_is_served():
    wf = workflow(id="hollow")
    with pytest.raises(ConfigurationError, match="workflow 'hollow' has no blocks"):
        inngest_lambda([wf], app_id="app", is_dev=True)


@pytest.mark.parametrize("kind", ADD)
def test_a_block_that_comes_after_serving_is_refused(kind):
    wf = workflow()
    wf.run("a")(returning({"a": 1}))
    server = Server(wf)
    with pytest.raises(ConfigurationError, match=f"workflow 'fn', {kind} block 'late': .* served already"):
        ADD[kind](wf, "late")
    assert server.run().json == {"a": 1}


def test_a_workflow_is_served_twice():
    wf = workflow()
    wf.run("a")(returning({"a": 1}))
    assert Server(wf).run().json == Server(wf).run().json == {"a": 1}


# --- the page, and the cold start


@pytest.fixture
def page() -> dict[str, Any]:
    """The names that the page's code leaves behind."""
    names: dict[str, Any] = {"__name__": "page"}
    for code in re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.DOTALL | re.MULTILINE):
        exec(compile(code, str(DOCUMENT), "exec"), names)  # noqa: S102 - our own page
    return names


@pytest.fixture(autouse=True)
def _dev(monkeypatch):
    monkeypatch.setenv("INNGEST_DEV", "1")


def test_the_page(page):
    data = {"user_id": "u1", "plan": "pro", "card": "good", "launch_at": "2026-11-22T09:00:00Z"}
    confirmed = {"name": "user/confirmed", "data": {"user_id": "u1", "nick": "ada"}}
    signup = serve(page["signup"], data=data, events={"user/confirmed": confirmed})
    assert signup.run().json == {
        "plan": "pro",
        "charge_id": "pro-u1",
        "user/confirmed": confirmed,
        "greeting": "hello ada",
    }
    ids = [reply.op["userland"]["id"] for _, reply in signup.calls[:-1]]
    assert ids == ["charge", "sleep 2s", "sleep 2s (2)", "until launch", "user/confirmed", "greet"]
    assert serve(page["signup"], data=data).run().json["greeting"] == "reminder"
    assert serve(page["signup"], data=data | {"card": "stolen"}).run().json["message"] == "the card was refused"
    assert serve(page["report"], data={"rows": [1, 2]}).run().json == {"rows": [1, 2], "count": 2}


def test_the_import_is_cheap():
    program = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import inngest_serverless.workflow; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-I", "-S", "-c", program], capture_output=True, text=True, check=True)  # noqa: S603 - this program
    assert not {"asyncio", "dataclasses", "datetime", "httpx", "inspect", "pydantic", "typing"} & {*ran.stdout.split()}
