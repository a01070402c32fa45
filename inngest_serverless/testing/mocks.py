"""Mocked steps: what a function gets in place of what its steps would have come to."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from inngest_serverless.engine.server_plans import FetchReply, Signal
from inngest_serverless.errors import ConfigurationError, OutputError, StepError
from inngest_serverless.events import Event
from inngest_serverless.protocol.opcodes import (
    GATEWAY,
    SLEEP,
    STEP_FAILED,
    STEP_RUN,
    WAIT_FOR_EVENT,
    WAIT_FOR_SIGNAL,
)
from inngest_serverless.protocol.step_ids import hash_id
from inngest_serverless.result_types import result_type
from inngest_serverless.sent_events import event_json
from inngest_serverless.serialization import encode_output

if TYPE_CHECKING:
    from inngest_serverless.local.runs import ReportedStep

    GivenMocks = Mapping[str, Any] | Iterable["StepMock"]

__all__ = ["Mocks", "StepMock", "finished_op", "memo_of", "mock_step"]

_REPLY_FIELDS = ("url", "status_code", "headers", "body")
_OK = 200


@dataclass(frozen=True, slots=True)
class StepMock:
    """What stands in for a step; made by ``mock_step``.

    Attributes:
        step: The step's ID.
        value: What it comes to.
        error: What it fails with, or None.
        required: Whether the function has to come to it.
    """

    step: str
    value: Any = None
    error: BaseException | None = None
    required: bool = True


def mock_step(
    step_id: str, value: Any = None, *, error: BaseException | None = None, required: bool = True
) -> StepMock:
    """Give a step its result without carrying it out: its body does not run, nothing is slept, awaited or requested.

    Args:
        step_id: The step's ID as the code gives it. It stands for every use of that ID; ``"charge:1"`` is for the
            second use alone, ``"charge:2"`` for the third.
        value: What the function gets, after the passage through JSON that every result makes. An exception stands for
            a failure. For ``wait_for_event`` it is an event (an ``Event``, or a mapping with a name and data), or None
            for the timeout; for ``wait_for_signal`` the signal's data, or None for the timeout; for ``fetch`` a mapping
            with any of ``url``, ``status_code``, ``headers`` and ``body``, or the body alone; for a sleep nothing.
        error: What the step fails with, for good: the function gets a ``StepError`` with its name and message.
        required: Whether it is a failure if the function never comes to the step.

    Raises:
        ConfigurationError: The ID is empty, or there are a value and an error.
    """
    if not isinstance(step_id, str) or not step_id:
        raise ConfigurationError(
            "mock_step: give the step's ID as the function has it, e.g. mock_step('charge', 'r-1')"
        )
    if isinstance(value, BaseException):
        value, error = None, error or value
    if error is not None and value is not None:
        raise ConfigurationError(f"mock_step({step_id!r}): give a value or an error, not both")
    return StepMock(step_id, value, error, required)


class Mocks:
    """The mocks of a session, and which of them a function came to."""

    def __init__(self) -> None:
        self._mocks: list[StepMock] = []
        self._reached: set[int] = set()

    def __bool__(self) -> bool:
        return bool(self._mocks)

    def add(self, given: GivenMocks) -> list[StepMock]:
        """Add mocks: made by ``mock_step``, or a mapping of step IDs to what the steps come to; the last one counts.

        Returns:
            The mocks that were added.

        Raises:
            ConfigurationError: It is neither.
        """
        mocks: list[StepMock] = []
        if isinstance(given, Mapping):
            mocks += [mock_step(str(step), value) for step, value in given.items()]
        else:
            mocks += given
        for mock in mocks:
            if not isinstance(mock, StepMock):
                raise ConfigurationError(
                    f"mocks are made by mock_step, or a mapping of step IDs to results, not {type(mock).__name__}"
                )
        self._mocks += mocks
        return mocks

    def remove(self, mocks: list[StepMock]) -> None:
        """Forget mocks that were added."""
        self._mocks = [mock for mock in self._mocks if not any(mock is other for other in mocks)]

    def find(self, key: str, step_id: str) -> StepMock | None:
        """The mock of a step that was found, by its hash or else by its ID; None if it has none."""
        newest = self._mocks[::-1]
        found = [mock for mock in newest if hash_id(mock.step) == key] + [
            mock for mock in newest if mock.step == step_id
        ]
        if found:
            self._reached.add(id(found[0]))
        return found[0] if found else None

    def unreached(self) -> list[StepMock]:
        """The required mocks that no function has come to."""
        return [mock for mock in self._mocks if mock.required and id(mock) not in self._reached]


def finished_op(op: Mapping[str, Any], mock: StepMock) -> dict[str, Any]:
    """The opcode of a step that has a body, as if it had run, made of the one that planned it."""
    if mock.error is not None:
        return {**op, "op": STEP_FAILED, "data": None, "error": _error(mock.error)}
    return {**op, "op": STEP_RUN, "data": _plain(mock.value, mock.step)}


def memo_of(mock: StepMock, step: ReportedStep) -> Any:
    """The memo of a step that the server finishes.

    Raises:
        ConfigurationError: Such a step cannot come to that.
    """
    if step.op == SLEEP:
        if mock.value is not None or mock.error is not None:
            raise _unfit(mock, "it is a sleep, which has no result and cannot fail: mock it with nothing else")
        return None
    if step.op == WAIT_FOR_EVENT:
        return _event(mock)
    if mock.error is not None:
        return {"error": _error(mock.error)}
    if step.op == WAIT_FOR_SIGNAL:
        data = mock.value.data if isinstance(mock.value, Signal) else mock.value
        signal = {"signal": step.opts.get("signal"), "data": _plain(data, mock.step)}
        return None if mock.value is None else {"data": signal}
    if step.op == GATEWAY:
        return {"data": _reply(mock, step)}
    return {"data": _plain(mock.value, mock.step)}


def _event(mock: StepMock) -> dict[str, Any] | None:
    if mock.value is None and mock.error is None:
        return None
    value = mock.value
    if not isinstance(value, Event) and not (isinstance(value, Mapping) and value.get("name")):
        raise _unfit(
            mock, "it waits for an event: give an Event, a mapping with a name and data, or None for the timeout"
        )
    document: dict[str, Any] = _plain(event_json(value), mock.step)
    return {"data": {}, "user": {}, **document}


def _reply(mock: StepMock, step: ReportedStep) -> dict[str, Any]:
    value = mock.value
    if isinstance(value, FetchReply):
        value = {name: getattr(value, name) for name in _REPLY_FIELDS}
    elif value is None or isinstance(value, str):
        value = {"body": value or ""}
    if not isinstance(value, Mapping) or not value.keys() <= set(_REPLY_FIELDS):
        raise _unfit(mock, f"it is a fetch: give the body, or a mapping with any of {', '.join(_REPLY_FIELDS)}")
    fields: dict[str, Any] = _plain(dict(value), mock.step)
    return {"url": step.opts.get("url"), "status_code": _OK, "headers": {}, "body": "", **fields}


def _plain(value: Any, step_id: str) -> Any:
    """A value as JSON has it."""
    source = f"mock_step({step_id!r})"
    try:
        kind = result_type(type(value))
        return json.loads(encode_output(value, source, None if kind is None else kind.remembered))
    except OutputError as error:
        raise ConfigurationError(str(error)) from None


def _error(error: BaseException) -> dict[str, Any]:
    if isinstance(error, StepError):
        return {"name": error.name, "message": error.message, "stack": error.stack}
    return {"name": type(error).__name__, "message": str(error), "stack": f"{type(error).__name__}: {error}"}


def _unfit(mock: StepMock, why: str) -> ConfigurationError:
    return ConfigurationError(f"mock_step({mock.step!r}) does not fit the step: {why}")
