"""Apps behind a local engine, with every call on record: real handlers, reached through a Lambda trigger.

Functions are written once, as the scripts of ``engine_server``, and declared as sync or async ones.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

from engine_server import Both, Do, both, declare, hash_of

from inngest_serverless import inngest_lambda
from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.engine import Engine, EngineError
from inngest_serverless.local.gateway import TRIGGERS, HttpReply
from inngest_serverless.protocol.signing import SigningKey, sign

__all__ = ["TRIGGERS", "Both", "Do", "EngineError", "both", "declare", "hash_of"]  # what is passed on

URL = "https://rec.example.com/api/inngest"
START_MS = 1_795_308_508_994
SECOND = 1000
MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 24 * 3600 * SECOND
KEY = "signkey-test-0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
EVENT = {"name": "test/started", "data": {"id": 7}}


@dataclass
class Call:
    """A call that the engine made."""

    url: str
    headers: dict[str, str]
    body: bytes
    reply: HttpReply

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def ctx(self) -> Any:
        return self.json["ctx"]

    @property
    def query(self) -> dict[str, str]:
        return {name: values[0] for name, values in parse_qs(urlsplit(self.url).query).items()}

    @property
    def target(self) -> str:
        return self.query["stepId"]

    @property
    def ops(self) -> list[tuple[str, str]]:
        """What the reply reports, as pairs of opcode and step ID."""
        return [(op["op"], op["displayName"]) for op in json.loads(self.reply.body)] if self.reply.status == 206 else []


class App:
    """Functions behind an engine; use it by the fixture ``serve``.

    Args:
        stack: Closes it.
        functions: The functions.
        app_id: The app.
        trigger: How they are reached.
        signing_key: The key of both sides, for an app in cloud mode.
        options: Options of the engine.
    """

    def __init__(self, stack, functions, *, app_id="app", trigger="function-url", signing_key=None, **options):
        self.calls: list[Call] = []
        self.engine = Engine(self._exchange, signing_key=signing_key, **{"start_ms": START_MS, **options})
        self.api = stack.enter_context(LocalApi(self.engine))
        settings = {"signing_key": signing_key, "is_dev": signing_key is None, "event_key": "test"}
        origins = {"api_base_url": self.api.origin, "event_api_base_url": self.api.origin}
        handle = inngest_lambda(functions, app_id=app_id, **settings, **origins)
        # Lambda hands over JSON and takes JSON: what does not survive that would fail there.
        self._endpoint = lambda_endpoint(
            lambda event: json.loads(json.dumps(handle(json.loads(json.dumps(event)), None))), trigger
        )
        headers = {"X-Inngest-Signature": sign(b"", SigningKey(signing_key), time.time())} if signing_key else {}
        synced = self._endpoint("PUT", URL, headers, b"")
        assert synced.status == 200, synced

    def _exchange(self, method, url, headers, body):
        reply = self._endpoint(method, url, headers, body)
        self.calls.append(Call(url, dict(headers), body, reply))
        return reply

    def run(self, event=None, **data):
        """Send an event and follow the run that it starts to its end."""
        return self.engine.execute(event or EVENT | {"data": EVENT["data"] | data})

    def start(self, event=None):
        """Send an event and make what it leads to at once; returns the run."""
        [run] = self.engine.send(event or EVENT)
        self.engine.advance("0s")
        return run


def wired(function_id="app-fn", *triggers, retries=0, **options):
    """A function in the form in which it is synced; the options are those of its registration."""
    runtime = {"type": "http", "url": f"{URL}?fnId={function_id}&stepId=step"}
    return {
        "id": function_id,
        "name": function_id,
        "triggers": list(triggers) or [{"event": "test/started"}],
        "steps": {"step": {"id": "step", "name": "step", "runtime": runtime, "retries": {"attempts": retries}}},
        **options,
    }


def answering(*replies, **options):
    """An endpoint that gives these replies, the last one for ever; and an engine that calls a function there.

    The options are the engine's. Each is a reply, or status, body and headers of one; a body that is no bytes is sent as JSON.
    """
    left = [reply if isinstance(reply, HttpReply) else _reply(*reply) for reply in replies]
    engine = Engine(lambda *_request: left.pop(0) if len(left) > 1 else left[0], start_ms=START_MS, **options)
    engine.register([wired(retries=1)])
    return engine


def _reply(status, body, headers=None):
    sdk = {"x-inngest-sdk": "test:v1.0.0", "x-inngest-req-version": "2"}
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    return HttpReply(status, sdk if headers is None else headers, sent)


def happened(run):
    """The timeline, in short: milliseconds since the start, kind, step."""
    return [(moment.at_ms - run.timeline[0].at_ms, moment.kind, moment.step) for moment in run.timeline]
