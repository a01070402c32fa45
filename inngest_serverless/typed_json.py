"""Values of types that JSON does not hold by itself, to JSON and back: results of steps, and the data of events.

pydantic does the work, and is loaded when the first such value is met. What is written can be read: that is checked
while the value is at hand, not when it is needed.

Source: docs/protocol.md, section 4.
"""

from __future__ import annotations

from inngest_serverless.errors import ConfigurationError, EventValidationError, OutputError, ResultTypeError
from inngest_serverless.result_types import exhausted
from inngest_serverless.serialization import encode

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from pydantic import TypeAdapter, ValidationError

__all__ = ["TypedJson", "event_data", "event_json_data"]

_BY_NAME_SINCE = (2, 11)
_MOST_KNOWN = 4096
# As pydantic writes a SecretStr.
_SECRET = "**********"

_event_types: dict[int, TypedJson] = {}


class MisfitError(Exception):
    """A value that does not fit its type; the message lists the places, never the values."""


class HiddenError(MisfitError):
    """A value that pydantic writes as something else on purpose."""


class TypedJson:
    """A type that JSON does not hold by itself.

    Attributes:
        kind: The type.
    """

    __slots__ = ("_adapter", "_is_made", "_names", "kind")
    _is_read_again = False

    def __init__(self, kind: Any) -> None:
        self.kind: Any = kind
        self._adapter: TypeAdapter[Any] | None = None
        self._is_made = False
        self._names: dict[str, Any] = {}

    def __repr__(self) -> str:
        return self.kind.__name__ if isinstance(self.kind, type) else str(self.kind)

    @property
    def adapter(self) -> TypeAdapter[Any] | None:
        """What reads and writes it, or None for a type that pydantic does not know: it stays the JSON that it is."""
        if not self._is_made:
            self._adapter = _adapter(self.kind)
            self._names = _names()
            self._is_made = True
        return self._adapter

    def read(self, value: Any, source: str) -> Any:
        """A result from its JSON value; ``source`` says whose it is: ``"step 'charge'"``.

        Raises:
            ResultTypeError: The value does not fit; the message lists the places, never the values.
        """
        if (adapter := self.adapter) is None:
            return value
        try:
            return _load(adapter, value, self._names)
        except MisfitError as error:
            raise ResultTypeError(
                f"the remembered result of {source} does not fit its type {self}: {error}; "
                "was the type changed while the run was under way?"
            ) from None

    @property
    def remembered(self) -> TypedJson:
        """The same for results that must be read again, those of steps: what cannot be is not written."""
        return _Remembered(self)

    def write(self, value: Any, source: str = "the step") -> Any:
        """The JSON value of a result, from which it can be read if that can be.

        A value that only stands for the type, such as a dict for a model, is taken for it.

        Raises:
            OutputError: It does not fit the type; the message lists the places, never the values.
            TypeError, ValueError, RecursionError: JSON cannot hold it.
        """
        if (adapter := self.adapter) is None:
            return value
        value = exhausted(value)
        misfit: MisfitError | None = None
        unwritable: Exception = TypeError()
        for attempt in (_as_it_is, _from_python, _from_json):
            try:
                return _form(adapter, attempt(adapter, value, self._names), self._names)
            except HiddenError as error:
                misfit = error
                break
            except MisfitError as error:
                misfit = error
            except (TypeError, ValueError, RecursionError) as error:
                unwritable = error
        if misfit is None:
            raise unwritable
        if not self._is_read_again:
            try:
                return _dump(adapter, _from_python(adapter, value, self._names), by_alias=True, round_trip=False)
            except (MisfitError, TypeError, ValueError, RecursionError):
                pass  # it is not even of the type: what was wrong first is told
        raise OutputError(f"{source} returned a value that does not fit its type {self}: {misfit}") from None


class _Remembered(TypedJson):
    __slots__ = ("_type",)
    _is_read_again = True

    def __init__(self, of: TypedJson) -> None:
        super().__init__(of.kind)
        self._type = of

    @property
    def adapter(self) -> TypeAdapter[Any] | None:
        adapter = self._type.adapter
        self._names = self._type._names  # noqa: SLF001 - one class, in two roles
        return adapter


def event_data(kind: Any, data: Any, event_name: str) -> Any:
    """The payload of a typed event from its JSON object.

    Raises:
        EventValidationError: It does not fit; the message lists the fields, never the values.
        ConfigurationError: pydantic does not know the type.
    """
    typed = _event_type(kind)
    if typed.adapter is None:
        raise ConfigurationError(
            f"the data of event {event_name!r} cannot be of type {typed}, which pydantic does not know: "
            "use a pydantic model, a dataclass or a TypedDict"
        )
    try:
        return _load(typed.adapter, data, {})
    except MisfitError as error:
        raise EventValidationError(f"the data of event {event_name!r} does not fit {typed}: {error}") from None


def event_json_data(kind: Any, data: Any) -> Any:
    """The JSON object of a typed event's payload; the payload itself if that is not of the type."""
    typed = _event_type(kind)
    if typed.adapter is None:
        return data
    try:
        return _form(typed.adapter, data, {})
    except Exception:  # noqa: BLE001 - what is wrong with it is told when it is read
        return data


def _event_type(kind: Any) -> TypedJson:
    # The type is kept, so nothing else can get its identity.
    found = _event_types.get(id(kind))
    if found is None:
        if len(_event_types) >= _MOST_KNOWN:
            _event_types.clear()
        found = _event_types[id(kind)] = TypedJson(kind)
    return found


def _adapter(kind: Any) -> TypeAdapter[Any] | None:
    from pydantic import TypeAdapter

    from inngest_serverless.annotations import readable

    try:
        adapter: TypeAdapter[Any] = TypeAdapter(readable(kind))
        adapter.validator.title  # noqa: B018 - a type of which parts are not defined says so when it is used first
    except Exception:  # noqa: BLE001 - pydantic refuses types in many ways
        return None
    return adapter


def _names() -> dict[str, Any]:
    """What lets both the aliases and the names of fields be read, whatever a model takes otherwise."""
    from pydantic import VERSION

    major, minor, *_ = VERSION.split(".")
    return {"by_alias": True, "by_name": True} if (int(major), int(minor)) >= _BY_NAME_SINCE else {}


def _load(adapter: TypeAdapter[Any], value: Any, names: dict[str, Any]) -> Any:
    """A value from its JSON value."""
    from pydantic import ValidationError

    try:
        try:
            text = encode(value)
        except (TypeError, ValueError, RecursionError):
            return adapter.validate_python(value, **names)
        try:
            # Not from Python values: from JSON, strict types take text for a date, and bytes may be Base64.
            return adapter.validate_json(text, **names)
        except ValidationError as error:
            if not _is_unparsed(error):
                raise
        # A lone surrogate, or hundreds of levels, which pydantic's parser does not take.
        return adapter.validate_python(value, **names)
    except ValidationError as error:
        raise MisfitError(_places(error, adapter)) from None
    except Exception as error:  # noqa: BLE001 - a user's validators may raise anything
        raise MisfitError(f"its validation raised {type(error).__name__}") from None


def _form(adapter: TypeAdapter[Any], value: Any, names: dict[str, Any]) -> Any:
    """A JSON value from which a value of the type can be read: by aliases if that can be, else by names of fields.

    Raises:
        MisfitError: There is none.
        ValueError: pydantic cannot write it.
    """
    forms: list[Any] = []
    misfit: MisfitError | None = None
    for by_alias in (True, False):
        form = _dump(adapter, value, by_alias=by_alias)
        if not by_alias and forms and forms[0] == form:
            break
        try:
            again = _load(adapter, form, names)
        except MisfitError as error:
            misfit = misfit or error
        else:
            if _hides_something(form, value, again):
                raise HiddenError("it holds a secret, which pydantic replaces by asterisks")
            if _dump(adapter, again, by_alias=by_alias) == form:
                return form
            # It may be read as something else, and may be no more than NaN or a set in another order.
            forms.append(form)
    if forms:
        return forms[0]
    raise misfit or MisfitError("it cannot be read again")


def _hides_something(form: Any, value: Any, again: Any) -> bool:
    return _SECRET in str(form) and bool(value != again)


def _dump(adapter: TypeAdapter[Any], value: Any, *, by_alias: bool, round_trip: bool = True) -> Any:
    return adapter.dump_python(value, mode="json", by_alias=by_alias, round_trip=round_trip, warnings="error")


def _as_it_is(_adapter: TypeAdapter[Any], value: Any, _names: dict[str, Any]) -> Any:
    return value


def _from_python(adapter: TypeAdapter[Any], value: Any, names: dict[str, Any]) -> Any:
    from pydantic import ValidationError

    try:
        return adapter.validate_python(value, **names)
    except ValidationError as error:
        raise MisfitError(_places(error, adapter)) from None
    except Exception as error:  # noqa: BLE001 - a user's validators may raise anything
        raise MisfitError(f"its validation raised {type(error).__name__}") from None


def _from_json(adapter: TypeAdapter[Any], value: Any, names: dict[str, Any]) -> Any:
    encode(value)
    return _load(adapter, value, names)


def _is_unparsed(error: ValidationError) -> bool:
    [first, *_] = error.errors(include_url=False, include_context=False, include_input=False)
    return first["type"] == "json_invalid" and not first["loc"]


def _places(error: ValidationError, adapter: TypeAdapter[Any]) -> str:
    known = set(_strings(adapter.core_schema))
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    return "; ".join(f"{_place(fault['loc'], known)}: {fault['type']}" for fault in faults)


def _place(parts: tuple[int | str, ...], known: set[str]) -> str:
    # A key of a mapping is not the type's but the sender's choice, and may be personal.
    return ".".join(str(part) if isinstance(part, int) or part in known else "*" for part in parts) or "(all of it)"


def _strings(schema: Any) -> Iterator[str]:
    """All texts in a schema, the names and aliases of fields among them, and the names of its classes."""
    seen: set[int] = set()
    stack = [schema]
    while stack:
        item = stack.pop()
        if isinstance(item, str):
            yield item
        elif isinstance(item, type):
            yield item.__name__
        elif isinstance(item, (dict, list, tuple)) and id(item) not in seen:
            seen.add(id(item))
            stack.extend(item)
            if isinstance(item, dict):
                stack.extend(item.values())
