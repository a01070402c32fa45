"""The functions that apps have synced, and which of them an event starts. Source: docs/protocol.md, section 7."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.local.conditions import ConditionError, check_condition, holds
from inngest_serverless.local.runs import Registered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

__all__ = ["Registry", "read_function"]

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
            ConfigurationError: A registration cannot be read, or an expression cannot be evaluated.
        """
        synced = {function.id: function for function in map(read_function, functions)}
        if check is not None:
            check(list(synced.values()))
        before, self._apps[app] = self._apps.get(app), synced
        return None if before == synced else list(synced.values())

    def started_by(self, event: dict[str, Any]) -> list[Registered]:
        """The functions that an event starts."""
        return [function for function in self.functions.values() if _is_started(function, event)]

    def why_unclaimed(self, event: Mapping[str, Any]) -> str:
        """Why an event starts no function, in a few words."""
        functions, name = self.functions.values(), str(event.get("name"))
        triggers = [(trigger, function) for function in functions for trigger in function.triggers]
        for trigger, function in triggers:
            if _is_named(trigger.get("event") or "", name):
                return f"it does not meet the condition of {function.id}, {trigger.get('expression')}"
        if not functions:
            return "there are no functions yet; send it again once the app is up"
        names = (str(trigger.get("event") or "") for trigger, _ in triggers)
        known = [each for each in names if each and not each.startswith(_INTERNAL)]
        return f"none has this trigger{_suggestion(name, known)}"

    def not_served(self, function_id: str, caller: str) -> str:
        """What to say where a function is invoked that there is not; it is hardly its caller that was meant."""
        return f"no function {function_id!r} is served{_suggestion(function_id, self.functions, caller)}"


def _suggestion(name: str, known: Iterable[str], never: str = "") -> str:
    """What somebody may have meant by a name, or else what there is."""
    names = sorted(set(known))
    close = get_close_matches(name, [each for each in names if each != never], 1, cutoff=0.75)
    if close:
        return f" (did you mean {close[0]!r}?)"
    return f"; known are {', '.join(names)}" if names else ""


def read_function(document: Mapping[str, Any]) -> Registered:
    """A function from its registration, with expressions that can be evaluated.

    Raises:
        ConfigurationError: It cannot be read, or an expression is not CEL or asks for what is never there.
        PackageMissingError: The library that reads expressions is not installed.
    """
    try:
        function = Registered.from_json(document)
        for trigger in function.triggers:
            check_condition(trigger.get("expression"))
    except ConditionError as error:
        raise ConfigurationError(f"function {document['id']!r}: {error}") from error
    return function


def _is_started(function: Registered, event: dict[str, Any]) -> bool:
    return any(
        _is_named(trigger.get("event") or "", event["name"])
        and holds(trigger.get("expression"), event, owner=function.id)
        for trigger in function.triggers
    )


def _is_named(pattern: str, name: str) -> bool:
    """Whether a trigger means an event. One that ends with ``*`` means many, but no internal ones."""
    if not pattern.endswith("*"):
        return pattern == name
    return name.startswith(pattern[:-1]) and name.startswith(_INTERNAL) <= pattern.startswith(_INTERNAL)
