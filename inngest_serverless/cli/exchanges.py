"""Requests to deployed apps: each is sent once, as it is, and no redirect is followed."""

from __future__ import annotations

import socket
import ssl
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click
import httpx

from inngest_serverless.cli.errors import UNREACHABLE, CommandError
from inngest_serverless.local.gateway import HttpReply
from inngest_serverless.version import __version__

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from inngest_serverless.local.endpoints import Endpoint

__all__ = ["SECONDS", "UnreachableError", "checked_url", "http_endpoint", "timeout_option"]

SECONDS = 30.0

timeout_option: Callable[[Callable[..., Any]], Callable[..., Any]] = click.option(
    "--timeout",
    type=click.FloatRange(min=0, min_open=True),
    default=SECONDS,
    metavar="SECONDS",
    help=f"How long to wait for a reply; {SECONDS:.0f} by default.",
)


class UnreachableError(CommandError):
    """There is no reply.

    Attributes:
        method: The method of the request.
        url: Its URL, without a query.
        reason: Why: ``"dns"``, ``"tls"``, ``"timeout"`` or ``"connection"``.
        detail: The same in the words of whoever noticed, e.g. ``"certificate has expired"``.
    """

    def __init__(self, method: str, url: str, reason: str, detail: str) -> None:
        super().__init__(f"no reply from {urlsplit(url).netloc.rpartition('@')[2]}: {detail}", UNREACHABLE)
        self.method = method
        self.url: str = url.partition("?")[0]
        self.reason = reason
        self.detail = detail


def checked_url(url: str, where: str = "--url") -> str:
    """The URL, if it is one.

    Args:
        url: What was given.
        where: The option or variable that it was given by.

    Raises:
        click.BadParameter: It is not absolute.
    """
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise click.BadParameter(f"{url!r} is no URL: write it in full, https://host/path", param_hint=where)
    return url


@contextmanager
def http_endpoint(timeout: float = SECONDS) -> Iterator[Endpoint]:
    """Reach an app over HTTP, for as long as the block lasts.

    Args:
        timeout: How many seconds to wait for a reply.

    Yields:
        An endpoint that raises ``UnreachableError`` where there is no reply.
    """

    def endpoint(method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        try:
            reply = client.request(method, url, headers=dict(headers), content=body or None)
        except httpx.HTTPError as error:
            reason, detail = _explained(error, timeout)
            # Without its cause: httpx's errors hold the request.
            raise UnreachableError(method, url, reason, detail) from None
        return HttpReply(reply.status_code, dict(reply.headers), reply.content)

    headers = {"user-agent": f"inngest-serverless/{__version__}"}
    with httpx.Client(timeout=httpx.Timeout(timeout), headers=headers) as client:
        yield endpoint


def _explained(error: httpx.HTTPError, timeout: float) -> tuple[str, str]:
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "tls", cause.verify_message
        if isinstance(cause, ssl.SSLError):
            return "tls", (cause.reason or str(cause)).replace("_", " ").lower()
        if isinstance(cause, socket.gaierror):
            return "dns", "there is no such host"
    if isinstance(error, httpx.TimeoutException):
        return "timeout", f"nothing came for {timeout:g} seconds"
    if any(isinstance(cause, ConnectionRefusedError) for cause in causes):
        return "connection", "the connection was refused"
    return "connection", str(error) or type(error).__name__


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
