"""``PowertoolsLogs``: lines of JSON that say whose they are, each once, with nothing left over for the next call."""

from __future__ import annotations

import io
import logging
from itertools import count

import pytest
from aws_lambda_powertools import Logger
from observability_documents import json_lines
from observability_runs import SECRET, Do, Observed, both, declare, failing, two_steps

from inngest_serverless import PowertoolsLogs, create_function, event_trigger

_numbers = count()


@pytest.fixture(autouse=True)
def restored():
    """The logger that the middleware sets up, as it was."""
    ours = logging.getLogger("inngest_serverless")
    before = ours.handlers, ours.propagate, ours.level
    yield
    ours.handlers, ours.propagate = before[:2]
    ours.setLevel(before[2])


@pytest.fixture
def written():
    """What the logger has written."""
    return io.StringIO()


@pytest.fixture
def logger(written):
    """A Powertools logger of this test's own."""
    made = Logger(service=f"shop-{next(_numbers)}", stream=written, level="INFO")
    yield made
    made._logger.handlers.clear()


def lines(written):
    return json_lines(written.getvalue())


def messages(written):
    return [line["message"] for line in lines(written)]


def say(ctx, text):
    return lambda: ctx.logger.info(text)


def talking(ctx):
    ctx.logger.info("start")
    yield Do("run", "charge", say(ctx, "in charge"))
    ctx.logger.info("behind charge")
    yield Do("sleep", "nap", "1s")
    yield Do("run", "ship", say(ctx, "in ship"))
    ctx.logger.info("end")


@both
def test_each_line_once_and_whose_it_is(kind, logger, written):
    Observed(declare(kind, talking), PowertoolsLogs(logger)).run()
    assert messages(written) == ["start", "in charge", "behind charge", "in ship", "end"]
    for line in lines(written):
        assert (line["run_id"], line["function_id"], line["attempt"]) == ("01RUN", "fn", 0)
        assert (line["level"], line["service"]) == ("INFO", logger.service)
        assert line.keys() >= {"timestamp", "location"}
    assert [line.get("step_id") for line in lines(written)] == [None, "charge", None, "ship", None]
    assert [line["function_request_id"] for line in lines(written)] == [
        *("request-1", "request-1", "request-2", "request-3", "request-4")
    ]


@both
def test_where_a_line_was_written(kind, logger, written):
    Observed(declare(kind, talking), PowertoolsLogs(logger)).call()
    assert [line["location"].partition(":")[0] for line in lines(written)] == ["talking", "<lambda>"]


@both
def test_cold_start_is_true_in_the_first_invocation_only(kind, logger, written):
    server = Observed(declare(kind, talking), PowertoolsLogs(logger))
    server.run()
    assert [line["cold_start"] for line in lines(written)] == [True, True, False, False, False]
    server.run()
    assert not any(line["cold_start"] for line in lines(written)[2:])


def test_an_environment_that_was_provisioned_has_no_cold_start(logger, written, monkeypatch):
    monkeypatch.setenv("AWS_LAMBDA_INITIALIZATION_TYPE", "provisioned-concurrency")
    Observed(declare("sync", talking), PowertoolsLogs(logger)).call()
    assert {line["cold_start"] for line in lines(written)} == {False}


@both
def test_the_attempt_and_the_ids_of_the_call(kind, logger, written):
    Observed(declare(kind, talking), PowertoolsLogs(logger)).call(attempt=2, run_id="01ABC", request_id="01REQ")
    assert {(line["attempt"], line["run_id"], line["inngest_request_id"]) for line in lines(written)} == {
        (2, "01ABC", "01REQ")
    }


@both
def test_lines_of_the_logger_itself(kind, logger, written):
    """Code that knows nothing of durable functions logs through the same logger."""

    def script(ctx):
        logger.info("outside of steps")
        yield Do("run", "charge", lambda: logger.info("inside", order=17))

    logger.info("before")
    Observed(declare(kind, script), PowertoolsLogs(logger)).call()
    logger.info("after")
    before, outside, inside, after = lines(written)
    assert outside["run_id"] == inside["run_id"] == "01RUN"
    assert (outside.get("step_id"), inside["step_id"], inside["order"]) == (None, "charge", 17)
    fields = {"run_id", "function_id", "step_id", "attempt", "cold_start", "function_request_id"}
    assert not fields & (before.keys() | after.keys())


@both
def test_what_a_record_says_itself_wins(kind, logger, written):
    def script(ctx):
        yield Do("run", "charge", lambda: ctx.logger.info("mine", extra={"run_id": "another", "cold_start": "very"}))

    Observed(declare(kind, script), PowertoolsLogs(logger)).call()
    [line] = lines(written)
    assert (line["run_id"], line["cold_start"], line["step_id"]) == ("another", "very", "charge")


@both
def test_keys_of_one_invocation_are_gone_in_the_next(kind, logger, written):
    def script(ctx):
        logger.info("at the start")
        logger.append_keys(customer="ada", team="another")
        logger.remove_keys(["region"])
        logger.thread_safe_append_keys(order=17)
        yield Do("run", "charge", say(ctx, "in charge"))

    logger.append_keys(team="payments", region="eu")
    server = Observed(declare(kind, script), PowertoolsLogs(logger))
    server.call()
    server.call(run_id="01ABC")
    first, in_step, second, _ = lines(written)
    assert (in_step["customer"], in_step["team"], in_step["order"]) == ("ada", "another", 17)
    assert "region" not in in_step
    for line in (first, second):
        assert (line["team"], line["region"]) == ("payments", "eu")
        assert not {"customer", "order"} & line.keys(), "a warm environment leaks"
    assert (in_step["run_id"], second["run_id"]) == ("01RUN", "01ABC")


def test_keys_are_gone_when_the_handler_raises(logger):
    def script(ctx):
        logger.append_keys(customer="ada")
        raise KeyboardInterrupt
        yield

    with pytest.raises(KeyboardInterrupt):
        Observed(declare("sync", script), PowertoolsLogs(logger)).call()
    assert "customer" not in logger.get_current_keys()


@both
@pytest.mark.parametrize("where", ["step", "function"])
def test_errors_are_told_without_their_message(kind, where, logger, written):
    def script(ctx):
        if where == "function":
            raise LookupError(SECRET)
        yield from failing(ctx)

    Observed(declare(kind, script), PowertoolsLogs(logger)).call(attempt=1)
    [line] = lines(written)
    step = "charge" if where == "step" else None
    what = "step 'charge'" if where == "step" else "the function"
    assert line["message"] == f"{what} failed: LookupError"
    assert (line["level"], line["error_name"], line.get("step_id")) == ("ERROR", "LookupError", step)
    assert (line["run_id"], line["attempt"]) == ("01RUN", 1)
    assert line["duration_ms"] >= 0
    assert SECRET not in written.getvalue()


@both
def test_errors_with_their_message(kind, logger, written):
    Observed(declare(kind, failing), PowertoolsLogs(logger, error_messages=True)).call()
    [line] = lines(written)
    assert line["exception_name"] == "LookupError"
    assert line["exception"].endswith(f"LookupError: no such card: {SECRET}")
    assert line["stack_trace"]["frames"][-1]["function"] == "fail"


@both
def test_payloads_are_not_logged(kind, logger, written):
    server = Observed(declare(kind, two_steps), PowertoolsLogs(logger), data={"card": SECRET})
    assert server.run().json == {"card": SECRET}
    assert written.getvalue() == ""


def test_lambdas_own_handler_does_not_repeat_the_lines(logger, written):
    class Keeping(logging.Handler):
        def emit(self, record):
            kept.append(record)

    kept: list[logging.LogRecord] = []
    lambdas = Keeping()
    logging.getLogger().addHandler(lambdas)
    try:
        Observed(declare("sync", talking), PowertoolsLogs(logger)).call()
    finally:
        logging.getLogger().removeHandler(lambdas)
    assert messages(written) == ["start", "in charge"]
    assert [record for record in kept if record.name == "inngest_serverless"] == []


def test_a_second_switch_does_not_repeat_the_lines(logger, written):
    Observed(declare("sync", talking), PowertoolsLogs(logger), PowertoolsLogs(logger)).call()
    assert messages(written) == ["start", "in charge"]
    assert len(logger.registered_handler.filters) == 1


@both
def test_a_logger_of_the_handler_is_left_alone(kind, logger, written, caplog):
    own = logging.getLogger("test.own")
    with caplog.at_level("INFO", "test.own"):
        Observed(declare(kind, talking), PowertoolsLogs(logger), logger=own).call()
    assert written.getvalue() == ""
    assert [record.getMessage() for record in caplog.records] == ["start", "in charge"]


def test_the_powertools_logger_as_the_handlers(logger, written):
    Observed(declare("sync", talking), PowertoolsLogs(logger), logger=logger).call()
    assert [(line["message"], line["cold_start"]) for line in lines(written)] == [("start", True), ("in charge", True)]


def test_the_level(logger, written):
    def script(ctx):
        ctx.logger.debug("quiet")
        ctx.logger.warning("loud")
        yield Do("run", "charge", lambda: 1)

    server = Observed(declare("sync", script), PowertoolsLogs(logger))
    server.call()
    logger.setLevel("DEBUG")
    server.call()
    assert messages(written) == ["loud", "quiet", "loud"]


def test_with_powertools_own_decorator(logger, written):
    """Who has it already keeps it, and what it adds."""

    def decorated(handler):
        def with_context(event, context):
            vars(context).update(function_name="shop", memory_limit_in_mb=128, invoked_function_arn="arn")
            return logger.inject_lambda_context(handler)(event, context)

        return with_context

    Observed(declare("sync", talking), PowertoolsLogs(logger), around=decorated).call()
    assert [(line["function_name"], line["run_id"]) for line in lines(written)] == [("shop", "01RUN")] * 2


def test_its_class(capsys, monkeypatch):
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", f"shop-{next(_numbers)}")
    Observed(declare("sync", talking), PowertoolsLogs).run()
    written = json_lines(capsys.readouterr().out)
    assert [line["message"] for line in written] == ["start", "in charge", "behind charge", "in ship", "end"]
    assert [line["cold_start"] for line in written] == [True, True, False, False, False]


@both
def test_for_one_function_only(kind, logger, written):
    """Then nobody is around the handler, and what only Lambda knows is left out."""

    def handler(ctx):
        ctx.logger.info("hello")
        raise LookupError

    async def async_handler(ctx):
        handler(ctx)

    made = create_function(id="fn", trigger=event_trigger("test/started"), middleware=[PowertoolsLogs(logger)])
    Observed(made(handler if kind == "sync" else async_handler)).call()
    assert messages(written) == ["hello", "the function failed: LookupError"]
    for line in lines(written):
        assert line["run_id"] == "01RUN"
        assert not {"cold_start", "function_request_id"} & line.keys()


def test_without_a_context(logger, written):
    """In tests, a handler is called with None."""
    server = Observed(declare("sync", talking), PowertoolsLogs(logger))
    server.handler = lambda event, _: server.served(event, None)
    server.call()
    assert [line.get("function_request_id") for line in lines(written)] == [None, None]
