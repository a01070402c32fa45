"""Mocked steps: the body does not run, and the function gets what the mock says."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime

import pytest
from kit_app import OrderPlaced, Receipt, function, order, steps

from inngest_serverless import ConfigurationError, Event, StepError, event_trigger
from inngest_serverless.ai import OpenAI
from inngest_serverless.engine.server_plans import FetchReply, Signal
from inngest_serverless.testing import NotReachedError, RunError, Session, mock_step, run

AT = datetime(2026, 3, 1, tzinfo=UTC)


def never() -> Receipt:
    raise AssertionError("the body of a mocked step ran")


def caught(ctx, call):
    """What a step gives, or what it raises."""
    try:
        return call()
    except StepError as error:
        return f"{error.name}: {error.message}"


def test_a_body_does_not_run():
    def body(ctx) -> Receipt:
        return ctx.step.run("charge", never)

    result = run(function(body), order(), mocks={"charge": Receipt(order="r", total=9)})
    assert result.output == Receipt(order="r", total=9), "it comes back as the type that the function declares"
    assert (result.steps, result.calls) == (("charge",), 2), "as many calls as without the mock"


def test_a_body_of_an_async_function_does_not_run():
    async def body(ctx):
        return await asyncio.gather(*[ctx.step.run(step_id, never_any if step_id != "b" else str) for step_id in "abc"])

    mocks = {"a": 1, "c": 3}
    assert run(function(body), order(), mocks=mocks).output == [1, "", 3]


@pytest.mark.parametrize("value", [None, 0, "text", [1, {"a": None}], {"a": 1.5}])
def test_values(value):
    assert run(function(lambda ctx: ctx.step.run("x", never_any)), order(), mocks={"x": value}).output == value


def never_any():
    raise AssertionError


def test_values_make_the_passage_through_json():
    fn = function(lambda ctx: ctx.step.run("x", never_any))
    assert run(fn, order(), mocks={"x": (1, 2)}).output == [1, 2]
    assert run(fn, order(), mocks={"x": date(2026, 1, 2)}).output == "2026-01-02"
    with pytest.raises(ConfigurationError, match=r"mock_step\('x'\) returned a value that JSON cannot hold"):
        run(fn, order(), mocks={"x": object()})


@pytest.mark.parametrize(
    "mock",
    [
        mock_step("charge", ValueError("declined")),
        mock_step("charge", error=ValueError("declined")),
        mock_step("charge", StepError("ValueError", "declined", "at shop.py")),
    ],
)
def test_errors_are_final(mock):
    fn = function(lambda ctx: caught(ctx, lambda: ctx.step.run("charge", never)))
    result = run(fn, order(), mocks=[mock])
    assert (result.output, result.calls) == ("ValueError: declined", 2)
    assert result.step("charge").error == RunError("ValueError", "declined")


def test_an_error_that_nobody_catches_fails_the_run():
    result = run(function(lambda ctx: ctx.step.run("charge", never)), order(), mocks={"charge": OSError("down")})
    assert (result.status, result.error.message) == ("failed", "down")


def test_sleeps_are_over_at_once():
    fn = function(lambda ctx: (ctx.step.sleep("nap", "30d"), ctx.step.sleep("rest", "1h"))[0])
    result = run(fn, order(), mocks=[mock_step("nap")], at=AT)
    assert (result.steps, result.timeline[-1].at_ms - result.timeline[0].at_ms) == (("nap", "rest"), 3_600_000)


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"name": "shop/order.placed", "data": {"id": "z", "total": 1}}, "z"),
        (order("z"), "z"),
        (Event("shop/order.placed", {"id": "z", "total": 1}), "z"),
        (None, "nothing"),
    ],
)
def test_events_that_are_waited_for(value, told):
    def body(ctx):
        event = ctx.step.wait_for_event("wait", event=OrderPlaced, timeout="30d")
        return event.data.id if event else "nothing"

    result = run(function(body), order(), mocks={"wait": value}, at=AT)
    assert (result.output, result.timeline[-1].at_ms) == (told, result.timeline[0].at_ms), "no time passes"
    assert [moment.kind for moment in result.timeline][2] == ("TimedOut" if value is None else "Received")


@pytest.mark.parametrize(("value", "told"), [({"ok": True}, {"ok": True}), (Signal("s", 7), 7), (None, "nothing")])
def test_signals(value, told):
    def body(ctx):
        signal = ctx.step.wait_for_signal("wait", signal="s", timeout="30d")
        return signal.data if signal else "nothing"

    assert run(function(body), order(), mocks={"wait": value}).output == told


def test_invocations_start_nothing():
    fn = function(lambda ctx: ctx.step.invoke_by_id("ask", function_id="billing", app_id="other", data={}))
    with Session() as session:
        assert session.run(fn, order(), mocks={"ask": {"paid": True}}).output == {"paid": True}
        assert len(session.runs) == 1
    failing = function(lambda ctx: caught(ctx, lambda: ctx.step.invoke_by_id("ask", function_id="billing")))
    assert run(failing, order(), mocks={"ask": ValueError("no")}).output == "ValueError: no"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("hello", [200, "hello", "https://example.com/x"]),
        ({"status_code": 404}, [404, "", "https://example.com/x"]),
        (FetchReply({"url": "u", "status_code": 201, "body": "b"}), [201, "b", "u"]),
    ],
)
def test_fetches(value, told):
    def body(ctx):
        reply = ctx.step.fetch("get", "https://example.com/x")
        return [reply.status_code, reply.body, reply.url]

    assert run(function(body), order(), mocks={"get": value}).output == told


def test_language_models():
    model = OpenAI("gpt-5", api_key="k")
    fn = function(lambda ctx: ctx.step.ai.infer("ask", model=model, body={"messages": []})["choices"])
    assert run(fn, order(), mocks={"ask": {"choices": ["yes"]}}).output == ["yes"]
    wrapped = function(lambda ctx: ctx.step.ai.wrap("ask", never_any))
    assert run(wrapped, order(), mocks={"ask": "yes"}).output == "yes"


def test_events_that_would_be_sent():
    fn = function(lambda ctx: ctx.step.send_event("tell", {"name": "shop/paid"}))
    result = run(fn, order(), mocks={"tell": ["e-1"]})
    assert (result.output, result.sent) == (["e-1"], ())


def test_every_use_of_an_id_and_one_alone():
    fn = function(lambda ctx: [ctx.step.run("page", lambda n=n: n) for n in range(3)])
    assert run(fn, order(), mocks={"page": "m"}).output == ["m", "m", "m"]
    assert run(fn, order(), mocks={"page:1": "m"}).output == [0, "m", 2]
    assert run(fn, order(), mocks={"page": "m", "page:2": "last"}).output == ["m", "m", "last"]


def test_steps_in_parallel():
    def body(ctx):
        return ctx.group.parallel(
            [
                lambda: ctx.step.run("a", never_any),
                lambda: ctx.step.run("b", lambda: "b"),
                lambda: ctx.step.invoke_by_id("c", function_id="x"),
                lambda: ctx.step.run("d", lambda: "d"),
            ]
        )

    assert run(function(body), order(), mocks={"a": 1, "c": 3}).output == [1, "b", 3, "d"]


def test_the_steps_of_an_invoked_function_are_mocked_too():
    child = function(lambda ctx: ctx.step.run("inner", never_any), "child", trigger=event_trigger("x"))
    parent = function(lambda ctx: ctx.step.invoke("ask", function=child))
    assert run([parent, child], order(), mocks={"inner": 5}).output == 5


def test_a_mock_that_is_never_reached_is_a_failure():
    with pytest.raises(NotReachedError) as raised:
        run(steps("charge", "tell"), order(), mocks={"chrge": 1})
    message = str(raised.value)
    assert message.startswith(
        "mock_step('chrge'): no function came to that. The steps that were found: 'charge', 'tell'."
    )
    assert "run of 'test-fn': completed" in message
    assert run(steps("a"), order(), mocks=[mock_step("b", required=False)]).status == "completed"


def test_mocks_of_one_run_are_not_those_of_the_next():
    with Session() as session:
        assert session.run(steps("a"), order(), mocks={"a": 1}).output == [1]
        assert session.run(steps("a"), order()).output == ["A"]
        session.mock_step("a", 2)
        assert session.run(steps("a"), order()).output == [2]
        assert session.run(steps("a"), order(), mocks={"a": 3}).output == [3]
        assert session.run(steps("a"), order()).output == [2]


def test_a_session_wants_its_mocks_reached():
    def forgets(session):
        session.mock_step("b", 2)
        session.run(steps("a"), order())

    with pytest.raises(NotReachedError, match=r"mock_step\('b'\)"), Session() as session:
        forgets(session)


def test_a_test_that_has_failed_says_so_and_not_that_a_mock_was_not_reached():
    def fails(session):
        session.mock_step("b", 2)
        raise LookupError("the test's own")

    with pytest.raises(LookupError, match="the test's own"), Session() as session:
        fails(session)


@pytest.mark.parametrize(
    ("call", "mock", "message"),
    [
        (lambda ctx: ctx.step.sleep("x", "1s"), mock_step("x", 3), "it is a sleep"),
        (lambda ctx: ctx.step.sleep("x", "1s"), mock_step("x", OSError()), "it is a sleep"),
        (lambda ctx: ctx.step.wait_for_event("x", event="e", timeout="1s"), mock_step("x", 3), "it waits for an event"),
        (
            lambda ctx: ctx.step.wait_for_event("x", event="e", timeout="1s"),
            mock_step("x", {}),
            "it waits for an event",
        ),
        (
            lambda ctx: ctx.step.wait_for_event("x", event="e", timeout="1s"),
            mock_step("x", OSError()),
            "waits for an ev",
        ),
        (lambda ctx: ctx.step.fetch("x", "https://a.b"), mock_step("x", 3), "it is a fetch: give the body"),
        (lambda ctx: ctx.step.fetch("x", "https://a.b"), mock_step("x", {"status": 3}), "any of url, status_code"),
    ],
)
def test_what_does_not_fit_the_step(call, mock, message):
    with pytest.raises(ConfigurationError, match=rf"mock_step\('x'\) does not fit the step: .*{message}"):
        run(function(call), order(), mocks=[mock])


def test_wrong_mocks():
    with pytest.raises(ConfigurationError, match="give the step's ID"):
        mock_step("")
    with pytest.raises(ConfigurationError, match="give a value or an error, not both"):
        mock_step("a", 1, error=OSError())
    with pytest.raises(ConfigurationError, match=r"mocks are made by mock_step, .* not str"):
        run(steps("a"), order(), mocks=["a"])
