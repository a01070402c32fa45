"""The doctor finds what goes wrong between Inngest and a deployed app: keys, clocks, proxies, the app's own settings."""

from __future__ import annotations

import json
import time

import pytest
from cli_server import KEY, KEYS, OTHER_KEY, PATH, app, check, doctor, reply, run_command, served

from inngest_serverless import __version__
from inngest_serverless.local.gateway import HttpReply

pytestmark = pytest.mark.integration


def test_all_is_well():
    code, findings, document = check(app(), INNGEST_EVENT_KEY="evt")
    assert {finding["level"] for finding in findings.values()} == {"ok"}, findings
    assert findings.keys() == {"settings", "reachable", "signature", "serve-url", "body", "body-size"}
    assert code == 0
    assert document["ok"] is True
    deployment = document["deployment"]
    assert (deployment["app_id"], deployment["mode"], deployment["function_count"]) == ("app", "cloud", 1)
    assert deployment["serve_url"] == deployment["url"]
    assert deployment["sdk"] == f"inngest-serverless:v{__version__}"
    assert KEY not in json.dumps(document)


def test_without_a_key_here_it_says_what_it_could_not_see():
    code, findings, _ = check(app(), INNGEST_SIGNING_KEY="")
    assert code == 0
    assert findings["signature"]["level"] == "note"
    assert findings["signature"]["what"] == "nothing was signed: there is no signing key here"


class TestKeys:
    def test_another_key(self):
        code, findings, _ = check(app(signing_key=OTHER_KEY))
        assert code == 1
        found = findings["signing-key"]
        assert found["what"].startswith(
            "the app has another signing key: it does not accept what is signed with INNGEST_SIGNING_KEY (hash "
        )
        assert "Inngest dashboard" in found["do"]

    def test_none_there(self, monkeypatch):
        monkeypatch.delenv("INNGEST_SIGNING_KEY", raising=False)
        code, findings, _ = check(app(signing_key=None))
        assert code == 1
        assert findings["no-signing-key"]["what"] == "the app has no signing key, in cloud mode"

    def test_rotation(self):
        """The app has a new key already, and ours as its fallback."""
        code, findings, _ = check(app(signing_key=OTHER_KEY, signing_key_fallback=KEY))
        assert code == 0
        assert findings["key-rotation"]["level"] == "warning"

    def test_our_fallback_key(self):
        code, findings, _ = check(app(signing_key=OTHER_KEY), INNGEST_SIGNING_KEY_FALLBACK=OTHER_KEY)
        assert code == 0
        assert findings["signature"]["what"] == "the app accepts what INNGEST_SIGNING_KEY_FALLBACK signs"

    def test_another_event_key(self):
        _, findings, document = check(app(event_key="there"), INNGEST_EVENT_KEY="here")
        assert findings["event-key"]["level"] == "note"
        assert "here" not in json.dumps(document["settings"]), "keys are shown as hashes"

    def test_another_branch(self):
        _, findings, _ = check(app(env="feature"), INNGEST_ENV="main")
        assert findings["env"]["what"] == "the app is for environment feature, this machine for main"


class TestClocks:
    @pytest.mark.parametrize(("shift", "said"), [(900, "900 seconds ahead"), (-900, "900 seconds behind")])
    def test_too_far_apart(self, shift, said, monkeypatch):
        real = time.time
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: real() + shift)
            code, findings, _ = check(app())
        assert code == 1
        found = findings["clock"]["what"]
        number = int("".join(filter(str.isdigit, found)))
        assert abs(number - abs(shift)) < 60, found
        assert said.partition(" ")[2] in found
        assert "the key is right" in found
        assert "signing-key" not in findings

    def test_a_little_apart(self, monkeypatch):
        real = time.time
        with monkeypatch.context() as patch:
            patch.setattr(time, "time", lambda: real() + 150)
            code, findings, _ = check(app())
        assert (code, findings["clock"]["level"]) == (0, "warning")
        assert "ahead of this machine's" in findings["clock"]["what"]


class TestProxies:
    def test_one_that_writes_json_anew(self):
        """As it should: the app puts up with it in small bodies, and large ones do not arrive."""
        code, findings, _ = check(_changing_bodies(lambda body: json.dumps(json.loads(body)).encode()))
        assert code == 1
        assert findings["body"] == {
            "check": "body",
            "level": "warning",
            "what": "a proxy writes JSON bodies anew",
            "why": "an app puts up with it as long as it can write the same text as Inngest did, but not over 1 MiB",
            "do": "let bodies through as they are",
        }
        assert "a body of 1.5 MiB does not arrive" in findings["body-size"]["what"]
        assert "the largest that did had 200 KiB" in findings["body-size"]["what"]

    def test_one_that_changes_bodies(self):
        code, findings, _ = check(_changing_bodies(lambda body: b'{"wrapped":' + body + b"}"))
        assert code == 1
        assert "that of one with a body does not" in findings["body"]["what"]
        assert findings["signature"]["level"] == "ok", "the key is right"

    def test_one_that_changes_letters(self):
        code, findings, _ = check(_changing_bodies(lambda body: body.decode().encode("latin-1", "replace")))
        assert code == 1
        assert findings["body"]["what"] == "bodies with letters beyond ASCII do not arrive as they were sent"

    def test_one_that_drops_the_query(self):
        inner = app()
        code, findings, _ = check(
            lambda method, url, headers, body: inner(method, url.partition("?")[0], headers, body)
        )
        assert code == 1
        assert findings["query"]["what"] == "the query of the URL does not arrive"

    def test_one_that_drops_the_signature(self):
        inner = app()

        def endpoint(method, url, headers, body):
            kept = {name: value for name, value in headers.items() if name.lower() != "x-inngest-signature"}
            return inner(method, url, kept, body)

        code, findings, _ = check(endpoint)
        assert code == 1
        assert findings["signature-header"]["what"].startswith("the signature does not arrive")

    def test_one_that_drops_the_headers_of_replies(self):
        inner = app()

        def endpoint(*request):
            got = inner(*request)
            return HttpReply(got.status, {"content-type": "application/json"}, got.body)

        code, findings, _ = check(endpoint)
        assert code == 1
        assert "or a proxy takes headers away" in findings["sdk"]["why"]

    def test_one_that_changes_replies(self):
        inner = app()

        def endpoint(*request):
            got = inner(*request)
            return HttpReply(got.status, got.headers, got.body + b"\n")

        code, findings, _ = check(endpoint)
        assert (code, findings["reply"]["level"]) == (0, "warning")
        assert findings["reply"]["what"] == "the reply is not what the app signed"

    def test_one_that_hides_the_address(self):
        inner = app()

        def endpoint(method, url, headers, body):
            return inner(method, f"http://internal:8080/prod{url[url.index(PATH) :]}", headers, body)

        code, findings, document = check(endpoint)
        assert code == 1
        assert findings["serve-url"]["what"].startswith(
            "Inngest will call http://internal:8080/prod/api/inngest, not http://127.0.0.1:"
        )
        assert document["deployment"]["serve_url"] == "http://internal:8080/prod/api/inngest"

    @pytest.mark.parametrize("limit", [100_000, 2_000_000])
    def test_one_with_a_limit(self, limit):
        inner = app()

        def endpoint(method, url, headers, body):
            return (
                reply(413, "<html>413</html>", content_type="text/html")
                if len(body) > limit
                else inner(method, url, headers, body)
            )

        code, findings, _ = check(endpoint)
        assert code == 1
        largest = {100_000: "20 KiB", 2_000_000: "1.5 MiB"}[limit]
        assert findings["body-size"]["what"].endswith(f"the largest that did had {largest}")
        assert "4 MiB of events" in findings["body-size"]["why"]

    def test_an_app_with_a_limit(self):
        code, findings, _ = check(app(max_body_size=1_000_000))
        assert code == 1
        assert "max_body_size" in findings["body-size"]["why"]


class TestRedirects:
    @pytest.mark.parametrize(("status", "why"), [(301, "a POST becomes a GET"), (308, "takes as long again")])
    def test_it_says_where_to(self, status, why):
        code, findings, _ = check(lambda *_: reply(status, "", location="https://www.app.example/api/inngest/"))
        assert code == 1
        assert "redirects to https://www.app.example/api/inngest/" in findings["redirect"]["what"]
        assert why in findings["redirect"]["why"]


class TestApps:
    def test_in_dev_mode_on_this_machine(self):
        code, findings, _ = check(app(is_dev=True))
        assert (code, findings["dev-mode"]["level"]) == (0, "note")

    def test_in_dev_mode_in_the_open(self):
        """Reached by a name, as if it were not here: the proxy variable brings the request to the server all the same."""
        inner = app(is_dev=True)
        with served(inner) as origin:
            code, findings, _ = doctor("http://app.example/api/inngest", http_proxy=origin, **KEYS)
        assert code == 1
        assert findings["dev-mode"]["level"] == "problem"
        assert "asks for no signature" in findings["dev-mode"]["why"]
        assert findings["https"]["level"] == "warning"

    def test_at_another_path(self):
        code, findings, _ = check(app(serve_path="/elsewhere"))
        assert code == 1
        assert "does not serve http://127.0.0.1" in findings["path"]["what"]

    def test_whose_settings_are_wrong(self):
        code, findings, _ = check(app(signing_key="no-hex"), INNGEST_SIGNING_KEY="no-hex")
        assert code == 1
        assert findings["signing-key-form"]["level"] == "problem"

    def test_of_another_sdk(self):
        inner = app()

        def endpoint(*request):
            got = inner(*request)
            return HttpReply(got.status, got.headers | {"x-inngest-sdk": "js:v3.0.0"}, got.body)

        code, findings, _ = check(endpoint)
        assert code == 0
        assert findings["sdk"]["what"] == "it is served by another SDK, js:v3.0.0"

    def test_compared_with_the_target(self, tmp_path):
        (tmp_path / "shop.py").write_text(
            "from inngest_serverless import create_function, event_trigger, inngest_lambda\n"
            "a = create_function(id='a', trigger=event_trigger('a'))(print)\n"
            "b = create_function(id='b', trigger=event_trigger('b'))(print)\n"
            "handler = inngest_lambda([a, b], app_id='shop')\n"
        )
        with served(app()) as origin:
            ran = run_command("doctor", "shop:handler", "--url", origin + PATH, "--json", cwd=tmp_path, **KEYS)
        document = json.loads(ran.stdout)
        found = {finding["check"]: finding["what"] for finding in document["findings"]}
        assert found["app-id"] == "app app is deployed, shop:handler is app shop"
        assert found["functions"] == "the deployed app has 1 function, shop:handler has 2"
        assert document["target"]["functions"] == ["shop-a", "shop-b"]


def _changing_bodies(change):
    inner = app()

    def endpoint(method, url, headers, body):
        return inner(method, url, headers, change(body) if body else body)

    return endpoint
