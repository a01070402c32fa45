"""The test kit: what it takes, and what type its results have."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, assert_type

from shop import AccountCreated, Receipt, Signup, send_email

from inngest_serverless import (
    AsyncContext,
    Context,
    Event,
    create_function,
    cron_trigger,
    event_trigger,
    inngest_lambda,
)
from inngest_serverless.testing import (
    Fault,
    Injection,
    RunError,
    RunResult,
    Session,
    StepMock,
    StepResult,
    TestRun,
    Waiting,
    assert_deterministic,
    mock_step,
    run,
    start,
)


@create_function(id="welcome", trigger=event_trigger(AccountCreated))
def welcome(ctx: Context[AccountCreated]) -> Receipt:
    return ctx.step.run("send", send_email, ctx.event.data.email)


@create_function(id="count", trigger=cron_trigger("0 4 * * *"))
async def count(ctx: AsyncContext) -> int:
    return await ctx.step.run("count", lambda: 5)


handler = inngest_lambda([welcome, count], app_id="core")
created = AccountCreated(data=Signup(account_id="a", email="b"))

result = run(welcome, created)
assert_type(result, RunResult[Receipt])
assert_type(result.output, Receipt)
assert_type(result.status, str)
assert_type(result.error, RunError | None)
assert_type(result.steps, tuple[str, ...])
assert_type(result.calls, int)
assert_type(result.step("send"), StepResult)
assert_type(result.sent, tuple[Event[Any], ...])
assert_type(result.faults, tuple[Injection, ...])
assert_type(result.failure_handler, RunResult[Any] | None)
assert_type(result.timeline[0].at_ms, int)

assert_type(run(count).output, int)
assert_type(run(handler, created), RunResult[Any])
assert_type(run(handler, created, function=welcome), RunResult[Receipt])
assert_type(run(handler, created, function="welcome"), RunResult[Any])
assert_type(
    run([welcome, count], {"name": "api/account.created", "data": {"account_id": "a", "email": "b"}}), RunResult[Any]
)

mock = mock_step("send", Receipt(to="x"))
assert_type(mock, StepMock)
run(welcome, created, mocks=[mock])
run(welcome, created, mocks={"send": Receipt(to="x")})
run(welcome, created, mocks=[mock_step("send", error=ValueError("no"), required=False)])
run(welcome, created, faults=Fault.kill_before("send"), seed=3, at=datetime(2026, 1, 1, tzinfo=UTC))
run(
    welcome,
    created,
    faults=[Fault.kill_after("send", times=2), Fault.reorder(1, longest="1m"), Fault.random(3, rate=0.1)],
)
run(welcome, created, faults=[Fault.drop_reply(call=1), Fault.duplicate("send")])

started = start(welcome, created)
assert_type(started, TestRun[Receipt])
assert_type(started.send({"name": "x"}), bool)
assert_type(started.signal("s", {"a": 1}), bool)
assert_type(started.waiting, tuple[Waiting, ...])
assert_type(started.result, RunResult[Receipt])
started.advance("3d")
started.advance(timedelta(hours=1))
assert_type(started.finish(), RunResult[Receipt])
assert_type(start(handler, created), TestRun[Any])
assert_type(start(handler, created, function=welcome).cancel(), RunResult[Receipt])

with Session(seed=1, crons=True) as session:
    assert_type(session, Session)
    session.serve(handler, welcome, [welcome, count])
    session.mock_step("send", Receipt(to="x"))
    session.inject(Fault.kill_after("send"))
    assert_type(session.run(welcome, created), RunResult[Receipt])
    assert_type(session.start(welcome, created), TestRun[Receipt])
    session.send(created)
    session.advance("1d")
    assert_type(session.runs, tuple[RunResult[Any], ...])
    assert_type(session.now, datetime)

assert_deterministic(welcome, created, processes=0, allow=["send"])
