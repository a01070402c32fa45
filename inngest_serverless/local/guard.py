"""Who may talk to the local engine's API: nothing that a web page from elsewhere makes a browser send.

A page that has its own name point to this machine (DNS rebinding) is told by the Host header; one that sends a request
across origins (CSRF) by the Origin header, which browsers add and programs do not.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["HEADERS", "Guard"]

_READING = {"GET", "HEAD"}

# Everything of the page comes from here, no script is inline, and no text can become a script or a tag.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'; trusted-types 'none'"
)
HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Guard:
    """Decides by a request's headers.

    Args:
        host: Where the API listens: a name or an address. If it is an address that means all of this machine's,
            requests to any address are let in, but still not to any name.
    """

    def __init__(self, host: str) -> None:
        self._host = host.lower()
        self._takes_addresses = _is_unspecified(host)

    def refusal(self, method: str, headers: Mapping[str, str]) -> str | None:
        """Why a request is refused; None if it is not.

        Args:
            method: Its method.
            headers: Its headers, with names as in ``Content-Type``.
        """
        host = headers.get("Host", "")
        if not self._is_own(_name(f"//{host}")):
            return (
                f"host {host!r} is not this server's: use localhost, or start the server with that host, "
                "if requests to it are meant to come here"
            )
        origin = headers.get("Origin")
        if method not in _READING and origin is not None and origin.lower() != f"http://{host}".lower():
            return f"origin {origin!r} is not this server's: a page from elsewhere may not change anything here"
        return None

    def _is_own(self, name: str) -> bool:
        if name == "localhost" or name.endswith(".localhost") or name == self._host:
            return True
        try:
            address = ip_address(name)
        except ValueError:
            return False
        return address.is_loopback or self._takes_addresses


def _name(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_unspecified(host: str) -> bool:
    try:
        return ip_address(host).is_unspecified
    except ValueError:
        return host == ""
