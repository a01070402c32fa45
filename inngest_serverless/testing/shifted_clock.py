"""Another time of day for the user's code: what it has of ``time`` and ``datetime`` says a later time.

Only modules of the user's are touched. Python's own, installed packages and this one go by the real clock.
"""

from __future__ import annotations

import datetime as dt
import sys
import time as time_module
import types
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from inngest_serverless.testing.sources import users_modules

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["UsersClock"]


class UsersClock:
    """The clock as the user's code has it.

    Args:
        more: Namespaces that are the user's though their modules are not known for that.
    """

    def __init__(self, *more: dict[str, Any]) -> None:
        self._more = more
        self._modules = 0
        self._places: list[tuple[dict[str, Any], str, Any]] = []

    @contextmanager
    def later(self, by: dt.timedelta) -> Iterator[None]:
        """Let it say a later time.

        Args:
            by: How much later.
        """
        others = _others(by)
        if self._modules != len(sys.modules):
            self._modules = len(sys.modules)
            self._places = list(self._find(others))
        places = [(space, name, value) for space, name, value in self._places if space.get(name) is value]
        try:
            for space, name, value in places:
                space[name] = others[id(value)]
            yield
        finally:
            for space, name, value in places:
                space[name] = value

    def _find(self, others: dict[int, Any]) -> Iterator[tuple[dict[str, Any], str, Any]]:
        namespaces = {id(space): space for space in (*(vars(module) for module in users_modules()), *self._more)}
        for space in namespaces.values():
            yield from [(space, name, value) for name, value in space.items() if id(value) in others]


def _others(by: dt.timedelta) -> dict[int, Any]:
    """What stands in for the clock's classes, functions and modules, by their identity."""
    seconds = by.total_seconds()
    functions: dict[str, Any] = {
        "time": lambda: time_module.time() + seconds,
        "time_ns": lambda: time_module.time_ns() + round(seconds * 1e9),
    }
    for name in ("localtime", "gmtime", "ctime"):
        functions[name] = _later(getattr(time_module, name), seconds)
    classes = {"datetime": _later_datetime(by), "date": _later_date(by)}
    by_identity = {id(getattr(time_module, name)): other for name, other in functions.items()}
    by_identity |= {id(getattr(dt, name)): other for name, other in classes.items()}
    by_identity[id(time_module)] = _module(time_module, functions)
    by_identity[id(dt)] = _module(dt, classes)
    return by_identity


def _later(read: Any, seconds: float) -> Any:
    def later(at: float | None = None) -> Any:
        return read(time_module.time() + seconds if at is None else at)

    return later


def _module(module: types.ModuleType, other: dict[str, Any]) -> types.ModuleType:
    copy = types.ModuleType(module.__name__)
    vars(copy).update(vars(module) | other)
    return copy


class _LikeItsBase(type):
    """A class whose instances are those of the real one, also those that were made before."""

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, cls.__mro__[1])

    def __subclasscheck__(cls, subclass: type) -> bool:
        return issubclass(subclass, cls.__mro__[1])


def _later_datetime(by: dt.timedelta) -> type:
    real = dt.datetime

    class datetime(real, metaclass=_LikeItsBase):  # type: ignore[misc, valid-type]  # noqa: N801 - its name
        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            return real(*args, **kwargs)

        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Any:
            return real.now(tz) + by

        @classmethod
        def utcnow(cls) -> Any:
            return real.now(dt.UTC).replace(tzinfo=None) + by

        @classmethod
        def today(cls) -> Any:
            return real.today() + by

        @classmethod
        def __get_pydantic_core_schema__(cls, _source: Any, handler: Any) -> Any:
            return handler(real)

    return datetime


def _later_date(by: dt.timedelta) -> type:
    real = dt.date

    class date(real, metaclass=_LikeItsBase):  # type: ignore[misc, valid-type]  # noqa: N801 - its name
        def __new__(cls, *args: Any, **kwargs: Any) -> Any:
            return real(*args, **kwargs)

        @classmethod
        def today(cls) -> Any:
            return (dt.datetime.now() + by).date()  # noqa: DTZ005 - as the user asks for it

        @classmethod
        def __get_pydantic_core_schema__(cls, _source: Any, handler: Any) -> Any:
            return handler(real)

    return date
