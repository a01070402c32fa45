"""The hooks of middleware: which are called, when, how often, and what they can change."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from functools import partial

import pytest
from engine_server import Both, Do, both, declare, function
from hooked import (
    BACKWARDS,
    HOOKS,
    PLANNING,
    Hooked,
    Noting,
    NotingLater,
    acting,
    all_kinds,
    memo,
    raising,
    steps_of,
)

from inngest_serverless import (
    AsyncContext,
    ConfigurationError,
    Context,
    Event,
    Middleware,
    NonRetriableError,
    StepError,
    create_function,
    event_trigger,
    inngest_lambda,
)


@dataclass
class Named:
    name: str


class Renamed(Event[Named], name="test/renamed"):
    """A typed event."""


LOST = {"data": "of a step that is not asked for any more"}


def fails(message="boom"):
    raise ValueError(message)


# Each is a script, what the server knows already, the call, and what is called.


def one_step(ctx):
    yield Do("run", "a", lambda: 1)


def two_steps(ctx):
    a = yield Do("run", "a", lambda: 1)
    b = yield Do("run", "b", lambda: 2)
    return a + b


def nothing(ctx):
    return 5
    yield


def failing(ctx):
    fails()
    yield


def failing_step(ctx):
    yield Do("run", "a", fails)


def final_step(ctx):
    def give_up():
        raise NonRetriableError

    yield Do("run", "a", give_up)


def unwritable_step(ctx):
    yield Do("run", "a", object)


def misfit_step(ctx):
    def count() -> set[int]:
        return "no set at all"

    yield Do("run", "a", count)


def unwritable(ctx):
    return object()
    yield


def sleep(ctx):
    yield Do("sleep", "a", "1s")


def run_then_sleep(ctx):
    yield Do("run", "a", lambda: 1)
    yield Do("sleep", "b", "1s")


def swallowing_a_step(ctx):
    try:
        yield Do("run", "a", lambda: 1)
    except BaseException:  # noqa: BLE001 - as careless code does
        yield Do("run", "b", lambda: 2)


def swallowing_a_sleep(ctx):
    with suppress(BaseException):
        yield Do("sleep", "a", "1s")
    return "swallowed"


def branches(by="group"):
    def one():
        yield Do("run", "a", lambda: 1)
        yield Do("run", "a2", lambda: 1)

    def other():
        yield Do("run", "b", lambda: 2)

    def script(ctx):
        yield Both(one, other, by=by)
        return "both"

    return script


def nested_branches(ctx):
    def leaf(step_id):
        return lambda: (yield Do("run", step_id, lambda: 1))

    def inner():
        yield Both(leaf("a"), leaf("b"))
        yield Do("run", "c", lambda: 1)

    yield Both(inner, leaf("d"))


CALLS = [
    ("no step", nothing, {}, {}, HOOKS),
    ("first step", one_step, {}, {}, HOOKS),
    ("replay and a new step", two_steps, {"a": 1}, {}, HOOKS),
    ("replay and the end", two_steps, {"a": 1, "b": 2}, {}, HOOKS),
    ("sleep", sleep, {}, {}, PLANNING),
    ("replay and a sleep", run_then_sleep, {"a": 1}, {}, PLANNING),
    ("a single step that is only planned", one_step, {}, {"disable_immediate_execution": True}, PLANNING),
    ("function fails", failing, {}, {}, HOOKS),
    ("step fails", failing_step, {}, {}, HOOKS),
    ("step fails at last", failing_step, {}, {"attempt": 3}, HOOKS),
    ("step fails for good", final_step, {}, {}, HOOKS),
    ("step returns what JSON cannot hold", unwritable_step, {}, {}, HOOKS),
    ("step returns what its type does not hold", misfit_step, {}, {}, HOOKS),
    ("function returns what JSON cannot hold", unwritable, {}, {}, HOOKS),
    ("call for a step", branches(), {}, {"target": "b"}, HOOKS),
    ("call for a step behind another", branches(), {"a": 1}, {"target": "a2"}, HOOKS),
    ("call for a step that is not there", branches(), {}, {"target": "z"}, PLANNING),
    ("late call for a step that is known", two_steps, {"a": 1}, {"target": "a"}, PLANNING),
    ("swallowed interrupt of a step", swallowing_a_step, {}, {}, HOOKS),
    ("swallowed interrupt of a sleep", swallowing_a_sleep, {}, {}, PLANNING),
    ("parallel plan", branches(), {}, {}, PLANNING),
    ("last branch", branches(), {"a": 1, "a2": 1}, {}, HOOKS),
    ("first branch goes on", branches(), {"a": 1, "b": 2}, {}, HOOKS),
    ("parallel end", branches(), {"a": 1, "b": 2, "a2": 1}, {}, HOOKS),
    ("gathered plan", branches("gather"), {}, {}, PLANNING),
    ("gathered, one goes on", branches("gather"), {"a": 1, "b": 2}, {}, HOOKS),
    ("gathered end", branches("gather"), {"a": 1, "b": 2, "a2": 1}, {}, HOOKS),
    ("task group", branches("tasks"), {"b": 2}, {}, HOOKS),
    ("nested groups", nested_branches, {"a": 1, "d": 1}, {}, HOOKS),
    ("nested groups, all but one", nested_branches, {"a": 1, "b": 1, "d": 1}, {}, HOOKS),
    ("memos that are not asked for, a new step", one_step, {"old": 0}, {}, HOOKS),
    ("memos that are not asked for, the end", nothing, {"old": 0}, {}, HOOKS),
    ("a memo of a failed step", two_steps, {"a": StepError}, {}, HOOKS),
]


def served(kind, script, middleware, *, known=(), own=(), **options):
    """A run of a script of which some steps are known."""
    server = Hooked(declare(kind, script, middleware=own), middleware=middleware, **options)
    for step_id, value in dict(known).items():
        failed = value is StepError
        server.remember(full_id(kind, step_id), {"error": {"name": "E", "message": "m"}} if failed else {"data": value})
    return server


def full_id(kind, step_id):
    """In sync code a step behind the first one of its branch is numbered within that branch."""
    return f"a\0{step_id}" if kind == "sync" and step_id == "a2" else step_id


def make_call(server, kind, target="step", **options):
    return server.call(**options) if target == "step" else server.call_for(full_id(kind, target), **options)


@all_kinds
@pytest.mark.parametrize(
    ("script", "known", "call", "expected"), [case[1:] for case in CALLS], ids=[c[0] for c in CALLS]
)
def test_each_hook_is_called_once(kind, noting, script, known, call, expected):
    log = []
    server = served(kind, script, [noting(log)], known=known)
    make_call(server, kind, **call)
    assert log == expected
    if expected is HOOKS:
        make_call(server, kind, **call)
        assert log == expected * 2


@both
@pytest.mark.parametrize(("script", "known", "call"), [case[1:4] for case in CALLS], ids=[c[0] for c in CALLS])
def test_middleware_that_does_nothing_changes_nothing(kind, script, known, call):
    plain = make_call(served(kind, script, [], known=known), kind, **call)
    hooked = make_call(served(kind, script, [Middleware()], known=known), kind, **call)
    assert (hooked.status, hooked.body, hooked.headers) == (plain.status, plain.body, plain.headers)


@all_kinds
@pytest.mark.parametrize(
    ("script", "known", "call", "expected"), [case[1:] for case in CALLS], ids=[c[0] for c in CALLS]
)
def test_the_order_of_several(kind, noting, script, known, call, expected):
    log = []
    server = served(kind, script, [noting(log, "1"), noting(log, "2")], own=[noting(log, "3")], known=known)
    make_call(server, kind, **call)
    order = {hook: "321" if hook in BACKWARDS else "123" for hook in expected}
    # Those that come one behind the other without code between them are called hook by hook.
    assert log == [f"{name}.{hook}" for hook in expected for name in order[hook]]


@all_kinds
def test_when_they_are_called(kind, noting):
    log = []

    def script(ctx):
        log.append("the function begins")
        yield Do("run", "a", lambda: log.append("a"))
        log.append("behind a")
        yield Do("sleep", "b", "1s")
        log.append("behind b")
        yield Do("run", "c", lambda: log.append("c"))
        log.append("behind c")

    server = served(kind, script, [noting(log)])
    begin, memoized, execute, *end = HOOKS
    planned = [hook for hook in end if hook != "transform_output"]
    server.run()
    assert log == [
        *(begin, "the function begins", memoized, execute, "a", *end),
        *(begin, "the function begins", memoized, execute, "behind a", *planned),
        *(begin, "the function begins", "behind a", memoized, execute, "behind b", "c", *end),
        *(begin, "the function begins", "behind a", "behind b", memoized, execute, "behind c", *end),
    ]


@all_kinds
def test_when_they_are_called_for_parallel_steps(kind, noting):
    log = []

    def branch(step_id):
        def steps():
            yield Do("run", step_id, lambda: log.append(step_id))

        return steps

    def script(ctx):
        yield Both(branch("a"), branch("b"))
        log.append("end")

    server = served(kind, script, [noting(log)])
    server.run()
    start, end = HOOKS[:3], HOOKS[3:]
    assert log == [*PLANNING, *start, "a", *end, *start, "b", *end, *start, "end", *end]


@pytest.mark.parametrize("by", ["group", "gather", "tasks"])
@pytest.mark.parametrize("known", [{}, {"a": 1}, {"a": 1, "b": 1}])
def test_hooks_that_take_their_time_are_waited_for(by, known):
    """Everybody waits for them, and what is new in parallel stays parallel."""
    log = []

    class Slow(Noting):
        async def before_execution(self):
            log.append("begun")
            await asyncio.sleep(0.02)
            log.append("done")

    def branch(step_id):
        def steps():
            yield Do("run", step_id, lambda: log.append(step_id))
            yield Do("run", f"{step_id}2", lambda: log.append(f"{step_id}2"))

        return steps

    def script(ctx):
        yield Both(*map(branch, "abc"), by=by)

    server = served("async", script, [Slow([])], known=known)
    answer = server.call()
    assert log == ["begun", "done"]
    expected = [f"{step_id}2" if step_id in known else step_id for step_id in "abc"]
    assert sorted(answer.ops) == sorted(("StepPlanned", step_id) for step_id in expected)


def test_hooks_that_take_their_time_do_not_change_the_order_of_results():
    """Though the order is not known, so that all that is known is taken to be new together."""
    log = []

    class Slow(Middleware):
        async def before_execution(self):
            await asyncio.sleep(0.01)

    async def branch(ctx, step_id):
        await ctx.step.run(step_id, lambda: 1)
        for _ in range("cba".index(step_id)):
            await asyncio.sleep(0)
        log.append(step_id)

    async def handler(ctx):
        await asyncio.gather(*(branch(ctx, step_id) for step_id in "abc"))

    server = Hooked(function(handler), middleware=[Slow])
    for step_id in "abc":
        server.remember(step_id, {"data": 1})
    assert server.call(order=[]).status == 200
    assert log == ["a", "b", "c"]


# Who is called.


@both
def test_an_instance_is_shared_and_a_class_is_not(kind):
    made = []

    class Counting(Middleware):
        def __init__(self):
            self.calls = 0
            made.append(self)

        def transform_input(self, call):
            self.calls += 1

    shared = Counting()
    server = served(kind, two_steps, [shared, Counting], own=[partial(Counting)])
    before = len(made)
    assert server.run().json == 3
    assert shared.calls == 3
    assert [one.calls for one in made[before:]] == [1] * 6


@pytest.mark.parametrize("wrong", [object(), "logger", 5, None, object, partial(object), dict])
@pytest.mark.parametrize("where", ["app", "function"])
def test_what_is_no_middleware_is_refused_at_once(wrong, where):
    fn = declare("sync", nothing, middleware=[wrong] if where == "function" else ())
    with pytest.raises(ConfigurationError, match="middleware takes instances or subclasses of Middleware"):
        Hooked(fn, middleware=[wrong] if where == "app" else ())


@both
def test_a_failure_handler_has_the_middleware_of_its_function(kind):
    log = []

    def handle_failure(ctx):
        return "handled"

    async def handle_failure_later(ctx):
        return "handled"

    handler = handle_failure if kind == "sync" else handle_failure_later
    fn = declare(kind, failing, on_failure=handler, middleware=[Noting(log, "own")])
    serve = inngest_lambda([fn], app_id="app", is_dev=True, middleware=[Noting(log, "app")])
    server = Hooked(fn)
    server.handler = lambda event, context: serve(
        {**event, "rawQueryString": "fnId=app-fn-failure&stepId=step"}, context
    )
    server.event = {"name": "inngest/function.failed", "data": {"error": {}, "event": {"name": "x"}}}
    assert server.call().json == "handled"
    assert log[:2] == ["app.transform_input", "own.transform_input"]
    assert len(log) == 12


# Coroutine functions.


@pytest.mark.parametrize("hook", [*HOOKS, "before_send_events", "after_send_events"])
@pytest.mark.parametrize("where", ["app", "function"])
def test_a_coroutine_function_cannot_serve_sync_functions(hook, where):
    class Later(Middleware):
        pass

    setattr(Later, hook, getattr(NotingLater, hook))
    own, app = ([Later], []) if where == "function" else ([], [Later])
    with pytest.raises(ConfigurationError) as caught:
        Hooked(declare("sync", nothing, middleware=own), middleware=app)
    for word in (f"hook {hook}", "middleware Later", "'fn'", "async def"):
        assert word in str(caught.value)
    Hooked(declare("async", nothing, middleware=own), middleware=app)


@pytest.mark.parametrize("hook", HOOKS)
def test_an_awaitable_in_a_sync_function_is_a_final_error(hook):
    """Of a plain function that returns one, which nobody sees beforehand."""

    async def nobody_awaits():
        raise AssertionError

    server = served("sync", two_steps, [acting(**{hook: lambda *_args: nobody_awaits()})])
    answer = server.call()
    assert answer.error["name"] == "ConfigurationError"
    assert "async def" in answer.error["message"]
    assert answer.headers["x-inngest-no-retry"] == "true"


# Hooks that raise.


def catching_all(ctx):
    """Code that catches what it can, and goes on."""
    with suppress(Exception):
        yield Do("run", "a", lambda: 1)
    with suppress(BaseException):
        yield Do("run", "b", lambda: 1)
    return "done"


def catching_in_branches(ctx):
    def branch(step_id):
        def steps():
            with suppress(Exception):
                yield Do("run", step_id, lambda: 1)

        return steps

    yield Both(branch("a"), branch("b"))
    return "done"


late = pytest.mark.parametrize(("kind", "late"), [("sync", False), ("async", False), ("async", True)])


@late
@pytest.mark.parametrize("hook", HOOKS[:3])
@pytest.mark.parametrize("script", [one_step, two_steps, nothing, sleep, catching_all, catching_in_branches])
def test_a_hook_that_raises_before_new_code_fails_the_call(kind, late, hook, script):
    ran = []
    broken = raising(hook, ValueError("broken hook"), late=late)
    answer = served(kind, script, [Noting(ran), broken]).call()
    assert (answer.status, answer.json["name"], answer.json["message"]) == (500, "ValueError", "broken hook")
    assert answer.headers["x-inngest-no-retry"] == "false"
    # Nothing is called behind it.
    assert ran == HOOKS[: HOOKS.index(hook) + 1]


@late
@pytest.mark.parametrize("hook", HOOKS[1:3])
@pytest.mark.parametrize(
    ("known", "target"), [({"a": 1}, "step"), ({"a": 1, "b": 2}, "step"), ({}, "b"), ({"a": 1}, "b")]
)
def test_a_hook_that_raises_between_the_steps_of_branches_fails_the_call(kind, late, hook, known, target):
    broken = raising(hook, ValueError("broken hook"), late=late)
    answer = make_call(served(kind, catching_in_branches, [broken], known=known), kind, target)
    assert (answer.status, answer.json["name"], answer.json["message"]) == (500, "ValueError", "broken hook")


@late
@pytest.mark.parametrize("hook", HOOKS[3:5])
def test_a_hook_that_raises_behind_a_step_fails_the_step(kind, late, hook):
    server = served(kind, one_step, [raising(hook, ValueError("broken hook"), late=late)])
    answer = server.call()
    assert answer.ops == [("StepError", "a")]
    assert answer.op["error"]["message"] == "broken hook"
    assert server.call(attempt=3).ops == [("StepFailed", "a")]


@late
@pytest.mark.parametrize("hook", HOOKS[3:5])
@pytest.mark.parametrize(
    ("script", "hooks"), [(one_step, HOOKS), (nothing, HOOKS), (failing, HOOKS), (sleep, PLANNING)]
)
def test_behind_new_code_all_hooks_are_called_even_if_one_raises(kind, late, hook, script, hooks):
    """So that what was opened is closed; those that follow are shown the new error."""
    log, seen = [], []
    around = [
        Noting(log, "1"),
        acting(transform_output=lambda output: seen.append((output.data, str(output.error)))),
        raising(hook, ValueError("broken hook"), late=late),
        Noting(log, "4"),
    ]
    answer = served(kind, script, around).call()
    if hook in hooks:
        assert answer.error["message"] == "broken hook"
        assert seen == ([(None, "broken hook")] if hooks is HOOKS else [])
    ended = [f"{name}.{each}" for each in hooks[3:-1] for name in "41"]
    assert [line for line in log if line in ended] == ended


@late
@pytest.mark.parametrize("hook", HOOKS[3:])
@pytest.mark.parametrize("script", [nothing, failing])
def test_a_hook_that_raises_behind_the_function_fails_it(kind, late, hook, script):
    answer = served(kind, script, [raising(hook, ValueError("broken hook"), late=late)]).call()
    assert (answer.status, answer.json["message"]) == (500, "broken hook")


@late
@pytest.mark.parametrize("script", [one_step, sleep, nothing])
def test_a_last_hook_that_raises_fails_the_call(kind, late, script):
    answer = served(kind, script, [raising("before_response", ValueError("broken hook"), late=late)]).call()
    assert (answer.status, answer.json["message"]) == (500, "broken hook")


@late
@pytest.mark.parametrize("hook", HOOKS)
@pytest.mark.parametrize("script", [one_step, nothing])
def test_what_a_hook_raises_says_whether_to_retry(kind, late, hook, script):
    server = served(kind, script, [raising(hook, NonRetriableError("never"), late=late)])
    answer = server.call()
    assert (answer.error["name"], answer.error["message"]) == ("NonRetriableError", "never")
    assert answer.headers["x-inngest-no-retry"] == "true"


# What they can change.


@both
def test_events_can_be_changed(kind):
    def rewrite(call):
        call.events[0]["data"]["name"] = "Grace"
        call.events.append({"name": "test/started", "data": {"name": "Ada"}})

    def script(ctx):
        return [ctx.event.data["name"], *[event.data["name"] for event in ctx.events]]
        yield

    server = served(kind, script, [acting(transform_input=rewrite)], data={"name": "Lin"})
    assert server.call().json == ["Grace", "Grace", "Ada"]


@both
def test_a_changed_event_is_checked_like_any_other(kind):
    def handler(ctx: Context[Renamed]) -> str:
        return ctx.event.data.name

    async def async_handler(ctx: AsyncContext[Renamed]) -> str:
        return ctx.event.data.name

    def fn(middleware):
        made = create_function(id="fn", trigger=event_trigger(Renamed), middleware=[acting(transform_input=middleware)])
        return made(handler if kind == "sync" else async_handler)

    def rename(call):
        call.events[0]["data"] = {"name": "Grace"}

    def spoil(call):
        call.events[0]["data"] = {}

    old = {"name": "test/renamed", "data": {"nom": "Grace"}}
    assert Hooked(fn(rename)).call_with(old).json == "Grace"
    refused = Hooked(fn(spoil)).call_with(old)
    assert (refused.status, refused.json["name"]) == (400, "EventValidationError")


@both
def test_memos_can_be_changed(kind):
    def rewrite(call):
        memo(call, "a")["data"] += 10
        del call.memos[next(key for key, known in call.memos.items() if known == LOST)]

    server = served(kind, two_steps, [acting(transform_input=rewrite)], known={"a": 1})
    server.remember("b", LOST)
    assert server.call().op["data"] == 2
    server = served(kind, two_steps, [acting(transform_input=rewrite)], known={"a": 1, "b": 2})
    server.remember("c", LOST)
    assert server.call().json == 13


@both
def test_memos_can_be_added_and_failed(kind):
    def mock(call):
        call.memos |= {key: {"data": 4} for key in call.memos if call.memos[key] == {"error": {"name": "E"}}}

    server = served(kind, two_steps, [acting(transform_input=mock)])
    server.remember("a", {"error": {"name": "E"}})
    assert server.call().ops == [("StepRun", "b")]


@both
def test_what_the_call_came_with_is_shown(kind):
    seen = []

    def look(call):
        seen.append((call.app_id, call.function_id, call.run_id, call.attempt, call.traceparent, call.tracestate))

    headers = {"traceparent": "00-1-2-01", "tracestate": "a=b"}
    server = served(kind, nothing, [acting(transform_input=look)], headers=headers)
    server.call(attempt=2)
    assert seen == [("app", "fn", "01RUN", 2, "00-1-2-01", "a=b")]
    served(kind, nothing, [acting(transform_input=look)]).call()
    assert seen[1][4:] == (None, None)


@both
def test_a_steps_result_can_be_changed(kind):
    def rewrite(output):
        if output.step_id == "a":
            output.data = {"was": output.data}

    server = served(kind, lambda ctx: (yield Do("run", "a", lambda: 1)), [acting(transform_output=rewrite)])
    assert server.run().json == {"was": 1}


@both
def test_a_functions_result_can_be_changed(kind):
    def rewrite(output):
        if output.step_id is None:
            output.data = [output.data, output.error]

    assert served(kind, two_steps, [acting(transform_output=rewrite)]).run().json == [3, None]


@both
def test_results_are_changed_from_the_last_to_the_first(kind):
    def adding(text):
        def rewrite(output):
            output.data = f"{output.data}{text}"

        return acting(transform_output=rewrite)

    assert served(kind, nothing, [adding("a"), adding("b")], own=[adding("c")]).call().json == "5cba"


@both
def test_errors_can_be_changed(kind):
    def rewrite(output):
        if output.error is not None:
            assert (type(output.error), str(output.error), output.data) == (ValueError, "boom", None)
            output.error = NonRetriableError(f"hidden, in {output.step_id}")

    step = served(kind, failing_step, [acting(transform_output=rewrite)]).call()
    assert step.ops == [("StepFailed", "a")]
    assert (step.op["error"]["name"], step.op["error"]["message"]) == ("NonRetriableError", "hidden, in a")
    whole = served(kind, failing, [acting(transform_output=rewrite)]).call()
    assert (whole.status, whole.json["message"]) == (400, "hidden, in None")


@both
def test_errors_can_be_made_good_and_results_made_errors(kind):
    def swap(output):
        if output.error is None:
            output.error = ValueError("not good enough")
        else:
            output.error, output.data = None, "good"

    hook = acting(transform_output=swap)
    assert served(kind, failing_step, [hook]).call().op["data"] == "good"
    assert served(kind, failing, [hook]).call().json == "good"
    assert served(kind, one_step, [hook]).call().ops == [("StepError", "a")]
    answer = served(kind, nothing, [hook]).call()
    assert (answer.status, answer.json["message"]) == (500, "not good enough")


@both
def test_what_json_cannot_hold_is_told_of_hooks_too(kind):
    def spoil(output):
        output.data = {"value": object()}

    hook = acting(transform_output=spoil)
    for script in (one_step, nothing):
        answer = served(kind, script, [hook]).call()
        assert answer.error["name"] == "OutputError"
        assert "value.value is of type object" in answer.error["message"]


@dataclass
class Parcel:
    weight: float
    tags: frozenset[str]


def pack() -> Parcel:
    return Parcel(1.5, frozenset({"fragile"}))


async def pack_later() -> Parcel:
    return pack()


PACKED = {"weight": 1.5, "tags": ["fragile"]}


@both
def test_typed_results_are_shown_as_json(kind):
    seen = []

    def sync_handler(ctx) -> Parcel:
        parcel = ctx.step.run("pack", pack)
        assert isinstance(parcel, Parcel)
        return parcel

    async def async_handler(ctx) -> Parcel:
        parcel = await ctx.step.run("pack", pack_later)
        assert isinstance(parcel, Parcel)
        return parcel

    look = acting(transform_output=lambda output: seen.append((output.step_id, output.data)))
    server = Hooked(function(sync_handler if kind == "sync" else async_handler), middleware=[look])
    assert server.run().json == PACKED
    assert seen == [("pack", PACKED), (None, PACKED)]


@both
def test_typed_results_can_become_something_else(kind):
    """What a hook makes of a result need not fit the result's type, if it is turned back on the way in."""

    def wrap(output):
        output.data = {"wrapped": output.data}

    def unwrap(call):
        for known in call.memos.values():
            known["data"] = known["data"]["wrapped"]

    def sync_handler(ctx) -> Parcel:
        return ctx.step.run("pack", pack)

    async def async_handler(ctx) -> Parcel:
        return await ctx.step.run("pack", pack_later)

    fn = function(sync_handler if kind == "sync" else async_handler)
    server = Hooked(fn, middleware=[acting(transform_output=wrap, transform_input=unwrap)])
    assert server.run().json == {"wrapped": PACKED}


@both
def test_a_result_that_is_none_of_its_type_is_shown_as_the_error_it_is(kind):
    seen = []
    look = acting(transform_output=lambda output: seen.append((type(output.error).__name__, output.data)))
    for script in (misfit_step, unwritable_step, unwritable):
        plain = served(kind, script, []).call()
        hooked = served(kind, script, [look]).call()
        assert hooked.body == plain.body
    assert seen == [("OutputError", None)] * 3


# Sending of events, by a step.


def sending(ctx):
    ids = yield Do(
        "send_event", "send", [{"name": "test/one", "data": {"n": 1}}, {"name": "test/two", "data": {"n": 2}}]
    )
    return ids


@all_kinds
def test_hooks_of_a_step_that_sends_events(kind, noting, api):
    log = []
    options = {"event_key": "key", "event_api_base_url": api.url}
    server = served(kind, sending, [noting(log, "1")], own=[noting(log, "2")], **options)
    assert server.run().json == ["id-1", "id-2"]
    first, last = log.index("2.before_execution"), log.index("2.after_execution")
    assert log[first + 1 : last] == [
        *("1.before_send_events", "2.before_send_events"),
        *("2.after_send_events", "1.after_send_events"),
    ]
    assert log.count("1.before_send_events") == 1


@all_kinds
def test_parallel_steps_that_send_events_keep_their_own_seeds(kind, noting, api):
    def branch(step_id):
        return lambda: (yield Do("send_event", step_id, {"name": "test/one", "data": {"n": step_id}}))

    def script(ctx):
        yield Both(branch("a"), branch("b"))

    server = served(kind, script, [noting([])], event_key="key", event_api_base_url=api.url)
    server.run()
    server.call_for("a", memos={}, order=[])
    first, second, again = [request.headers["x-inngest-event-id-seed"] for request in api.received]
    assert first == again != second


@both
def test_events_that_are_sent_can_be_changed(kind, api):
    seen = []

    def stamp(events):
        for event in events:
            event["data"]["n"] += 10
        events.append({"name": "test/three", "data": {"n": 3}})

    hook = acting(before_send_events=stamp, after_send_events=lambda ids, error: seen.append((list(ids), error)))
    server = served(kind, sending, [hook], event_key="key", event_api_base_url=api.url)
    assert server.run().json == ["id-11", "id-12", "id-3"]
    assert [event["name"] for event in api.received[0].json] == ["test/one", "test/two", "test/three"]
    assert seen == [(["id-11", "id-12", "id-3"], None)]


@late
@pytest.mark.parametrize("hook", ["before_send_events", "after_send_events"])
def test_a_hook_that_raises_while_events_are_sent_fails_the_step(kind, late, hook, api):
    broken = raising(hook, ValueError("broken hook"), late=late)
    server = served(kind, sending, [broken], event_key="key", event_api_base_url=api.url)
    answer = server.call()
    assert answer.ops == [("StepError", "send")]
    assert answer.op["error"]["message"] == "broken hook"
    assert len(api.received) == (hook == "after_send_events")


# What a hook sets in the context of the call.


@both
def test_what_hooks_set_in_the_context_stays_in_the_call(kind):
    from contextvars import ContextVar

    user = ContextVar("user", default="nobody")
    seen = []

    def script(ctx):
        seen.append(user.get())
        yield Both(lambda: (yield Do("run", "a", user.get)), lambda: (yield Do("run", "b", user.get)))

    server = served(kind, script, [acting(transform_input=lambda call: user.set(call.run_id) and None)])
    plan = server.call()
    assert steps_of(plan).keys() == {"a", "b"}
    assert server.call_for("b").op["data"] == "01RUN"
    assert (seen, user.get()) == (["01RUN"] * 2, "nobody")


@pytest.mark.parametrize("name", ["before_exection", "after_run", "transform_inputs"])
def test_what_looks_like_a_hook_and_is_none_is_refused(name):
    told = (
        f"^middleware Own: there is no hook {name}: there are transform_input, after_memoization, .*after_send_events"
    )
    with pytest.raises(ConfigurationError, match=told):
        type("Own", (Middleware,), {name: lambda self: None})
    type("Own", (Middleware,), {f"_{name}": lambda self: None, "notify": lambda self: None})
