"""What a step that the server has to finish asks for. Source: docs/protocol.md, section 4."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from inngest_serverless.local.runs import EngineError

if TYPE_CHECKING:
    from inngest_serverless.local.runs import ReportedStep

__all__ = ["LONGEST_WAIT", "Opening", "read_opening"]

LONGEST_WAIT = "366d"


class Opening(NamedTuple):
    """What becomes of a step.

    Attributes:
        detail: What it is about, in a word: a duration, an event's name.
        until: A duration or an instant, after which it ends by itself with no result; "" if it does not.
        kind: What happens then, for the timeline.
    """

    detail: str = ""
    until: str = ""
    kind: str = ""


def read_opening(step: ReportedStep) -> Opening:
    """What a step asks for. Where this SDK writes into the options, others may write the step's name.

    Raises:
        EngineError: The opcode is unknown, or does not say what it needs to.
    """
    opts = step.opts
    match step.op:
        case "StepPlanned":
            return Opening()
        case "InvokeFunction":
            _check_payload(step, opts.get("payload"))
            return Opening(_text(step, opts.get("function_id")))
        case "Sleep":
            duration = _text(step, opts.get("duration") or step.name)
            return Opening(duration, duration, "Woke")
        case "WaitForEvent":
            event = _text(step, opts.get("event") or step.name)
            return Opening(event, _text(step, opts.get("timeout") or "0s"), "TimedOut")
        case "WaitForSignal":
            signal = _text(step, opts.get("signal"))
            return Opening(signal, _text(step, opts.get("timeout") or LONGEST_WAIT), "TimedOut")
        case _:
            raise EngineError(f"the local engine does not know the opcode {step.op!r} of step {step.step!r}")


def _check_payload(step: ReportedStep, payload: Any) -> None:
    if not (isinstance(payload or {}, dict) and isinstance((payload or {}).get("data") or {}, dict)):
        raise EngineError(f"the opcode {step.op} of step {step.step!r} has a payload whose data is not an object")


def _text(step: ReportedStep, value: object) -> str:
    if isinstance(value, str) and value:
        return value
    raise EngineError(f"the opcode {step.op} of step {step.step!r} does not say what it needs to: opts {step.opts!r}")
