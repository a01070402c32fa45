"""Why JSON cannot hold a value: loaded once there is one."""

from __future__ import annotations

from inngest_serverless.serialization import jsonable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["reason"]

# An int of more bits has more than the 4,300 digits that Python writes as text, unless it is told otherwise.
_MOST_BITS = 14_285


def reason(value: Any, error: Exception, name: str) -> str:
    """Where in a value the fault is, and what it is, without the value.

    Args:
        value: The value.
        error: What writing it has raised.
        name: What the value is called, for the place.
    """
    try:
        return next(_faults(value, name))
    except (StopIteration, RecursionError):
        return "it refers to itself or is nested too deeply" if _is_loop(error) else type(error).__name__
    except Exception:  # noqa: BLE001 - a user's mapping may raise anything
        return type(error).__name__


def _is_loop(error: Exception) -> bool:
    return isinstance(error, RecursionError) or "Circular" in str(error)


def _faults(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        yield from _faults_in_dict(value, path)
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from _faults(item, f"{path}[{index}]")
    elif (fault := _number_fault(value)) is not None:
        yield f"{path} is {fault}"
    elif not (value is None or isinstance(value, (str, int, float))):
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
        elif (fault := _number_fault(key)) is not None:
            yield f"a key in {path} is {fault}"
        yield from _faults(item, f"{path}[{key!r}]" if isinstance(key, int) else f"{path}.{key}")


def _number_fault(value: Any) -> str | None:
    if isinstance(value, float) and (value != value or value in (float("inf"), float("-inf"))):  # noqa: PLR0124 - NaN is the number unlike itself
        return "NaN or infinite"
    if isinstance(value, int) and value.bit_length() >= _MOST_BITS:
        return "an int of too many digits"
    return None
