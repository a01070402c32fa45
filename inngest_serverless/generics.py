"""Generic classes without importing typing: to type checkers it is typing's, to a cold start it is nearly nothing."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["Generic"]

# types.GenericAlias, without importing types.
_Alias: Any = type(list[int])


class Generic:
    """What ``typing.Generic`` is, as far as ``Event[Signup]`` and ``Context[AccountCreated]`` need it at run time."""

    __slots__ = ()

    def __class_getitem__(cls, item: object) -> object:
        alias: object = _Alias(cls, item)
        return alias
