"""Keys are in no span, whatever goes wrong; beside test_secrecy.py, which listens to everything else."""

from __future__ import annotations

import time

import pytest
from secrecy import EVENT_KEY, KEYS, Ear

from inngest_serverless import create_function, event_trigger, inngest_lambda
from inngest_serverless.local.gateway import to_lambda_event
from inngest_serverless.protocol.signing import SigningKey, sign

URL = "https://k7vq2m4x.lambda-url.eu-west-1.on.aws/api/inngest?fnId=app-fn&stepId=step"
BODY = b'{"ctx":{"run_id":"01A","attempt":0},"event":{"name":"a/b","data":{}},"steps":{}}'


@pytest.mark.parametrize("what", ["function", "step", "event"])
def test_no_key_is_in_a_span(what, telemetry, api, monkeypatch):
    monkeypatch.setattr("inngest_serverless.client.pause", lambda _: None)

    @create_function(id="fn", trigger=event_trigger("a/b"))
    def fn(ctx):
        if what == "step":
            return ctx.step.run("a", lambda: 1 / 0)
        if what == "event":
            return ctx.step.send_event("a", {"name": "c/d"})
        raise LookupError(repr(ctx))

    keys = {name.removeprefix("INNGEST_").lower(): value for name, value in KEYS.items()}
    origins = {"api_base_url": api.url, "event_api_base_url": api.url}
    handler = inngest_lambda([fn], app_id="app", event_key=EVENT_KEY, **keys, **origins)
    headers = {"X-Inngest-Signature": sign(BODY, SigningKey(KEYS["INNGEST_SIGNING_KEY"]), time.time())}
    headers["traceparent"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    handler(to_lambda_event("function-url", "POST", URL, headers, BODY), None)
    [span] = telemetry.spans
    ear = Ear()
    ear.hear(span.to_json())
    ear.check()
