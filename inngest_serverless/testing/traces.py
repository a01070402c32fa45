"""What a function asks for on one call: each step, with what it is given and the line that asks."""

from __future__ import annotations

import inspect
import sys
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from inngest_serverless.engine.async_steps import AsyncStep, AsyncStepAI
from inngest_serverless.engine.steps import Step, StepAI
from inngest_serverless.local.places import place_of
from inngest_serverless.testing.fingerprints import fingerprint
from inngest_serverless.testing.sources import user_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Asked", "observed"]

# What all steps go through: the classes that have a ``_do`` of their own.
_FACES: tuple[Any, ...] = (*Step.__mro__, *StepAI.__mro__, *AsyncStep.__mro__, *AsyncStepAI.__mro__)
# What plans are given that is no argument of the user's.
_OURS = {"ledger", "send", "tool"}


@dataclass(frozen=True, slots=True)
class Asked:
    """A step that was asked for.

    Attributes:
        step_id: Its ID.
        tool: How: ``"step.run"``, ``"step.sleep"``, ...
        arguments: What it is given, by name, each as a text that is the same for what is equal.
        place: The line that asks, ``"app.py:17"``; "" if it is not the user's.
    """

    step_id: str
    tool: str
    arguments: dict[str, str]
    place: str

    @classmethod
    def from_json(cls, document: dict[str, Any]) -> Asked:
        """The same from its JSON object."""
        return cls(**document)

    def to_json(self) -> dict[str, Any]:
        """Its JSON object."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.tool}({self.step_id!r}){f' at {self.place}' if self.place else ''}"


@contextmanager
def observed() -> Iterator[list[Asked]]:
    """Take down every step that is asked for meanwhile, in that order."""
    trace: list[Asked] = []
    before = [(face, vars(face)["_do"]) for face in dict.fromkeys(_FACES) if "_do" in vars(face)]
    for face, do in before:
        face._do = _observing(do, trace)  # noqa: SLF001 - as above
    try:
        yield trace
    finally:
        for face, do in before:
            face._do = do  # noqa: SLF001 - as above


def _observing(do: Callable[..., Any], trace: list[Asked]) -> Callable[..., Any]:
    def observe(face: Any, step_id: Any, read: Any, source: Any, plan: Callable[..., Any], *args: Any) -> Any:
        frame = user_frame(sys._getframe(1))  # noqa: SLF001 - the only way to the caller's line
        place = "" if frame is None else place_of(frame.f_code.co_filename, frame.f_lineno)
        given = inspect.signature(plan).bind(*args).arguments
        tool = str(given.get("tool") or f"step.{plan.__name__.removeprefix('plan_')}")
        arguments = {name: fingerprint(value) for name, value in given.items() if name not in _OURS}
        trace.append(Asked(str(step_id), tool, arguments, place))
        return do(face, step_id, read, source, plan, *args)

    return observe
