"""Running one function: what most tests need."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar, overload

from inngest_serverless.testing.session import Session

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime
    from typing import Unpack

    from inngest_serverless.functions import Function
    from inngest_serverless.local.endpoints import Endpoint
    from inngest_serverless.testing.apps import Target
    from inngest_serverless.testing.arguments import EntryArguments, Started
    from inngest_serverless.testing.faults import Fault
    from inngest_serverless.testing.mocks import GivenMocks
    from inngest_serverless.testing.results import RunResult
    from inngest_serverless.testing.started import TestRun

__all__ = ["run", "start"]

R = TypeVar("R")


@overload
def run(
    target: Function[R], event: Started = None, *, function: None = None, **arguments: Unpack[EntryArguments]
) -> RunResult[R]: ...
@overload
def run(
    target: Target, event: Started = None, *, function: Function[R], **arguments: Unpack[EntryArguments]
) -> RunResult[R]: ...
@overload
def run(
    target: Target, event: Started = None, *, function: str | None = None, **arguments: Unpack[EntryArguments]
) -> RunResult[Any]: ...
def run(
    target: Target,
    event: Started = None,
    *,
    function: Any = None,
    mocks: GivenMocks = (),
    faults: Iterable[Fault] | Fault = (),
    seed: int = 0,
    at: datetime | None = None,
    fetch: Endpoint | None = None,
) -> RunResult[Any]:
    """Run a function to its end, in a session of its own: see ``Session.run`` and ``Session``.

    Args:
        target: What to run: a function, a list of functions, or a handler.
        event: What starts it; several for a function with ``batch_events``; none for one with a schedule.
        function: Which function of the target is meant, or its ID.
        mocks: Steps that are not carried out: made by ``mock_step``, or a mapping of step IDs to results.
        faults: What goes wrong on the way.
        seed: For IDs and for the jitter of retries.
        at: What the clock says at first, with its time zone.
        fetch: Sends the requests of ``step.fetch`` and ``step.ai.infer``.

    Raises:
        NotReachedError: The function never came to a step that was mocked, or that a fault was for.
        EngineError: The event starts no function, or the run cannot go on; the message says why.
        ConfigurationError: The target is nothing to run, or a mock does not fit its step.
    """
    __tracebackhide__ = True
    session = Session(seed=seed, at=at, fetch=fetch)
    return session.run(target, event, function=function, mocks=mocks, faults=faults)


@overload
def start(
    target: Function[R], event: Started = None, *, function: None = None, **arguments: Unpack[EntryArguments]
) -> TestRun[R]: ...
@overload
def start(
    target: Target, event: Started = None, *, function: Function[R], **arguments: Unpack[EntryArguments]
) -> TestRun[R]: ...
@overload
def start(
    target: Target, event: Started = None, *, function: str | None = None, **arguments: Unpack[EntryArguments]
) -> TestRun[Any]: ...
def start(
    target: Target,
    event: Started = None,
    *,
    function: Any = None,
    mocks: GivenMocks = (),
    faults: Iterable[Fault] | Fault = (),
    seed: int = 0,
    at: datetime | None = None,
    fetch: Endpoint | None = None,
) -> TestRun[Any]:
    """Start a function, and let it come as far as it can without time passing; otherwise as ``run``."""
    __tracebackhide__ = True
    session = Session(seed=seed, at=at, fetch=fetch)
    return session.start(target, event, function=function, mocks=mocks, faults=faults)
