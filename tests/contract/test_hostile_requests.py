"""Requests by who means no good, put to every adapter: a well-formed reply, and nothing else; docs/protocol.md."""

from __future__ import annotations

import hmac
import json
import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest
from adapters import IN_PROCESS, SERVE_URL, as_parameters
from calls import BODY, CALL_URL, CLOUD, DEV, call_body, signed
from inngest_api import KEY, SIGNATURE, bearer, signature
from recorded_app import FUNCTIONS
from replies import check_reply

from inngest_serverless.protocol import jcs

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapters import Bench, Caller
    from inngest_api import InngestApi

    from inngest_serverless.local.gateway import HttpReply

pytestmark = pytest.mark.usefixtures("resting_collector")

IDS = [function.id for function in FUNCTIONS]
DIGEST = "0" * 64


def _now() -> str:
    return f"t={int(time.time())}&s={DIGEST}"


# Method, path and query, headers, body: what somebody without the key may try.
STRANGERS: dict[str, tuple[str, str, dict[str, str], bytes]] = {
    "nothing at all": ("POST", "", {}, b""),
    "no JSON": ("POST", "", {}, b"{"),
    "no UTF-8": ("POST", "", {}, b"\xff\xfe\x00"),
    "a bomb": ("POST", "", {}, b"[" * 100_000),
    "a bomb with a signature": ("POST", "", {SIGNATURE: "now"}, b"[" * 100_000),
    "a number without end": ("POST", "", {SIGNATURE: "now"}, b"9" * 100_000),
    "an infinite number": ("POST", "", {SIGNATURE: "now"}, b"1e400"),
    "a signature of lone surrogates": ("POST", "", {SIGNATURE: "now"}, b'"\\ud800"'),
    "keys twice": ("POST", "", {SIGNATURE: "now"}, b'{"ctx":{},"ctx":[]}'),
    "a long signature": ("POST", "", {SIGNATURE: "t=1&s=" + "0" * 6000}, b"{}"),
    "a signature of separators": ("POST", "", {SIGNATURE: "&" * 6000}, b"{}"),
    "a time without end": ("POST", "", {SIGNATURE: f"t={'9' * 6000}&s={DIGEST}"}, b"{}"),
    "a signature in another script": ("POST", "", {SIGNATURE: "t=\u0661&s=\u0662"}, b"{}"),
    "a bearer token": ("POST", "", {"Authorization": f"Bearer {KEY}"}, BODY),
    "a dev server": ("POST", "", {"X-Inngest-Server-Kind": "dev"}, BODY),
    "an unknown function": ("POST", "?fnId=rec-gone&stepId=step", {}, BODY),
    "a known function": ("POST", "?fnId=rec-no-steps&stepId=step", {}, BODY),
    "a parameter twice": ("POST", "?fnId=x&fnId=rec-no-steps&stepId=step", {}, BODY),
    "parameters without end": ("POST", "?" + "&".join(f"p{n}=1" for n in range(900)), {}, BODY),
    "a query in no encoding": ("POST", "?fnId=%ff%fe&stepId=%zz%&%00=%00", {}, BODY),
    "a probe": ("POST", "?probe=trust", {}, b""),
    "a path up": ("POST", "/../../../etc/passwd", {}, BODY),
    "an encoded path up": ("POST", "/%2e%2e%2f%2e%2e%2fetc%2fpasswd%00", {}, BODY),
    "another method by header": ("GET", "", {"X-HTTP-Method-Override": "POST"}, BODY),
    "a look around": ("GET", "", {}, b""),
    "a look around with a signature": ("GET", "", {SIGNATURE: "now"}, b""),
    "a sync in band": ("PUT", "", {"X-Inngest-Sync-Kind": "in_band"}, b"{}"),
    "a sync with a wrong signature": ("PUT", "", {SIGNATURE: "now"}, b"{}"),
}
EXPECTED = {"a look around": 200, "a look around with a signature": 200, "another method by header": 200}


@pytest.mark.parametrize("kind", STRANGERS)
def test_a_stranger_is_refused(kind: str, serve: Callable[..., Caller], api: InngestApi) -> None:
    caller = serve(**CLOUD)
    method, place, headers, body = STRANGERS[kind]
    if headers.get(SIGNATURE) == "now":
        headers = {**headers, SIGNATURE: f"t={int(caller.now())}&s={DIGEST}"}
    reply = caller(method, f"{SERVE_URL}{place}", headers, body)
    check_reply(reply, caller, "cloud")
    assert reply.status == EXPECTED.get(kind, 401), reply.body
    _check_nothing_told(reply)
    assert api.received == [], "a stranger has made the app send something"


def _check_nothing_told(reply: HttpReply) -> None:
    document = json.loads(reply.body)
    if reply.status == 401:
        assert document.keys() == {"message"}
    text = reply.body.decode()
    told = [
        name for name in (*IDS, KEY.removeprefix("signkey-test-"), "Traceback", ".py", "api_origin") if name in text
    ]
    assert told == [], "what a stranger must not learn"
    assert SIGNATURE.lower() not in reply.headers


# Dev mode: nobody has to sign, and a browser on the same machine does what any page tells it to.


@pytest.mark.parametrize("origin", ["https://evil.example", "null", "http://localhost:3000"])
@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_web_page_runs_nothing_in_dev_mode(
    method: str, origin: str, serve: Callable[..., Caller], api: InngestApi
) -> None:
    caller = serve(**DEV)
    reply = caller(method, CALL_URL, {"Origin": origin, "Content-Type": "text/plain"}, BODY)
    check_reply(reply, caller, "dev")
    assert (reply.status, json.loads(reply.body)["name"]) == (403, "WebPage")
    assert "access-control-allow-origin" not in reply.headers
    assert api.received == []


def test_in_cloud_mode_it_is_the_signature_that_counts(serve: Callable[..., Caller]) -> None:
    caller = serve(**CLOUD)
    page = {"Origin": "https://evil.example"}
    assert caller("POST", CALL_URL, page, BODY).status == 401
    assert caller("POST", CALL_URL, signed(caller, BODY) | page, BODY).status == 200


# Keys that are none.


@pytest.mark.parametrize("key", [" ", "signkey-prod-", " signkey-prod- "])
@pytest.mark.parametrize("adapter", as_parameters(IN_PROCESS), indirect=True)
def test_a_key_with_nothing_in_it_is_no_key(key: str, serve: Callable[..., Caller]) -> None:
    """Anybody can sign with it: a template that lost its variable must not leave the app open."""
    caller = serve(INNGEST_SIGNING_KEY=key, INNGEST_SIGNING_KEY_FALLBACK=key)
    reply = caller("POST", CALL_URL, {SIGNATURE: signature(BODY, caller.now(), "signkey-test-")}, BODY)
    assert (reply.status, json.loads(reply.body)["name"]) == (500, "ConfigurationError")
    assert "INNGEST_SIGNING_KEY" in json.loads(reply.body)["message"]
    assert json.loads(caller("GET").body)["has_signing_key"] is False


# Caches that stand before the app, and know a request by its URL.


@pytest.mark.parametrize("kind", ["unsigned", "signed", "wrongly signed", "from the other kind of server"])
def test_what_is_told_to_one_is_kept_for_nobody(kind: str, serve: Callable[..., Caller]) -> None:
    """The holder of the key gets its hash, which opens the API: a cache would hand that out to whoever asks next."""
    caller = serve(**CLOUD)
    headers = {
        "unsigned": {},
        "signed": signed(caller),
        "wrongly signed": {SIGNATURE: f"t={int(caller.now())}&s={DIGEST}"},
        "from the other kind of server": {"X-Inngest-Server-Kind": "dev"},
    }[kind]
    reply = caller("GET", headers=headers)
    assert ("signing_key_hash" in json.loads(reply.body)) is (kind == "signed")
    assert reply.headers["cache-control"] == "no-store"


# Time.


@pytest.mark.parametrize("adapter", as_parameters(IN_PROCESS[:1]), indirect=True)
@pytest.mark.parametrize(("values", "is_tried"), [(40_000, True), (60_000, False)], ids=["few", "many"])
def test_the_work_for_a_stranger_does_not_grow_with_what_he_sends(
    values: int, is_tried: bool, serve: Callable[..., Caller], bench: Bench
) -> None:
    """Writing JSON anew, to see whether a gateway did, takes time for each value: only so many are written."""
    written = 0
    write = jcs._write

    def count(value: object, parts: list[str]) -> None:
        nonlocal written
        written += 1
        write(value, parts)

    bench.monkeypatch.setattr(jcs, "_write", count)
    caller = serve(**CLOUD)
    body = b"[" + b"0," * values + b"0]"
    assert caller("POST", CALL_URL, {SIGNATURE: f"t={int(caller.now())}&s={DIGEST}"}, body).status == 401
    assert (written > 0) is is_tried
    assert written <= 50_000 * 2


@pytest.mark.parametrize("adapter", as_parameters(IN_PROCESS[:1]), indirect=True)
@pytest.mark.parametrize("body", [BODY, BODY.replace(b"{", b"{ ", 1)], ids=["as signed", "written anew"])
@pytest.mark.parametrize(("method", "open_to_all"), [("POST", 401), ("PUT", 401), ("GET", 200)])
def test_every_signature_is_compared_in_constant_time(
    method: str, open_to_all: int, body: bytes, serve: Callable[..., Caller], bench: Bench
) -> None:
    """Where that comparison says no, nothing else says yes."""
    caller = serve(**CLOUD)
    headers = signed(caller, BODY)
    assert caller(method, CALL_URL, headers, body).headers[SIGNATURE.lower()]
    bench.monkeypatch.setattr(hmac, "compare_digest", lambda *_: False)
    reply = caller(method, CALL_URL, headers, body)
    assert reply.status == open_to_all
    assert SIGNATURE.lower() not in reply.headers


# Bodies that are signed.


@pytest.mark.parametrize("depth", [900, 990, 100_000])
@pytest.mark.parametrize("bracket", ["[]", "{}"])
def test_json_of_any_depth(depth: int, bracket: str, serve: Callable[..., Caller]) -> None:
    """Where Python gives up is its own affair: it is a call that runs, or one that is refused."""
    caller = serve(**CLOUD)
    opening = "[" if bracket == "[]" else '{"a":'
    deep = opening * depth + "0" + bracket[1] * depth
    event = f'{{"name":"t/no-steps","data":{{"name":"Zo","x":{deep}}}}}'
    body = f'{{"ctx":{{"run_id":"01A"}},"event":{event},"steps":{{}}}}'.encode()
    reply = caller("POST", CALL_URL, signed(caller, body), body)
    check_reply(reply, caller, "cloud")
    if reply.status == 400:
        assert json.loads(reply.body)["message"] == "body: nested too deeply"
    else:
        assert (reply.status, json.loads(reply.body)) == (200, {"hello": "Zo"})


# Syncs: where the app is registered is where its events and states are sent.


@pytest.mark.parametrize("place", ["/a%3Fb%23c", "/%3F", "/a%20b", "//evil.example/x", "/%5cevil.example"])
def test_a_path_stays_a_path(place: str, serve: Callable[..., Caller], api: InngestApi) -> None:
    """Decoded and put into a URL, a question mark would cut off what tells the server's calls apart."""
    caller = serve(**CLOUD)
    assert caller("PUT", f"https://rec.example.com{place}").status == 200
    [request] = api.received
    url = urlsplit(request.json["url"])
    assert (url.netloc, url.query, url.fragment) == ("rec.example.com", "", "")
    assert url.geturl().isprintable()
    assert " " not in url.geturl()
    for function in request.json["functions"]:
        called = urlsplit(function["steps"]["step"]["runtime"]["url"])
        assert called.query == f"fnId={function['id']}&stepId=step"


HOSTS = [
    "evil.example",
    "x.a.run.app.evil.example",
    "x.a.run.app:443@evil.example",
    "user:pass@x.a.run.app",
    "x.a.run.app:evil.example",
    "x.a.run.app\\@evil.example",
]
OTHER_NAMES = ["X-Forwarded-Host", "X-Host", "X-Original-Host", "Forwarded", "X-Original-URL"]


@pytest.mark.parametrize("adapter", as_parameters(IN_PROCESS), indirect=True)
@pytest.mark.parametrize("name", OTHER_NAMES)
def test_no_header_moves_the_app(name: str, serve: Callable[..., Caller], api: InngestApi) -> None:
    caller = serve(**DEV)
    caller("PUT", headers={name: "evil.example"})
    [request] = api.received
    assert "evil.example" not in request.body.decode()


@pytest.mark.parametrize("adapter", as_parameters([each for each in IN_PROCESS if "gcf" in each.name]), indirect=True)
@pytest.mark.parametrize("host", HOSTS)
def test_a_host_that_only_looks_like_the_platforms(host: str, serve: Callable[..., Caller], api: InngestApi) -> None:
    caller = serve(INNGEST_SIGNING_KEY=KEY)
    reply = caller("PUT", "http://localhost/api/inngest", {"Host": host})
    assert (reply.status, api.received) == (403, [])
    assert "INNGEST_SERVE_ORIGIN" in json.loads(reply.body)["message"]


@pytest.mark.parametrize("adapter", as_parameters([each for each in IN_PROCESS if "gcf" in each.name]), indirect=True)
@pytest.mark.parametrize(("via", "status"), [({}, 200), ({"Via": "1.1 google"}, 403)], ids=["direct", "passed on"])
def test_a_run_app_host_that_was_passed_on(
    via: dict[str, str], status: int, serve: Callable[..., Caller], api: InngestApi
) -> None:
    """A load balancer takes any Host to the service behind it: also that of somebody else's service."""
    caller = serve(INNGEST_SIGNING_KEY=KEY)
    assert caller("PUT", "https://evil-abcdefghij-ew.a.run.app/api/inngest", via).status == status
    assert len(api.received) == (status == 200)


@pytest.mark.parametrize("adapter", as_parameters([each for each in IN_PROCESS if "alb" in each.name]), indirect=True)
def test_a_load_balancer_has_two_schemes(serve: Callable[..., Caller], api: InngestApi) -> None:
    caller = serve(**DEV)
    for scheme, registered in (("http", "http"), ("https", "https"), ("javascript", "https")):
        api.reset()
        caller("PUT", f"{scheme}://rec.example.com/api/inngest")
        [request] = api.received
        assert request.json["url"] == f"{registered}://rec.example.com/api/inngest"


@pytest.mark.parametrize("adapter", as_parameters(IN_PROCESS), indirect=True)
@pytest.mark.parametrize("kind", ["evil", "cloud, dev", "a" * 5000, "\u00e9"])
def test_a_kind_of_server_that_is_none_goes_no_further(
    kind: str, serve: Callable[..., Caller], api: InngestApi
) -> None:
    caller = serve(**CLOUD)
    assert caller("PUT", headers={"X-Inngest-Server-Kind": kind}).status == 200
    [request] = api.received
    assert "x-inngest-expected-server-kind" not in request.headers
    in_band = signed(caller) | {"X-Inngest-Sync-Kind": "in_band", "X-Inngest-Server-Kind": kind}
    assert caller("PUT", headers=in_band).headers["x-inngest-expected-server-kind"] == "cloud"


@pytest.mark.parametrize("adapter", as_parameters(IN_PROCESS), indirect=True)
def test_where_the_server_is_that_was_not_reached_is_for_the_log(
    serve: Callable[..., Caller], caplog: pytest.LogCaptureFixture
) -> None:
    """A stranger would learn the host of a server that is for insiders."""
    caller = serve(**CLOUD, INNGEST_API_BASE_URL="http://127.0.0.1:1")
    reply = caller("PUT")
    check_reply(reply, caller, "cloud")
    assert reply.status == 500
    assert "127.0.0.1" not in json.loads(reply.body)["message"]
    assert "the app was not synced: no reply from 127.0.0.1:1 " in caplog.text
    assert "127.0.0.1:1" in json.loads(caller("PUT", headers=signed(caller)).body)["message"]


@pytest.mark.parametrize("adapter", as_parameters(IN_PROCESS), indirect=True)
@pytest.mark.parametrize("status", [200, 400, 500])
def test_what_the_server_says_is_passed_on_without_the_token(
    status: int, serve: Callable[..., Caller], api: InngestApi
) -> None:
    caller = serve(**CLOUD)
    for secret in (bearer(), KEY):
        api.reply("POST", "/fn/register", status, json.dumps({"message": f"{'y' * 450} {secret} {'z' * 5000}"}))
        message = json.loads(caller("PUT").body)["message"]
        assert message.startswith("y" * 450)
        assert len(message) == 500
        assert secret[-64:-56] not in message


def test_a_platform_that_does_not_say_where_it_is_reached(
    start_in_process: Callable[..., object], api: InngestApi
) -> None:
    """The console's "Test" has no domain name: an app registered without a host is at nobody's."""
    event = {"version": "2.0", "rawPath": "/api/inngest", "requestContext": {"http": {"method": "PUT"}}}
    reply = start_in_process("recorded_app.handler", INNGEST_SIGNING_KEY=KEY)(event)
    assert (reply["statusCode"], api.received) == (403, [])


@pytest.mark.parametrize("adapter", as_parameters(IN_PROCESS), indirect=True)
def test_numbers_that_are_none(serve: Callable[..., Caller]) -> None:
    caller = serve(**CLOUD)
    for text in ("NaN", "Infinity", "9" * 5000):
        body = call_body().replace(b'"attempt": 0', f'"attempt": {text}'.encode())
        assert text.encode() in body
        reply = caller("POST", CALL_URL, signed(caller, body), body)
        assert (reply.status, json.loads(reply.body)["name"]) == (400, "InvalidCallRequest")
