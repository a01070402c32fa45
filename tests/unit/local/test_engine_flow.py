"""Flow control before a run starts: rate limits, throttles, batches, debouncing, singletons, idempotency."""

from __future__ import annotations

import pytest
from engine_app import HOUR, MINUTE, SECOND, START_MS

from inngest_serverless import (
    Batch,
    Cancel,
    ConfigurationError,
    Debounce,
    RateLimit,
    Singleton,
    StepError,
    Throttle,
    create_function,
    event_trigger,
)
from inngest_serverless.local.engine import Engine
from inngest_serverless.local.flow import Flow


def counting(**options):
    """A function that tells the numbers of its events."""
    declare = create_function(id="fn", trigger=event_trigger("test/started"), **options)
    return declare(lambda ctx: [event.data.get("n") for event in ctx.events])


def napping(**options):
    """A function that takes an hour."""
    declare = create_function(id="fn", trigger=event_trigger("test/started"), **options)

    def body(ctx):
        ctx.step.sleep("nap", "1h")
        return ctx.event.data.get("n")

    return declare(body)


def event(n, **data):
    return {"name": "test/started", "data": {"n": n, **data}}


def send_each(app, events, gap="0s"):
    """Send events, some time apart."""
    for each in events:
        app.engine.send(each)
        app.engine.advance(gap)


def starts(app):
    """When runs began, in milliseconds since the start of the clock, and for which events."""
    return [
        (run.started_ms - START_MS, [each["data"].get("n") for each in run.events])
        for run in app.engine.runs
        if run.started_ms is not None
    ]


def skipped(app):
    outcomes = [outcome for received in app.engine.history.events.values() for outcome in received.outcomes]
    return [outcome.detail for outcome in outcomes if outcome.kind == "skipped"]


def test_a_rate_limit_leaves_out_what_comes_too_early(serve):
    app = serve(counting(rate_limit=RateLimit(limit=1, period="1h")))
    send_each(app, [event(n) for n in range(4)], gap="20m")
    assert starts(app) == [(0, [0]), (HOUR, [3])]
    assert skipped(app) == ["rate limit"] * 2


def test_a_rate_limit_spreads_its_starts_and_lets_a_tenth_of_them_pass_at_once(serve):
    app = serve(counting(rate_limit=RateLimit(limit=20, period="20m")))
    send_each(app, [event(n) for n in range(10)])
    assert len(starts(app)) == 3
    app.engine.advance("1m")
    send_each(app, [event(n) for n in range(2)])
    assert len(starts(app)) == 4


def test_a_rate_limit_counts_for_each_key(serve):
    app = serve(counting(rate_limit=RateLimit(limit=1, period="1h", key="event.data.user")))
    send_each(app, [event(n, user=user) for n, user in enumerate(["ada", "bob", "ada"])])
    assert starts(app) == [(0, [0]), (0, [1])]


def test_a_throttle_delays_what_comes_too_early(serve):
    app = serve(counting(throttle=Throttle(limit=1, period="1h")))
    send_each(app, [event(n) for n in range(3)])
    app.engine.finish_all()
    assert starts(app) == [(0, [0]), (HOUR, [1]), (2 * HOUR, [2])]
    assert [moment.kind for moment in app.engine.runs[1].timeline] == ["Queued", "Started", "Returned"]


@pytest.mark.parametrize(("burst", "at_once"), [(None, 2), (1, 2), (3, 4)])
def test_a_throttle_lets_its_limit_and_its_burst_start_at_once(serve, burst, at_once):
    app = serve(counting(throttle=Throttle(limit=2, period="1h", burst=burst)))
    send_each(app, [event(n) for n in range(6)])
    assert len(starts(app)) == at_once
    app.engine.finish_all()
    assert [at for at, _ in starts(app)][at_once:] == [HOUR // 2 * (n + 1) for n in range(6 - at_once)]


def test_a_throttle_counts_for_each_key(serve):
    app = serve(counting(throttle=Throttle(limit=1, period="1h", key="event.data.user")))
    send_each(app, [event(n, user=user) for n, user in enumerate(["ada", "bob", "ada"])])
    assert starts(app) == [(0, [0]), (0, [1])]


def test_a_run_that_is_cancelled_in_the_queue_takes_no_turn(serve):
    app = serve(counting(throttle=Throttle(limit=1, period="1h")))
    send_each(app, [event(n) for n in range(3)])
    assert app.engine.cancel(app.engine.runs[1].id)
    app.engine.finish_all()
    assert starts(app) == [(0, [0]), (HOUR, [2])]
    assert [run.status for run in app.engine.runs] == ["completed", "cancelled", "completed"]


def test_a_batch_starts_when_it_is_full(serve):
    app = serve(counting(batch_events=Batch(max_size=3, timeout="1m")))
    send_each(app, [event(n) for n in range(7)])
    assert starts(app) == [(0, [0, 1, 2]), (0, [3, 4, 5])]
    app.engine.advance("1m")
    assert starts(app)[2:] == [(MINUTE, [6])]
    assert [run.output for run in app.engine.runs] == [[0, 1, 2], [3, 4, 5], [6]]


def test_the_first_event_of_a_batch_waits_no_longer_than_its_timeout(serve):
    app = serve(counting(batch_events=Batch(max_size=10, timeout="1m")))
    send_each(app, [event(n) for n in range(4)], gap="25s")
    app.engine.advance("1h")
    assert starts(app) == [(MINUTE, [0, 1, 2]), (75 * SECOND + MINUTE, [3])]


def test_a_full_batch_is_not_started_again_by_its_timeout(serve):
    app = serve(counting(batch_events=Batch(max_size=2, timeout="1m")))
    send_each(app, [event(0), event(1)])
    app.engine.advance("30s")
    app.engine.send(event(2))
    app.engine.advance("31s")
    assert starts(app) == [(0, [0, 1])]
    app.engine.advance("30s")
    assert starts(app)[1:] == [(90 * SECOND, [2])]


def test_batches_are_kept_apart_by_their_key(serve):
    app = serve(counting(batch_events=Batch(max_size=2, timeout="1m", key="event.data.user")))
    send_each(app, [event(n, user=user) for n, user in enumerate(["ada", "bob", "ada", "bob"])])
    assert starts(app) == [(0, [0, 2]), (0, [1, 3])]


def test_an_event_that_is_not_for_the_batch_starts_alone(serve):
    app = serve(counting(batch_events=Batch(max_size=2, timeout="1m", if_exp="event.data.n < 10")))
    send_each(app, [event(n) for n in (1, 10, 2)])
    assert starts(app) == [(0, [10]), (0, [1, 2])]


def test_an_event_is_in_a_batch_once(serve):
    app = serve(counting(batch_events=Batch(max_size=2, timeout="1m")))
    send_each(app, [{**event(0), "id": "a"}, {**event(0), "id": "a"}, {**event(1), "id": "b"}])
    assert starts(app) == [(0, [0, 1])]


def test_an_event_knows_the_run_of_its_batch(serve):
    app = serve(counting(batch_events=Batch(max_size=2, timeout="1m")))
    send_each(app, [{**event(0), "id": "a"}, {**event(1), "id": "b"}])
    [run] = app.engine.runs
    assert app.engine.runs_of("a") == app.engine.runs_of("b") == [run]


def test_execute_waits_for_the_run_of_a_batch(serve):
    run = serve(counting(batch_events=Batch(max_size=2, timeout="1m"))).run(event(7))
    assert (run.output, run.started_ms - START_MS) == ([7], MINUTE)


def test_debouncing_starts_with_the_last_event_once_there_is_quiet(serve):
    app = serve(counting(debounce=Debounce(period="1m")))
    send_each(app, [event(n) for n in range(3)], gap="50s")
    app.engine.advance("1h")
    assert starts(app) == [(100 * SECOND + MINUTE, [2])]


def test_debouncing_has_an_end(serve):
    app = serve(counting(debounce=Debounce(period="1m", timeout="2m")))
    send_each(app, [event(n) for n in range(5)], gap="30s")
    app.engine.advance("1h")
    assert starts(app) == [(2 * MINUTE, [3]), (3 * MINUTE, [4])]


def test_debouncing_counts_for_each_key(serve):
    app = serve(counting(debounce=Debounce(period="1m", key="event.data.user")))
    send_each(app, [event(n, user=user) for n, user in enumerate(["ada", "bob", "ada"])], gap="10s")
    app.engine.advance("1h")
    assert starts(app) == [(10 * SECOND + MINUTE, [1]), (20 * SECOND + MINUTE, [2])]


def test_a_singleton_skips_while_a_run_is_under_way(serve):
    app = serve(napping(singleton=Singleton(mode="skip")))
    send_each(app, [event(n) for n in range(3)], gap="40m")
    assert starts(app) == [(0, [0]), (80 * MINUTE, [2])]
    assert skipped(app) == ["singleton: a run is under way"]


def test_a_singleton_that_cancels_ends_the_run_before(serve):
    app = serve(napping(singleton=Singleton(mode="cancel")))
    send_each(app, [event(n) for n in range(2)], gap="40m")
    app.engine.finish_all()
    assert [(run.status, run.output) for run in app.engine.runs] == [("cancelled", None), ("completed", 1)]


def test_a_singleton_counts_for_each_key(serve):
    app = serve(napping(singleton=Singleton(mode="skip", key="event.data.user")))
    send_each(app, [event(n, user=user) for n, user in enumerate(["ada", "bob", "ada"])])
    assert starts(app) == [(0, [0]), (0, [1])]


def test_a_value_of_the_idempotency_key_starts_one_run_a_day(serve):
    app = serve(counting(idempotency="event.data.cart"))
    send_each(app, [event(n, cart=cart) for n, cart in enumerate(["a", "b", "a"])])
    assert starts(app) == [(0, [0]), (0, [1])]
    app.engine.advance("24h")
    app.engine.send(event(3, cart="a"))
    app.engine.advance("0s")
    assert starts(app)[2:] == [(24 * HOUR, [3])]


def test_events_without_the_idempotency_key_each_start_a_run(serve):
    app = serve(counting(idempotency="event.data.cart"))
    send_each(app, [event(0), event(1)])
    assert starts(app) == [(0, [0]), (0, [1])]


def test_keys_of_other_types_are_other_keys(serve):
    app = serve(counting(idempotency="event.data.cart"))
    send_each(app, [event(n, cart=cart) for n, cart in enumerate([1, "1", True])])
    assert [numbers for _, numbers in starts(app)] == [[0], [1], [2]]


def test_the_id_of_an_event_counts_for_a_day(serve):
    app = serve(counting())
    same = {**event(0), "id": "order-1"}
    send_each(app, [same, same], gap="23h")
    assert len(starts(app)) == 1
    assert skipped(app) == ["an event with this ID has come before"]
    app.engine.advance("3h")
    send_each(app, [same])
    assert len(starts(app)) == 2


def caller_of(invoked, calls=3, **options):
    """A function that invokes another one several times, in parallel, and tells what came of it."""

    @create_function(id="caller", trigger=event_trigger("call"), retries=0)
    def caller(ctx):
        def call(n):
            try:
                return ctx.step.invoke(f"call-{n}", function=invoked, data={"n": n}, **options)
            except StepError as error:
                return f"{error.name}: {error}"

        return list(ctx.group.parallel([lambda n=n: call(n) for n in range(calls)]))

    return caller


def test_a_rate_limit_counts_invocations_too(serve):
    invoked = counting(rate_limit=RateLimit(limit=1, period="1h"))
    app = serve(invoked, caller_of(invoked))
    run = app.run({"name": "call"})
    limited = "Error: invoked function is rate limited"
    assert (run.output, run.ended_ms - START_MS) == ([[0], limited, limited], 0)
    assert skipped(app) == ["rate limit"] * 2


def test_an_idempotency_key_counts_invocations_too(serve):
    invoked = counting(idempotency="string(event.data.n % 2)")
    run = serve(invoked, caller_of(invoked)).run({"name": "call"})
    assert run.output == [[0], [1], "Error: invoked function is rate limited"]


def test_invocations_are_batched_and_each_gets_the_result_of_the_batch(serve):
    invoked = counting(batch_events=Batch(max_size=2, timeout="1m"))
    run = serve(invoked, caller_of(invoked)).run({"name": "call"})
    assert (run.output, run.ended_ms - START_MS) == ([[0, 1], [0, 1], [2]], MINUTE)


def test_of_invocations_that_are_debounced_the_last_one_counts(serve):
    invoked = counting(debounce=Debounce(period="1m"))
    run = serve(invoked, caller_of(invoked, timeout="1h")).run({"name": "call"})
    late = "InngestInvokeTimeoutError: Timed out waiting for invoked function to complete"
    assert (run.output, run.ended_ms - START_MS) == ([late, late, [2]], HOUR)


@pytest.mark.parametrize(
    "options",
    [{"rate_limit": RateLimit(limit=1, period="1h")}, {"idempotency": "event.data.cart"}],
    ids=["rate limit", "idempotency"],
)
def test_what_is_batched_is_not_limited(serve, options):
    app = serve(counting(batch_events=Batch(max_size=2, timeout="1m", if_exp="event.data.n < 10"), **options))
    send_each(app, [event(n, cart="a") for n in (0, 1, 2, 3, 10, 11)])
    assert starts(app) == [(0, [0, 1]), (0, [2, 3]), (0, [10])]


def test_idempotency_takes_the_place_of_a_rate_limit(serve):
    # As functions of other SDKs may have it.
    function = counting(idempotency="event.data.cart")
    function.options["rateLimit"] = RateLimit(limit=1, period="1h").to_json()
    app = serve(function)
    send_each(app, [event(n, cart=cart) for n, cart in enumerate("aba")])
    assert starts(app) == [(0, [0]), (0, [1])]


def test_an_invoked_singleton_that_is_busy_is_an_error_of_the_step(serve):
    single = napping(singleton=Singleton(mode="skip"))

    @create_function(id="caller", trigger=event_trigger("call"), retries=0)
    def caller(ctx):
        return ctx.step.invoke("call", function=single)

    app = serve(single, caller)
    app.start(event(0))
    run = app.run({"name": "call"})
    assert (run.status, run.error["message"]) == ("failed", "function app-fn may run once at a time, and is running")


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"concurrency": [{"limit": 1, "key": "event."}]}, "event."),
        ({"throttle": {"period": "1h"}}, "limit"),
        ({"singleton": {"mode": "wait"}}, "wait"),
        ({"priority": {"run": "1 +"}}, "1 +"),
        ({"cancel": [{"if": "true"}]}, "event"),
    ],
)
def test_flow_control_that_cannot_be_read_is_refused_at_the_sync(options, named):
    document = {"id": "app-fn", "triggers": [], "steps": {"step": {"runtime": {"url": "http://localhost/"}}}}
    with pytest.raises(ConfigurationError, match=named.replace("+", r"\+")):
        Engine(lambda *_: None).register([document | options])


@pytest.fixture
def wall_clock(monkeypatch):
    """Sets the wall's clock, to so long after the start of the engine's."""

    def set_to(after_ms):
        monkeypatch.setattr("inngest_serverless.local.starts.now_millis", lambda: START_MS + after_ms)

    set_to(0)
    return set_to


def test_an_event_of_the_future_starts_a_run_then(serve, wall_clock):
    app = serve(counting(throttle=Throttle(limit=1, period="1m")))
    send_each(app, [{**event(n), "ts": START_MS + ms} for n, ms in enumerate([HOUR, HOUR, -HOUR])])
    app.engine.finish_all()
    assert starts(app) == [(HOUR, [0]), (HOUR + MINUTE, [1]), (0, [2])]


def test_a_run_that_waits_for_the_time_of_its_event_can_be_cancelled_and_stands_in_the_way(serve, wall_clock):
    app = serve(counting(singleton=Singleton(mode="skip"), cancel=Cancel(event="test/stopped")))
    send_each(app, [{**event(0), "ts": START_MS + HOUR}, event(1)], gap="1m")
    assert skipped(app) == ["singleton: a run is under way"]
    app.engine.send({"name": "test/stopped"})
    app.engine.finish_all()
    assert [(run.status, run.started_ms) for run in app.engine.runs] == [("cancelled", None)]


def test_the_time_of_an_event_says_nothing_where_the_wall_clock_is_ahead_or_of_a_batch(serve, wall_clock):
    wall_clock(HOUR)
    app = serve(counting())
    send_each(app, [{**event(0), "ts": START_MS + HOUR}])
    assert starts(app) == [(0, [0])]
    wall_clock(0)
    app = serve(counting(batch_events=Batch(max_size=2, timeout="1m")))
    send_each(app, [{**event(n), "ts": START_MS + HOUR} for n in range(2)])
    assert starts(app) == [(0, [0, 1])]


def test_a_bare_number_is_a_concurrency_limit():
    assert [lane.limit for lane in Flow.from_json({"concurrency": 3}).lanes] == [3]
    assert [lane.limit for lane in Flow.from_json({"concurrency": {"limit": 2}}).lanes] == [2]


def test_an_event_for_nothing_leaves_the_clock_alone(serve):
    app = serve(napping())
    app.start(event(0))
    with pytest.raises(Exception, match="starts no function"):
        app.engine.execute({"name": "unheard/of"})
    assert app.engine.agenda.now_ms == START_MS
