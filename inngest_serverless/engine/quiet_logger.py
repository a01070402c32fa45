"""The logger of a call: silent while it only replays. It is loaded when a function asks for it.

Source: docs/protocol.md, section 5.
"""

from __future__ import annotations

from logging import Logger, LoggerAdapter, getLogger

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

    from inngest_serverless.engine.ledger import Ledger

__all__ = ["QuietLogger"]


class QuietLogger(LoggerAdapter[Logger]):
    """Passes records on with the run, the function, the step and the attempt, but none during a replay."""

    def __init__(self, logger: Logger | None, ledger: Ledger, run_id: str, function_id: str, attempt: int) -> None:
        super().__init__(logger or getLogger("inngest_serverless"))
        self._ledger = ledger
        self._facts = {"run_id": run_id, "function_id": function_id, "attempt": attempt}

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802 - the base class's name
        """Whether a record of that level would be passed on now."""
        return not self._ledger.is_replaying() and super().isEnabledFor(level)

    def process(self, msg: Any, kwargs: MutableMapping[str, Any]) -> tuple[Any, MutableMapping[str, Any]]:
        """Add the facts to a record, beside the caller's own ``extra``."""
        running = self._ledger.running
        step_id = running.step_id if running is not None else None
        kwargs["extra"] = {**self._facts, "step_id": step_id, **(kwargs.get("extra") or {})}
        return msg, kwargs
