"""How an app registers its functions on a PUT; docs/protocol.md, section 7."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from adapters import SERVE_URL
from calls import CLOUD, DEV, ORIGIN, ROTATING, signed
from inngest_api import FALLBACK_KEY, KEY, SIGNATURE, bearer
from replies import check_compact, check_reply, check_signed
from transcripts import registration

from inngest_serverless import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from adapters import Caller
    from inngest_api import InngestApi

    from inngest_serverless.local.gateway import HttpReply

RECORDED_URL = "http://127.0.0.1:5101/api/inngest"
DEFAULT_RETRIES = {"attempts": 4}

# Where our registration differs from the recorded one, and why. The server reads keys without regard to letter case.
SPELLINGS = {"appname": "appName", "deploy_type": "deployType"}
NOT_OFFERED = {"connect"}  # a capability: nothing is kept running between calls


def _expected_registration(framework: str, url: str = SERVE_URL) -> dict[str, Any]:
    document = {SPELLINGS.get(key, key): value for key, value in registration().items()}
    document |= {"url": url, "framework": framework, "sdk": f"serverless:v{__version__}"}
    document["capabilities"] = {key: value for key, value in document["capabilities"].items() if key not in NOT_OFFERED}
    document["functions"] = [_expected_function(function, url) for function in document["functions"]]
    return _in_order(document)


def _expected_function(recorded: dict[str, Any], url: str) -> dict[str, Any]:
    function = {key: value for key, value in recorded.items() if value != []}  # options without a value
    step = function["steps"]["step"]
    step.setdefault("retries", DEFAULT_RETRIES)  # the recorded SDK leaves the default out
    step["runtime"]["url"] = step["runtime"]["url"].replace(RECORDED_URL, url)
    return function


def _in_order(document: dict[str, Any]) -> dict[str, Any]:
    return document | {"functions": sorted(document["functions"], key=lambda function: function["id"])}


def _check_message(reply: HttpReply, caller: Caller, mode: str, status: int, *, modified: bool) -> str:
    check_reply(reply, caller, mode)
    document = json.loads(reply.body)
    assert (reply.status, document.pop("modified")) == (status, modified)
    assert document.keys() == {"message"}
    return document["message"]


# Out of band: the app posts its registration to the server.


@pytest.mark.parametrize("app", ["recorded_app.handler", "recorded_app_async.handler"], ids=["sync", "async"])
def test_registration_is_the_recorded_one(app: str, serve: Callable[..., Caller], api: InngestApi) -> None:
    caller = serve(app, **DEV)
    message = _check_message(caller("PUT"), caller, "dev", 200, modified=True)
    assert message
    [request] = api.received
    assert (request.method, request.path) == ("POST", "/fn/register")
    assert request.headers["content-type"] == "application/json"
    assert "authorization" not in request.headers
    check_compact(request.body)
    assert _in_order(request.json) == _expected_registration(caller.adapter.framework)


@pytest.mark.parametrize("sign", [False, True], ids=["unsigned", "signed"])
def test_cloud_mode(sign: bool, serve: Callable[..., Caller], api: InngestApi) -> None:
    caller = serve(**CLOUD)
    reply = caller("PUT", headers=signed(caller) if sign else {})
    _check_message(reply, caller, "cloud", 200, modified=True)
    assert [request.headers["authorization"] for request in api.received] == [bearer()]
    if sign:
        check_signed(reply, caller)
    else:
        assert SIGNATURE.lower() not in reply.headers


def test_signed_wrongly(serve: Callable[..., Caller], api: InngestApi) -> None:
    caller = serve(**CLOUD)
    assert caller("PUT", headers=signed(caller, key=FALLBACK_KEY)).status == 401
    assert api.received == []


@pytest.mark.parametrize("modified", [True, False])
def test_modified_as_the_server_says(modified: bool, caller: Caller, api: InngestApi) -> None:
    api.reply("POST", "/fn/register", 200, json.dumps({"ok": True, "modified": modified}))
    _check_message(caller("PUT"), caller, "dev", 200, modified=modified)


@pytest.mark.parametrize(
    ("status", "body", "message"),
    [
        (400, '{"error":"the app has no functions","status":400}', "the app has no functions"),
        (422, '{"message":"url is not public"}', "url is not public"),
        (500, "<html>oops</html>", "500"),
        (503, "", "503"),
        (500, "[]", "500"),
    ],
    ids=["error", "message", "not JSON", "empty", "no object"],
)
def test_server_refuses(status: int, body: str, message: str, caller: Caller, api: InngestApi) -> None:
    api.fail(status, body)
    assert message in _check_message(caller("PUT"), caller, "dev", 500, modified=False)
    assert len(api.received) == 1


def test_server_hangs_up(caller: Caller, api: InngestApi) -> None:
    api.hang_up()
    assert api.url.removeprefix("http://") in _check_message(caller("PUT"), caller, "dev", 500, modified=False)


@pytest.fixture(scope="module")
def nobody() -> Iterator[str]:
    """An origin at which nobody listens, and nobody will."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{held.getsockname()[1]}"


def test_server_is_not_there(nobody: str, serve: Callable[..., Caller]) -> None:
    caller = serve(**DEV | {"INNGEST_API_BASE_URL": nobody})
    assert nobody.removeprefix("http://") in _check_message(caller("PUT"), caller, "dev", 500, modified=False)


def test_deploy_id_is_passed_on(caller: Caller, api: InngestApi) -> None:
    caller("PUT", f"{SERVE_URL}?deployId=d%2F1%20%26x%3D2")
    [request] = api.received
    path, _, query = request.path.partition("?")
    assert (path, parse_qs(query)) == ("/fn/register", {"deployId": ["d/1 &x=2"]})


@pytest.mark.parametrize("kind", ["dev", "cloud", None])
def test_server_kind_is_passed_on(kind: str | None, caller: Caller, api: InngestApi) -> None:
    caller("PUT", headers={"X-Inngest-Server-Kind": kind} if kind else {})
    [request] = api.received
    assert request.headers.get("x-inngest-expected-server-kind") == kind


def test_branch_environment_and_version(serve: Callable[..., Caller], api: InngestApi) -> None:
    caller = serve(**DEV, INNGEST_ENV="branch", INNGEST_APP_VERSION="1.2.3")
    reply = caller("PUT")
    [request] = api.received
    assert request.headers["x-inngest-env"] == reply.headers["x-inngest-env"] == "branch"
    assert request.json["appVersion"] == "1.2.3"


def test_public_url_as_set(serve: Callable[..., Caller], api: InngestApi) -> None:
    caller = serve(**DEV, INNGEST_SERVE_ORIGIN="https://public.example.com/", INNGEST_SERVE_PATH="/base/api/inngest")
    assert caller("PUT").status == 200
    [request] = api.received
    expected = _expected_registration(caller.adapter.framework, "https://public.example.com/base/api/inngest")
    assert _in_order(request.json) == expected


def test_key_that_is_not_hexadecimal(serve: Callable[..., Caller], api: InngestApi) -> None:
    caller = serve(INNGEST_SIGNING_KEY="signkey-test-not-hex", **ORIGIN)
    reply = caller("PUT")
    check_reply(reply, caller, "cloud")
    assert reply.status == 500
    assert "hexadecimal" in json.loads(reply.body)["message"]
    assert api.received == []


# Keys that are being rotated.


def test_fallback_key_is_tried_once_and_then_preferred(serve: Callable[..., Caller], api: InngestApi) -> None:
    caller = serve(**ROTATING, fresh=True)
    api.refuse(bearer(KEY))
    for _ in range(2):
        _check_message(caller("PUT"), caller, "cloud", 200, modified=True)
    tokens = [request.headers["authorization"] for request in api.received]
    assert tokens == [bearer(KEY), bearer(FALLBACK_KEY), bearer(FALLBACK_KEY)]


def test_first_key_is_tried_again_when_the_fallback_key_is_refused(
    serve: Callable[..., Caller], api: InngestApi
) -> None:
    caller = serve(**ROTATING, fresh=True)
    api.refuse(bearer(KEY))
    caller("PUT")
    api.reset()
    api.refuse(bearer(FALLBACK_KEY))
    _check_message(caller("PUT"), caller, "cloud", 200, modified=True)
    assert [request.headers["authorization"] for request in api.received] == [bearer(FALLBACK_KEY), bearer(KEY)]


def test_both_keys_refused(serve: Callable[..., Caller], api: InngestApi) -> None:
    caller = serve(**ROTATING, fresh=True)
    api.refuse(bearer(KEY))
    api.refuse(bearer(FALLBACK_KEY))
    message = _check_message(caller("PUT"), caller, "cloud", 500, modified=False)
    assert message == "invalid signing key"
    assert [request.headers["authorization"] for request in api.received] == [bearer(KEY), bearer(FALLBACK_KEY)]


@pytest.mark.parametrize("status", [400, 403, 500])
def test_only_a_401_is_about_the_key(status: int, serve: Callable[..., Caller], api: InngestApi) -> None:
    caller = serve(**ROTATING)
    api.fail(status)
    caller("PUT")
    assert [request.headers["authorization"] for request in api.received] == [bearer(KEY)]


# In band: the registration is in the reply.


def _put_in_band(caller: Caller, spelling: str = "in_band", *, sign: bool = True) -> HttpReply:
    body = json.dumps({"url": SERVE_URL}).encode()
    headers = {"X-Inngest-Sync-Kind": spelling} | (signed(caller, body) if sign else {})
    return caller("PUT", headers=headers, body=body)


@pytest.mark.parametrize("spelling", ["in_band", "in-band", "In_Band"])
@pytest.mark.parametrize(("settings", "mode"), [(CLOUD, "cloud"), (CLOUD | DEV, "dev")], ids=["cloud", "dev"])
def test_in_band(
    spelling: str, settings: dict[str, str], mode: str, serve: Callable[..., Caller], api: InngestApi
) -> None:
    caller = serve(**settings)
    reply = _put_in_band(caller, spelling)
    check_reply(reply, caller, mode)
    check_signed(reply, caller)
    assert (reply.status, reply.headers["x-inngest-sync-kind"]) == (200, "in_band")
    document = _in_order(json.loads(reply.body))
    inspection = json.loads(caller("GET", headers=signed(caller)).body)
    assert inspection["authentication_succeeded"] is True
    framework = caller.adapter.framework
    assert document == {
        "app_id": "rec",
        "app_version": None,
        "env": None,
        "framework": framework,
        "functions": _expected_registration(framework)["functions"],
        "inspection": inspection,
        "platform": framework,
        "sdk_author": document["sdk_author"],
        "sdk_language": "python",
        "sdk_version": __version__,
        "url": SERVE_URL,
    }
    assert api.received == []


@pytest.mark.parametrize("settings", [CLOUD, DEV, DEV | CLOUD], ids=["cloud", "dev", "dev with key"])
def test_in_band_unsigned(settings: dict[str, str], serve: Callable[..., Caller], api: InngestApi) -> None:
    caller = serve(**settings)
    reply = _put_in_band(caller, sign=False)
    check_reply(reply, caller, "cloud" if settings is CLOUD else "dev")
    assert reply.status == 401
    assert json.loads(reply.body).keys() == {"message"}
    assert api.received == []


def test_in_band_switched_off(serve: Callable[..., Caller], api: InngestApi) -> None:
    """Then the app registers out of band."""
    caller = serve(**CLOUD, INNGEST_ALLOW_IN_BAND_SYNC="0")
    reply = _put_in_band(caller)
    _check_message(reply, caller, "cloud", 200, modified=True)
    assert "x-inngest-sync-kind" not in reply.headers
    assert [request.path for request in api.received] == ["/fn/register"]


def test_unsigned_syncs_switched_off(serve: Callable[..., Caller], api: InngestApi) -> None:
    caller = serve(**CLOUD, INNGEST_ENABLE_UNAUTHED_SYNC="0")
    reply = caller("PUT")
    assert reply.status == 401
    assert json.loads(reply.body).keys() == {"message"}
    assert api.received == [], "a stranger had the app register itself"
    _check_message(caller("PUT", headers=signed(caller)), caller, "cloud", 200, modified=True)


@pytest.mark.parametrize("kind", ["dev", "cloud"])
def test_in_band_passes_on_the_server_kind(kind: str, serve: Callable[..., Caller]) -> None:
    caller = serve(**CLOUD)
    headers = signed(caller) | {"X-Inngest-Sync-Kind": "in_band", "X-Inngest-Server-Kind": kind}
    assert caller("PUT", headers=headers).headers["x-inngest-expected-server-kind"] == kind


def test_a_load_balancer_does_not_tell_strangers_where_to_register(
    serve: Callable[..., Caller], api: InngestApi
) -> None:
    """Its Host header is whatever the client wrote: an unsigned sync would hand the app to anybody's host.

    Google's load balancers pass it on to Cloud Run, which says no more of the host than that.
    """
    caller = serve(INNGEST_SIGNING_KEY=CLOUD["INNGEST_SIGNING_KEY"])
    reply = caller("PUT")
    if "alb" in caller.adapter.name or caller.adapter.framework == "google-cloud-functions":
        assert (reply.status, api.received) == (403, [])
        assert "INNGEST_SERVE_ORIGIN" in json.loads(reply.body)["message"]
    else:
        assert reply.status == 200
