"""Every exception by which a served app fails on purpose, and what a retry does about each.

::

    BaseException
    ├── Interrupt                         ends a call that has its answer; no failure: let it pass
    └── DeadlineExceeded                  ends code whose call has to be answered; what was running is retried

    Exception
    └── InngestError
        ├── ConfigurationError            the code or its settings are wrong; never retried
        ├── NonRetriableError             raised by users: stop retrying this step or function
        │   ├── OutputError               a result that JSON cannot hold
        │   ├── EventValidationError      an event whose data does not fit its type
        │   ├── EventNotReceivedError     wait_for_event(required=True) was over before the event came
        │   └── NestedStepError           a step was called inside another step's body
        ├── RetryAfterError               raised by users: retry, but not before a given time
        ├── StepError                     a step that failed for good, met again on replay; catch it to compensate
        ├── ResultTypeError               a remembered result that does not fit its type any more
        ├── SignatureError                a request that was not signed with our key
        │   ├── ExpiredSignatureError     signed more than five minutes ago (or ahead)
        │   ├── InvalidSignatureError     missing, malformed, or made with another key or for another body
        │   └── InvalidTimestampError     the timestamp is not a number
        ├── CallRequestError              a body that is not a call request
        ├── TransportError                an outbound request got no reply
        ├── SendEventsError               events that were not accepted
        └── UnsupportedEventError         a Lambda event that is not an HTTP request

Any other exception is the user's own: it is retried until the attempts are used up. The first two are in
``engine/interrupts.py``: ``except Exception`` lets them pass, and nobody else raises them.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime, timedelta
    from typing import Any

__all__ = [
    "CallRequestError",
    "ConfigurationError",
    "EventNotReceivedError",
    "EventValidationError",
    "ExpiredSignatureError",
    "InngestError",
    "InvalidSignatureError",
    "InvalidTimestampError",
    "NestedStepError",
    "NonRetriableError",
    "OutputError",
    "ResultTypeError",
    "RetryAfterError",
    "SendEventsError",
    "SignatureError",
    "StepError",
    "TransportError",
    "UnsupportedEventError",
]


class InngestError(Exception):
    """The root of this package's exceptions."""


class ConfigurationError(InngestError):
    """The code or its settings are wrong; the message says what, where, and what to write instead."""


class NonRetriableError(InngestError):
    """Raise it in a step or a function to fail it at once, whatever attempts are left.

    Args:
        message: What happened; it is stored with the run and shown in the dashboard.

    Source: docs/protocol.md, section 4.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(message)


class OutputError(NonRetriableError):
    """A step or a function returned something that JSON cannot hold."""


class EventValidationError(NonRetriableError):
    """The data of an event does not fit its type; the message lists the fields, never their values."""


class EventNotReceivedError(NonRetriableError):
    """An event that was required did not come in time."""


class NestedStepError(NonRetriableError):
    """A step was called inside the body of another step."""


class RetryAfterError(InngestError):
    """Raise it in a step or a function to have it retried, but not before a given time.

    Args:
        message: What happened.
        retry_after: A delay (``timedelta``, milliseconds, or a time string such as ``"90s"``) or an instant
            (an aware ``datetime`` or its RFC 3339 text). The server keeps it between one second and 24 hours.

    Source: docs/protocol.md, section 4.
    """

    def __init__(self, message: str, retry_after: int | str | timedelta | datetime) -> None:
        super().__init__(message)
        self.retry_after = retry_after

    def __reduce__(self) -> tuple[Any, ...]:
        return (type(self), (str(self), self.retry_after))


class StepError(InngestError):
    """A step that failed for good. It is raised where the step is called, so that it can be caught and made good.

    Attributes:
        name: The name of the exception that the step raised, e.g. ``"ZeroDivisionError"``.
        message: Its message.
        stack: Its stack trace as text, or None.
        step_id: The ID of the step as the code gives it, or None where it is not known.

    Source: docs/protocol.md, sections 2 and 4.
    """

    def __init__(self, name: str, message: str, stack: str | None = None, step_id: str | None = None) -> None:
        super().__init__(message)
        self.name = name
        self.message = message
        self.stack = stack
        self.step_id = step_id

    def __reduce__(self) -> tuple[Any, ...]:
        # Exceptions are pickled by their args, which are the message alone.
        return (type(self), (self.name, self.message, self.stack, self.step_id))


class ResultTypeError(InngestError):
    """A remembered result does not fit the type that the code now gives it; retried, as a deployment may mend it."""


class SignatureError(InngestError):
    """A request that does not carry a valid signature."""


class ExpiredSignatureError(SignatureError):
    """The signature's time is more than five minutes away from now."""


class InvalidSignatureError(SignatureError):
    """The signature is missing, malformed, or was made with another key or for another body."""


class InvalidTimestampError(SignatureError):
    """The signature's time is not a number of seconds."""


class CallRequestError(InngestError):
    """A body that is not a call request; the message names the field."""


class TransportError(InngestError):
    """An outbound request got no reply."""


class SendEventsError(InngestError):
    """Events that the event API did not accept.

    Attributes:
        ids: The IDs of those events of the same call that had been accepted before.
        status: The status of the event API's answer, or None where there was none.
    """

    def __init__(self, message: str, ids: Sequence[str] = (), status: int | None = None) -> None:
        super().__init__(message)
        self.ids: tuple[str, ...] = tuple(ids)
        self.status: int | None = status


class UnsupportedEventError(InngestError):
    """A Lambda event that is not an HTTP request; the message names what it is and what serves it."""
