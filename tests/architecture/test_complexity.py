"""What a call costs, counted in operations: it grows with the number of steps and no faster, and nothing is done twice.

Seconds are for ``scripts/bench``; calls of functions are the same on every machine, so a budget can be held to.
"""

from __future__ import annotations

import asyncio
import gc
import hmac
import json
import logging
import sys
import time
from collections import Counter
from functools import partial
from hashlib import sha1
from itertools import pairwise
from typing import Any

import pytest

from inngest_serverless import create_function, event_trigger, inngest_lambda
from inngest_serverless.local.gateway import to_lambda_event
from inngest_serverless.protocol import call as call_module

KEY = "0123456789abcdef" * 4
URL = "https://app.lambda-url.eu-west-1.on.aws/api/inngest?fnId=app-{}&stepId=step"
SIZES = (500, 1_000, 2_000, 4_000)
# Calls of functions, Python's and C's, for each step: a little more than there are. More means a slower toolkit.
MEMOIZED = {"sync": 14, "async": 16}
FOUND = {"sync": 50, "async": 160}
NO_STEPS = {"sync": 250, "async": 560}
# Steps may differ by so much. In async code the event loop's own bookkeeping of tasks does.
STEADY, ASYNCIO = 1.02, 1.15


def one() -> int:
    return 1


@create_function(id="sync", trigger=event_trigger("t/steps"))
def sync_steps(ctx: Any) -> Any:
    for number in range(ctx.event.data["known"]):
        ctx.step.run(f"step-{number}", one)
    if new := ctx.event.data["new"]:
        return ctx.group.parallel([partial(ctx.step.run, f"new-{number}", one) for number in range(new)])
    return ctx.step.run("last", one)


@create_function(id="async", trigger=event_trigger("t/steps"))
async def async_steps(ctx: Any) -> Any:
    for number in range(ctx.event.data["known"]):
        await ctx.step.run(f"step-{number}", one)
    if new := ctx.event.data["new"]:
        return await asyncio.gather(*[ctx.step.run(f"new-{number}", one) for number in range(new)])
    return await ctx.step.run("last", one)


@create_function(id="logged", trigger=event_trigger("t/steps"))
def logged_steps(ctx: Any) -> Any:
    for number in range(ctx.event.data["known"]):
        ctx.step.run(f"step-{number}", one)
        ctx.logger.info("a step")
    return ctx.step.run("last", one)


FUNCTIONS = [sync_steps, async_steps, logged_steps]


@pytest.fixture(autouse=True)
def _untraced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Calls are traced where somebody has loaded OpenTelemetry, and other tests have."""
    monkeypatch.delitem(sys.modules, "opentelemetry.trace", raising=False)


@pytest.fixture(scope="module")
def handler() -> Any:
    """A warm handler of a dev server's."""
    quiet = logging.getLogger("quiet")
    quiet.disabled = True
    return inngest_lambda(FUNCTIONS, app_id="app", is_dev=True, logger=quiet)


def make_call(kind: str, known: int = 0, new: int = 0, *, signed: bool = False) -> dict[str, Any]:
    """The event of a call with so many known steps, and so many new ones beside one another."""
    hashes = [sha1(f"step-{number}".encode(), usedforsecurity=False).hexdigest() for number in range(known)]
    event = {"name": "t/steps", "data": {"known": known, "new": new}, "id": "1", "ts": 1}
    ctx = {"attempt": 0, "fn_id": "f", "run_id": "r", "stack": {"current": known, "stack": hashes}}
    steps = {key: {"data": 1} for key in hashes}
    document = {"ctx": ctx, "event": event, "events": [event], "steps": steps, "version": 1}
    body = json.dumps(document, separators=(",", ":"), sort_keys=True).encode()
    at = str(int(time.time()))
    digest = hmac.new(KEY.encode(), body + at.encode(), "sha256").hexdigest()
    headers = {"x-inngest-signature": f"t={at}&s={digest}"} if signed else {}
    made: dict[str, Any] = to_lambda_event("function-url", "POST", URL.format(kind), headers, body)
    return made


def count_calls(handler: Any, event: dict[str, Any], expected: int = 1) -> Counter[str]:
    """The functions that a warm call calls, by their names: Python's, and C's."""
    for _ in range(2):
        reply = handler(event, None)
        assert reply["statusCode"] == 206, reply
        assert len(json.loads(reply["body"])) == expected
    counted: Counter[str] = Counter()

    def count(frame: Any, kind: str, argument: Any) -> None:
        if kind == "call":
            counted[frame.f_code.co_qualname] += 1
        elif kind == "c_call":
            counted[argument.__qualname__] += 1

    before = sys.getprofile()
    # What the collector calls, for what tests before this one have left, is not the handler's.
    gc.collect()
    gc.disable()
    sys.setprofile(count)
    try:
        handler(event, None)
    finally:
        sys.setprofile(before)
        gc.enable()
    return counted


def check_growth(counts: dict[int, int], budget: int, spread: float = STEADY) -> None:
    """Each further step costs as much as those before it, and not more than the budget."""
    sizes = sorted(counts)
    costs = [(counts[more] - counts[few]) / (more - few) for few, more in pairwise(sizes)]
    assert max(costs) <= min(costs) * spread, f"the more steps, the more each of them costs: {costs} calls"
    assert max(costs) <= budget, f"a step costs {max(costs):.1f} calls of functions, and {budget} are planned for"


@pytest.mark.parametrize("kind", MEMOIZED)
def test_a_known_step_costs_the_same_however_many_there_are(kind: str, handler: Any) -> None:
    counts = {size: count_calls(handler, make_call(kind, size)).total() for size in SIZES}
    check_growth(counts, MEMOIZED[kind])


@pytest.mark.parametrize("kind", FOUND)
def test_a_new_step_beside_others_costs_the_same_however_many_there_are(kind: str, handler: Any) -> None:
    counts = {size: count_calls(handler, make_call(kind, 0, size), size).total() for size in SIZES}
    check_growth(counts, FOUND[kind], ASYNCIO if kind == "async" else STEADY)


@pytest.mark.parametrize("kind", NO_STEPS)
def test_a_call_without_known_steps(kind: str, handler: Any) -> None:
    counted = count_calls(handler, make_call(kind))
    assert counted.total() <= NO_STEPS[kind], counted.most_common(12)


def test_a_body_is_read_verified_and_answered_once() -> None:
    handler = inngest_lambda(FUNCTIONS, app_id="app", signing_key=f"signkey-test-{KEY}", is_dev=False)
    counted = count_calls(handler, make_call("sync", 1_000, signed=True))
    assert counted["JSONDecoder.raw_decode"] == 1
    assert counted["Request.body_bytes"] == 1
    # Of the request, and of the reply.
    assert counted["_digest"] == 2
    assert counted["_canonical"] == 0
    assert counted["Opcode.encode"] == 1


class Watched(dict[str, Any]):
    """Memos that count how often somebody goes through all of them."""

    walks = 0

    def _walk(self) -> None:
        Watched.walks += 1

    def __iter__(self) -> Any:
        self._walk()
        return super().__iter__()

    def keys(self) -> Any:
        self._walk()
        return super().keys()

    def values(self) -> Any:
        self._walk()
        return super().values()

    def items(self) -> Any:
        self._walk()
        return super().items()

    def copy(self) -> Any:
        self._walk()
        return super().copy()


class WatchedOrder(list[str]):
    """The same for the order in which steps completed."""

    def __iter__(self) -> Any:
        Watched.walks += 1
        return super().__iter__()

    def __reversed__(self) -> Any:
        Watched.walks += 1
        return super().__reversed__()

    def __contains__(self, key: object) -> bool:
        Watched.walks += 1
        return super().__contains__(key)

    def index(self, *arguments: Any) -> int:
        Watched.walks += 1
        return super().index(*arguments)


@pytest.mark.parametrize("kind", ["sync", "async", "logged"])
def test_nobody_goes_through_all_memos_for_a_step(kind: str, handler: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    parse = call_module.parse_call

    def watched(*arguments: Any) -> Any:
        call = parse(*arguments)
        call.memos, call.order = Watched(call.memos), WatchedOrder(call.order)
        Watched.walks = 0
        return call

    monkeypatch.setattr("inngest_serverless.serve.parse_call", watched)
    walks = []
    for size in (10, 1_000):
        count_calls(handler, make_call(kind, size))
        walks.append(Watched.walks)
    assert walks[0] == walks[1] <= 4, "the memos are gone through more often where there are more of them"


def test_the_counting_notices_what_is_not_linear() -> None:
    with pytest.raises(AssertionError, match="the more steps, the more each"):
        check_growth({size: size * 10 + size * size // 1_000 for size in SIZES}, 1_000)
    with pytest.raises(AssertionError, match="a step costs 12"):
        check_growth({size: size * 12 for size in SIZES}, 11)
    watched = Watched({"a": 1})
    Watched.walks = 0
    assert [dict(watched), {**watched}, list(watched), watched | {}] and Watched.walks >= 3  # noqa: PT018 - one by one they are the same
