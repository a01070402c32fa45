"""What runs are started with, for type checkers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from datetime import datetime

    from inngest_serverless.events import Event
    from inngest_serverless.local.endpoints import Endpoint
    from inngest_serverless.testing.faults import Fault
    from inngest_serverless.testing.mocks import GivenMocks

    Sendable = Event[Any] | Mapping[str, Any]
    Started = Sendable | Iterable[Sendable] | None

__all__ = ["EntryArguments", "RunArguments"]


class RunArguments(TypedDict, total=False):
    """What ``Session.run`` and ``Session.start`` take beside the target, the event and the function."""

    mocks: GivenMocks
    faults: Iterable[Fault] | Fault


class EntryArguments(RunArguments, total=False):
    """What ``run`` and ``start`` take beside them: the session's arguments too."""

    seed: int
    at: datetime | None
    fetch: Endpoint | None
