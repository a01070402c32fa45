"""``PowertoolsMetrics``: one valid document for each call, whatever becomes of it."""

from __future__ import annotations

import base64
import json
import logging

import pytest
from aws_lambda_powertools import Metrics
from observability_documents import measured, metric_documents
from observability_runs import SECRET, Both, Do, Observed, both, declare, failing, two_steps

from inngest_serverless import Middleware, PowertoolsMetrics, create_function, event_trigger
from inngest_serverless.aws import observability


@pytest.fixture
def documents(capsys):
    """The metric documents that were written since the last time."""
    return lambda: metric_documents(capsys.readouterr().out)


@pytest.fixture(autouse=True)
def no_powertools_settings(monkeypatch):
    for name in ("NAMESPACE", "DISABLED"):
        monkeypatch.delenv(f"POWERTOOLS_METRICS_{name}", raising=False)
    for name in ("SERVICE_NAME", "DEV"):
        monkeypatch.delenv(f"POWERTOOLS_{name}", raising=False)


@pytest.fixture
def theirs():
    """The user's own metrics; Powertools keeps them for the whole process."""
    made = Metrics(namespace="Shop", service="checkout")
    yield made
    made.clear_metrics()


def test_the_check_notices_documents_that_are_not_valid(documents):
    Observed(declare("sync", two_steps), PowertoolsMetrics()).call()
    [valid] = documents()
    [directive] = valid["_aws"]["CloudWatchMetrics"]
    faults = [
        {**valid, "service": 1},
        {key: value for key, value in valid.items() if key != "function_id"},
        {**valid, "CallErrors": "0"},
        {**valid, "_aws": {**valid["_aws"], "Timestamp": 1_700_000_000}},
        {**valid, "_aws": {**valid["_aws"], "CloudWatchMetrics": [{**directive, "Namespace": ""}]}},
        {**valid, "_aws": {**valid["_aws"], "CloudWatchMetrics": [{**directive, "Metrics": [{"Name": "Other"}]}]}},
    ]
    for fault in faults:
        with pytest.raises((AssertionError, KeyError)):
            metric_documents(json.dumps(fault))


@both
def test_one_document_for_each_call(kind, documents):
    server = Observed(declare(kind, two_steps), PowertoolsMetrics())
    server.run()
    charge, nap, ship, end = written = documents()
    assert [document["outcome"] for document in written] == ["step_succeeded", "planned", "step_succeeded", "finished"]
    assert [document.get("step_id") for document in written] == ["charge", None, "ship", None]
    assert [measured(document)["ReplayedSteps"] for document in written] == [0, 1, 2, 3]
    assert [measured(document)["CallErrors"] for document in written] == [0, 0, 0, 0]
    for document in (charge, ship):
        assert measured(document)["StepErrors"] == 0
    for document in (nap, end):
        assert not {"StepDuration", "StepErrors"} & measured(document).keys()


@both
def test_dimensions_are_few_and_the_rest_is_beside_them(kind, documents):
    Observed(declare(kind, two_steps), PowertoolsMetrics()).call(attempt=1, run_id="01ABC", request_id="01REQ")
    [document] = documents()
    [directive] = document["_aws"]["CloudWatchMetrics"]
    assert directive["Namespace"] == "Inngest"
    assert directive["Dimensions"] == [["service", "function_id"]]
    assert (document["service"], document["function_id"]) == ("app", "fn")
    details = {name: document[name] for name in document.keys() - measured(document).keys() - {"_aws"}}
    assert details == {
        "service": "app",
        "function_id": "fn",
        "run_id": "01ABC",
        "step_id": "charge",
        "attempt": 1,
        "outcome": "step_succeeded",
        "function_request_id": "request-1",
        "inngest_request_id": "01REQ",
        "cold_start": True,
    }
    units = {metric["Name"]: metric["Unit"] for metric in directive["Metrics"]}
    assert units == {
        "StepDuration": "Milliseconds",
        "StepErrors": "Count",
        "CallErrors": "Count",
        "ReplayedSteps": "Count",
        "RequestBytes": "Bytes",
        "ResponseBytes": "Bytes",
    }


@both
def test_the_duration_is_that_of_the_new_code(kind, documents, monkeypatch):
    class Clock:
        now = 0

        def perf_counter_ns(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(observability, "time", clock)

    def wait(milliseconds):
        clock.now += milliseconds * 10**6

    def script(ctx):
        yield Do("run", "first", lambda: wait(300))
        wait(10_000)  # between the first step and the second: new for the call that runs the second
        yield Do("run", "second", lambda: wait(25))

    class Slow(Middleware):
        def transform_input(self, call):
            wait(5_000)

        def before_execution(self):
            wait(6_000)

        def after_execution(self):
            wait(7_000)

        def transform_output(self, output):
            wait(8_000)

    # With observers on both sides of it, the inner one's word counts for both.
    Observed(declare(kind, script), PowertoolsMetrics(), Slow(), PowertoolsMetrics()).run()
    durations = [measured(document).get("StepDuration") for document in documents()]
    assert durations == [300, 300, 10_025, 10_025, None, None]


@both
def test_failed_steps(kind, documents):
    Observed(declare(kind, failing), PowertoolsMetrics()).call()
    [document] = documents()
    assert document["outcome"] == "step_failed"
    assert (measured(document)["StepErrors"], measured(document)["CallErrors"]) == (1, 0)


@both
def test_failed_functions(kind, documents):
    def script(ctx):
        raise LookupError
        yield

    Observed(declare(kind, script), PowertoolsMetrics()).call()
    [document] = documents()
    assert (document["outcome"], measured(document)["CallErrors"]) == ("failed", 1)
    assert "StepErrors" not in measured(document)


@both
@pytest.mark.parametrize("hook", ["after_memoization", "before_response"])
def test_calls_that_fail_in_other_middleware(kind, hook, documents):
    def fail(*_):
        raise LookupError

    class Failing(Middleware):
        pass

    setattr(Failing, hook, fail)
    Observed(declare(kind, two_steps), PowertoolsMetrics(), Failing()).call()
    [document] = documents()
    assert (document["outcome"], measured(document)["CallErrors"]) == ("failed", 1)


@both
def test_what_other_middleware_makes_of_an_error(kind, documents):
    class Forgiving(Middleware):
        def transform_output(self, output):
            output.error = None

    Observed(declare(kind, failing), PowertoolsMetrics(), Forgiving()).call()
    [document] = documents()
    assert (document["outcome"], measured(document)["StepErrors"]) == ("step_succeeded", 0)


def test_a_handler_that_raises(documents):
    def interrupt():
        raise KeyboardInterrupt

    server = Observed(declare("sync", lambda ctx: (yield Do("run", "a", interrupt))), PowertoolsMetrics())
    with pytest.raises(KeyboardInterrupt):
        server.call()
    [document] = documents()
    assert (document["outcome"], measured(document)["CallErrors"]) == ("failed", 1)
    assert "ResponseBytes" not in measured(document)
    server.call(run_id="01ABC", target="b")
    [document] = documents()
    assert document["run_id"] == "01ABC", "nothing is left over"


@both
def test_plans(kind, documents):
    def script(ctx):
        yield Both(lambda: (yield Do("run", "a", lambda: 1)), lambda: (yield Do("run", "b", lambda: 2)))

    server = Observed(declare(kind, script), PowertoolsMetrics())
    server.call()
    [document] = documents()
    assert document["outcome"] == "planned"
    assert "StepDuration" not in measured(document)


@both
def test_a_step_that_is_still_open_is_not_replayed(kind, documents):
    server = Observed(declare(kind, two_steps), PowertoolsMetrics())
    server.remember("charge", {"data": 1})
    server.remember("nap", {"input": [1]})
    server.call()
    [document] = documents()
    assert measured(document)["ReplayedSteps"] == 1


@pytest.mark.parametrize("coded", [False, True], ids=["text", "base64"])
@pytest.mark.parametrize("name", ["Ada", "Adá😀", "A" * 1000, "ab", "abc"])
def test_sizes_are_bytes(coded, name, documents):
    seen = {}

    def noting(handler):
        def note(event, context):
            seen["request"] = len(event["body"].encode())
            if coded:
                event |= {"body": base64.b64encode(event["body"].encode()).decode(), "isBase64Encoded": True}
            reply = handler(event, context)
            seen["response"] = len(reply["body"].encode())
            return reply

        return note

    fn = declare("sync", lambda ctx: (yield Do("run", "a", lambda: name)))
    server = Observed(fn, PowertoolsMetrics(), around=noting, data={"name": name})
    plain = server.send
    server.send = lambda body, target: plain(json.dumps(json.loads(body), ensure_ascii=False), target)
    server.call()
    [document] = documents()
    assert measured(document)["RequestBytes"] == seen["request"]
    assert measured(document)["ResponseBytes"] == seen["response"]


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "PATCH"])
def test_requests_that_are_no_calls_write_nothing(method, documents, caplog):
    server = Observed(declare("sync", two_steps), PowertoolsMetrics())
    request = {
        "rawPath": "/",
        "headers": {"x-inngest-sync-kind": "in_band"},
        "requestContext": {"http": {"method": method}, "domainName": "x.lambda-url.test"},
        "body": "{}",
    }
    assert server.served(request, None)["statusCode"]
    assert documents() == []
    assert caplog.records == []


def test_settings(documents, monkeypatch):
    monkeypatch.setenv("POWERTOOLS_METRICS_NAMESPACE", "Env")
    monkeypatch.setenv("POWERTOOLS_SERVICE_NAME", "env")
    fn = declare("sync", two_steps)
    Observed(fn, PowertoolsMetrics()).call()
    Observed(fn, PowertoolsMetrics(namespace="Own", service="own")).call()
    named = [(document["_aws"]["CloudWatchMetrics"][0]["Namespace"], document["service"]) for document in documents()]
    assert named == [("Env", "env"), ("Own", "own")]


@pytest.mark.parametrize("name", ["POWERTOOLS_METRICS_DISABLED", "POWERTOOLS_DEV"])
def test_powertools_own_switches(name, documents, monkeypatch):
    monkeypatch.setenv(name, "true")
    Observed(declare("sync", two_steps), PowertoolsMetrics()).run()
    assert documents() == []


# The user's own metrics.


def counting(theirs):
    def ship():
        theirs.add_metric("Parcels", "Count", 1)
        return "shipped"

    return lambda ctx: (yield Do("run", "ship", ship))


@both
def test_own_metrics_are_written_with_each_invocation(kind, documents, theirs):
    theirs.set_default_dimensions(stage="live")
    server = Observed(declare(kind, counting(theirs)), PowertoolsMetrics(theirs))
    server.run()
    ours, parcels, last = documents()
    assert measured(parcels) == {"Parcels": 1}
    assert parcels["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["stage", "service"]]
    assert ours["_aws"]["CloudWatchMetrics"][0]["Dimensions"] == [["service", "function_id"]]
    for document in (ours, parcels, last):
        assert document["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Shop"
        assert document["service"] == "checkout"
    assert last["outcome"] == "finished"


def test_own_metrics_are_written_when_the_handler_raises(documents, theirs):
    def interrupt():
        theirs.add_metric("Parcels", "Count", 1)
        raise KeyboardInterrupt

    fn = declare("sync", lambda ctx: (yield Do("run", "ship", interrupt)))
    with pytest.raises(KeyboardInterrupt):
        Observed(fn, PowertoolsMetrics(theirs)).call()
    _, parcels = documents()
    assert measured(parcels) == {"Parcels": 1}


# What must not happen.


@both
def test_payloads_are_not_shown(kind, capsys):
    Observed(declare(kind, two_steps), PowertoolsMetrics(), data={"card": SECRET}).run()
    Observed(declare(kind, failing), PowertoolsMetrics()).call()
    written = capsys.readouterr().out
    assert metric_documents(written)
    assert SECRET not in written


@both
def test_metrics_that_cannot_be_written_do_not_change_the_answer(kind, documents, caplog):
    """Or the step would run again."""

    class Broken:
        namespace = service = None

        class provider:  # noqa: N801 - it stands for the instance of that name
            metric_set = True

        def flush_metrics(self):
            raise OSError("no space left")

    server = Observed(declare(kind, two_steps), PowertoolsMetrics(Broken()))
    with caplog.at_level(logging.ERROR, "inngest_serverless"):
        answer = server.call()
    assert answer.op["data"] == {"card": SECRET}
    assert "PowertoolsMetrics.end_invocation failed; the call goes on without it" in caplog.messages
    assert len(documents()) == 1


@both
def test_for_one_function_only(kind, documents):
    """Then nobody is around the handler: what it knows is written when the answer is ready."""
    server = Observed(declare(kind, two_steps, middleware=[PowertoolsMetrics()]))
    server.run()
    written = documents()
    assert [document["outcome"] for document in written] == ["step_succeeded", "planned", "step_succeeded", "finished"]
    for document in written:
        assert not {"RequestBytes", "ResponseBytes", "cold_start"} & document.keys()


def test_its_class(documents):
    fn = create_function(id="fn", trigger=event_trigger("test/started"))(lambda ctx: 1)
    Observed(fn, PowertoolsMetrics).run()
    [document] = documents()
    assert (document["cold_start"], document["outcome"]) == (True, "finished")
