"""What is read of Flask's and Starlette's requests, which the platform's proxies have been through."""

import asyncio
import io
import json
from urllib.parse import unquote

import flask
import pytest
from starlette.requests import Request as StarletteRequest
from werkzeug.test import EnvironBuilder

from inngest_serverless import ConfigurationError, create_function, event_trigger, inngest_gcf, inngest_gcf_async
from inngest_serverless.gcp.http_requests import read_flask, read_starlette

RUN_HOST = "orders-abcdefghij-ew.a.run.app"
SHARED_HOST = "europe-west1-shop.cloudfunctions.net"


@create_function(id="nothing", trigger=event_trigger("a/b"))
def nothing(ctx):
    """Return nothing."""


def from_flask(method, target, headers, body, service):
    path, _, query = target.partition("?")
    builder = EnvironBuilder(path=path, query_string=query, method=method, headers=headers, data=body)
    return read_flask(flask.Request(builder.get_environ()), service)


def from_starlette(method, target, headers, body, service):
    path, _, query = target.partition("?")
    scope = {
        "type": "http",
        "method": method,
        "scheme": "http",
        "path": unquote(path),
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in headers],
        "server": ("10.0.0.1", 8080),
    }

    async def receive():
        return {"type": "http.request", "body": body, "more_body": False}

    async def read():
        request = StarletteRequest(scope, receive)
        return read_starlette(request, await request.body(), service)

    return asyncio.run(read())


@pytest.fixture(params=[from_flask, from_starlette], ids=["flask", "starlette"])
def read(request):
    def make(target="/", headers=(("Host", RUN_HOST),), *, method="POST", body=b"", service=""):
        return request.param(method, target, list(headers), body, service)

    return make


def test_method_query_headers_and_body(read):
    headers = [("Host", RUN_HOST), ("X-INNGEST-Signature", "t=1&s=2"), ("Content-Type", "application/json")]
    request = read("/api/inngest?fnId=app-a%20b&stepId=step&fnId=other&probe=", headers, method="PUT", body=b'{"a": 1}')
    assert request.method == "PUT"
    assert request.query == {"fnId": "app-a b", "stepId": "step", "probe": ""}
    assert request.headers["x-inngest-signature"] == "t=1&s=2"
    assert request.path == "/api/inngest"
    assert request.body == b'{"a": 1}'


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", "text/plain", ""])
def test_the_body_stays_the_bytes_that_were_signed(read, kind):
    body = b"\xff\x00a=1&b=%20\r\n"
    assert read(headers=[("Host", RUN_HOST), ("Content-Type", kind)], body=body).body == body


def test_headers_in_latin_1(read):
    assert read(headers=[("Host", RUN_HOST), ("X-Inngest-Env", "zo\xeb")]).headers["x-inngest-env"] == "zo\xeb"


def test_a_repeated_header_in_starlette_is_one_with_commas():
    """As Flask's servers make it: no second signature can take the place of the first."""
    headers = [("Host", RUN_HOST), ("X-Inngest-Signature", "first"), ("x-inngest-signature", "second")]
    request = from_starlette("POST", "/", headers, b"", "")
    assert request.headers["x-inngest-signature"] == "first, second"


@pytest.mark.parametrize(
    ("headers", "origin"),
    [
        ({"Host": RUN_HOST, "X-Forwarded-Proto": "https"}, f"https://{RUN_HOST}"),
        ({"Host": RUN_HOST, "X-Forwarded-Proto": "HTTP, https"}, f"http://{RUN_HOST}"),
        ({"Host": RUN_HOST, "X-Forwarded-Proto": "javascript"}, f"https://{RUN_HOST}"),
        ({"Host": RUN_HOST}, f"https://{RUN_HOST}"),
        ({"Host": RUN_HOST, "X-Forwarded-Host": "evil.example"}, f"https://{RUN_HOST}"),
        ({"Host": "localhost"}, "http://localhost"),
        ({"Host": "localhost:8080"}, "http://localhost:8080"),
        ({"Host": "127.0.0.1:8080"}, "http://127.0.0.1:8080"),
        ({"Host": "[::1]"}, "http://[::1]"),
        ({"Host": "[::1]:8080"}, "http://[::1]:8080"),
        ({"Host": "localhost:8080", "X-Forwarded-Proto": "https"}, "https://localhost:8080"),
        ({"Host": "localhost.example"}, "https://localhost.example"),
    ],
    ids=str,
)
def test_public_origin(read, headers, origin):
    assert read(headers=headers.items(), service="orders").origin == origin


@pytest.mark.parametrize("host", ["app:8080", "host.docker.internal:8080", "10.0.0.7:8080", "orders.example"])
def test_off_the_platform_the_scheme_is_the_servers_own(read, host):
    """As in a container beside a dev server, where nobody ends TLS or adds a header."""
    assert read(headers=[("Host", host)]).origin == f"http://{host}"
    assert read(headers=[("Host", host), ("X-Forwarded-Proto", "https")]).origin == f"https://{host}"


@pytest.mark.parametrize(
    ("host", "is_origin_claimed"),
    [
        (RUN_HOST, False),
        ("tag---orders-abcdefghij-ew.a.run.app", False),
        ("orders-123456789.europe-west1.run.app:443", False),
        (RUN_HOST.upper(), False),
        (SHARED_HOST, False),
        ("api.example.com", True),
        ("run.app.example", True),
        ("evilrun.app", True),
        ("evil.example/x.run.app", True),
        ("evil.example?x.run.app", True),
        ("user@evil.example#.run.app", True),
        ("localhost:8080", True),
        ("", True),
    ],
)
def test_only_hosts_of_the_platforms_own_vouch_for_themselves(read, host, is_origin_claimed):
    """A load balancer sends on whatever Host header the client wrote, unless it was told not to."""
    assert read(headers=[("Host", host)], service="orders").is_origin_claimed is is_origin_claimed


@pytest.mark.parametrize(
    ("host", "path", "service", "public"),
    [
        (RUN_HOST, "/api/inngest", "orders", "/api/inngest"),
        (RUN_HOST, "/", "orders", "/"),
        (SHARED_HOST, "/", "orders", "/orders"),
        (SHARED_HOST, "/api/inngest", "orders", "/orders/api/inngest"),
        (SHARED_HOST, "/orders/api/inngest", "orders", "/orders/api/inngest"),
        (SHARED_HOST, "/orders", "orders", "/orders"),
        (SHARED_HOST, "/orders2", "orders", "/orders/orders2"),
        (f"{SHARED_HOST}:443", "/", "orders", "/orders"),
        (SHARED_HOST, "/api/inngest", "", "/api/inngest"),
        ("cloudfunctions.net.example", "/", "orders", "/"),
    ],
)
def test_public_path(read, host, path, service, public):
    """On the domain that functions share the URL begins with the function's name, which the request is without."""
    assert read(path, [("Host", host)], service=service).path == public


def test_a_path_is_as_it_was_sent(read):
    assert read("/caf%C3%A9/a%20b/(c)%3F:@").path == "/caf%C3%A9/a%20b/(c)%3F:@"


def test_flask_mounted_below_a_path():
    builder = EnvironBuilder(path="/api/inngest", base_url=f"https://{RUN_HOST}/durable", method="GET")
    assert read_flask(flask.Request(builder.get_environ()), "").path == "/durable/api/inngest"


def test_a_request_of_the_other_kind():
    request = StarletteRequest({"type": "http", "method": "GET", "path": "/", "headers": [], "query_string": b""})
    with pytest.raises(ConfigurationError, match=r"not those of starlette.*inngest_gcf_async"):
        read_flask(request, "")


# Bodies that are too large.


class Endless:
    """A body of as many bytes as anybody wants, which counts how many that were."""

    def __init__(self):
        self.taken = 0

    def read(self, size=-1):
        assert size >= 0, "all of a body without end is asked for"
        size = min(size, 1000)
        self.taken += size
        return b"x" * size

    def readinto(self, buffer):
        part = self.read(len(buffer))
        buffer[: len(part)] = part
        return len(part)

    async def receive(self):
        return {"type": "http.request", "body": self.read(1000), "more_body": True}


@pytest.mark.parametrize("length", [None, str(10**12)], ids=["chunked", "declared"])
@pytest.mark.parametrize("framework", ["flask", "starlette"])
def test_no_more_of_a_body_is_read_than_shows_that_it_is_too_large(framework, length):
    """An instance has many requests at once: strangers must not fill its memory with bodies that nobody takes."""
    body, limit = Endless(), 5_000
    handlers = {"flask": inngest_gcf, "starlette": inngest_gcf_async}
    handler = handlers[framework]([nothing], app_id="app", is_dev=True, max_body_size=limit)
    if framework == "flask":
        environ = EnvironBuilder(method="POST", headers={"Host": RUN_HOST}).get_environ()
        environ |= {"wsgi.input": body, "wsgi.input_terminated": True}
        environ |= {} if length is None else {"CONTENT_LENGTH": length}
        reply, status, _ = handler(flask.Request(environ))
    else:
        headers = [(b"host", RUN_HOST.encode())] + ([] if length is None else [(b"content-length", length.encode())])
        scope = {"type": "http", "method": "POST", "path": "/", "query_string": b"", "headers": headers}
        response = asyncio.run(handler(StarletteRequest(scope, body.receive)))
        reply, status = response.body, response.status_code
    assert (status, json.loads(reply)["name"]) == (413, "BodyTooLarge")
    assert limit < body.taken <= limit + 1000


def test_a_body_that_fits_may_come_in_parts():
    content = b"x" * 5_000
    environ = EnvironBuilder(method="POST", headers={"Host": RUN_HOST}).get_environ()
    environ |= {"wsgi.input": io.BytesIO(content), "wsgi.input_terminated": True}
    assert read_flask(flask.Request(environ), "", len(content)).body == content
