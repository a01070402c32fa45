"""Calls to put to an app: the recorded one that needs no steps, signed or not."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from adapters import SERVE_URL
from inngest_api import FALLBACK_KEY, KEY, SIGNATURE, signature
from transcripts import load

if TYPE_CHECKING:
    from adapters import Caller

# Behind a load balancer the app must be told its address before it registers itself for a stranger.
ORIGIN = {"INNGEST_SERVE_ORIGIN": SERVE_URL.removesuffix("/api/inngest")}
CLOUD = {"INNGEST_SIGNING_KEY": KEY, **ORIGIN}
ROTATING = {"INNGEST_SIGNING_KEY": KEY, "INNGEST_SIGNING_KEY_FALLBACK": FALLBACK_KEY, **ORIGIN}
DEV = {"INNGEST_DEV": "1"}

CALL = load("signed-no-steps").calls[0]
CALL_URL = f"{SERVE_URL}?fnId=rec-no-steps&stepId=step"
BODY = CALL.body.encode()
ANSWER = {"hello": "Zoë ✓ \u2028 </script>"}


def signed(caller: Caller, body: bytes = b"", key: str = KEY) -> dict[str, str]:
    """The headers of a request that was signed just now."""
    return {"Content-Type": "application/json", SIGNATURE: signature(body, caller.now(), key)}


def call_body(**changes: Any) -> bytes:
    """The call's body with some fields changed; ``ctx__attempt=3`` is the field ``ctx.attempt``."""
    document = json.loads(BODY)
    for path, value in changes.items():
        *parents, name = path.split("__")
        place = document
        for parent in parents:
            place = place[parent]
        place[name] = value
    return json.dumps(document).encode()
