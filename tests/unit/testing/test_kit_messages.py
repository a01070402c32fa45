"""What a run says of itself where the function is not as it should be."""

from __future__ import annotations

import asyncio
import re
import uuid
import warnings
from pathlib import Path

import pytest

from inngest_serverless import ConfigurationError, InngestError, create_function, event_trigger
from inngest_serverless.testing import NotReachedError, run

EVENT = {"name": "test/started"}
HERE = Path(__file__).name


def function(body):
    return create_function(id="fn", trigger=event_trigger("test/started"), retries=0)(body)


def charge():
    return {"id": "r-1"}


class TestAStepThatNobodyAwaits:
    """It is named, whatever has been done with it, and Python has nothing to warn of."""

    @staticmethod
    async def looked_into(ctx):
        return ctx.step.run("charge", charge)["id"]

    @staticmethod
    async def asked_for_a_part(ctx):
        return ctx.step.run("charge", charge).id

    @staticmethod
    async def given_to_a_step(ctx):
        await ctx.step.run("tell", print, ctx.step.run("charge", charge))

    @staticmethod
    async def given_by_name(ctx):
        await ctx.step.run("tell", charge, receipt=ctx.step.run("charge", charge))

    @staticmethod
    async def returned(ctx):
        return ctx.step.run("charge", charge)

    @staticmethod
    async def left(ctx):
        ctx.step.run("charge", charge)
        await ctx.step.sleep("nap", "1s")

    @pytest.mark.parametrize(
        "name", ["looked_into", "asked_for_a_part", "given_to_a_step", "given_by_name", "returned", "left"]
    )
    def test_it_is_named(self, name, capsys):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = run(function(getattr(self, name)), EVENT)
        assert str(result.error) == (
            "ConfigurationError: step 'charge' was not awaited, so it never ran: write 'await' before it"
        )
        assert "coroutine" not in capsys.readouterr().out, "no step has run with it"
        if name not in {"returned", "left"}:
            assert re.search(rf"{HERE}:\d+ in {name}$", result.error.at), result.error.at

    def test_other_errors_are_told_as_they_are(self):
        async def body(ctx):
            ctx.step.run("charge", charge)
            raise TypeError("of the user's own")

        assert str(run(function(body), EVENT).error) == "TypeError: of the user's own"

    def test_a_step_that_is_awaited_later_is_none(self):
        async def body(ctx):
            later = ctx.step.run("later", charge)
            await ctx.step.run("sooner", charge)
            return [await later, *await asyncio.gather(ctx.step.run("a", charge), ctx.step.run("b", charge))]

        with warnings.catch_warnings():
            warnings.simplefilter("error")
            result = run(function(body), EVENT)
        assert (result.status, result.steps) == ("completed", ("sooner", "later", "a", "b"))


def fail():
    raise ValueError("negative")


def body_that_fails(ctx):
    ctx.step.run("charge", fail)


class TestWhereItWasRaised:
    def test_results_begin_with_it(self):
        result = run(function(body_that_fails), EVENT)
        place = result.error.at
        assert re.fullmatch(rf"\S*{HERE}:\d+ in fail", place)
        assert repr(result).startswith(f"<RunResult of 'test-fn': failed: {place}: ValueError: negative; ")
        assert result.describe().startswith(f"run of 'test-fn': failed: {place}: ValueError: negative\n")
        assert f"StepFailed 'charge' ({place}: ValueError: negative)" in result.describe()

    def test_a_step_that_was_not_come_to(self):
        with pytest.raises(KeyError, match=rf"the run failed: \S*{HERE}:\d+ in fail: ValueError: negative"):
            run(function(body_that_fails), EVENT).step("tell")

    def test_a_mock_that_was_not_come_to(self):
        with pytest.raises(NotReachedError) as raised:
            run(function(body_that_fails), EVENT, mocks={"tell": 1})
        first = str(raised.value).splitlines()[0]
        told = rf"run of 'test-fn' failed: \S*{HERE}:\d+ in fail: ValueError: negative; so mock_step\('tell'\)"
        assert re.match(told, first), first


class TestFunctionsThatAreNone:
    def test_one_that_is_not_decorated(self):
        def body(ctx):
            return 1

        async def body_async(ctx):
            return 1

        for plain in (body, body_async):
            with pytest.raises(ConfigurationError, match=r"write @create_function\(.*\) above it"):
                run(plain, EVENT)
        with pytest.raises(ConfigurationError, match=r"^body cannot be run: give a function made by create_function"):
            run([body], EVENT)


def plain(ctx):
    return 1


@pytest.mark.parametrize(
    ("target", "event", "message"),
    [
        (function(body_that_fails), {"name": "test/other"}, "starts no run of function 'test-fn'"),
        (plain, EVENT, "plain is a plain function"),
        (function(lambda ctx: ctx.step.fetch("ask", "https://a.example")), EVENT, "asks for a request"),
        (function(lambda ctx: ctx.step.run(f"note-{uuid.uuid4()}", list)), EVENT, "comes to no end"),
        (function(lambda ctx: [ctx.step.sleep(f"nap-{uuid.uuid4()}", "1s")]), EVENT, "comes to no end"),
    ],
)
def test_the_traceback_ends_in_the_test(target, event, message):
    """What is to be seen of an error is the line of the test, not the engine."""
    with pytest.raises(InngestError, match=message) as raised:
        run(target, event)
    shown = [entry for entry in raised.traceback if not entry.ishidden(raised)]
    assert [Path(entry.path).name for entry in shown] == [HERE]
