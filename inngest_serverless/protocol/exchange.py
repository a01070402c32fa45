"""The two HTTP exchanges we take part in: the one we answer, and the ones we start ourselves."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Outbound", "OutboundReply", "Reply", "Request"]


class Request:
    """An HTTP request as an adapter hands it over.

    Attributes:
        method: Upper case.
        query: The first value of each query parameter, decoded.
        headers: Names in lower case.
        body: As the platform delivered it: text where it decoded the bytes itself, so that nobody does it twice.
        origin: ``https://host`` by which the platform says it was reached.
        path: The public path, stage or base path included.
        names_itself: Whether the origin is only what the client wrote into its Host header.
    """

    __slots__ = ("body", "headers", "method", "names_itself", "origin", "path", "query")

    def __init__(
        self,
        method: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: str | bytes,
        origin: str,
        path: str,
        *,
        names_itself: bool = False,
    ) -> None:
        self.names_itself: bool = names_itself
        self.method: str = method
        self.query: Mapping[str, str] = query
        self.headers: Mapping[str, str] = headers
        self.body: str | bytes = body
        self.origin: str = origin
        self.path: str = path

    def is_larger_than(self, size: int) -> bool:
        """Whether the body has more than ``size`` bytes."""
        body = self.body
        if len(body) > size or isinstance(body, bytes):
            return len(body) > size
        # No character takes more than four bytes, so most bodies need not be encoded to know.
        return len(body) * 4 > size and len(body.encode("utf-8", "surrogatepass")) > size

    def body_bytes(self) -> bytes:
        """The body as the bytes that were signed.

        Raises:
            UnicodeEncodeError: The text has no UTF-8 form, so no client can have sent it.
        """
        body = self.body
        return body.encode() if isinstance(body, str) else body


class Reply:
    """What we answer: a status, headers in lower case, and a body of JSON text."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, headers: dict[str, str], body: str) -> None:
        self.status: int = status
        self.headers: dict[str, str] = headers
        self.body: str = body


class Outbound:
    """A request that we want sent: the value that generators yield to a transport."""

    __slots__ = ("body", "headers", "method", "url")

    def __init__(self, method: str, url: str, headers: dict[str, str], body: str | None = None) -> None:
        self.method: str = method
        self.url: str = url
        self.headers: dict[str, str] = headers
        self.body: str | None = body


class OutboundReply:
    """What came back: a status, headers in lower case, and the body's bytes."""

    __slots__ = ("body", "headers", "status")

    def __init__(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        self.status: int = status
        self.body: bytes = body
        self.headers: Mapping[str, str] = headers

    @property
    def ok(self) -> bool:
        """True for a status of 200 to 299."""
        return 200 <= self.status < 300  # noqa: PLR2004 - HTTP's own numbers
