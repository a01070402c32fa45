"""The readers of single texts: a signature, a canonical form, a time, a secret. Each raises its own error or none."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import attacked_app as app
from dice import Dice, json_text
from requirement import require

from inngest_serverless.durations import to_instant, to_retry_after, to_time_string
from inngest_serverless.errors import ConfigurationError, SignatureError, TransportError
from inngest_serverless.protocol.jcs import canonicalize
from inngest_serverless.protocol.signing import SigningKey, sign, verify
from inngest_serverless.secret_keys import KeySecret

if TYPE_CHECKING:
    from collections.abc import Callable

_KEYS = [SigningKey(app.KEY), SigningKey("signkey-test-" + "0" * 64)]
_DATES = ["2026-11-22T00:48:30Z", "Mon, 02 Jan 2006 15:04:05 GMT", "02 Jan 06 15:04 -0700", "1h30m", "1.5h", "9" * 20]


def signature(data: bytes) -> None:
    """No text is a signature but the one that the key makes."""
    dice = Dice(data)
    now = time.time()
    body = dice.some(30)
    right = sign(body, _KEYS[0], now)
    at = dice.below(len(right))
    changed = (
        right[:at] + dice.one_of(["", "0", "&", "=", "t=1", " ", "\u00e9", dice.text()]) + right[at + dice.below(3) :]
    )
    given = dice.one_of([changed, dice.text(), data.decode("latin-1")])
    try:
        verify(given, _KEYS, body, now)
    except SignatureError as error:
        require(len(str(error)) < 100, "an error that quotes what it was given")  # noqa: PLR2004 - as long as the longest
    else:
        # Fields that mean nothing may stand between.
        require({*right.split("&")} <= {*given.split("&")}, f"{given!r} was taken for {right!r}")


def canonical_form(data: bytes) -> None:
    """The canonical form of a text means the same, and is its own canonical form."""
    dice = Dice(data)
    text = (
        data if dice.chance(3) else json_text(dice.spoil({"b": [1, 2.5, None], "a": {"x": "y", "1e21": 1e21}})).encode()
    )
    form = canonicalize(text)
    if form is not None:
        require(canonicalize(form) == form, f"{form!r} is not its own canonical form")
        # All its numbers are doubles.
        before, after = (json.loads(each, parse_int=float) for each in (text, form))
        require(before == after, f"{form[:500]!r} means something else")


def moment(data: bytes) -> None:
    """A time, wherever one is written, is read or is a mistake of the one who wrote it."""
    dice = Dice(data)
    at, text = dice.below(20), dice.one_of(_DATES)
    text = dice.one_of([dice.text(), text[:at] + dice.text() + text[at + dice.below(3) :], data.decode("latin-1")])
    readers: list[Callable[[], str]] = [
        lambda: to_retry_after(text, 1.7e9),
        lambda: to_instant(text),
        lambda: to_time_string(text),
    ]
    try:
        written = dice.one_of(readers)()
    except ConfigurationError as error:
        require(len(str(error)) < 1000, "an error as long as what it was given")  # noqa: PLR2004 - it lists the forms
    else:
        require(written.isprintable(), f"{written!r} cannot stand in a header")


def secret(data: bytes) -> None:
    """Whatever is in the secret, there are keys or one error that does not tell what is in it."""
    dice = Dice(data)
    document = dice.spoil({"INNGEST_SIGNING_KEY": app.KEY, "INNGEST_EVENT_KEY": app.EVENT_KEY})
    value = dice.some(40) if dice.chance(4) else json_text(document).encode()
    try:
        keys = KeySecret("arn", lambda: value).keys()
    except (ConfigurationError, TransportError) as error:
        told = f"{error} {error.args!r} {error.__cause__!r} {error.__context__!r}"
        require(app.KEY not in told and app.EVENT_KEY not in told, "the error tells a key")
    else:
        require(all(isinstance(key, str) and key.strip() for key in keys.values()), f"{sorted(keys)} are no keys")
