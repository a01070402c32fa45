"""The functions that apps have synced, and which of them an event starts. Source: docs/protocol.md, section 7."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inngest_serverless.local.conditions import check_condition, holds
from inngest_serverless.local.runs import Registered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Registry"]

_INTERNAL = "inngest/"


class Registry:
    """Functions, by their apps."""

    def __init__(self) -> None:
        self._apps: dict[str, dict[str, Registered]] = {}

    @property
    def functions(self) -> dict[str, Registered]:
        """The functions of all apps, by composite ID."""
        return {key: function for app in list(self._apps.values()) for key, function in app.items()}

    def replace(
        self,
        app: str,
        functions: Iterable[Mapping[str, Any]],
        check: Callable[[list[Registered]], None] | None = None,
    ) -> list[Registered] | None:
        """Take the functions of a sync, in the wire's form, in place of those that the app had.

        Args:
            app: The app.
            functions: The functions.
            check: Raises a ``ConfigurationError`` if they may not be taken.

        Returns:
            The functions, or None if they are the same as before.

        Raises:
            ConfigurationError: A registration cannot be read, or an expression is not CEL.
        """
        synced = {function.id: function for function in map(Registered.from_json, functions)}
        for function in synced.values():
            for trigger in function.triggers:
                check_condition(trigger.get("expression"))
        if check is not None:
            check(list(synced.values()))
        before, self._apps[app] = self._apps.get(app), synced
        return None if before == synced else list(synced.values())

    def started_by(self, event: dict[str, Any]) -> list[Registered]:
        """The functions that an event starts."""
        return [function for function in self.functions.values() if _is_started(function, event)]


def _is_started(function: Registered, event: dict[str, Any]) -> bool:
    return any(
        _is_named(trigger.get("event") or "", event["name"]) and holds(trigger.get("expression"), event)
        for trigger in function.triggers
    )


def _is_named(pattern: str, name: str) -> bool:
    """Whether a trigger means an event. One that ends with ``*`` means many, but no internal ones."""
    if not pattern.endswith("*"):
        return pattern == name
    return name.startswith(pattern[:-1]) and name.startswith(_INTERNAL) <= pattern.startswith(_INTERNAL)
