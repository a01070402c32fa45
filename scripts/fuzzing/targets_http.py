"""What comes to a handler: whatever it is, the reply is well-formed, and nothing runs that the key did not ask for."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import quote, urlsplit

import attacked_app as app
from dice import METHODS, Dice, json_text
from exchanges import ADAPTERS, Asked, check, lambda_reply, put_to
from requirement import require

from inngest_serverless.errors import UnsupportedEventError
from inngest_serverless.local.gateway import TRIGGERS, to_lambda_event
from inngest_serverless.protocol.exchange import OutboundReply
from inngest_serverless.protocol.signing import SigningKey, sign, verify

OWN_HOSTS = {"flask": "thylacine-abcdefghij-ew.a.run.app", "starlette": "thylacine-abcdefghij-ew.a.run.app"}
LAMBDA_HOST = "k7vq2m4xnd5w3rjtz6hbyc8fpa0sgeul.lambda-url.eu-west-1.on.aws"
EVIL_HOSTS = ["evil.example", "evil.example:443", "a.run.app:443@evil.example", "a.run.app.evil.example", "127.0.0.1"]
# What is known to say where a request came to, or who asks. None of it may count.
HEADERS = [
    *("X-Inngest-Signature", "X-Inngest-Server-Kind", "X-Inngest-Sync-Kind", "X-Inngest-Env", "Authorization"),
    *("X-Forwarded-Host", "X-Forwarded-Proto", "Forwarded", "X-Original-URL", "X-Rewrite-URL", "X-Host", "Via"),
    *("Content-Type", "Content-Length", "Transfer-Encoding", "traceparent", "tracestate", "X-HTTP-Method-Override"),
]
URL_HEADERS = {"X-Forwarded-Host", "X-Host", "X-Original-URL", "X-Rewrite-URL", "Forwarded"}
_KEY = SigningKey(app.KEY)
_REGISTERED = OutboundReply(200, b'{"ok":true,"modified":true}', {})


def stranger(data: bytes) -> None:
    """A client without the key puts a request to each adapter."""
    dice = Dice(data)
    adapter = dice.one_of(ADAPTERS)
    app.reset()
    app.Wire.replies.extend([_REGISTERED] * 2)
    own = OWN_HOSTS.get(adapter, LAMBDA_HOST)
    # Function URLs and API Gateway are reached by their own names only; a load balancer passes on any.
    may_lie = adapter in OWN_HOSTS or adapter.startswith("alb")
    host = dice.one_of([own, *EVIL_HOSTS]) if may_lie else own
    asked = _asked(dice, host)
    check(put_to(adapter, asked))
    if asked.method.upper() != "PUT":
        require(not app.Wire.sent, "only a PUT makes the app send something")
    for request in app.Wire.sent:
        _check_registration(request.headers, json.loads(request.body or ""), None if adapter.startswith("alb") else own)


def _asked(dice: Dice, host: str) -> Asked:
    method = dice.one_of(METHODS[:3]) if not dice.chance(8) else dice.one_of(METHODS)
    path = "/api/inngest" if not dice.chance(3) else "/" + quote(dice.text(), safe=dice.one_of(["", "/", "%", "/%"]))
    parameters = [("fnId", f"{app.APP_ID}-quokka"), ("stepId", "step")]
    for _ in range(dice.below(3)):
        name = dice.one_of(["fnId", "stepId", "deployId", "probe", "", "x"])
        parameters.append((name, dice.one_of(["trust", dice.text()])))
    query = "&".join(f"{name}={quote(value, safe=dice.one_of(['', '&=%']))}" for name, value in parameters)
    headers = {dice.one_of(HEADERS): dice.text() for _ in range(dice.below(4))}
    headers = {name: "evil.example" if name in URL_HEADERS else value for name, value in headers.items()}
    if dice.chance(2):
        headers["X-Inngest-Signature"] = _forged(dice)
    body = dice.some(200) if dice.chance(2) else json_text(dice.spoil(app.call("quokka"))).encode()
    return Asked(method, host, path, query, _on_the_wire(headers), body)


def _on_the_wire(headers: dict[str, str]) -> dict[str, str]:
    """Without what no server would let through: line ends and NUL."""
    return {name: "".join(c for c in value if c.isprintable() or c == "\t") for name, value in headers.items()}


def _forged(dice: Dice) -> str:
    now = str(int(time.time()))
    seconds = dice.one_of([now, "", "0", "9" * 5000, f"+{now}", f"{now}.0", "\u0661", dice.text()])
    digest = dice.one_of(["0" * 64, "f" * 64, "", "0" * 63, "\u00e9" * 64, "0" * 100_000, dice.text()])
    return dice.one_of([f"t={seconds}&s={digest}", f"s={digest}&t={seconds}", f"t={seconds}", "&" * 1000, dice.text()])


def _check_registration(headers: dict[str, str], document: dict[str, Any], own: str | None) -> None:
    """What an unsigned PUT may bring about: a registration at the app's own address, whatever the client wrote."""
    parts = urlsplit(document["url"])
    require(own is not None, f"registered at {document['url']}, which nobody but the client has named")
    require(parts.netloc == own and parts.scheme in {"http", "https"}, f"registered at {document['url']}")
    require(parts.path.startswith("/") and not parts.query and not parts.fragment, f"registered at {document['url']}")
    for function in document["functions"]:
        url = urlsplit(function["steps"]["step"]["runtime"]["url"])
        require(url.query.startswith(f"fnId={app.APP_ID}-"), f"the server would call {url.geturl()}")
    kind = headers.get("x-inngest-expected-server-kind")
    require(kind in {None, "cloud", "dev"}, f"a stranger's header was sent on: {kind!r}")


def lambda_event(data: bytes) -> None:
    """Somebody who may invoke the function makes up an event."""
    dice = Dice(data)
    app.reset()
    trigger = dice.one_of(TRIGGERS)
    headers = {"Content-Type": "application/json", "X-Inngest-Signature": "t=1&s=2", "X-Inngest-Server-Kind": "cloud"}
    url = f"https://{LAMBDA_HOST}/api/inngest?fnId={app.APP_ID}-quokka&stepId=step"
    method = dice.one_of(METHODS[:3])
    event = to_lambda_event(trigger, method, url, headers, json.dumps(app.call("quokka")).encode())
    spoiled = json.loads(_loadable(json_text(dice.spoil(event))))
    if isinstance(spoiled, dict) and dice.chance(3):
        spoiled |= {
            "isBase64Encoded": True,
            "body": dice.one_of(["", "e30=", "!", "a", "\u00e9", "=" * 9, "e30=" * 99]),
        }
    try:
        reply = lambda_reply(_trigger(trigger, spoiled), spoiled)
    except UnsupportedEventError as error:
        require(error.__cause__ is None and "\n" not in str(error), "it is one line")
        require(not app.ran and not app.Wire.sent, "something ran for what is no request")
    else:
        check(reply)


def _loadable(text: str) -> str:
    """Lambda takes JSON only, so what is none never comes to the handler."""
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return "{}"
    return text


def _trigger(trigger: str, event: Any) -> str:
    """The HTTP trigger that the event looks to be from: that one has to understand the reply."""
    context = event.get("requestContext") if isinstance(event, dict) else None
    if not isinstance(context, dict):
        return trigger
    if isinstance(context.get("http"), dict):
        return "function-url"
    if "elb" not in context:
        return "rest-api"
    return "alb-multi-value" if event.get("multiValueHeaders") is not None else "alb"


def signed_call(data: bytes) -> None:
    """A call that is signed, with anything in it: what the server itself might send, or someone's event might hold."""
    dice = Dice(data)
    app.reset()
    app.Wire.replies.append(OutboundReply(200, b'{"ids":["01E"]}', {}))
    function = dice.one_of(app.FUNCTIONS)
    body = json_text(dice.spoil(app.call(function), most=6)).encode()
    if dice.chance(6):
        body = body[: dice.below(len(body) + 1)] + dice.some(20)
    # An async function that does not come to the step it is called for is given half a second.
    strange = app.STEPS[0] if function == "wombat" else dice.text()
    step_id = dice.one_of(["step", "step", app.hash_of(app.STEPS[0]), strange])
    query = f"fnId={app.APP_ID}-{function}&stepId={quote(step_id, safe='')}"
    headers = {"X-Inngest-Signature": sign(body, _KEY, time.time()), "traceparent": dice.text()}
    asked = Asked("POST", LAMBDA_HOST, "/api/inngest", query, _on_the_wire(headers), body)
    reply = put_to(dice.one_of(ADAPTERS), asked)
    document = check(reply, may_run=True)
    require(reply.status in {200, 206, 400, 500}, f"status {reply.status}")
    verify(reply.headers["x-inngest-signature"], [_KEY], reply.body, time.time())
    if reply.status == 400 and document["name"] == "InvalidCallRequest":  # noqa: PLR2004 - HTTP's own number
        require(not app.ran, "a call that is refused has run something")
        require(set(document) == {"name", "message"}, "a refusal has no stack")
    require(len(app.ran) <= 1, f"one call ran {app.ran}")
