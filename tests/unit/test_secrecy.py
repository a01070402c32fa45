"""Keys are in no log, repr, error, trace, reply or header: many things go wrong here, and all that comes of it is read.

The API on the other side quotes all that it is sent, so that every word of it that is passed on shows.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import os
import time
import traceback
from hashlib import sha256
from io import StringIO
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import quote

import pytest
from aws_lambda_powertools import Logger
from click.testing import CliRunner
from secrecy import CIPHER_KEY, EVENT_KEY, KEYS, MODEL_KEY, Api, Ear, check_sent, tokens

from inngest_serverless import (
    Client,
    EncryptionMiddleware,
    create_function,
    event_trigger,
    inngest_gcf,
    inngest_lambda,
    secret_keys,
)
from inngest_serverless.ai import OpenAI
from inngest_serverless.aws.forward import forward_sqs
from inngest_serverless.aws.observability_logs import PowertoolsLogs
from inngest_serverless.cli.group import group
from inngest_serverless.config import Settings
from inngest_serverless.local.gateway import to_lambda_event
from inngest_serverless.protocol.signing import SigningKey, sign
from inngest_serverless.secret_keys import KeySecret
from inngest_serverless.sending import _event_request

HOST = "k7vq2m4x.lambda-url.eu-west-1.on.aws"
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:inngest-AbCdEf"
SQS = Path(__file__).parents[1] / "golden" / "aws" / "sqs.json"


@pytest.fixture(scope="module")
def running_api():
    api = Api()
    api.thread.start()
    yield api
    api.server.shutdown()
    api.thread.join()
    api.server.server_close()


@pytest.fixture
def api(running_api, monkeypatch):
    """The API, and an environment that has all the keys."""
    for name in os.environ:
        if name.startswith(("INNGEST_", "AWS_", "K_SERVICE", "POWERTOOLS_")) or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    settings = {"INNGEST_EVENT_KEY": EVENT_KEY, "INNGEST_BASE_URL": running_api.url, "INNGEST_APP_ID": "app"}
    for name, value in (KEYS | settings).items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr("inngest_serverless.client.pause", lambda _: None)

    async def at_once(_):
        pass

    monkeypatch.setattr("inngest_serverless.client.pause_async", at_once)
    running_api.received.clear()
    running_api.status = 400
    return running_api


@pytest.fixture
def ear():
    ear = Ear()
    root = logging.getLogger()
    loggers = [root, *(logging.getLogger(name) for name in ("httpx", "httpcore", "asyncio", "inngest_serverless"))]
    levels = [logger.level for logger in loggers]
    ours = loggers[-1].handlers, loggers[-1].propagate
    for logger in loggers:
        logger.setLevel(logging.DEBUG)
    root.addHandler(ear)
    yield ear
    root.removeHandler(ear)
    loggers[-1].handlers, loggers[-1].propagate = ours
    for logger, level in zip(loggers, levels, strict=True):
        logger.setLevel(level)


def everything_about(ctx):
    return repr([ctx, vars(type(ctx)).keys(), ctx.step, ctx.event, ctx.run_id, ctx.logger, ctx.group])


@create_function(id="fails", trigger=event_trigger("a/b"))
def fails(ctx):
    ctx.logger.info("about %s", everything_about(ctx))
    raise LookupError(everything_about(ctx))


@create_function(id="step", trigger=event_trigger("a/b"))
def step_fails(ctx):
    def body():
        raise LookupError(everything_about(ctx))

    ctx.step.run("a", body)


@create_function(id="sends", trigger=event_trigger("a/b"))
def sends(ctx):
    return ctx.step.send_event("a", {"name": "c/d"})


@create_function(id="sends-async", trigger=event_trigger("a/b"))
async def sends_async(ctx):
    return await ctx.step.send_event("a", {"name": "c/d"})


@create_function(id="signals", trigger=event_trigger("a/b"))
def signals(ctx):
    return ctx.step.send_signal("a", signal="s")


FUNCTIONS = [fails, step_fails, sends, sends_async, signals]


def body_of(**ctx):
    event = {"name": "a/b", "data": {}}
    return json.dumps({"ctx": {"run_id": "01A", "attempt": 0, **ctx}, "event": event, "steps": {}}).encode()


def requests():
    """Method, function and body of what an app may be asked, signed and not."""
    now = time.time()
    for key in ("", *KEYS.values(), "signkey-test-" + "00" * 32):
        for method, bodies in (
            ("POST", [body_of(), body_of(use_api=True), b"{", b"\xff"]),
            ("PUT", [b""]),
            ("GET", [b""]),
        ):
            for body in bodies:
                signature = {"X-Inngest-Signature": sign(body, SigningKey(key), now)} if key else {}
                for function in [each.id for each in FUNCTIONS] if body == body_of() else ["fails", "unknown"]:
                    url = f"https://{HOST}/api/inngest?fnId=app-{function}&stepId=step"
                    yield method, url, signature, body


@pytest.mark.parametrize("status", [0, 200, 400, 401, 500])
def test_an_app_tells_nothing(status, api, ear, capfd):
    api.status = status
    stream = StringIO()
    logs = PowertoolsLogs(Logger(service=f"secrecy-{status}", stream=stream), error_messages=True)
    handler = inngest_lambda(FUNCTIONS, middleware=[logs, EncryptionMiddleware(CIPHER_KEY)])
    for method, url, headers, body in requests():
        reply = handler(
            to_lambda_event("function-url", method, url, headers, body), SimpleNamespace(aws_request_id="r")
        )
        if method == "GET" and "signing_key_hash" in reply["body"]:
            # The holder of the key may see its hash: that is what introspection is for.
            document = json.loads(reply["body"])
            assert {document.pop("signing_key_hash"), document.pop("signing_key_fallback_hash")} == {*tokens()}
            assert document.pop("event_key_hash") == sha256(EVENT_KEY.encode()).hexdigest()
            reply["body"] = document
        ear.hear(reply)
    check_sent(api)
    written = capfd.readouterr()
    assert '"level":"ERROR"' in stream.getvalue()
    ear.check(written.out, written.err, stream.getvalue())


@pytest.mark.parametrize("status", [0, 200, 301, 400, 401, 404, 429, 500])
@pytest.mark.parametrize("is_async", [False, True], ids=["sync", "async"])
def test_a_client_tells_nothing(is_async, status, api, ear, capfd):
    api.status = status

    def run(call):
        return asyncio.run(call) if is_async else call

    for options in ({}, {"env": "a\nb"}, {"event_api_base_url": "nowhere", "api_base_url": "nowhere"}):
        client = Client(**options)
        ear.hear(client, client._settings, client._transport)
        for method, arguments in (
            ("send", [{"name": "a/b"}]),
            ("send_many", [[{"name": "a"}] * 3]),
            ("send_signal", ["s"]),
        ):
            call = getattr(client, f"{method}_async" if is_async else method)
            ear.attempt(lambda call=call, arguments=arguments: run(call(*arguments)))
    check_sent(api)
    written = capfd.readouterr()
    ear.check(written.out, written.err)


@pytest.mark.parametrize("status", [0, 400, 401, 500])
def test_a_forwarder_tells_nothing(status, api, ear, capfd):
    api.status = status
    batch = json.loads(SQS.read_text("utf-8"))
    for options in ({}, {"dead_letter": "app/dead"}, {"poison": "drop"}):
        ear.attempt(forward_sqs(**options), batch, None)
    check_sent(api)
    written = capfd.readouterr()
    ear.check(written.out, written.err)


COMMANDS = [
    ["doctor"],
    ["doctor", "--json"],
    ["doctor", "--url", "{api}/api/inngest"],
    ["send", "a/b", "--data", "{{}}"],
    ["sync", "{api}/api/inngest"],
    ["functions", "no_such_module:handler"],
]


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_command_line_tells_nothing(command, api, ear):
    result = CliRunner().invoke(group, [word.format(api=api.url) for word in command])
    ear.hear(result.output, result.stderr, result.exception or "")
    assert result.output or result.stderr
    ear.check()


def test_nothing_that_holds_a_key_shows_it(api, ear):
    settings = Settings.from_env(os.environ)
    key = SigningKey(KEYS["INNGEST_SIGNING_KEY"])
    secret = KeySecret(ARN, lambda: json.dumps({**KEYS, "INNGEST_EVENT_KEY": EVENT_KEY}))
    secret.keys()
    request = _event_request(settings, EVENT_KEY, ["{}"], "1,a")
    holders = [settings, key, secret, request, Client(), inngest_lambda(FUNCTIONS), inngest_gcf(FUNCTIONS)]
    holders += [EncryptionMiddleware(CIPHER_KEY), OpenAI("gpt", api_key=MODEL_KEY), settings.signing_keys]
    for holder in holders:
        ear.hear(holder, [holder], {"holder": holder}, f"{holder}", f"{holder!r}")
    ear.check()


def test_a_wrong_key_is_not_told(api, ear):
    for make in (inngest_lambda, inngest_gcf):
        ear.attempt(make, FUNCTIONS, signing_key=KEYS["INNGEST_SIGNING_KEY"], event_key=5)
        ear.attempt(make, FUNCTIONS, event_key=EVENT_KEY, signing_kee=KEYS["INNGEST_SIGNING_KEY"])
    ear.attempt(EncryptionMiddleware, CIPHER_KEY[:20])
    ear.attempt(EncryptionMiddleware, CIPHER_KEY, fallback_keys=CIPHER_KEY)
    ear.attempt(SigningKey(f"{KEYS['INNGEST_SIGNING_KEY']}zz").bearer)
    ear.attempt(OpenAI, "", api_key=MODEL_KEY)
    ear.attempt(EncryptionMiddleware("x" * 40).decrypt, EncryptionMiddleware(CIPHER_KEY).encrypt("value"))
    assert len(ear.heard) > 20
    ear.check()


VALUES = ["{key}", '["{key}"]', '{{"INNGEST_SIGNING_KEY": ["{key}"]}}', '{{"INNGEST_SIGNING_KEY": "{key}', "", "null"]


@pytest.mark.parametrize("value", VALUES)
def test_what_is_in_a_secret_is_not_told(value, api, ear):
    text = value.format(key=KEYS["INNGEST_SIGNING_KEY"])
    ear.attempt(KeySecret(ARN, lambda: text).keys)
    secret = KeySecret(ARN, lambda: json.dumps(KEYS))
    keys = secret.keys()
    secret._read = lambda: text
    ear.attempt(lambda: secret.newer(keys) and None)
    ear.check()


def test_what_reading_a_secret_raises_is_not_told(api, ear, monkeypatch):
    def refuse(*_, **__):
        raise RuntimeError(f"could not parse {KEYS}")

    monkeypatch.setattr(secret_keys, "_provider", lambda _: SimpleNamespace(get=refuse))
    try:
        KeySecret(ARN).keys()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is heard
        ear.hear(str(error), "".join(traceback.format_exception(error)))
    assert ear.heard
    ear.check()


def test_the_ear_hears():
    """That it would notice."""
    ear = Ear()
    key = KEYS["INNGEST_SIGNING_KEY"]
    for text in (
        key,
        EVENT_KEY[4:],
        quote(EVENT_KEY, safe=""),
        tokens()[0][10:30],
        base64.b64encode(CIPHER_KEY.encode()).decode(),
    ):
        with pytest.raises(AssertionError):
            ear.check(f"some words {text} and more")
    ear.hear_error(LookupError("no", key))
    with pytest.raises(AssertionError):
        ear.check()
