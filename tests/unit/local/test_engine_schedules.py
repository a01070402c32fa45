"""Functions that are started by the clock."""

from __future__ import annotations

import sys
from datetime import UTC, datetime

import pytest
from engine_app import HOUR, MINUTE, START_MS

from inngest_serverless import (
    Batch,
    ConfigurationError,
    Debounce,
    RateLimit,
    create_function,
    cron_trigger,
    event_trigger,
)
from inngest_serverless.local.schedules import next_ms


def at(text):
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def ticking(cron="*/10 * * * *", **options):
    return create_function(id="fn", trigger=cron_trigger(cron, **options))(lambda ctx: ctx.event.data)


def test_a_schedule_starts_runs_as_time_passes(serve):
    start_ms = at("2026-11-22T10:05:00")
    app = serve(ticking(), crons=True, start_ms=start_ms)
    app.engine.advance("30m")
    assert [run.started_ms - start_ms for run in app.engine.runs] == [5 * MINUTE, 15 * MINUTE, 25 * MINUTE]
    assert [run.output for run in app.engine.runs] == [{"cron": "*/10 * * * *"}] * 3
    assert {run.events[0]["name"] for run in app.engine.runs} == {"inngest/scheduled.timer"}


def limited(**options):
    return create_function(id="fn", trigger=cron_trigger("*/10 * * * *"), **options)(lambda ctx: len(ctx.events))


@pytest.mark.parametrize(
    ("options", "minutes"),
    [
        ({"rate_limit": RateLimit(limit=1, period="15m")}, [5, 25]),
        ({"idempotency": "event.data.cron"}, [5]),
        ({"debounce": Debounce(period="4m")}, [9, 19, 29]),
        ({"batch_events": Batch(max_size=2, timeout="4m")}, [5, 15, 25]),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_turns_of_a_schedule_are_limited_and_debounced_but_not_batched(serve, options, minutes):
    start_ms = at("2026-11-22T10:05:00")
    app = serve(limited(**options), crons=True, start_ms=start_ms)
    app.engine.advance("31m")
    assert [run.started_ms - start_ms for run in app.engine.runs] == [minute * MINUTE for minute in minutes]
    assert {run.output for run in app.engine.runs} == {1}


def test_schedules_are_left_alone_unless_asked_for(serve):
    app = serve(ticking())
    app.engine.advance("30m")
    assert app.engine.runs == []


@pytest.mark.parametrize("crons", [True, False])
def test_a_time_zone_that_there_is_not_is_refused_when_the_app_is_synced(serve, crons):
    """Also where nothing is started by schedules: it would be in production that somebody notices."""
    told = r"function \W+app-fn\W+: cron \W+TZ=Europe/Pariss 0 3 \* \* \*\W+ there is no time zone \W+Europe/Pariss"
    with pytest.raises(AssertionError, match=told):
        serve(ticking("TZ=Europe/Pariss 0 3 * * *"), crons=crons)


def test_schedules_need_their_package_only_where_they_start_something(serve, monkeypatch):
    monkeypatch.setitem(sys.modules, "cronsim", None)
    serve(ticking())
    with pytest.raises(AssertionError, match="schedules need the package cronsim"):
        serve(ticking(), crons=True)


def test_nobody_waits_for_a_schedule(serve):
    @create_function(id="other", trigger=event_trigger("test/started"))
    def nap(ctx):
        ctx.step.sleep("nap", "1h")
        return "rested"

    app = serve(ticking(), nap, crons=True, start_ms=at("2026-11-22T10:05:00"))
    assert app.run().output == "rested"
    assert len(app.engine.runs) == 7
    app.engine.finish_all()
    with pytest.raises(Exception, match="starts no function"):
        app.run({"name": "unheard/of"})


def test_a_schedule_that_is_synced_anew_replaces_the_old_one(serve):
    start_ms = at("2026-11-22T10:05:00")
    app = serve(ticking(), crons=True, start_ms=start_ms)
    app.engine.advance("6m")
    [function] = app.engine.functions.values()
    step = {"runtime": {"url": function.url}}
    document = {"id": "app-fn", "triggers": [{"cron": "30 * * * *"}], "steps": {"step": step}}
    assert app.engine.register([document], "app")
    app.engine.advance("54m")
    assert [run.started_ms - start_ms for run in app.engine.runs] == [5 * MINUTE, 25 * MINUTE]


def test_the_same_sync_again_changes_nothing(serve):
    app = serve(ticking(), crons=True, start_ms=at("2026-11-22T10:05:00"))
    [function] = app.engine.functions.values()
    document = {
        "id": "app-fn",
        "name": function.name,
        "triggers": list(function.triggers),
        "steps": {"step": {"runtime": {"url": function.url}}},
    }
    assert not app.engine.register([document], "app")
    app.engine.advance("30m")
    assert len(app.engine.runs) == 3


def test_jitter_delays_a_start(serve):
    start_ms = at("2026-11-22T10:05:00")
    app = serve(ticking("0 * * * *", jitter="10m"), crons=True, start_ms=start_ms)
    app.engine.advance("12h")
    delays = [(run.started_ms - start_ms - 55 * MINUTE) % HOUR for run in app.engine.runs]
    assert len(set(delays)) > 1
    assert all(0 <= delay < 10 * MINUTE for delay in delays)


@pytest.mark.parametrize(
    ("cron", "now", "due"),
    [
        ("0 12 * * 5", "2026-11-22T05:00:00", "2026-11-27T12:00:00"),
        ("5/15 * * * *", "2026-11-22T05:06:00", "2026-11-22T05:20:00"),
        ("5/15 * * * *", "2026-11-22T05:51:00", "2026-11-22T06:05:00"),
        ("0 9 ? JAN-MAR MON", "2026-11-22T05:00:00", "2027-01-04T09:00:00"),
        ("TZ=Europe/Paris 0 12 * * *", "2026-11-22T05:00:00", "2026-11-22T11:00:00"),
        ("CRON_TZ=Asia/Tokyo 0 0 * * *", "2026-11-22T05:00:00", "2026-11-22T15:00:00"),
        ("TZ=Europe/Paris 0 12 * * *", "2026-07-01T00:00:00", "2026-07-01T10:00:00"),
        ("* * * * *", "2026-11-22T05:00:00", "2026-11-22T05:01:00"),
        ("0 0 29 2 *", "2026-11-22T05:00:00", "2028-02-29T00:00:00"),
    ],
)
def test_when_a_schedule_is_due(cron, now, due):
    assert next_ms(cron, at(now)) == at(due)


@pytest.mark.parametrize("cron", ["TZ=Nowhere/Land 0 0 * * *", "61 * * * *", "* * *", ""])
def test_a_schedule_that_cannot_be_read(cron):
    with pytest.raises(ConfigurationError, match="cron"):
        next_ms(cron, START_MS)
