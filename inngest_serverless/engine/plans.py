"""What a step with a body asks for, how its result is read, and what all kinds of steps share.

The other kinds: ``server_plans.py``.

Source: docs/protocol.md, sections 4 and 5.
"""

from __future__ import annotations

from inngest_serverless.errors import ConfigurationError, StepError
from inngest_serverless.protocol.opcodes import STEP_RUN
from inngest_serverless.result_types import exhausted, result_type

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from inngest_serverless.engine.ledger import NewStep
    from inngest_serverless.result_types import ResultType

__all__ = [
    "Plan",
    "Senders",
    "close_awaitable",
    "is_awaitable",
    "plan_run",
    "planned",
    "read_data",
    "returned_awaitable",
]


class Plan:
    """What a new step wants.

    Attributes:
        op: The opcode it is reported with.
        opts: The opcode's options.
        body: The work of a run step; None for steps that the server carries out.
        kind: The type of the body's result, where plain JSON does not hold it.
    """

    __slots__ = ("body", "kind", "op", "opts")

    def __init__(
        self, op: str, opts: dict[str, Any], body: Callable[[], Any] | None = None, kind: ResultType | None = None
    ) -> None:
        self.op: str = op
        self.opts: dict[str, Any] = opts
        self.body: Callable[[], Any] | None = body
        self.kind: ResultType | None = kind


class Senders:
    """What sends, for the steps that do.

    Attributes:
        events: Takes one event or several, the hooks of the call and a seed for the events' IDs; returns the IDs, or
            an awaitable of them in async code.
        signal: Takes a signal's name and its data.
    """

    __slots__ = ("events", "signal")

    def __init__(self, events: Callable[[Any, Any, tuple[int, str]], Any], signal: Callable[[str, Any], Any]) -> None:
        self.events: Callable[[Any, Any, tuple[int, str]], Any] = events
        self.signal: Callable[[str, Any], Any] = signal


def planned(step_id: str, plan: Callable[..., Plan], args: tuple[Any, ...]) -> Plan:
    """What a new step wants.

    Raises:
        ConfigurationError: Its arguments are wrong; the message names the step.
    """
    try:
        return plan(*args)
    except ConfigurationError as error:
        raise ConfigurationError(f"step {step_id!r}: {error}") from None


def plan_run(
    tool: str, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], output_type: Any
) -> Plan:
    """A step with a body of the user's."""
    if isinstance(output_type, str):
        raise ConfigurationError(f"{tool}: output_type takes a type, not its name: write it without quotes")
    if not callable(function):
        raise ConfigurationError(
            f"{tool} takes a function and its arguments, not {type(function).__name__}: "
            f"write {tool}('id', function, argument), without calling the function"
        )
    kind = result_type(output_type or function)
    if kind is None:
        return Plan(STEP_RUN, {"type": tool}, lambda: function(*args, **kwargs))
    # A generator runs here, where what it raises is the step's failure.
    return Plan(STEP_RUN, {"type": tool}, lambda: exhausted(function(*args, **kwargs)), kind.remembered)


def read_data(memo: Any, step_id: str, source: Any) -> Any:
    """The result that a memo holds.

    Args:
        memo: The memo.
        step_id: The step's ID in the code.
        source: The function or type that says of which type the result is, or None for plain JSON.

    Raises:
        StepError: The step failed for good.
        ResultTypeError: The result does not fit its type.
    """
    if memo.__class__ is not dict:
        return memo
    if "error" in memo and memo["error"] is not None:
        raise _step_error(memo["error"], step_id)
    kind = None if source is None else result_type(source)
    return memo.get("data") if kind is None else kind.read(memo.get("data"), f"step {step_id!r}")


def _step_error(error: Any, step_id: str) -> StepError:
    if not isinstance(error, dict):
        return StepError("Error", str(error), None, step_id)
    name, message, stack = error.get("name"), error.get("message"), error.get("stack")
    return StepError(str(name or "Error"), str(message or ""), None if stack is None else str(stack), step_id)


def is_awaitable(value: Any) -> bool:
    """Whether a value has to be awaited."""
    try:
        return hasattr(value, "__await__")
    except Exception:  # noqa: BLE001 - a user's object may refuse to be asked
        return False


def close_awaitable(value: Any) -> None:
    """End a coroutine that nobody will await, without a warning."""
    close = getattr(value, "close", None)
    if close is not None:
        close()


def returned_awaitable(value: Any, step: NewStep) -> ConfigurationError:
    """The error of a step in a sync function whose body was a coroutine function; ends the coroutine quietly."""
    close_awaitable(value)
    return ConfigurationError(
        f"step {step.step_id!r} returned an awaitable, but its function is not async: "
        "declare the function with 'async def' and await its steps"
    )
