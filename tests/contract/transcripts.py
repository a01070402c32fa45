"""The recorded exchanges of tests/golden/transcripts, as they were before their long values were shortened."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[1] / "golden" / "transcripts"

# The blobs of 1.5 MB were cut to these 64 characters after the recording. They are put back, in requests, in the API's
# answers and in the expected replies: so state goes over 4 MiB here as it did then. No request that was signed has one,
# hence its recorded signature still holds.
_SHORTENED = "x" * 64
_BLOB = "x" * 1_500_000


@dataclass(frozen=True)
class Exchange:
    """One request and its reply, with what the SDK asked of the server in between."""

    method: str
    path: str
    headers: dict[str, str]
    body: str
    status: int
    reply_headers: dict[str, str]
    reply_body: str
    requests: tuple[Exchange, ...] = ()


@dataclass(frozen=True)
class Transcript:
    """One recorded run of one function."""

    name: str
    scenario: str
    signing_key: str | None
    calls: tuple[Exchange, ...]

    def __str__(self) -> str:
        return self.name


def load(name: str) -> Transcript:
    document = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    calls: list[tuple[dict[str, Any], list[Exchange]]] = []
    for record in document["exchanges"]:
        if record["direction"] == "server to SDK":
            calls.append((record, []))
        else:
            calls[-1][1].append(_exchange(record))
    return Transcript(
        name,
        document["scenario"],
        document.get("signing_key"),
        tuple(_exchange(record, *requests) for record, requests in calls),
    )


def _exchange(record: dict[str, Any], *requests: Exchange) -> Exchange:
    request, reply = record["request"], record["reply"]
    body, reply_body = (text.replace(_SHORTENED, _BLOB) for text in (request["body"], reply["body"]))
    return Exchange(
        request["method"],
        request["path"],
        request["headers"],
        body,
        reply["status"],
        reply["headers"],
        reply_body,
        requests,
    )


def registration() -> dict[str, Any]:
    """The recorded registration."""
    document = json.loads((FOLDER / "dev-register.json").read_text(encoding="utf-8"))
    return json.loads(document["exchanges"][0]["request"]["body"])


NAMES = sorted(path.stem for path in FOLDER.glob("*.json") if path.stem != "dev-register")
