"""The canonical form of JSON (RFC 8785), in which the server signs. Only needed when the bytes were changed on the way.

Source: docs/protocol.md, section 6.
"""

from __future__ import annotations

import json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["canonicalize"]

# From here on, and below the lower bound, ECMAScript writes numbers with an exponent.
_EXPONENT_FROM = 21
_EXPONENT_BELOW = -6

_string = json.encoder.encode_basestring


def canonicalize(body: bytes) -> bytes | None:
    """The RFC 8785 form of a JSON text, or None if it has none."""
    try:
        value = json.loads(body.decode())
        parts: list[str] = []
        _write(value, parts)
        return "".join(parts).encode()
    except (ValueError, RecursionError, OverflowError):
        return None


def _write(value: Any, parts: list[str]) -> None:
    if isinstance(value, str):
        parts.append(_string(value))
    elif isinstance(value, dict):
        parts.append("{")
        # Keys are sorted by their UTF-16 code units.
        for position, key in enumerate(sorted(value, key=_utf16)):
            parts.append(f"{',' if position else ''}{_string(key)}:")
            _write(value[key], parts)
        parts.append("}")
    elif isinstance(value, list):
        parts.append("[")
        for position, item in enumerate(value):
            if position:
                parts.append(",")
            _write(item, parts)
        parts.append("]")
    else:
        parts.append(_scalar(value))


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be", "surrogatepass")


def _scalar(value: float | bool | None) -> str:
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    return _number(float(value))


def _number(value: float) -> str:
    """A double as ECMAScript writes it."""
    if value == 0:
        return "0"
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - NaN is the number unlike itself
        raise ValueError("no JSON number")
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = f"{abs(value)!r}".partition("e")
    whole, _, fraction = mantissa.partition(".")
    fraction = "" if fraction == "0" else fraction
    digits = (whole + fraction).lstrip("0")
    # The value is 0.digits times ten to the power of point.
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    return sign + _layout(digits.rstrip("0"), point)


def _layout(digits: str, point: int) -> str:
    count = len(digits)
    if count <= point <= _EXPONENT_FROM:
        return digits + "0" * (point - count)
    if 0 < point <= _EXPONENT_FROM:
        return f"{digits[:point]}.{digits[point:]}"
    if _EXPONENT_BELOW < point <= 0:
        return "0." + "0" * -point + digits
    exponent = point - 1
    fraction = f".{digits[1:]}" if count > 1 else ""
    return f"{digits[0]}{fraction}e{'+' if exponent > 0 else '-'}{abs(exponent)}"
