"""Lambda's HTTP events, in four shapes, to requests, and replies back.

Sources: the AWS Lambda developer guide on function URLs, the API Gateway developer guides on proxy integrations, and
the guide to application load balancers on Lambda functions as targets.
"""

from __future__ import annotations

from inngest_serverless.errors import UnsupportedEventError
from inngest_serverless.protocol.exchange import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

    from inngest_serverless.protocol.exchange import Reply

    Event = Mapping[str, Any]
    Writer = Callable[[Reply], dict[str, Any]]

__all__ = ["read_event"]


def read_event(event: Any) -> tuple[Request, Writer]:
    """The request in a Lambda event, and what turns the reply into the shape that the event's sender takes.

    Raises:
        UnsupportedEventError: It is no HTTP event; the message names what it is and what serves it.
    """
    context = event.get("requestContext") if isinstance(event, dict) else None
    if isinstance(context, dict):
        try:
            if isinstance(context.get("http"), dict):
                return _read_v2(event, context), _write
            if "elb" in context:
                multi = event.get("multiValueHeaders") is not None
                return _read_alb(event), _write_alb_multi if multi else _write_alb
            if isinstance(event.get("httpMethod"), str):
                return _read_v1(event, context), _write
        except (AttributeError, TypeError):
            # No client can bring this about, but whoever may invoke the function with events of their own.
            raise UnsupportedEventError(
                "this handler serves HTTP requests, but was invoked with an event that only looks like one: "
                "a field in it is not of the type that AWS gives it"
            ) from None
    from inngest_serverless.aws.event_kinds import describe

    what, advice = describe(event)
    advice = advice or "put a function URL, an API Gateway or a load balancer before it"
    raise UnsupportedEventError(f"this handler serves HTTP requests, but was invoked with {what}: {advice}")


def _read_v2(event: Event, context: Event) -> Request:
    """Function URLs, and HTTP APIs with payload 2.0."""
    http = context["http"]
    return Request(
        _text(http.get("method")).upper(),
        _parse_query(_text(event.get("rawQueryString"))),
        # This payload's header names are in lower case already, but test events written by hand need not be.
        _lower(event.get("headers")),
        _body(event),
        f"https://{_text(context.get('domainName'))}",
        _v2_path(event, context),
        is_origin_claimed=not context.get("domainName"),
        # What a client sends gets into known fields only: this one is of who may invoke the function.
        is_from_deployment=event.get("deployHook") is True,
    )


def _v2_path(event: Event, context: Event) -> str:
    path = _text(event.get("rawPath")) or "/"
    stage = _text(context.get("stage"))
    domain = _text(context.get("domainName"))
    # Behind a custom domain the path still starts with the stage, which is no part of the public URL there.
    if stage and stage != "$default" and ".execute-api." not in domain and f"{path}/".startswith(f"/{stage}/"):
        return path[len(stage) + 1 :] or "/"
    return path


def _read_v1(event: Event, context: Event) -> Request:
    """REST APIs, and HTTP APIs with payload 1.0."""
    return Request(
        event["httpMethod"].upper(),
        _first_values(event),
        _lower(event.get("headers")) or _first_headers(event),
        _body(event),
        f"https://{_text(context.get('domainName'))}",
        _text(context.get("path") or event.get("path")) or "/",
        is_origin_claimed=not context.get("domainName"),
    )


def _read_alb(event: Event) -> Request:
    """Load balancers, which leave the query as it was sent and do not say by which name they were reached."""
    headers = _lower(event.get("headers")) or _first_headers(event)
    query = {_unquote(key): _unquote(value) for key, value in _first_values(event).items()}
    scheme = "http" if headers.get("x-forwarded-proto") == "http" else "https"
    return Request(
        _text(event.get("httpMethod")).upper(),
        query,
        headers,
        _body(event),
        f"{scheme}://{headers.get('host', '')}",
        _text(event.get("path")) or "/",
        is_origin_claimed=True,
    )


def _text(value: Any) -> str:
    """A field that is text if it is there; raises TypeError for anything else."""
    if value.__class__ is str:
        return value
    if value is None:
        return ""
    raise TypeError


def _lower(headers: Mapping[str, Any] | None) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items() if value.__class__ is str} if headers else {}


def _first_headers(event: Event) -> dict[str, str]:
    return {name.lower(): value for name, value in _firsts(event.get("multiValueHeaders"))}


def _first_values(event: Event) -> dict[str, str]:
    single = event.get("queryStringParameters") or {}
    texts = {name: value for name, value in single.items() if value.__class__ is str}
    texts.update(_firsts(event.get("multiValueQueryStringParameters")))
    return texts


def _firsts(multiple: Mapping[str, Any] | None) -> Iterator[tuple[str, str]]:
    for name, values in (multiple or {}).items():
        if values.__class__ is list and values and values[0].__class__ is str:
            yield name, values[0]


def _parse_query(query: str) -> dict[str, str]:
    values: dict[str, str] = {}
    for pair in query.split("&") if query else ():
        key, _, value = pair.partition("=")
        values.setdefault(_unquote(key), _unquote(value))
    return values


def _unquote(text: str) -> str:
    if "%" not in text and "+" not in text:
        return text
    from urllib.parse import unquote_plus

    return unquote_plus(text)


def _body(event: Event) -> str | bytes:
    body = _text(event.get("body"))
    if event.get("isBase64Encoded"):
        from base64 import b64decode

        try:
            return b64decode(body)
        except ValueError:
            raise UnsupportedEventError("the event says that its body is base64, but it is not") from None
    return body


def _write(reply: Reply) -> dict[str, Any]:
    return {
        "statusCode": reply.status,
        "headers": reply.headers,
        "body": reply.body,
        "isBase64Encoded": reply.is_base64,
    }


def _write_alb(reply: Reply) -> dict[str, Any]:
    from http import HTTPStatus

    return {"statusDescription": f"{reply.status} {HTTPStatus(reply.status).phrase}", **_write(reply)}


def _write_alb_multi(reply: Reply) -> dict[str, Any]:
    written = _write_alb(reply)
    written["multiValueHeaders"] = {name: [value] for name, value in written.pop("headers").items()}
    return written
