"""Results that are more than plain JSON: which type a function returns, and the way from JSON back to it.

Functions that return None, bool, int, float, str, lists and dicts of them, or say nothing, need none of this and load
nothing. For any other type pydantic reads and writes the JSON, and is loaded when the first such result is met.

Source: docs/protocol.md, section 4.
"""

from __future__ import annotations

import sys

from inngest_serverless.errors import EventValidationError, ResultTypeError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pydantic import TypeAdapter, ValidationError

__all__ = ["ResultType", "jsonable", "result_type", "validate_event_data"]

_PLAIN_TYPES = {None, bool, int, float, str, list, dict, object, type(None)}
_PLAIN_WORDS = {"", "None", "bool", "int", "float", "str", "list", "dict", "object", "Any", "List", "Dict", "Optional"}
_WORD_BREAKS = str.maketrans("[],|.", "     ")

_types: dict[Any, ResultType | None] = {}


class ResultType:
    """A type that JSON does not hold by itself."""

    __slots__ = ("_adapter", "_type")

    def __init__(self, kind: Any) -> None:
        self._type = kind
        self._adapter: TypeAdapter[Any] | None = None

    def _pydantic(self) -> TypeAdapter[Any]:
        if self._adapter is None:
            from pydantic import TypeAdapter

            self._adapter = TypeAdapter(self._type)
        return self._adapter

    def read(self, value: Any, source: str) -> Any:
        """A result from its JSON value; ``source`` says whose it is: ``"step 'charge'"``.

        Raises:
            ResultTypeError: The value does not fit; the message lists the places, never the values.
        """
        from pydantic import ValidationError

        try:
            return self._pydantic().validate_python(value)
        except ValidationError as error:
            raise ResultTypeError(
                f"the remembered result of {source} does not fit {_name(self._type)}: {_places(error)}; "
                "was the type changed while the run was under way?"
            ) from None

    def write(self, value: Any) -> Any:
        """A JSON value from a result.

        Raises:
            ValueError: It does not fit the type.
        """
        return self._pydantic().dump_python(value, mode="json", by_alias=True, warnings="error")


def result_type(source: Any) -> ResultType | None:
    """The type of what a function returns, if plain JSON does not hold it.

    Args:
        source: A function with a return annotation, or a type itself.
    """
    key = getattr(source, "__code__", source)
    try:
        return _types[key]
    except KeyError:
        found = _types[key] = _find(source)
        return found
    except TypeError:
        # Something that cannot be hashed cannot be remembered either.
        return _find(source)


def validate_event_data(kind: Any, data: Any, event_name: str) -> Any:
    """The payload of a typed event from its JSON object.

    Raises:
        EventValidationError: It does not fit; the message lists the fields, never the values.
    """
    from pydantic import ValidationError

    found = result_type(kind)
    if found is None:
        return data
    try:
        return found._pydantic().validate_python(data)  # noqa: SLF001 - one module
    except ValidationError as error:
        raise EventValidationError(
            f"the data of event {event_name!r} does not fit {_name(kind)}: {_places(error)}"
        ) from None


def jsonable(value: Any) -> Any:
    """A value that json does not know, as one that it knows: the hook of the encoder.

    Raises:
        TypeError: There is no such form.
    """
    if hasattr(value, "model_dump"):
        return value.model_dump(mode="json", by_alias=True)
    if hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
        from dataclasses import fields

        return {field.name: getattr(value, field.name) for field in fields(value)}
    for module, names, write in _STANDARD_TYPES:
        # A value of these types exists only where its module has been loaded.
        if (loaded := sys.modules.get(module)) and isinstance(value, tuple(getattr(loaded, name) for name in names)):
            return write(value)
    raise TypeError(f"an object of type {type(value).__name__}")


def _enum_value(value: Any) -> Any:
    return value.value


def _iso(value: Any) -> str:
    return value.isoformat()  # type: ignore[no-any-return]


_STANDARD_TYPES: tuple[tuple[str, tuple[str, ...], Callable[[Any], Any]], ...] = (
    ("enum", ("Enum",), _enum_value),
    ("datetime", ("date", "time"), _iso),
    ("uuid", ("UUID",), str),
    ("decimal", ("Decimal",), str),
)


def _find(source: Any) -> ResultType | None:
    annotation = _annotation(source)
    return None if _is_plain(annotation) else ResultType(annotation)


def _annotation(source: Any) -> Any:
    if isinstance(source, type) or (hasattr(source, "__origin__") and hasattr(source, "__args__")):
        return source
    while (inner := getattr(source, "func", None)) is not None:
        source = inner
    if not hasattr(source, "__code__"):
        source = getattr(source, "__call__", source)  # noqa: B004 - an object that is called has its method annotated
    try:
        annotation = (getattr(source, "__annotations__", None) or {}).get("return")
    except NameError:
        # From Python 3.14 on annotations are evaluated here, and may name what only type checkers see.
        return None
    if isinstance(annotation, str) and not set(annotation.translate(_WORD_BREAKS).split()) <= _PLAIN_WORDS:
        return _resolved(source)
    return None if isinstance(annotation, str) else annotation


def _resolved(function: Any) -> Any:
    """The return annotation of a module with ``from __future__ import annotations``; None if it cannot be had."""
    from typing import get_type_hints

    try:
        return get_type_hints(function, include_extras=True).get("return")
    except (NameError, TypeError, AttributeError):
        # A name that only type checkers see: the result stays the JSON that it is.
        return None


def _is_plain(annotation: Any) -> bool:
    try:
        if annotation in _PLAIN_TYPES:
            return True
    except TypeError:
        return False
    name = getattr(annotation, "__name__", "") or getattr(annotation, "_name", "")
    if getattr(annotation, "__module__", "") in {"typing", "typing_extensions"} and name in _OPEN_NAMES:
        return True
    if type(annotation).__name__ in {"TypeVar", "ParamSpec"}:
        return True
    origin, arguments = getattr(annotation, "__origin__", None), getattr(annotation, "__args__", ())
    if origin in {list, dict} or type(annotation).__name__ in {"UnionType", "_UnionGenericAlias", "Union"}:
        return all(_is_plain(argument) for argument in arguments)
    return False


_OPEN_NAMES = {"Any", "Never", "NoReturn"}


def _name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) else str(kind)


def _places(error: ValidationError) -> str:
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(
        f"{'.'.join(str(part) for part in fault['loc']) or '(all of it)'}: {fault['type']}" for fault in faults
    )
