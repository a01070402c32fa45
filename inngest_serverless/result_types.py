"""Results that are more than plain JSON: which type a function returns.

Functions that return None, bool, int, float, str, lists and dicts of them, or say nothing, need no type and load
nothing. For any other one ``typed_json.py`` reads and writes the JSON.

Source: docs/protocol.md, section 4.
"""

from __future__ import annotations

from functools import partial
from types import FunctionType, MethodType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import CodeType
    from typing import Any

    from inngest_serverless.typed_json import TypedJson

    ResultType = TypedJson

__all__ = ["exhausted", "is_open", "result_type"]

_PLAIN_TYPES = {None, bool, int, float, str, list, dict, object, type(None)}
_PLAIN_WORDS = {"", "None", "bool", "int", "float", "str", "list", "dict", "object"} | {
    *("typing", "Any", "List", "Dict", "Optional", "Union"),
}
_WORD_BREAKS = str.maketrans("[](){},|.'\"", "           ")
_PLAIN_KEYS = {"str", "Any"}
_OPEN_NAMES = {"Any", "Never", "NoReturn", "LiteralString", "Self"}

# What is known of functions by their code, and of types that cannot be hashed: by identity, together with what keeps
# that identity from being given to something else. A function itself is never kept, nor what it holds.
_by_identity: dict[int, tuple[Any, Any, ResultType | None]] = {}
_by_type: dict[Any, ResultType | None] = {}
# A process that makes code or types as it goes must not keep them all.
_MOST_KNOWN = 4096
# How many partials, decorators and callable objects stand around a function at most: some objects have any attribute.
_MOST_LAYERS = 64

# The annotation of a function whose annotations cannot be evaluated.
_UNEVALUATED = object()


def result_type(source: Any) -> ResultType | None:
    """The type of what a function returns, if plain JSON does not hold it.

    Args:
        source: A function with a return annotation, or a type itself.
    """
    function = source
    if type(source) is not FunctionType or hasattr(source, "__wrapped__"):
        if issubclass(type(source), type):
            # Replayed steps ask again and again.
            return _of_type(source)
        function = _innermost(source)
        if type(function) is not FunctionType:
            return None if function is None else _of_type(function)
    code = function.__code__
    try:
        annotation = function.__annotations__.get("return")
    except Exception:  # noqa: BLE001 - from Python 3.14 on annotations are evaluated here, and may name what is not there
        annotation = _UNEVALUATED
    known = _by_identity.get(id(code))
    if known is not None and known[1] is annotation:
        return known[2]
    return _of_function(function, code, annotation)


def exhausted(value: Any) -> Any:
    """An iterator as a list, as it can be read only once; anything else as it is."""
    return list(value) if hasattr(type(value), "__next__") else value


def is_open(kind: Any) -> bool:
    """Whether a type of an event's data takes any JSON object: ``dict``, ``dict[str, Any]`` and the like, or None."""
    if kind is None or kind is dict or kind is object or _is_open(kind):
        return True
    arguments = getattr(kind, "__args__", ())
    return getattr(kind, "__origin__", None) is dict and (
        not arguments or (arguments[0] is str and _is_open(arguments[-1]))
    )


def _of_function(function: Any, code: CodeType, annotation: Any) -> ResultType | None:
    if _is_plain(annotation) or (isinstance(annotation, str) and _is_plain_text(annotation)):
        found = None
    else:
        from inngest_serverless.annotations import evaluated

        found = _of_type(evaluated(function, None if annotation is _UNEVALUATED else annotation))
        if not isinstance(annotation, type) and not _words(str(annotation)).isdisjoint(code.co_freevars):
            # A name of the enclosing function: it may be another thing in each function of this code.
            return found
    _keep(code, annotation, found)
    return found


def _of_type(annotation: Any) -> ResultType | None:
    try:
        return _by_type[annotation]
    except KeyError:
        if len(_by_type) >= _MOST_KNOWN:
            _by_type.clear()
        found = _by_type[annotation] = _typed(annotation)
    except TypeError:
        # It cannot be hashed.
        known = _by_identity.get(id(annotation))
        if known is not None:
            return known[2]
        found = _typed(annotation)
        _keep(annotation, annotation, found)
    return found


def _typed(annotation: Any) -> ResultType | None:
    if _is_plain(annotation):
        return None
    from inngest_serverless.typed_json import TypedJson

    return TypedJson(annotation)


def _keep(owner: Any, annotation: Any, found: ResultType | None) -> None:
    if len(_by_identity) >= _MOST_KNOWN:
        _by_identity.clear()
    _by_identity[id(owner)] = (owner, annotation, found)


def _innermost(source: Any) -> Any:
    """The function that says what is returned, behind decorators, partials and callable objects; or a type; or None."""
    for _ in range(_MOST_LAYERS):
        # Not by isinstance: a mock may claim to be of any class.
        kind = type(source)
        inner: Any = getattr(source, "__wrapped__", None)
        if kind is MethodType:
            source = source.__func__
        elif issubclass(kind, partial):
            source = source.func
        elif issubclass(kind, type) or (kind is not FunctionType and _is_generic(source)):
            return source
        elif inner is not None and not _says_something_else(source, inner):
            source = inner
        elif kind is FunctionType:
            return source
        else:
            inner = getattr(kind, "__call__", None)  # noqa: B004 - not whether it can be called, but by what
            if not (issubclass(type(inner), (FunctionType, partial)) or hasattr(inner, "__wrapped__")):
                return None
            source = inner
    return None


def _is_generic(source: Any) -> bool:
    """Whether it is a type that is no class: ``list[int]``, ``A | B``, a NewType, an alias by ``type``."""
    return any(hasattr(source, name) for name in ("__origin__", "__args__", "__supertype__", "__value__"))


def _says_something_else(wrapper: Any, inner: Any) -> bool:
    """Whether a decorator's function has a return annotation of its own, not that of what it wraps."""
    try:
        own = (getattr(wrapper, "__annotations__", None) or {}).get("return")
        other = (getattr(inner, "__annotations__", None) or {}).get("return")
        return own is not None and own is not other and bool(own != other)
    except Exception:  # noqa: BLE001 - annotations that cannot be evaluated say nothing
        return False


def _is_plain_text(annotation: str) -> bool:
    if not _words(annotation) <= _PLAIN_WORDS:
        return False
    pieces = annotation.replace("Dict[", "dict[").split("dict[")[1:]
    return all(piece.partition(",")[0].replace("typing.", "").strip() in _PLAIN_KEYS for piece in pieces)


def _words(annotation: str) -> set[str]:
    return set(annotation.translate(_WORD_BREAKS).split())


def _is_plain(annotation: Any) -> bool:
    try:
        if annotation in _PLAIN_TYPES:
            return True
    except TypeError:
        return False
    if _is_open(annotation):
        return True
    origin, arguments = getattr(annotation, "__origin__", None), getattr(annotation, "__args__", ())
    if origin is dict and arguments:
        # JSON has text for keys: {1: "a"} would come back as {"1": "a"}.
        key, *values = arguments
        return (key is str or _is_open(key)) and all(_is_plain(value) for value in values)
    if origin in {list, dict} or type(annotation).__name__ in {"UnionType", "_UnionGenericAlias", "Union"}:
        return all(_is_plain(argument) for argument in arguments)
    return False


def _is_open(annotation: Any) -> bool:
    """Whether it stands for any type."""
    if type(annotation).__name__ in {"TypeVar", "ParamSpec"}:
        return True
    name = getattr(annotation, "__name__", "") or getattr(annotation, "_name", "")
    return name in _OPEN_NAMES and getattr(annotation, "__module__", "") in {"typing", "typing_extensions"}
