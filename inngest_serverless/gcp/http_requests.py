"""The requests that functions-framework hands over, Flask's and Starlette's, to ours.

Sources: the Cloud Run functions reference on request headers, the Cloud Run container contract, and the documentation
of ``flask.Request`` and ``starlette.requests.Request``.
"""

from __future__ import annotations

from inngest_serverless.config import DEFAULT_MAX_BODY_SIZE
from inngest_serverless.errors import ConfigurationError
from inngest_serverless.protocol.exchange import Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import flask
    import starlette.requests

__all__ = ["joined", "read_body", "read_flask", "read_starlette"]

# Where the URL has the function's name in front of the path, and the request does not.
_SHARED_DOMAIN = ".cloudfunctions.net"
# The domains by whose hosts the platform finds a service, so that a request for another host never comes to it.
_OWN_DOMAINS = (".run.app", _SHARED_DOMAIN)
_KEPT_IN_PATHS = "/:@!$&'()*+,;=~"
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def read_flask(request: flask.Request, service: str, most_bytes: int = DEFAULT_MAX_BODY_SIZE) -> Request:
    """The request as the WSGI servers have it, gunicorn and Flask's own.

    Args:
        request: The request.
        service: The name of the service that is deployed (K_SERVICE), or "".
        most_bytes: The largest body that is taken: of one that is larger no more is read than what shows that.

    Raises:
        ConfigurationError: It is no Flask request: the function is served over ASGI.
    """
    if not hasattr(request, "get_data"):
        raise ConfigurationError(
            f"this handler takes Flask's requests, not those of {type(request).__module__}: serve inngest_gcf_async, "
            "or leave out --asgi (FUNCTION_USE_ASGI)"
        )
    headers = joined(request.headers.items())
    return Request(
        request.method,
        request.args.to_dict(),
        headers,
        _flask_body(request, most_bytes),
        _origin(headers, request.scheme, service),
        _public_path(headers, request.root_path + request.path, service),
        is_origin_claimed=_is_claimed(headers),
    )


def _flask_body(request: flask.Request, most_bytes: int) -> bytes:
    """The bytes that were signed. They are not needed twice, so they are not kept."""
    length = request.content_length
    if length is not None and length <= most_bytes:
        return request.get_data(cache=False)
    # An instance has many requests at once, of anybody, and little memory.
    parts, room = [], most_bytes + 1
    while room and (part := request.stream.read(room)):
        parts.append(part)
        room -= len(part)
    return b"".join(parts)


async def read_body(request: starlette.requests.Request, most_bytes: int) -> bytes:
    """The body of a request; of one that is larger than ``most_bytes`` no more than what shows that.

    Raises:
        ClientDisconnect: The client is gone.
    """
    parts, size = [], 0
    async for part in request.stream():
        parts.append(part)
        size += len(part)
        if size > most_bytes:
            break
    return b"".join(parts)


def read_starlette(request: starlette.requests.Request, body: bytes, service: str) -> Request:
    """The request as the ASGI servers have it.

    Args:
        request: The request.
        body: Its body, as it was received.
        service: The name of the service that is deployed (K_SERVICE), or "".
    """
    headers = joined(request.headers.items())
    query: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        query.setdefault(name, value)
    origin = _origin(headers, request.scope.get("scheme", "http"), service)
    path = _public_path(headers, request.scope["path"], service)
    return Request(request.method, query, headers, body, origin, path, is_origin_claimed=_is_claimed(headers))


def joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Headers by their names in lower case; one that is repeated is one with commas, as HTTP has it."""
    joined: dict[str, str] = {}
    for name, value in headers:
        key = name.lower()
        joined[key] = f"{joined[key]}, {value}" if key in joined else value
    return joined


def _origin(headers: Mapping[str, str], server_scheme: str, service: str) -> str:
    """The public origin: the platform ends TLS, and says in a header of its own by which scheme it was reached.

    X-Forwarded-Host is not asked: anybody can send it, and what a PUT registers is where the server sends the data.
    """
    host = headers.get("host", "")
    scheme = headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    if scheme not in {"http", "https"}:
        # Elsewhere, in a container next to a dev server say, nobody is in front of the server.
        is_local = any(f"{host}:".startswith(f"{name}:") for name in _LOOPBACK)
        scheme = "https" if service and not is_local else server_scheme
    return f"{scheme}://{host}"


def _is_claimed(headers: Mapping[str, str]) -> bool:
    """Whether the host is only what the client wrote: a load balancer passes on any, the platform itself its own."""
    host, _, port = headers.get("host", "").lower().partition(":")
    is_name = f"{host}{port}".replace("-", "").replace(".", "").isalnum() and f"{host}{port}".isascii()
    # Whoever passes a request on says so. A load balancer passes on run.app hosts as well, anybody's.
    is_passed_on = "via" in headers
    return is_passed_on or not (is_name and host.endswith(_OWN_DOMAINS) and (port.isdigit() or not port))


def _host_name(headers: Mapping[str, str]) -> str:
    return headers.get("host", "").partition(":")[0].lower()


def _public_path(headers: Mapping[str, str], path: str, service: str) -> str:
    """The path of the public URL; ``path`` is the one that was requested, decoded."""
    from urllib.parse import quote

    quoted = quote(path, safe=_KEPT_IN_PATHS)
    if not service or not _host_name(headers).endswith(_SHARED_DOMAIN) or f"{path}/".startswith(f"/{service}/"):
        return quoted
    return f"/{service}" if path == "/" else f"/{service}{quoted}"
