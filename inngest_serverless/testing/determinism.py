"""Finds what makes a replay differ from the call before it."""

from __future__ import annotations

import inspect
from contextlib import nullcontext
from datetime import timedelta
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from inngest_serverless.functions import Function
from inngest_serverless.local.calls import UNTARGETED
from inngest_serverless.testing.apps import functions_of
from inngest_serverless.testing.culprits import noticed
from inngest_serverless.testing.errors import NotDeterministicError
from inngest_serverless.testing.fresh_process import find_origin, replays
from inngest_serverless.testing.held_logs import held
from inngest_serverless.testing.session import Session
from inngest_serverless.testing.shifted_clock import UsersClock
from inngest_serverless.testing.traces import observed
from inngest_serverless.testing.variables import variables

if TYPE_CHECKING:
    from collections.abc import Iterable
    from contextlib import AbstractContextManager
    from datetime import datetime

    from inngest_serverless.local.endpoints import Endpoint
    from inngest_serverless.testing.apps import Target
    from inngest_serverless.testing.arguments import Started
    from inngest_serverless.testing.mocks import GivenMocks
    from inngest_serverless.testing.results import RunResult
    from inngest_serverless.testing.traces import Asked
    from inngest_serverless.testing.wire import WireCall

__all__ = ["assert_deterministic"]

_SHOWN = 60

# Another half of the day, another part of the week, of the year, and another year.
_LATER = tuple(timedelta(days=days) for days in (0.5, 3, 5, 190, 400))
# What differs from one container to the next, and from call to call.
_OF_CONTAINERS = {
    "AWS_LAMBDA_LOG_STREAM_NAME": "2020/01/01/[$LATEST]0123456789abcdef0123456789abcdef",
    "_X_AMZN_TRACE_ID": "Root=1-5e0be100-0123456789abcdef01234567;Sampled=0",
    "HOSTNAME": "169.254.0.1",
}
_AGAIN = "was made again at once"
_CONTAINER = "was made again in another container (its host, log stream and trace have other names)"
_PROCESS = "was made again in another process (sets have another order there, and modules are imported anew)"


def assert_deterministic(
    target: Target,
    event: Started = None,
    *,
    function: Function[Any] | str | None = None,
    mocks: GivenMocks = (),
    allow: Iterable[str] = (),
    processes: int = 3,
    at: datetime | None = None,
    fetch: Endpoint | None = None,
) -> RunResult[Any]:
    """Run a function to its end, and replay each of its calls: it has to ask for the same steps every time.

    Each call is repeated as it is, with the clock of the user's code at other times, as in another container, and, for
    functions that can be imported, in fresh processes. IDs, their order, and the arguments of the steps have to be the
    same. No step's body runs more often for that; code between steps does, as it may at any time. What such code does
    to the world outside is not looked at: it belongs into a step.

    Args:
        target: As for ``run``.
        event: As for ``run``.
        function: As for ``run``.
        mocks: As for ``run``.
        allow: The IDs of steps whose arguments may change, as where an instant is reckoned from now.
        processes: How many fresh processes to replay in; 0 leaves them out.
        at: What the engine's clock says at first.
        fetch: As for ``run``.

    Returns:
        What came of the run.

    Raises:
        NotDeterministicError: It asked for other steps; the message names the line, and what to do.
        ConfigurationError: The function cannot be replayed in a fresh process.
    """
    wanted = function.id if isinstance(function, Function) else function
    check = _Check(frozenset(allow), _namespaces(target), wanted or "")
    session = Session(at=at, fetch=fetch, watch=lambda call: check.look_at(session, call))
    __tracebackhide__ = True
    try:
        result = session.run(target, event, function=function, mocks=mocks)
        origin = find_origin(target) if processes else None
        if origin is not None:
            check.compare_all(replays(origin, [call.to_json() for call, _ in check.recorded], processes))
    except NotDeterministicError as error:
        # The line that matters is in the message; the way through the engine says nothing.
        raise error.with_traceback(None) from None
    return result


class _Check:
    """Looks at each call before it is made, and keeps what was asked for on it.

    Args:
        allowed: The steps whose arguments may change.
        namespaces: The global variables of the functions.
        wanted: The ID of the only function to look at; "" for all that run.

    Attributes:
        recorded: The calls, and what was asked for on each.
    """

    def __init__(self, allowed: frozenset[str], namespaces: tuple[dict[str, Any], ...], wanted: str) -> None:
        self.recorded: list[tuple[WireCall, list[Asked]]] = []
        self._wanted = wanted
        self._allowed = allowed
        self._clock = UsersClock(*namespaces)
        self._culprits: list[str] = []

    def look_at(self, session: Session, call: WireCall) -> None:
        """Make a call several times; no step's body runs.

        Raises:
            NotDeterministicError: It asked for other steps.
        """
        is_wanted = f"-{call.function_id}".endswith(f"-{self._wanted}") if self._wanted else True
        if not is_wanted or call.target != UNTARGETED or call.document["ctx"]["use_api"]:
            return
        first = _trace(session, call, nullcontext())
        self.recorded.append((call, first))
        with noticed() as self._culprits:
            again = _trace(session, call, nullcontext())
        self._compare(first, again, _AGAIN, call)
        for later in _LATER:
            then = _trace(session, call, self._clock.later(later))
            self._compare(first, then, f"was made again when the clock had moved on by {later}", call)
        self._compare(first, _trace(session, call, variables(_OF_CONTAINERS)), _CONTAINER, call)

    def compare_all(self, processes: list[list[list[Asked]]]) -> None:
        """Compare what was asked for on all calls in other processes.

        Raises:
            NotDeterministicError: It was something else.
        """
        for traces in processes:
            for (call, first), then in zip(self.recorded, traces, strict=True):
                self._compare(first, then, _PROCESS, call)

    def _compare(self, first: list[Asked], then: list[Asked], when: str, call: WireCall) -> None:
        for one, other in zip_longest(first, then):
            what = _difference(one, other, first, then, self._allowed)
            if what:
                number = next(number for number, (each, _) in enumerate(self.recorded, 1) if each is call)
                lines = [
                    f"function {call.function_id!r} is not deterministic: {what}.",
                    f"  at first:  {one or 'no further step'}",
                    f"  then:      {other or 'no further step'}",
                    f"Nothing had happened in between: its call {number} {when}.",
                ]
                if self._culprits:
                    lines.append(f"Outside of steps it asks for what may change: {', '.join(self._culprits)}.")
                raise NotDeterministicError("\n".join([*lines, _ADVICE]))


def _trace(session: Session, call: WireCall, around: AbstractContextManager[Any]) -> list[Asked]:
    with observed() as trace, held(), around:
        session.preview(call)
    return trace


def _namespaces(target: Target) -> tuple[dict[str, Any], ...]:
    """The global variables of functions, whose module need not be known as the user's."""
    handlers = (inspect.unwrap(function.handler) for function in functions_of(target) or ())
    return tuple(handler.__globals__ for handler in handlers if hasattr(handler, "__globals__"))


_ADVICE = (
    "A replay has to ask for the same steps with the same arguments in the same order. Put what changes into a step of "
    "its own and go on with its result, as in key = ctx.step.run('make-key', make_key); go through a set in the order "
    "of sorted(...)."
)


def _difference(
    one: Asked | None, other: Asked | None, first: list[Asked], then: list[Asked], allowed: frozenset[str]
) -> str:
    """In what two steps at the same place of two replays differ; "" if they do not."""
    if one is None or other is None:
        return "whether it comes to a step changes"
    if one.step_id != other.step_id:
        if sorted(asked.step_id for asked in first) == sorted(asked.step_id for asked in then):
            return "the order of its steps changes"
        return "the ID of a step, or the order of steps, changes" if one.place == other.place else "its steps change"
    if one.tool != other.tool:
        return f"what kind of step {one.step_id!r} is changes"
    return "" if one.step_id in allowed else _changed_argument(one, other)


def _changed_argument(one: Asked, other: Asked) -> str:
    changed = [name for name in one.arguments if one.arguments[name] != other.arguments.get(name)]
    changed += [name for name in other.arguments if name not in one.arguments]
    if not changed:
        return ""
    name = changed[0]
    before, after = _cut(one.arguments.get(name, "nothing"), other.arguments.get(name, "nothing"))
    return f"what step {one.step_id!r} is given as {name!r} changes, from {before} to {after}"


def _cut(one: str, other: str) -> tuple[str, str]:
    """Two long texts, cut to where they begin to differ."""
    begin = max(_common(one, other) - _SHOWN // 2, 0)
    cut = [
        f"{'...' if begin else ''}{text[begin : begin + _SHOWN]}{'...' if text[begin + _SHOWN :] else ''}"
        for text in (one, other)
    ]
    return cut[0], cut[1]


def _common(one: str, other: str) -> int:
    """How many characters two texts have in common at their beginning."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
