"""Requests to a deployed app, signed as Inngest signs them, and when they were made."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from inngest_serverless.protocol import headers as names
from inngest_serverless.protocol.signing import sign

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inngest_serverless.local.endpoints import Endpoint
    from inngest_serverless.local.gateway import HttpReply
    from inngest_serverless.protocol.signing import SigningKey

__all__ = ["Visit", "Visitor"]

_REDIRECTS = range(300, 400)


@dataclass(frozen=True, slots=True)
class Visit:
    """One request and its reply.

    Attributes:
        reply: The reply.
        seconds: How long it took.
        at: When it was sent, in Unix seconds of this machine's clock.
    """

    reply: HttpReply
    seconds: float
    at: float

    @property
    def is_from_sdk(self) -> bool:
        """Whether an Inngest app answered, rather than something before it."""
        return names.SDK in self.reply.headers

    @property
    def redirect(self) -> str | None:
        """Where it redirects to, or None."""
        return self.reply.headers.get("location") if self.reply.status in _REDIRECTS else None

    @property
    def document(self) -> dict[str, Any]:
        """The JSON object in the body; {} if it has none."""
        try:
            document = json.loads(self.reply.body)
        except (ValueError, RecursionError):
            return {}
        return document if isinstance(document, dict) else {}

    @property
    def skew(self) -> float | None:
        """By how many seconds the clock there is ahead of ours, by the Date header; None without one."""
        try:
            there = parsedate_to_datetime(self.reply.headers["date"]).timestamp()
        except (KeyError, ValueError):
            return None
        # The header has whole seconds, and was written some time during the exchange.
        return there + 0.5 - (self.at + self.seconds / 2)


class Visitor:
    """Sends requests to one URL.

    Args:
        endpoint: Sends them.
        url: The URL, with or without a query of its own.

    Attributes:
        url: The URL.
    """

    def __init__(self, endpoint: Endpoint, url: str) -> None:
        self.url = url
        self._endpoint = endpoint

    @property
    def host(self) -> str:
        """The host in the URL."""
        return urlsplit(self.url).hostname or ""

    def ask(
        self,
        method: str,
        *,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        key: SigningKey | None = None,
        ahead: float = 0.0,
    ) -> Visit:
        """Send a request.

        Args:
            method: The HTTP method.
            query: What to put behind the URL, without ``?``.
            headers: More headers.
            body: The body, JSON.
            key: What to sign it with, if anything.
            ahead: By how many seconds the signature's time is ahead of now.

        Raises:
            UnreachableError: There is no reply.
        """
        sent = {names.CONTENT_TYPE: names.JSON} if body else {}
        sent |= headers or {}
        at = time.time()
        if key is not None:
            sent[names.SIGNATURE] = sign(body, key, at + ahead)
        parts = urlsplit(self.url)
        url = parts._replace(query="&".join(filter(None, [parts.query, query])), fragment="").geturl()
        start = time.perf_counter()
        reply = self._endpoint(method, url, sent, body)
        return Visit(reply, time.perf_counter() - start, at)
