"""What the platforms let through, and what they answer to the rest.

Sources: AWS Lambda developer guide, "Lambda quotas" and "Handling Lambda errors with an API Gateway API"; API Gateway
developer guide, "Quotas for configuring and running a REST API", the same for HTTP APIs, and "Gateway response types";
Elastic Load Balancing user guide, "Lambda functions as targets" and "Troubleshoot your Application Load Balancers";
Cloud Run documentation, "Quotas and limits" and "Request timeout". Where AWS documents no text of an answer, it is the
one that is observed; docs/dev-server.md says which.
"""

from __future__ import annotations

from dataclasses import dataclass
from http import HTTPStatus
from typing import Literal

from inngest_serverless.local.gateway import HttpReply

__all__ = ["CLOUD_RUN", "LAMBDA", "Limits", "Refusal"]

Refusal = Literal["body", "event", "reply", "failed", "late"]

_MIB = 1024 * 1024
_EVENT_BYTES = 6_291_456
_REPLY_BYTES = 6_291_556


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of a way in, and its answers.

    Attributes:
        body_bytes: The largest request body.
        event_bytes: The largest event, as JSON.
        reply_bytes: The largest reply of the function, as JSON; for Cloud Run, the largest body of a reply.
        seconds: How long it waits for the function; None if as long as the function may take.
        answers: What it answers to a request that is too large as a body or as an event, whose reply is too large or
            malformed, whose function fails or ends at its own timeout, or takes longer than ``seconds``.
    """

    body_bytes: int
    event_bytes: int
    reply_bytes: int
    seconds: float | None
    answers: dict[Refusal, HttpReply]


def _json(status: int, text: str) -> HttpReply:
    return HttpReply(status, {"content-type": "application/json"}, text.encode())


def _page(status: int) -> HttpReply:
    """What a load balancer says."""
    title = {413: "413 Request Entity Too Large", 504: "504 Gateway Time-out"}.get(
        status, f"{status} {HTTPStatus(status).phrase}"
    )
    head = f"<html>\r\n<head><title>{title}</title></head>\r\n"
    body = f"<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    return HttpReply(status, {"content-type": "text/html", "server": "awselb/2.0"}, (head + body).encode())


def _all(failed: HttpReply, **others: HttpReply) -> dict[Refusal, HttpReply]:
    """Answers: that of a failure, and those that are others."""
    names: tuple[Refusal, ...] = ("body", "event", "reply", "failed", "late")
    return {name: others.get(name, failed) for name in names}


_URL_TOO_LARGE = _json(
    413, f'{{"Message":"Request must be smaller than {_EVENT_BYTES} bytes for the InvokeFunction operation"}}'
)
_FUNCTION_URL = Limits(
    body_bytes=_EVENT_BYTES,
    event_bytes=_EVENT_BYTES,
    reply_bytes=_REPLY_BYTES,
    seconds=None,
    answers=_all(_json(502, "Internal Server Error"), body=_URL_TOO_LARGE, event=_URL_TOO_LARGE),
)
_HTTP_API = Limits(
    body_bytes=10 * _MIB,
    event_bytes=_EVENT_BYTES,
    reply_bytes=_REPLY_BYTES,
    seconds=30.0,
    answers=_all(
        _json(500, '{"message":"Internal Server Error"}'),
        body=_json(413, '{"message":"Request Entity Too Large"}'),
        late=_json(503, '{"message":"Service Unavailable"}'),
    ),
)
_REST_API = Limits(
    body_bytes=10 * _MIB,
    event_bytes=_EVENT_BYTES,
    reply_bytes=_REPLY_BYTES,
    seconds=29.0,
    answers=_all(
        _json(502, '{"message": "Internal server error"}'),
        body=_json(413, '{"message": "Request Too Long"}'),
        event=_json(413, '{"message": "Request Too Long"}'),
        late=_json(504, '{"message": "Endpoint request timed out"}'),
    ),
)
_LOAD_BALANCER = Limits(
    body_bytes=_MIB,
    event_bytes=_EVENT_BYTES,
    reply_bytes=_MIB,
    seconds=60.0,
    answers=_all(_page(502), body=_page(413), event=_page(413), late=_page(504)),
)
# By trigger, as in gateway.TRIGGERS.
LAMBDA: dict[str, Limits] = {
    "function-url": _FUNCTION_URL,
    "http-api": _HTTP_API,
    "http-api-v1": _HTTP_API,
    "rest-api": _REST_API,
    "alb": _LOAD_BALANCER,
    "alb-multi-value": _LOAD_BALANCER,
}

_TEXT = {"content-type": "text/plain"}
# Its timeout is the service's own setting, and comes with the request.
CLOUD_RUN: Limits = Limits(
    body_bytes=32 * _MIB,
    event_bytes=32 * _MIB,
    reply_bytes=32 * _MIB,
    seconds=300.0,
    answers=_all(
        HttpReply(503, _TEXT, b"Service Unavailable"),
        body=HttpReply(413, _TEXT, b"Request Entity Too Large"),
        reply=HttpReply(500, _TEXT, b"Internal Server Error"),
        late=HttpReply(504, _TEXT, b"upstream request timeout"),
    ),
)
