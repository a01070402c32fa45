"""Python values to JSON text and back, strict and compact."""

from __future__ import annotations

import json
import sys

from inngest_serverless.errors import OutputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from inngest_serverless.typed_json import TypedJson

__all__ = ["encode", "encode_output", "json_fault", "jsonable", "plain_output"]


def encode(value: Any) -> str:
    """JSON text, compact, that has a UTF-8 form.

    Raises:
        TypeError, ValueError, RecursionError: JSON cannot hold the value.
    """
    if value.__class__ is int:
        # The encoder makes itself ready for each value that is no text, which takes three times as long.
        return repr(value)
    text = _encode(value)
    # A lone surrogate has no UTF-8 form; as an escape it is still valid JSON.
    return text if text.isascii() or _is_utf8(text) else _encode_ascii(value)


def encode_output(value: Any, source: str, kind: TypedJson | None = None) -> str:
    """JSON text of what a user's code returned.

    Args:
        value: What it returned.
        source: Who returned it, for the message: ``"step 'charge'"``.
        kind: The type it says it returns, where plain JSON does not hold that.

    Raises:
        OutputError: It does not fit the type, or JSON cannot hold it; the message gives the place and the type, never
            the value.

    Source: docs/protocol.md, section 4.
    """
    try:
        return encode(value if kind is None else kind.write(value, source))
    except (TypeError, ValueError, RecursionError) as error:
        raise _output_error(value, source, error) from None


def plain_output(value: Any, source: str, kind: TypedJson | None) -> Any:
    """What a user's code returned, as middleware is shown it: written as its type asks, and known to have a JSON form.

    Raises:
        OutputError: As ``encode_output``, to which it may still be given, then without its type.
    """
    try:
        data = value if kind is None else kind.write(value, source)
        encode(data)
    except (TypeError, ValueError, RecursionError) as error:
        raise _output_error(value, source, error) from None
    return data


def _output_error(value: Any, source: str, error: Exception) -> OutputError:
    from inngest_serverless.json_faults import reason

    return OutputError(
        f"{source} returned a value that JSON cannot hold: {reason(value, error, 'value')}; "
        "return JSON's own types, pydantic models, dataclasses, dates, UUIDs, Decimals or enums"
    )


def json_fault(value: Any, name: str) -> str | None:
    """Why JSON cannot hold a value, or None if it can.

    Args:
        value: The value, which is not told.
        name: What it is called, for the place: ``"body"``.
    """
    try:
        encode(value)
    except Exception as error:  # noqa: BLE001 - whatever a user's type raises, the value cannot be sent
        from inngest_serverless.json_faults import reason

        return reason(value, error, name)
    return None


def jsonable(value: Any) -> Any:
    """A value that json does not know, as one that it knows: the hook of the encoder.

    Raises:
        TypeError: There is no such form.
    """
    if hasattr(value, "model_dump"):
        # A class has the method as well, but cannot be dumped. Pydantic's warnings would tell values.
        if not isinstance(value, type):
            return value.model_dump(mode="json", by_alias=True, warnings=False)
    elif hasattr(value, "__dataclass_fields__") and not isinstance(value, type):
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

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=jsonable).encode
_encode_ascii = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=jsonable).encode


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
