"""What is said where a request gets no reply, or none that is taken: the same words, whatever makes the connections."""

from __future__ import annotations

from inngest_serverless.errors import ConfigurationError, TransportError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from inngest_serverless.protocol.exchange import Outbound

__all__ = ["cannot_be_sent", "no_reply", "too_large"]


def cannot_be_sent(request: Outbound, error: Exception) -> ConfigurationError:
    """The error of a request whose URL or one of whose headers is malformed."""
    return ConfigurationError(
        f"no request can be sent to {request.host!r} ({type(error).__name__}): "
        "check the settings for origins, e.g. 'https://inn.gs', and for what is not plain ASCII"
    )


def no_reply(request: Outbound, error: Exception) -> TransportError:
    """The error of a request that got no reply; to be raised without its cause, which may hold the URL."""
    return TransportError(f"no reply from {request.host} ({type(error).__name__})")


def too_large(request: Outbound, most_bytes: int) -> TransportError:
    """The error of a reply of more bytes than are taken."""
    return TransportError(f"the reply from {request.host} is over {most_bytes} bytes")
