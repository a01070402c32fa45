"""Time as events have it: Unix milliseconds."""

from __future__ import annotations

import time

from inngest_serverless.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime

__all__ = ["now_millis", "timestamp"]


def now_millis() -> int:
    """The time now, in Unix milliseconds: the form of an event's ``ts``."""
    return time.time_ns() // 1_000_000


def timestamp(moment: datetime) -> int:
    """A moment in Unix milliseconds, rounded down: the form of an event's ``ts``.

    Args:
        moment: A datetime that knows its time zone.

    Raises:
        ConfigurationError: It has no time zone, so its moment is unknown, or it is no datetime.

    Source: docs/protocol.md, section 2.
    """
    from datetime import UTC, datetime, timedelta

    if not isinstance(moment, datetime) or moment.utcoffset() is None:
        raise ConfigurationError(
            f"a datetime with a time zone is needed, not {moment!r}: "
            "use datetime.now(tz=UTC), or name its zone with .replace(tzinfo=...)"
        )
    return (moment - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)
