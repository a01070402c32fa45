"""Where in the user's code something was raised, as the stack tells that goes over the wire."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from inngest_serverless.engine.failure import describe
from inngest_serverless.local.places import raised_at, raising_place, reason

HERE = Path(__file__)
PLACE = HERE.relative_to(Path.cwd()) if HERE.is_relative_to(Path.cwd()) else HERE


def itself():
    raise ValueError("negative")


def in_pythons_own():
    json.loads("{")


def for_another_error():
    try:
        itself()
    except ValueError:
        raise LookupError("gone") from None


def because_of_pythons_own():
    try:
        in_pythons_own()
    except ValueError as error:
        raise LookupError("gone") from error


def several():
    try:
        itself()
    except ValueError as error:
        raise ExceptionGroup("two", [error, error]) from None


def line_of(part, after=0):
    lines = HERE.read_text("utf-8").splitlines()
    return next(number for number, line in enumerate(lines, 1) if part in line and number > after)


@pytest.mark.parametrize(
    ("raises", "part", "name"),
    [
        (itself, 'raise ValueError("negative")', "itself"),
        (in_pythons_own, 'json.loads("{")', "in_pythons_own"),
        (for_another_error, 'raise LookupError("gone") from None', "for_another_error"),
        (because_of_pythons_own, 'raise LookupError("gone") from error', "because_of_pythons_own"),
        (several, 'raise ValueError("negative")', "itself"),
    ],
)
def test_the_innermost_place_of_the_users(raises, part, name):
    with pytest.raises(Exception) as raised:
        raises()
    error = describe(raised.value, 0).to_json()
    assert raised_at(error) == f"{PLACE}:{line_of(part)} in {name}"
    assert reason(error) == f"{raised_at(error)}: {error['name']}: {error['message']}"
    if raises is not several:
        assert raising_place(raised.value.__traceback__) == raised_at(error).partition(" in ")[0]


@pytest.mark.parametrize(
    "stack",
    [
        None,
        "",
        "Error: no\n    at charge (/app/shop.ts:12:7)",
        '  File "/x/site-packages/a.py", line 1, in b\n  File "<string>", line 1, in <module>\n',
    ],
)
def test_a_stack_without_such_a_place(stack):
    error = {"name": "Error", "message": "no", "stack": stack}
    assert raised_at(error) == ""
    assert reason(error) == "Error: no"


def test_where_nobody_of_the_users_is():
    with pytest.raises(ValueError, match="Expecting") as raised:
        json.loads("{")
    trace = raised.value.__traceback__
    while trace.tb_next is not None and "json" not in trace.tb_frame.f_code.co_filename:
        trace = trace.tb_next
    assert "json/" in raising_place(trace), "then it is where it was raised"
