"""The front doors of AWS Lambda, for the dev server: an HTTP request to a Lambda event, a Lambda reply to HTTP.

Each event has the keys, letter case, encodings and nulls of the real trigger, so a handler meets at home what it will
meet in the cloud; tests/golden/aws holds one of each kind. AWS documentation pages: "Invoking Lambda function URLs",
"Create AWS Lambda proxy integrations for HTTP APIs in API Gateway", "Lambda proxy integrations in API Gateway" (REST),
"Use Lambda functions as targets of an Application Load Balancer".
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from inngest_serverless.errors import ConfigurationError

__all__ = ["TRIGGERS", "HttpReply", "from_lambda_reply", "to_lambda_event"]

_ACCOUNT = "123456789012"
_SOURCE_IP = "127.0.0.1"
_TARGET_GROUP = f"arn:aws:elasticloadbalancing:us-east-1:{_ACCOUNT}:targetgroup/local/0123456789abcdef"
_IDENTITY = (
    "accessKey accountId caller cognitoAuthenticationProvider cognitoAuthenticationType cognitoIdentityId "
    "cognitoIdentityPoolId principalOrgId sourceIp user userAgent userArn"
)
_TEXT_TYPES = frozenset({"", "application/json", "application/javascript", "application/xml"})
_REST_REPLY_KEYS = frozenset({"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"})


@dataclass(frozen=True, slots=True)
class HttpReply:
    """What the client receives: the body as bytes, headers by lower-case name (repeated ones joined with ", ")."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class _Request:
    """A request on its way in: what every trigger needs, in no trigger's form yet."""

    method: str
    url: SplitResult
    headers: dict[str, str]
    text: str | None  # the body as delivered; None without one
    is_base64: bool
    stage: str | None
    now_millis: int
    request_id: str

    @property
    def path(self) -> str:  # what the client typed, percent-encoded
        return self.url.path or "/"

    @property
    def resource(self) -> str:  # the path without the stage; equal to it where the client did not type the stage
        typed = self.stage is not None and f"{self.path}/".startswith(f"/{self.stage}/")
        return (self.path.removeprefix(f"/{self.stage}") or "/") if typed else self.path

    def context(self, stage: str, time: str) -> dict[str, Any]:
        host, prefix = self.url.netloc, self.url.netloc.partition(".")[0]
        context = {"accountId": _ACCOUNT, "apiId": prefix, "domainName": host, "domainPrefix": prefix}
        written = datetime.fromtimestamp(self.now_millis // 1000, UTC).strftime("%d/%b/%Y:%H:%M:%S +0000")
        context |= {"requestId": self.request_id, "stage": stage, time: written}
        return context | {f"{time}Epoch": self.now_millis}


def to_lambda_event(
    trigger: str,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    stage: str | None = None,
    base64: bool | None = None,
    now_millis: int = 0,
    request_id: str = "00000000-0000-4000-8000-000000000000",
) -> dict[str, Any]:
    """The event that a trigger hands to the function for a request, as a JSON-like dict.

    Args:
        trigger: One of `TRIGGERS`.
        method: The HTTP method, in upper case.
        url: The URL the client called, with its query.
        headers: Request headers, named as the client sent them; those that the platform sets are replaced.
        body: The request body; empty means none.
        stage: The API Gateway stage; by default `$default` for HTTP APIs, `prod` for REST APIs. A URL that does not
            begin with it is taken for a custom domain mapped to the stage. Other triggers have no stages.
        base64: Whether the body comes in base64. By default as the platform has it: not for text in valid UTF-8.
        now_millis: Time of the request, Unix milliseconds.
        request_id: The platform's ID of the request.

    Raises:
        ConfigurationError: There is no such trigger.
        ValueError: The URL is not absolute, or `base64` is False and the body is not UTF-8.
    """
    build = _BUILDERS[_known(trigger)]
    parts = urlsplit(url)
    _require(parts.scheme and parts.hostname, f"not an absolute URL: {url!r}")
    is_base64 = bool(body) and (_is_binary(trigger, headers, body) if base64 is None else base64)
    text = (b64encode(body) if is_base64 else body).decode() if body else None
    all_headers = _with_platform_headers(trigger, parts, headers, body, now_millis)
    return build(_Request(method, parts, all_headers, text, is_base64, stage, now_millis, request_id))


def _known(trigger: str) -> str:
    if trigger not in _BUILDERS:
        raise ConfigurationError(f"unknown trigger {trigger!r}; the known ones are {', '.join(TRIGGERS)}")
    return trigger


def _with_platform_headers(
    trigger: str, url: SplitResult, sent: Mapping[str, str], body: bytes, now_millis: int
) -> dict[str, str]:
    own = {
        "host": url.netloc,
        "x-amzn-trace-id": f"Root=1-{now_millis // 1000:08x}-{0:024x}",
        "x-forwarded-for": _SOURCE_IP,
        "x-forwarded-port": str(url.port or (80 if url.scheme == "http" else 443)),
        "x-forwarded-proto": url.scheme,
    }
    # A REST API drops the length; an HTTP API states it even when there is no body.
    if trigger.startswith("http-api") or (body and trigger != "rest-api"):
        own["content-length"] = str(len(body))
    kept = {name: value for name, value in sent.items() if name.lower() not in {*own, "content-length"}}
    if trigger in {"http-api-v1", "rest-api"}:  # the platform's names in capitals, the client's own untouched
        named = {"User-Agent" if name.lower() == "user-agent" else name: value for name, value in kept.items()}
        return named | {name.title(): value for name, value in own.items()}
    return {name.lower(): value for name, value in (kept | own).items()}


def _is_binary(trigger: str, headers: Mapping[str, str], body: bytes) -> bool:
    """Whether the platform encodes the body (a REST API: one whose binary media types cover what is not UTF-8)."""
    try:
        body.decode()
    except UnicodeDecodeError:
        return True
    lower = {name.lower(): value for name, value in headers.items()}
    media_type = lower.get("content-type", "").partition(";")[0].strip().lower()
    is_text = media_type.startswith("text/") or media_type in _TEXT_TYPES
    return trigger != "rest-api" and ("content-encoding" in lower or not is_text)


def _function_url(request: _Request) -> dict[str, Any]:
    event = _payload_v2(request, unquote(request.path), "$default")
    event["rawPath"] = request.path
    event["requestContext"]["accountId"] = "anonymous"  # auth type NONE
    return event


def _http_api(request: _Request) -> dict[str, Any]:
    # It decodes rawPath and takes the cookies out of the headers; a function URL does neither.
    hidden = request.stage is not None and request.resource == request.path
    path = f"/{request.stage}{request.path}" if hidden else request.path  # custom domains show the stage to us only
    event = _payload_v2(request, unquote(path), request.stage or "$default")
    event["headers"].pop("cookie", None)
    return event


def _payload_v2(request: _Request, path: str, stage: str) -> dict[str, Any]:
    headers, route = dict(request.headers), {"routeKey": "$default"}
    http = {"method": request.method, "path": path, "protocol": "HTTP/1.1", "sourceIp": _SOURCE_IP}
    http["userAgent"] = headers.get("user-agent", "")
    context = request.context(stage, "time") | route | {"http": http}
    event: dict[str, Any] = {"version": "2.0", **route, "rawPath": path, "rawQueryString": request.url.query}
    event |= {"headers": headers, "requestContext": context, "isBase64Encoded": request.is_base64}
    # What is not there is left out, where payload 1.0 says null.
    if "cookie" in headers:
        event["cookies"] = [cookie.strip() for cookie in headers["cookie"].split(";")]
    if query := _grouped(request.url.query):
        event["queryStringParameters"] = {name: ",".join(values) for name, values in query.items()}
    if request.text is not None:
        event["body"] = request.text
    return event


def _http_api_v1(request: _Request) -> dict[str, Any]:
    event = _payload_v1(request, request.path, request.stage or "$default", request.resource)
    event["requestContext"]["resourceId"] = f"ANY {request.resource}"
    event["requestContext"]["identity"]["cognitoAmr"] = None
    return {"version": "1.0"} | event


def _rest_api(request: _Request) -> dict[str, Any]:
    path = request.resource
    event = _payload_v1(request, path, request.stage or "prod", "/" if path == "/" else "/{proxy+}")
    event["requestContext"] |= {"resourceId": "abc123", "deploymentId": "def456"}
    return event | {"pathParameters": None if path == "/" else {"proxy": path[1:]}}


def _payload_v1(request: _Request, path: str, stage: str, resource: str) -> dict[str, Any]:
    query = _grouped(request.url.query)
    client = {"sourceIp": _SOURCE_IP, "userAgent": request.headers.get("User-Agent")}
    # Of a REST API, requestContext.path is the only place that keeps the stage.
    context = request.context(stage, "requestTime") | {"identity": dict.fromkeys(_IDENTITY.split()) | client}
    context |= {"httpMethod": request.method, "path": request.path, "protocol": "HTTP/1.1"}
    context |= {"resourcePath": resource, "extendedRequestId": request.request_id}
    event: dict[str, Any] = {"resource": resource, "path": path, "httpMethod": request.method}
    event |= {"headers": dict(request.headers), "requestContext": context, "stageVariables": None}
    event["multiValueHeaders"] = {name: [value] for name, value in request.headers.items()}
    event["queryStringParameters"] = {name: values[-1] for name, values in query.items()} or None
    event |= {"multiValueQueryStringParameters": query or None, "pathParameters": None}
    return event | {"body": request.text, "isBase64Encoded": request.is_base64}


def _load_balancer(request: _Request, *, multi_value: bool) -> dict[str, Any]:
    query = _grouped(request.url.query, decode=False)
    event: dict[str, Any] = {"requestContext": {"elb": {"targetGroupArn": _TARGET_GROUP}}, "path": request.path}
    event |= {"httpMethod": request.method, "body": request.text or "", "isBase64Encoded": request.is_base64}
    if multi_value:
        headers = {name: [value] for name, value in request.headers.items()}
        return event | {"multiValueQueryStringParameters": query, "multiValueHeaders": headers}
    last = {name: values[-1] for name, values in query.items()}
    return event | {"queryStringParameters": last, "headers": dict(request.headers)}


def _grouped(query: str, *, decode: bool = True) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    guarded = query if decode else query.replace("%", "%25").replace("+", "%2B")  # load balancers do not decode
    for name, value in parse_qsl(guarded, keep_blank_values=True):
        values.setdefault(name, []).append(value)
    return values


_BUILDERS: dict[str, Callable[[_Request], dict[str, Any]]] = {
    "function-url": _function_url,
    "http-api": _http_api,
    "http-api-v1": _http_api_v1,
    "rest-api": _rest_api,
    "alb": partial(_load_balancer, multi_value=False),
    "alb-multi-value": partial(_load_balancer, multi_value=True),
}
TRIGGERS: tuple[str, ...] = tuple(_BUILDERS)


def from_lambda_reply(trigger: str, reply: object) -> HttpReply:
    """The HTTP reply that a trigger makes of what the function returned.

    Args:
        trigger: One of `TRIGGERS`.
        reply: What the function returned: a mapping with `statusCode`, `headers`, `body` and so on.

    Raises:
        ConfigurationError: There is no such trigger.
        ValueError: The platform would answer 502 (an HTTP API: 500); the message says why. A reply without
            `statusCode` is refused everywhere, although payload 2.0 would send all of it as the body of a 200.
    """
    _known(trigger)
    _require(isinstance(reply, Mapping), f"the reply must be an object, not {reply!r}")
    fields = cast("Mapping[str, Any]", reply)
    extra = sorted(fields.keys() - _REST_REPLY_KEYS) if trigger == "rest-api" else None
    _require(not extra, f"a REST API refuses a reply with {extra}")
    status, body, is_base64 = (fields.get(key) for key in ("statusCode", "body", "isBase64Encoded"))
    if type(status) is not int or status not in range(100, 600):
        raise ValueError(f"statusCode must be an integer from 100 to 599, not {status!r}")
    _require(isinstance(body, str | None), f"body must be a string, not {type(body).__name__}")
    _require(isinstance(is_base64, bool | None), f"isBase64Encoded must be a boolean, not {is_base64!r}")
    headers = {name: ", ".join(values) for name, values in _reply_headers(trigger, fields).items()}
    try:
        return HttpReply(status, headers, b64decode(body or "", validate=True) if is_base64 else (body or "").encode())
    except ValueError as error:
        raise ValueError(f"body is not base64: {error}") from None


def _reply_headers(trigger: str, fields: Mapping[str, Any]) -> dict[str, list[str]]:
    # A load balancer looks at one kind of header only, and insists on it; payload 2.0 has cookies instead of lists.
    multi: Any = {} if trigger == "alb" else fields.get("multiValueHeaders")
    single: Any = {} if trigger == "alb-multi-value" else fields.get("headers")
    if trigger in {"function-url", "http-api"}:
        multi = {"set-cookie": fields["cookies"]} if fields.get("cookies") else {}
    if not trigger.startswith("alb"):
        multi, single = multi or {}, single or {}
    _require(isinstance(multi, Mapping), f"multiValueHeaders must be an object, not {multi!r}")
    _require(isinstance(single, Mapping), f"headers must be an object, not {single!r}")
    headers: dict[str, list[str]] = {}
    for name, values in multi.items():
        _require(isinstance(values, list), f"header {name!r} must be a list of strings, not {values!r}")
        headers[name.lower()] = [_header_text(trigger, name, value) for value in values]
    for name, value in single.items():
        values = headers.setdefault(name.lower(), [])
        values.extend({_header_text(trigger, name, value)}.difference(values))
    return headers


def _header_text(trigger: str, name: str, value: object) -> str:
    accepted = str if trigger.startswith("alb") else str | bool | int | float  # API Gateway writes numbers out
    _require(isinstance(value, accepted), f"header {name!r} must be a string, not {value!r}")
    return value if isinstance(value, str) else str(value).lower()


def _require(condition: object, problem: str) -> None:
    if not condition:
        raise ValueError(problem)
