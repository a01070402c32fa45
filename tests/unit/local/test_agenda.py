"""What is due when, and whether anybody waits for it."""

from __future__ import annotations

from inngest_serverless.local.agenda import Agenda


def test_actions_are_done_in_the_order_of_their_time_and_of_their_entry():
    agenda, done = Agenda(1000), []
    for delay, name in ((20, "b"), (10, "a"), (20, "c"), (-5, "now")):
        agenda.after(delay, lambda name=name: done.append((agenda.now_ms, name)))
    while agenda.do_next():
        pass
    assert done == [(1000, "now"), (1010, "a"), (1020, "b"), (1020, "c")]


def test_what_comes_again_for_ever_is_not_waited_for():
    agenda = Agenda(0)
    agenda.after(10, lambda: None, is_background=True)
    assert not agenda.has_foreground
    agenda.after(20, lambda: None)
    assert agenda.has_foreground
    assert agenda.do_next()
    assert agenda.has_foreground
    assert agenda.do_next()
    assert not agenda.has_foreground
    assert not agenda.do_next()


def test_actions_after_an_instant_are_left_alone():
    agenda = Agenda(0)
    agenda.after(10, lambda: None)
    assert not agenda.do_next(until_ms=9)
    assert (agenda.now_ms, agenda.next_ms) == (0, 10)
    assert agenda.do_next(until_ms=10)
    assert (agenda.now_ms, agenda.next_ms) == (10, None)
