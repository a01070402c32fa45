"""Lambda events that only look like HTTP requests, made up by who may invoke the function; docs/protocol.md, section 1."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from calls import BODY, CALL_URL, CLOUD, DEV

from inngest_serverless.errors import UnsupportedEventError
from inngest_serverless.local.gateway import TRIGGERS, from_lambda_reply, to_lambda_event
from inngest_serverless.local.rie import LambdaInvocationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from adapters import Invoke
    from inngest_api import InngestApi

WRONG: list[Any] = [None, 5, 1.5, True, "x", "\ud800", [], [1], [None], [[]], {}, {"a": 1}, {"a": None}, {"": [""]}]
# A change may take the signature away, which a PUT does without, or make another method of it.
ALLOWED = {"POST": {400, 401, 405}, "GET": {200, 400, 403, 405}, "PUT": {200, 400, 401, 405}}
HEADERS = {"Content-Type": "application/json", "X-Inngest-Signature": "t=1&s=2", "X-Inngest-Server-Kind": "cloud"}


def _places(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in inner:
        yield from _places(item, (*place, key))


def _changed(event: dict[str, Any], place: tuple[Any, ...], value: Any) -> Any:
    if not place:
        return value
    changed = json.loads(json.dumps(event))
    inner = changed
    for key in place[:-1]:
        inner = inner[key]
    inner[place[-1]] = value
    return changed


def _trigger(event: dict[str, Any]) -> str:
    """By which front door it looks as if it came."""
    context = event["requestContext"]
    if isinstance(context.get("http"), dict):
        return "function-url"
    if "elb" in context:
        return "alb" if event.get("multiValueHeaders") is None else "alb-multi-value"
    return "rest-api"


@pytest.mark.parametrize("method", ALLOWED)
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_anything_in_any_field(
    method: str, trigger: str, start_in_process: Callable[..., Invoke], api: InngestApi
) -> None:
    """It is answered as a request by a stranger, or it is no request: in one line, before anything is done."""
    invoke = start_in_process("recorded_app.handler", **CLOUD)
    event = to_lambda_event(trigger, method, CALL_URL, HEADERS, BODY)
    refused = 0
    for place in _places(event):
        for value in WRONG:
            changed = _changed(event, place, value)
            try:
                reply = invoke(changed)
            except UnsupportedEventError as error:
                refused += 1
                assert "\n" not in str(error)  # noqa: PT017 - either way is fine
                continue
            answer = from_lambda_reply(_trigger(changed), reply)
            assert answer.headers["x-inngest-sdk"], place
            assert answer.status in ALLOWED[method], (place, value, answer.body)
    assert refused > len(WRONG)
    assert method == "PUT" or api.received == []


@pytest.mark.parametrize("body", ["!", "a", "a===", "\u00e9", "====", "e30"])
def test_base64_that_is_none(body: str, start_lambda: Callable[..., Invoke], api: InngestApi) -> None:
    event = to_lambda_event("function-url", "POST", CALL_URL, HEADERS, b"") | {"body": body, "isBase64Encoded": True}
    invoke = start_lambda("recorded_app.handler", **DEV)
    try:
        reply = invoke(event)
    except (UnsupportedEventError, LambdaInvocationError) as error:
        assert "is base64, but it is not" in str(error)  # noqa: PT017 - either way is fine
    else:
        assert reply["statusCode"] == 400
    assert api.received == []


@pytest.mark.parametrize(
    "event", [{"a\nb": 1, "\x1b[31m": 2}, {"Records": [{"eventSource": "x\n" * 1000}]}], ids=["keys", "source"]
)
def test_an_event_that_is_none_is_told_of_in_one_short_line(
    event: dict[str, Any], start_in_process: Callable[..., Invoke]
) -> None:
    with pytest.raises(UnsupportedEventError) as caught:
        start_in_process("recorded_app.handler", **DEV)(event)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 600
