"""What Inngest's APIs answer, and what queues, topics, streams and buckets hold: written by who may not mean well."""

from __future__ import annotations

import json
from base64 import b64encode
from copy import deepcopy
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch
from urllib.parse import quote

import attacked_app as app
from cloudevents.http import CloudEvent
from dice import TEXTS, Dice, json_text
from requirement import require

from inngest_serverless.aws import forward
from inngest_serverless.config import Settings
from inngest_serverless.errors import CallRequestError, InngestError
from inngest_serverless.gcp.forward import forward_cloud_event
from inngest_serverless.inngest_api import InngestApi
from inngest_serverless.protocol.call import parse_call
from inngest_serverless.protocol.exchange import OutboundReply, Request
from inngest_serverless.sending import sending, signalling
from inngest_serverless.sync import Sync
from inngest_serverless.transport import drive

if TYPE_CHECKING:
    from collections.abc import Callable

    from inngest_serverless.protocol.exchange import Outbound
    from inngest_serverless.transport import Pause

GOLDEN = Path(__file__).parents[2] / "tests" / "golden" / "aws"
NOW = 1_767_268_800.0
LONGEST_PAUSE = 5.0
# Enough for the tries of a request with each of two keys.
MOST_REQUESTS = 10
_STATUSES = [200, 200, 201, 204, 301, 400, 401, 403, 404, 413, 422, 429, 500, 503, 599]
_SETTINGS = Settings.for_client({}, app_id=app.APP_ID, event_key=app.EVENT_KEY, signing_key=app.KEY)
_REPLIES: list[dict[str, Any]] = [
    {"ids": ["01E"], "status": 200},
    {"error": "no", "status": 400},
    {"message": "no", "modified": True},
    {"data": {"run_id": "01RUN"}},
]


def api_reply(data: bytes) -> None:
    """Whatever an API answers, it is an answer, or one error of ours that quotes no key."""
    dice = Dice(data)
    replies = [_reply(dice) for _ in range(3)]
    sent: list[Outbound] = []

    def send(request: Outbound) -> OutboundReply:
        sent.append(request)
        return replies[len(sent) % 3]

    def pause(wanted: Pause) -> None:
        require(0 <= wanted.seconds <= LONGEST_PAUSE, f"a pause of {wanted.seconds} s, because the server said so")

    exchange, secrets = dice.one_of(_EXCHANGES)
    said = exchange(send, pause)
    require(len(sent) <= MOST_REQUESTS, f"{len(sent)} requests for one")
    told = [secret for secret in secrets if secret in said]
    require(not told, f"the server's words were passed on with a key in them: {said[:200]}")


def _reply(dice: Dice) -> OutboundReply:
    token = _SETTINGS.signing_keys[0].bearer()
    quoted = [f"POST /e/{quote(app.EVENT_KEY, safe='')}", f"key {app.EVENT_KEY}", "y" * 490 + app.EVENT_KEY, token]
    document = dice.spoil(dice.one_of(_REPLIES))
    if isinstance(document, dict) and dice.chance(2):
        document[dice.one_of(["error", "message"])] = dice.one_of(quoted)
    body = json_text(document).encode() if not dice.chance(5) else dice.some(60)
    headers = {"retry-after": dice.text()} if dice.chance(2) else {}
    return OutboundReply(dice.one_of(_STATUSES), body, headers)


def _send_event(send: Any, pause: Any) -> str:
    return _told(lambda: drive(sending(_SETTINGS, {"name": "a/b"}, NOW, lambda: 1.0), send, pause=pause))


def _send_signal(send: Any, pause: Any) -> str:
    keys = [*_SETTINGS.signing_keys]
    return _told(lambda: drive(signalling(_SETTINGS, keys, "tail/up", 1, NOW, lambda: 1.0), send, pause=pause))


def _fetch_state(send: Any, _pause: Any) -> str:
    call = parse_call(json.dumps(app.call("quokka")), "step")

    def fetch() -> None:
        drive(InngestApi(_SETTINGS).fetch_state(call), send)
        require(isinstance(call.memos, dict) and call.events, "what was fetched is no state")

    return _told(fetch)


def _sync(send: Any, _pause: Any) -> str:
    sync = Sync(_SETTINGS, [app.quokka], "aws-lambda", InngestApi(_SETTINGS))
    request = Request("PUT", {}, {}, "", "https://app.example", "/api/inngest")
    reply = drive(sync.answer(request, signed=False), send)
    document = json.loads(reply.body)
    require(isinstance(document["message"], str) and len(document["message"]) <= 500, "a message of any length")  # noqa: PLR2004 - what is enough to read
    return reply.body


# Each with the secrets that it sends: a server can quote no others.
_EVENT_SECRETS = [app.EVENT_KEY, quote(app.EVENT_KEY, safe=""), app.EVENT_KEY[:6]]
_TOKENS = [_SETTINGS.signing_keys[0].hashed()]
_EXCHANGES = [(_send_event, _EVENT_SECRETS), (_send_signal, _TOKENS), (_sync, _TOKENS), (_fetch_state, _TOKENS)]


def _told(call: Callable[[], object]) -> str:
    """What an error says, and all that it carries."""
    try:
        call()
    except InngestError as error:
        return f"{error} {error.args!r} {error.__cause__!r}"
    return ""


class Taker(app.Wire):
    """An event API that takes everything."""

    def send(self, request: Outbound) -> OutboundReply:
        """Take some events."""
        self.sent.append(request)
        events = json.loads(request.body or "")
        return OutboundReply(200, json.dumps({"ids": ["01E"] * len(events)}).encode(), {})


@cache
def _golden(name: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((GOLDEN / f"{name}.json").read_text("utf-8"))
    return document


@cache
def _forwarder(name: str, **options: str) -> Any:
    make = forward_cloud_event if name == "forward_cloud_event" else getattr(forward, name)
    with patch("inngest_serverless.client.Transport", Taker):
        return make(is_dev=True, event_key=app.EVENT_KEY, **options)


def delivery(data: bytes) -> None:
    """What somebody wrote into a queue or a stream never keeps what others wrote from being sent."""
    dice = Dice(data)
    app.reset()
    kind = dice.one_of([*_SPOILERS])
    spoil, golden = _SPOILERS[kind]
    batch = deepcopy(_golden(golden))
    bad, healthy = (deepcopy(batch["Records"][1]) for _ in range(2))
    _rename(healthy, "healthy")
    spoil(bad, dice)
    batch["Records"] = [bad, healthy] if dice.chance(2) else [healthy, bad]
    options = dice.one_of([{}, {"dead_letter": "app/dead"}, {"poison": "drop"}])
    response = _forwarder(f"forward_{kind.partition(' ')[0]}", **options)(batch, None)
    failed = [item["itemIdentifier"] for item in response["batchItemFailures"]]
    require("healthy" not in failed, "what is in order is to be delivered again")
    sent = [event for request in app.Wire.sent for event in json.loads(request.body or "")]
    require(any("healthy" in json.dumps(event["data"]) for event in sent), "what is in order was not sent")
    require(not failed or not options, f"{failed} is to be delivered again, although {options}")


def notification(data: bytes) -> None:
    """What arrives alone, and cannot be sent, becomes a dead letter."""
    dice = Dice(data)
    app.reset()
    kind = dice.one_of(["sns", "eventbridge", "s3", "cloud_event"])
    event = _notification(kind, dice)
    handler = _forwarder(f"forward_{kind}", dead_letter="app/dead")
    handler(event) if kind == "cloud_event" else handler(event, None)
    sent = [event for request in app.Wire.sent for event in json.loads(request.body or "")]
    require(sent, "neither an event nor a dead letter was sent")


def _notification(kind: str, dice: Dice) -> Any:
    if kind == "cloud_event":
        source, payload = f"//pubsub/{dice.text()}", b64encode(_content(dice)).decode()
        attributes = {"id": dice.text() or "1", "source": source, "type": dice.one_of(_TYPES), "time": dice.text()}
        message = {"data": dice.one_of([payload, dice.text()]), "attributes": dice.spoil({"a": "b"}), "messageId": "1"}
        return CloudEvent(attributes, dice.one_of([{"message": message}, {"a": 1}, b"\xff", None, dice.text()]))
    event = deepcopy(_golden(kind))
    if kind == "sns":
        event["Records"][0]["Sns"] |= {"Message": _content(dice).decode("utf-8", "replace"), "Subject": dice.text()}
    elif kind == "eventbridge":
        event |= {"source": dice.text(), "detail-type": dice.text(), "detail": _loaded(dice)}
    else:
        event["Records"][0]["s3"]["object"]["key"] = dice.text()
    return event


_TYPES = ["google.cloud.pubsub.topic.v1.messagePublished", "google.cloud.storage.object.v1.finalized", *TEXTS[2:6]]


def _content(dice: Dice) -> bytes:
    if dice.chance(3):
        return dice.some(60)
    return json_text(dice.spoil({"name": "a", "data": {"n": 1}, "list": [1, 2]})).encode()


def _loaded(dice: Dice) -> Any:
    """What was JSON on its way, as it is handed over."""
    try:
        document = json.loads(json_text(dice.spoil({"n": 1, "list": [1]})))
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _rename(record: dict[str, Any], name: str) -> None:
    if "body" in record and "s3" in record["body"]:
        record["body"] = record["body"].replace('"key":"', f'"key":"{name}')
        record["messageId"] = name
    elif "body" in record:
        record |= {"messageId": name, "body": f'{{"healthy":"{name}"}}'}
    elif "kinesis" in record:
        record["kinesis"] |= {"sequenceNumber": name, "data": b64encode(b"healthy").decode()}
        record["eventID"] = f"shard:{name}"
    else:
        record["dynamodb"]["SequenceNumber"] = record["eventID"] = name


def _spoil_text(record: dict[str, Any], dice: Dice) -> None:
    record["body"] = _content(dice).decode("utf-8", "replace")


def _spoil_s3(record: dict[str, Any], dice: Dice) -> None:
    record["body"] = json_text(dice.spoil(json.loads(record["body"])))


def _spoil_kinesis(record: dict[str, Any], dice: Dice) -> None:
    record["kinesis"] |= {"data": b64encode(_content(dice)).decode(), "partitionKey": dice.text()}


def _spoil_dynamodb(record: dict[str, Any], dice: Dice) -> None:
    number = dice.one_of(["9" * 38, "1E+125", "-1E-130", "0.1", "-0", "NaN", "Infinity", "x"])
    values = [{"S": dice.text()}, {"N": number}, {"B": "gICA"}, {"NULL": True}, {"M": {"a": {"L": [{"N": number}]}}}]
    record["dynamodb"]["NewImage"] = {dice.text(): dice.one_of(values), "b": {"SS": [dice.text()]}}


_SPOILERS: dict[str, tuple[Callable[[dict[str, Any], Dice], None], str]] = {
    "sqs": (_spoil_text, "sqs"),
    "s3 in a queue": (_spoil_s3, "sqs_s3"),
    "kinesis": (_spoil_kinesis, "kinesis"),
    "dynamodb": (_spoil_dynamodb, "dynamodb_stream"),
}


def call_text(data: bytes) -> None:
    """A body is a call request or is refused; nothing else is raised, and nothing of it is told."""
    body = data if data[:1] < b"\x80" else json_text(Dice(data).spoil(app.call("quokka"), most=6)).encode()
    try:
        call = parse_call(body, "step")
    except CallRequestError as error:
        require(len(str(error)) < 100, "a refusal names the field, never the value")  # noqa: PLR2004 - as long as the longest
    else:
        require(call.events and isinstance(call.memos, dict) and isinstance(call.attempt, int), "half a call request")
