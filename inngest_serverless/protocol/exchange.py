"""The HTTP exchanges we take part in: the one we answer, and the ones we start ourselves."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from inngest_serverless.engine.deadline import Deadline

__all__ = ["HttpTrigger", "Outbound", "OutboundReply", "Reply", "Request"]


class HttpTrigger:
    """What hands over requests and takes the replies: a function URL or a gateway, with limits of its own.

    What starts a durable function, an event or a schedule, is another thing: see ``triggers.py``.

    Attributes:
        name: As it is called in messages.
        seconds: How long it waits for a reply, unless it has been told otherwise; None if as long as the function runs.
        advice: How to have it wait longer.
        reply_bytes: The largest reply that it takes, as its cloud's function writes it.
        measure: How many bytes a text of a reply has there.
        takes_bytes: Whether it takes bodies in base64, and with them bytes.
    """

    __slots__ = ("advice", "measure", "name", "reply_bytes", "seconds", "takes_bytes")

    def __init__(
        self,
        name: str,
        seconds: float | None,
        advice: str,
        reply_bytes: int,
        measure: Callable[[str], int],
        *,
        takes_bytes: bool,
    ) -> None:
        self.name: str = name
        self.seconds: float | None = seconds
        self.advice: str = advice
        self.reply_bytes: int = reply_bytes
        self.measure: Callable[[str], int] = measure
        self.takes_bytes: bool = takes_bytes


class Request:
    """An HTTP request as an adapter hands it over.

    Attributes:
        method: Upper case.
        query: The first value of each query parameter, decoded.
        headers: Names in lower case.
        body: As the platform delivered it: text where it decoded the bytes itself, so that nobody does it twice.
        origin: ``https://host`` by which the platform says it was reached.
        path: The public path, stage or base path included.
        is_origin_claimed: Whether the origin is only what the client wrote into its Host header.
        is_from_deployment: Whether it comes from the app's own deployment: who has but its URL cannot say so.
        trigger: What handed it over, or None where that has no limits below the server's.
        deadline: When it has to be answered, or None.
    """

    __slots__ = (
        "body",
        "deadline",
        "headers",
        "is_from_deployment",
        "is_origin_claimed",
        "method",
        "origin",
        "path",
        "query",
        "trigger",
    )

    def __init__(
        self,
        method: str,
        query: Mapping[str, str],
        headers: Mapping[str, str],
        body: str | bytes,
        origin: str,
        path: str,
        *,
        is_origin_claimed: bool = False,
        is_from_deployment: bool = False,
        trigger: HttpTrigger | None = None,
    ) -> None:
        self.trigger: HttpTrigger | None = trigger
        self.deadline: Deadline | None = None
        self.is_origin_claimed: bool = is_origin_claimed
        self.is_from_deployment: bool = is_from_deployment
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
    """What we answer.

    Attributes:
        status: The status.
        headers: Names in lower case.
        body: JSON text, or base64 of what the headers say.
        is_base64: Which of the two.
    """

    __slots__ = ("body", "headers", "is_base64", "status")

    def __init__(self, status: int, headers: dict[str, str], body: str, *, is_base64: bool = False) -> None:
        self.status: int = status
        self.headers: dict[str, str] = headers
        self.body: str = body
        self.is_base64: bool = is_base64


class Outbound:
    """A request that we want sent: the value that generators yield to a transport."""

    __slots__ = ("body", "headers", "method", "url")

    def __init__(self, method: str, url: str, headers: dict[str, str], body: str | None = None) -> None:
        self.method: str = method
        self.url: str = url
        self.headers: dict[str, str] = headers
        self.body: str | None = body

    @property
    def host(self) -> str:
        """The host of its URL, for messages: never what stands before it, which may be a password."""
        before, scheme, after = self.url.partition("://")
        return (after if scheme else before).partition("/")[0].rpartition("@")[2]


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
