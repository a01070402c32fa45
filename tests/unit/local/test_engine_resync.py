"""A sync while runs are under way or queued: what the functions ask for now holds for them as well."""

from __future__ import annotations

import pytest
from engine_app import HOUR, MINUTE, START_MS, wired

from inngest_serverless.local.engine import Engine
from inngest_serverless.local.gateway import HttpReply

NEXT_STEP = b'[{"id":"%040d","op":"StepRun","displayName":"step","data":1}]'


def engine_of(reply=None, **options):
    """An engine with one function, each of whose calls takes a minute."""
    ended = HttpReply(200, {"x-inngest-sdk": "test:v1"}, b"null")
    engine = Engine(lambda *_request: reply or ended, start_ms=START_MS, latency=lambda _call: MINUTE, retry_ms=MINUTE)
    engine.register([wired(**options)])
    return engine


def send(engine, count, **data):
    return [run for n in range(count) for run in engine.send({"name": "test/started", "data": {"n": n, **data}})]


def begins(runs):
    """In which minute the first call of each run was made."""
    return [(run.invocations[0].at_ms - START_MS) // MINUTE for run in runs]


def test_the_calls_that_wait_get_the_room_of_a_higher_limit():
    engine = engine_of(concurrency=[{"limit": 1}])
    runs = send(engine, 6)
    engine.advance("30s")
    engine.register([wired(concurrency=[{"limit": 3}])])
    engine.advance("0s")
    engine.finish_all()
    # The calls that a new limit lets go begin with the sync, in the first minute.
    assert begins(runs) == [0, 0, 0, 1, 1, 1]


def test_the_calls_under_way_count_for_a_lower_limit():
    engine = engine_of(concurrency=[{"limit": 3}])
    runs = send(engine, 6)
    engine.advance("0s")
    engine.register([wired(concurrency=[{"limit": 1}])])
    engine.finish_all()
    assert begins(runs) == [0, 0, 0, 1, 2, 3]


def test_a_limit_that_is_gone_keeps_nobody_waiting_and_one_that_is_new_holds():
    engine = engine_of(concurrency=[{"limit": 1}])
    runs = send(engine, 3)
    engine.advance("0s")
    engine.register([wired()])
    engine.advance("0s")
    engine.register([wired(concurrency=[{"limit": 2}])])
    late = send(engine, 4)
    engine.finish_all()
    assert begins(runs) == [0, 0, 0]
    # The first of all has kept its place in the lane; those that began without a limit have none.
    assert begins(late) == [0, 1, 1, 2]


def test_the_next_calls_of_a_run_have_the_new_limit():
    replies = [HttpReply(206, {"x-inngest-sdk": "test:v1"}, NEXT_STEP % n) for n in range(4)]
    replies += [HttpReply(200, {"x-inngest-sdk": "test:v1"}, b"null")] * 2
    engine = Engine(lambda *_request: replies.pop(0), start_ms=START_MS, latency=lambda _call: MINUTE)
    engine.register([wired()])
    runs = send(engine, 2)
    engine.advance("0s")
    engine.register([wired(concurrency=[{"limit": 1}])])
    engine.finish_all()
    calls = sorted((call.at_ms - START_MS) // MINUTE for run in runs for call in run.invocations)
    assert calls == [0, 0, 1, 2, 3, 4]


def test_the_key_of_a_limit_may_change():
    engine = engine_of(concurrency=[{"limit": 1}])
    runs = send(engine, 4)
    engine.advance("0s")
    engine.register([wired(concurrency=[{"limit": 1, "key": "event.data.n % 2"}])])
    engine.advance("0s")
    engine.finish_all()
    # The first of the others of each key begin at the sync.
    assert begins(runs) == [0, 0, 0, 1]


@pytest.mark.parametrize(
    ("throttle", "expected"),
    [
        ({"limit": 1, "period": "1m"}, [0, 60, 61, 62]),
        ({"limit": 1, "period": "2h"}, [0, 60, 180, 300]),
        ({"limit": 1, "period": "1m", "key": "event.data.n"}, [0, 0, 0, 0]),
        (None, [0, 0, 0, 0]),
    ],
    ids=["faster", "slower", "keyed", "none"],
)
def test_runs_that_wait_have_the_new_throttle(throttle, expected):
    engine = engine_of(throttle={"limit": 1, "period": "1h"})
    runs = send(engine, 4)
    engine.advance("0s")
    engine.register([wired(throttle=throttle)])
    engine.advance("0s")
    engine.finish_all()
    assert begins(runs) == expected
    assert [moment.detail for moment in runs[-1].timeline if moment.kind == "Queued"] == ["throttled"]


def test_a_call_that_fails_is_tried_as_often_as_the_new_function_says():
    engine = engine_of(HttpReply(500, {"x-inngest-sdk": "test:v1"}, b"{}"), retries=1)
    [run] = send(engine, 1)
    engine.register([wired(retries=4)])
    engine.finish(run)
    assert run.calls == 5


def test_a_run_that_is_run_again_has_the_function_of_the_last_sync():
    engine = engine_of()
    [run] = send(engine, 1)
    engine.finish(run)
    engine.register([wired(name="new", concurrency=[{"limit": 7}])])
    again = engine.run_of(engine.rerun(run.id) or "") or engine.finish_all()[-1]
    assert (again.function.name, [limit for _, limit in again.lanes]) == ("new", [7])
    assert run.function.name == "app-fn", "a run that has ended is as it was"


def test_a_function_that_is_synced_no_more_lets_its_runs_end():
    engine = engine_of(concurrency=[{"limit": 1}])
    runs = send(engine, 3)
    engine.advance("0s")
    engine.register([])
    assert [run.status for run in engine.finish_all()] == ["completed"] * 3
    assert begins(runs) == [0, 1, 2]
    assert engine.agenda.now_ms < START_MS + HOUR
