"""What makes a replay differ is found, with its line; what does not is let pass."""

from __future__ import annotations

import asyncio
import inspect
import os
import random
import re
import time
import uuid
import warnings
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from kit_app import Receipt, function, order
from unstable_app import importable

from inngest_serverless import (
    ConfigurationError,
    Workflow,
    create_function,
    event_trigger,
    inngest_gcf,
    inngest_gcf_async,
    inngest_lambda,
)
from inngest_serverless.testing import NotDeterministicError, assert_deterministic

COUNTS = []


def nothing(*_args):
    """The body of a step."""


def random_id(ctx):
    ctx.step.run("first", nothing)
    ctx.step.run(f"second-{random.random()}", nothing)  # noqa: S311 - what is to be found


def uuid_id(ctx):
    ctx.step.run(f"a-{uuid.uuid4()}", nothing)


def id_from_the_clock(ctx):
    ctx.step.sleep(f"nap-{datetime.now(UTC)}", "1h")


def counted(ctx):
    COUNTS.append(1)
    ctx.step.run(f"a-{len(COUNTS)}", nothing)


def shuffled(ctx):
    ctx.step.run("first", nothing)
    names = [f"step-{n}" for n in range(999)]
    random.shuffle(names)
    for name in names:
        ctx.step.run(name, nothing)


def argument_by_chance(ctx):
    ctx.step.run("a", nothing, uuid.uuid4())


def used_by_the_body(ctx):
    key = str(uuid.uuid4())
    ctx.step.run("a", lambda: nothing(key))


def duration_by_chance(ctx):
    ctx.step.sleep("a", timedelta(seconds=random.randrange(10**6)))  # noqa: S311 - what is to be found


def data_by_chance(ctx):
    ctx.step.invoke_by_id("a", function_id="x", data={"key": random.random()})  # noqa: S311 - what is to be found


def only_in_the_morning(ctx):
    if datetime.now(UTC).hour < 12:
        ctx.step.run("greet", nothing)
    ctx.step.run("work", nothing)


def only_on_weekdays(ctx):
    if date.today().weekday() < 5:  # noqa: DTZ011 - as users do
        ctx.step.run("greet", nothing)
    ctx.step.run("work", nothing)


def a_sleep_or_a_step(ctx):
    if time.time() % 86_400 < 43_200:
        ctx.step.run("work", nothing)
    else:
        ctx.step.sleep("work", "1h")


def by_the_year(ctx):
    ctx.step.run(f"report-{time.gmtime().tm_year}", nothing)


def by_the_container(ctx):
    ctx.step.run(f"on-{os.environ.get('HOSTNAME')}", nothing)


async def async_id(ctx):
    await asyncio.gather(ctx.step.run("a", nothing), ctx.step.run(f"b-{uuid.uuid4()}", nothing))


async def async_order(ctx):
    names = [f"step-{n}" for n in range(9)]
    random.shuffle(names)
    await asyncio.gather(*[ctx.step.run(name, nothing) for name in names])


CASES = [
    (random_id, "the ID of a step", "random.random", "call 2 was made again at once"),
    (uuid_id, "the ID of a step", "uuid.uuid4", "call 1 was made again at once"),
    (id_from_the_clock, "the ID of a step", "datetime.now", "was made again at once"),
    (counted, "the ID of a step", "", "was made again at once"),
    (shuffled, "the order of steps", "random.shuffle", "was made again at once"),
    (argument_by_chance, "what step 'a' is given as 'args' changes", "uuid.uuid4", "at once"),
    (used_by_the_body, r"what step 'a' is given as 'function' changes, .*key=", "uuid.uuid4", "at once"),
    (duration_by_chance, "what step 'a' is given as 'duration' changes", "random.randrange", "at once"),
    (data_by_chance, "what step 'a' is given as 'data' changes", "random.random", "at once"),
    (only_in_the_morning, "its steps change", "datetime.now", "when the clock had moved on by 12:00:00"),
    (only_on_weekdays, "its steps change", "date.today", "when the clock had moved on by "),
    (a_sleep_or_a_step, "what kind of step 'work' is changes", "time.time", "when the clock had moved on by "),
    (by_the_year, "the ID of a step", "time.gmtime", "when the clock had moved on by "),
    (by_the_container, "the ID of a step", "os.environ", "was made again in another container"),
    (async_id, "the ID of a step", "uuid.uuid4", "at once"),
    (async_order, "the order of its steps changes", "random.shuffle", "at once"),
]


@pytest.mark.parametrize(("body", "what", "culprit", "when"), CASES, ids=lambda case: getattr(case, "__name__", ""))
def test_what_differs_is_told_with_its_line(body, what, culprit, when):
    with pytest.raises(NotDeterministicError) as raised:
        assert_deterministic(function(body, trigger=event_trigger("shop/order.placed")), order(), processes=0)
    message = str(raised.value)
    assert re.search(rf"^function 'test-fn' is not deterministic: .*{what}", message), message
    assert when in message
    lines = {int(line) for line in re.findall(r"test_determinism\.py:(\d+)", message.partition("Nothing")[0])}
    first = body.__code__.co_firstlineno
    assert lines, message
    assert lines <= set(range(first, first + len(inspect.getsource(body).splitlines()))), message
    if culprit:
        assert re.search(
            rf"asks for what may change: .*{re.escape(culprit)} at \S+test_determinism\.py:\d+", message
        ), message
    assert "go on with its result" in message


def straightforward(ctx) -> Receipt:
    ctx.logger.info("it is %s", datetime.now(UTC))
    key = ctx.step.run("key", lambda: str(uuid.uuid4()))
    for name in sorted({"a", "b", "c"}):
        ctx.step.run(f"do-{name}-{key}", nothing, {"at": date(2026, 1, 2)}, {1, 2}, Receipt(order=key, total=1))
    ctx.step.sleep("nap", "1d")
    event = ctx.step.wait_for_event("wait", event="shop/other", timeout="1d")
    ctx.group.parallel([lambda n=n: ctx.step.run(f"p-{n}", nothing, n) for n in range(3)])
    ctx.step.send_event("tell", {"name": "shop/told"})
    return Receipt(order=ctx.event.data.id, total=0 if event is None else 1)


async def straightforward_async(ctx):
    async def branch(n):
        await ctx.step.run(f"a-{n}", nothing)
        return await ctx.step.run(f"b-{n}", nothing, n)

    async with asyncio.TaskGroup() as group:
        for n in range(3):
            group.create_task(branch(n))


@pytest.mark.parametrize("body", [straightforward, straightforward_async])
def test_what_is_deterministic_passes(body):
    result = assert_deterministic(function(body), order(), processes=0)
    assert result.status == "completed"


@pytest.mark.parametrize("make", [inngest_lambda, inngest_gcf, inngest_gcf_async])
@pytest.mark.parametrize("body", [uuid_id, async_id])
def test_handlers_of_all_kinds(make, body):
    handler = make([function(body)], app_id="shop")
    with pytest.raises(NotDeterministicError, match=r"'shop-fn' is not deterministic(.|\n)*test_determinism\.py:\d+"):
        assert_deterministic(handler, order(), processes=0)


def test_bodies_run_no_more_often_than_without():
    ran = []
    fn = function(lambda ctx: [ctx.step.run(name, ran.append, name) for name in "ab"])
    assert_deterministic(fn, order(), processes=0)
    assert ran == ["a", "b"]


def test_arguments_that_may_change():
    fn = function(lambda ctx: ctx.step.sleep_until("due", datetime.now(UTC) + timedelta(hours=1)))
    with pytest.raises(NotDeterministicError, match="what step 'due' is given as 'when' changes"):
        assert_deterministic(fn, order(), processes=0)
    assert assert_deterministic(fn, order(), processes=0, allow=["due"]).status == "completed"


def test_mocks_and_retries():
    fn = function(lambda ctx: [ctx.step.run("a", nothing), ctx.step.run("b", nothing)])
    assert assert_deterministic(fn, order(), processes=0, mocks={"a": 1}).output == [1, None]


def test_workflows():
    """Their steps are asked for by code of the package: no line of the user's is made up."""
    flow = Workflow(id="flow", trigger=event_trigger("shop/order.placed"))
    flow.sleep_until("due")(lambda event: datetime.now(UTC) + timedelta(hours=1))
    with pytest.raises(NotDeterministicError, match=r"at first:  step.sleep_until\('due'\)\n"):
        assert_deterministic(flow, order(), processes=0)
    steady = Workflow(id="flow", trigger=event_trigger("shop/order.placed"))
    steady.step("charge")(lambda event: {"charged": True})
    assert assert_deterministic(steady, order(), processes=0).output == {"charged": True}


def test_the_clock_is_as_it_was_afterwards():
    before = {name: globals()[name] for name in ("datetime", "date", "time")}
    test_what_is_deterministic_passes(straightforward)
    assert {name: globals()[name] for name in before} == before
    assert abs(datetime.now(UTC).timestamp() - time.time()) < 3600


def test_the_later_clock():
    """What the user's code may do with the classes that stand in for datetime's."""
    seen = []

    def body(ctx):
        now = datetime.now(UTC)
        seen.append(now)
        assert type(now) is type(seen[0])
        assert isinstance(now, datetime) and isinstance(now, date) and isinstance(seen[0], datetime)  # noqa: PT018
        assert issubclass(datetime, date)
        assert datetime(2026, 1, 2, tzinfo=UTC) == datetime.fromisoformat("2026-01-02T00:00:00+00:00")
        assert datetime.strptime("2026", "%Y").year == 2026  # noqa: DTZ007 - a date
        assert date(2026, 1, 2).isoformat() == "2026-01-02" == date.fromisoformat("2026-01-02").isoformat()
        assert abs(time.time() - now.timestamp()) < 60
        assert abs(time.time_ns() / 1e9 - now.timestamp()) < 60
        assert time.localtime(0).tm_year in {1969, 1970}
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            assert datetime.utcnow().date() == now.date()  # noqa: DTZ003 - as users do
        assert datetime.today().tzinfo is None  # noqa: DTZ002 - as users do

    assert assert_deterministic(function(body), order(), processes=0).status == "completed"
    assert len({moment.date() for moment in seen}) >= 4


# In other processes.


@pytest.mark.integration
def test_the_order_of_a_set_is_found():
    with pytest.raises(NotDeterministicError) as raised:
        assert_deterministic(importable("over_a_set"), order())
    message = str(raised.value)
    assert "was made again in another process (sets have another order there" in message
    assert re.search(r"step.run\('\w+'\) at \S*unstable_app\.py:\d+", message)


@pytest.mark.integration
def test_what_is_made_when_a_module_is_imported_is_found():
    with pytest.raises(NotDeterministicError, match=r"the ID of a step(.|\n)*in another process"):
        assert_deterministic(importable("handler"), order(), function="of-the-import")


@pytest.mark.integration
def test_what_is_the_same_in_another_process_passes():
    assert assert_deterministic(importable("stable"), order()).status == "completed"
    for name in ("handler", "functions"):
        result = assert_deterministic(importable(name), order(), function="stable", processes=1)
        assert result.status == "completed"


@pytest.mark.integration
def test_a_module_that_cannot_be_imported_by_itself_says_so(tmp_path, monkeypatch):
    (tmp_path / "needs_pytest.py").write_text(
        "import sys\n"
        "from inngest_serverless import create_function, event_trigger\n"
        "if 'pytest' not in sys.modules:\n"
        "    raise LookupError('no database')\n"
        "fn = create_function(id='fn', trigger=event_trigger('a'))(lambda ctx: ctx.step.run('a', str))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import needs_pytest

    with pytest.raises(ConfigurationError, match=r"in a fresh process: LookupError: no database; .* processes=0"):
        assert_deterministic(needs_pytest.fn, {"name": "a"}, processes=1)
    assert assert_deterministic(needs_pytest.fn, {"name": "a"}, processes=0).status == "completed"


def test_functions_made_in_a_function_are_not_looked_for_elsewhere(monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError("a process was started")

    monkeypatch.setattr("subprocess.Popen", refuse)
    fn = create_function(id="fn", trigger=event_trigger("a"))(lambda ctx: ctx.step.run("a", nothing))
    assert assert_deterministic(fn, {"name": "a"}).status == "completed"
    assert assert_deterministic(inngest_lambda([fn], app_id="x"), {"name": "a"}).status == "completed"
    assert Path(__file__).exists()
