"""Annotations that are more than a plain class: what they stand for, and in which form pydantic takes them."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["evaluated", "named", "readable"]

# What a function returns that is awaited, by the place of that in the type's arguments.
_AWAITABLES = {"Awaitable": 0, "Coroutine": 2, "Future": 0, "Task": 0}
# What pydantic would read lazily or not at all; JSON has lists for them.
_ITERABLES = {"Collection", "Container", "Generator", "Iterable", "Iterator", "Reversible"}
_STANDARD_MODULES = {"_asyncio", "asyncio.futures", "asyncio.tasks", "collections.abc"}
_CONTAINERS = {"Mapping", "Sequence", "Union", "UnionType", "dict", "frozenset", "list", "set", "tuple"}


def evaluated(function: Any, annotation: Any) -> Any:
    """What the return annotation of a function stands for, or None if that cannot be had.

    Parameters do not matter: they are often annotated with names that only type checkers see.

    Args:
        function: The function, in whose module and closure names are looked up.
        annotation: Its return annotation, or None if that could not be evaluated together with the others.
    """
    try:
        if annotation is None:
            annotation = _by_itself(function)
        if isinstance(annotation, type) and not hasattr(annotation, "__args__"):
            return annotation
        return _evaluated(annotation, function.__globals__, dict(_closure(function)))
    except Exception:  # noqa: BLE001 - prose, names that only type checkers see: the result stays the JSON that it is
        return None


def named(name: str, module: str) -> Any:
    """The type that a name stands for in a module.

    Raises:
        Exception: It cannot be looked up there.
    """
    return _evaluated(name, vars(sys.modules[module]), {})


def readable(annotation: Any) -> Any:
    """A type of the same JSON that pydantic can read and write.

    Raises:
        Exception: It cannot be made.
    """
    from typing import Annotated, Any, Union, is_typeddict

    origin = getattr(annotation, "__origin__", annotation)
    arguments = getattr(annotation, "__args__", ())
    name = getattr(origin, "__name__", "") or type(annotation).__name__
    if getattr(origin, "__module__", "") in _STANDARD_MODULES:
        if name in _AWAITABLES:
            return readable(arguments[_AWAITABLES[name]]) if arguments else Any
        if name in _ITERABLES:
            return list[readable(arguments[0])] if arguments else list[Any]  # type: ignore[misc]
    if hasattr(annotation, "__metadata__"):
        return Annotated[(readable(origin), *annotation.__metadata__)]
    if sys.version_info < (3, 12) and is_typeddict(annotation) and type(annotation).__module__ == "typing":
        return _typed_dict(annotation)
    if type(annotation).__name__ == "UnionType":
        origin, name = Union, "Union"
    if name not in _CONTAINERS and origin is not Union:
        return annotation
    made = tuple(readable(argument) for argument in arguments)
    unchanged = all(new is old for new, old in zip(made, arguments, strict=True))
    return annotation if unchanged else origin[made]


def _evaluated(annotation: Any, names: dict[str, Any], local_names: dict[str, Any]) -> Any:
    from typing import get_type_hints

    def stand_in() -> None: ...

    stand_in.__annotations__ = {"return": annotation}
    return get_type_hints(stand_in, names, local_names, include_extras=True)["return"]


def _by_itself(function: Any) -> Any:
    if sys.version_info >= (3, 14):
        from annotationlib import Format, get_annotations

        return get_annotations(function, format=Format.FORWARDREF).get("return")
    raise LookupError("annotations are evaluated one by one from Python 3.14 on")


def _closure(function: Any) -> Any:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield name, cell.cell_contents
        except ValueError:  # not assigned yet
            continue


def _typed_dict(annotation: Any) -> Any:
    """A ``typing.TypedDict`` as one of typing_extensions: before Python 3.12 pydantic takes no other."""
    from typing import NotRequired, Required, get_type_hints

    import typing_extensions

    fields: dict[str, Any] = {}
    for name, hint in get_type_hints(annotation, include_extras=True).items():
        kept: Any = getattr(hint, "__origin__", None)
        if kept in {Required, NotRequired}:
            hint = hint.__args__[0]  # noqa: PLW2901 - the marker is put around it again
        else:
            kept = Required if name in annotation.__required_keys__ else NotRequired
        fields[name] = kept[readable(hint)]
    make: Any = typing_extensions.TypedDict
    made = make(annotation.__name__, fields)
    if hasattr(annotation, "__pydantic_config__"):
        made.__pydantic_config__ = annotation.__pydantic_config__
    return made
