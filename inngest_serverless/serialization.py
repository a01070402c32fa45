"""Python values to JSON text and back, strict and compact."""

from __future__ import annotations

import json

from inngest_serverless.errors import OutputError
from inngest_serverless.result_types import jsonable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from inngest_serverless.result_types import ResultType

__all__ = ["encode", "encode_output"]

_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=jsonable).encode
_encode_ascii = json.JSONEncoder(allow_nan=False, separators=(",", ":"), default=jsonable).encode


def encode(value: Any) -> str:
    """JSON text, compact, that has a UTF-8 form.

    Raises:
        TypeError, ValueError, RecursionError: JSON cannot hold the value.
    """
    text = _encode(value)
    # A lone surrogate has no UTF-8 form; as an escape it is still valid JSON.
    return text if text.isascii() or _is_utf8(text) else _encode_ascii(value)


def encode_output(value: Any, source: str, kind: ResultType | None = None) -> str:
    """JSON text of what a user's code returned.

    Args:
        value: What it returned.
        source: Who returned it, for the message: ``"step 'charge'"``.
        kind: The type it says it returns, where plain JSON does not hold that.

    Raises:
        OutputError: JSON cannot hold the value; the message gives the place and the type, never the value.

    Source: docs/protocol.md, section 4.
    """
    try:
        return encode(value if kind is None else kind.write(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise OutputError(
            f"{source} returned a value that JSON cannot hold: {_reason(value, error)}; "
            "return JSON's own types, pydantic models, dataclasses, dates, UUIDs, Decimals or enums"
        ) from None


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _reason(value: Any, error: Exception) -> str:
    try:
        return next(_faults(value, "value"))
    except (StopIteration, RecursionError):
        return "it refers to itself or is nested too deeply" if _is_loop(error) else type(error).__name__


def _is_loop(error: Exception) -> bool:
    return isinstance(error, RecursionError) or "Circular" in str(error)


def _faults(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from _faults_in_dict(value, path)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _faults(item, f"{path}[{index}]")
    elif isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN is the number unlike itself
            yield f"{path} is NaN or infinite"
    elif not (value is None or isinstance(value, (str, int))):
        try:
            written = jsonable(value)
        except Exception:  # noqa: BLE001 - whatever a user's type raises, the place is what matters
            yield f"{path} is of type {type(value).__name__}"
        else:
            yield from _faults(written, path)


def _faults_in_dict(value: dict[Any, Any], path: str) -> Iterator[str]:
    for key, item in value.items():
        if not (key is None or isinstance(key, (str, int, float))):
            yield f"a key of type {type(key).__name__} in {path}"
        yield from _faults(item, f"{path}[{key!r}]" if isinstance(key, int) else f"{path}.{key}")
