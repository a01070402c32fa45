"""What a developer points at, a handler or functions, made callable over HTTP in this process.

A handler reads its settings, INNGEST_DEV and the keys among them, when it is made: when its module is imported. So who
wants it to work with a server of theirs sets ``os.environ["INNGEST_DEV"]`` to that server's origin **before** ``load``,
in a process that imports the target for nothing else; a module that is imported already keeps the settings that it has.
Plain functions have no settings yet: for them the handler's options can be given here instead.
"""

from __future__ import annotations

import importlib
import inspect
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.functions import Function, is_coroutine_function
from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.gcf import flask_endpoint, starlette_endpoint
from inngest_serverless.local.lambda_context import LambdaContext
from inngest_serverless.local.places import place_of, raising_place
from inngest_serverless.local.target_hints import handler_in, module_hint, names_hint

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Unpack

    from inngest_serverless.local.endpoints import Endpoint
    from inngest_serverless.options import HandlerOptions

__all__ = ["Kind", "NoModuleError", "Target", "endpoint_of", "load"]

Kind = Literal["lambda", "gcf", "gcf-async", "functions"]

_LOCAL_APP = "local"
_PLAIN = {"bool", "bytes", "dict", "float", "int", "list", "str"}
_LONGEST_TIMEOUT_MS = 900_000  # of a Lambda function


class NoModuleError(ConfigurationError):
    """A target names no module: nothing that is done to the code that is there helps."""


@dataclass(frozen=True, slots=True)
class Target:
    """A target that was loaded.

    Attributes:
        endpoint: Sends it a request: method, URL, headers, body.
        kind: What it is: a Lambda handler, a Cloud Function for Flask's requests or for Starlette's, or functions.
        handler: What the platform calls. That of functions is a Lambda handler which serves them.
        module: The module that it was found in; "" if it was at hand.
        attribute: Where in the module, e.g. ``"handler"``; "" if it is the module itself.
    """

    endpoint: Endpoint
    kind: Kind
    handler: Callable[..., Any]
    module: str = ""
    attribute: str = ""


def load(target: str, *, cwd: Path | str, trigger: str = "function-url", **options: Unpack[HandlerOptions]) -> Target:
    """Import a target.

    Args:
        target: ``"module:attribute"``, or ``"module.attribute"`` as in Lambda's setting (``"folder/module.attribute"``
            and ``"folder/module.py:attribute"`` are understood too). The attribute is a handler, a function, or several
            functions in a list, say. A module alone means the handler in it, or all its functions if it has none.
        cwd: The folder that it is imported from; it is put in front of ``sys.path`` and stays there.
        trigger: How a Lambda handler is called, one of ``gateway.TRIGGERS``.
        **options: As for ``endpoint_of``.

    Raises:
        NoModuleError: There is no such module.
        ConfigurationError: There is no such target, its module cannot be imported, or it is nothing to serve.
    """
    module, attributes, found = _find(target, Path(cwd).absolute())
    try:
        if isinstance(found, ModuleType) and (handler := handler_in(found)) is not None:
            name, found = handler
            attributes = [*attributes, name]
        loaded = _target(_functions_in(found) if isinstance(found, ModuleType) else found, trigger, options)
        return replace(loaded, module=module, attribute=".".join(attributes))
    except ConfigurationError as error:
        raise ConfigurationError(f"target {target!r}: {error}") from None


def endpoint_of(
    target: Callable[..., Any] | Function[Any] | Iterable[Function[Any]],
    *,
    trigger: str = "function-url",
    **options: Unpack[HandlerOptions],
) -> Endpoint:
    """Reach a handler or functions that are at hand.

    What a handler raises goes through to whoever sends the request. The context of a Lambda handler is a stand-in
    with all attributes of the real one and 15 minutes to go.

    Args:
        target: A Lambda handler (takes an event and a context), a Cloud Function (takes a ``flask.Request``, or is
            async and takes a ``starlette.requests.Request``), a function or several. Functions are served as on Lambda,
            in an app with the ID ``local``.
        trigger: How a Lambda handler is called, one of ``gateway.TRIGGERS``.
        **options: For functions: the options of ``inngest_lambda``, e.g. ``is_dev=True``.

    Raises:
        ConfigurationError: It is none of these, or a handler, which has its options already, and options are given.
    """
    return _target(target, trigger, options).endpoint


def _target(target: Any, trigger: str, options: HandlerOptions) -> Target:
    if isinstance(target, Function):
        target = [target]
    if not callable(target):
        from inngest_serverless.aws.handler import inngest_lambda

        served: HandlerOptions = {"app_id": _LOCAL_APP, **options}
        serving = inngest_lambda(_functions(target), **served)
        return Target(_lambda(serving, trigger), "functions", serving)
    if options:
        raise ConfigurationError(
            f"a handler has its options already: {', '.join(sorted(options))} can be given for functions only"
        )
    kind = _kind(target)
    if kind == "lambda":
        return Target(_lambda(target, trigger), kind, target)
    handler: Any = target
    return Target(flask_endpoint(handler) if kind == "gcf" else starlette_endpoint(handler), kind, handler)


def _lambda(handler: Callable[[Any, Any], Any], trigger: str) -> Endpoint:
    def invoke(event: Any) -> Any:
        return handler(event, LambdaContext(time.monotonic() + _LONGEST_TIMEOUT_MS / 1000))

    return lambda_endpoint(invoke, trigger)


# What a target is.


def _functions(target: Any) -> list[Function[Any]]:
    is_several = isinstance(target, Iterable) and not isinstance(target, str | bytes | Mapping)
    items: list[Any] = list(target) if is_several else [target]
    if strange := [item for item in items if not isinstance(item, Function)]:
        raise ConfigurationError(
            f"{_name(strange[0])} is nothing to serve: give a handler, a function made by create_function, "
            "or a list of such functions"
        )
    if not items:
        raise ConfigurationError("there are no functions in it: put some in that create_function made")
    return items


def _name(value: Any) -> str:
    """A function's or class's name, or else that of a value's type."""
    return str(getattr(value, "__name__", type(value).__name__))


def _kind(handler: Callable[..., Any]) -> Kind:
    # By its signature, which decorators keep, so that it may be wrapped.
    try:
        signature = inspect.signature(handler)
    except ValueError:
        signature = None
    is_async = is_coroutine_function(inspect.unwrap(handler))
    if signature is not None and _is_durable(handler, signature):
        raise ConfigurationError(
            f"{handler.__name__} is a plain function: write @create_function(id=..., trigger=...) above it"
        )
    if signature is not None and not isinstance(handler, type) and not _is_hidden(signature):
        if not is_async and _takes(signature, 2):
            return "lambda"
        if _takes(signature, 1) and _may_take_requests(signature):
            return "gcf-async" if is_async else "gcf"
    raise ConfigurationError(
        f"{'async ' if is_async else ''}{_name(handler)}{signature or ''} is no handler: "
        "Lambda's takes (event, context), a Cloud Function's (request); "
        "a decorator that hides them needs functools.wraps. "
        "What is to be a durable function needs @create_function(...) above it"
    )


def _is_durable(handler: Callable[..., Any], signature: inspect.Signature) -> bool:
    """Whether it is written as a durable function, by the one thing that it takes, and is none yet."""
    if not inspect.isfunction(handler) or len(signature.parameters) != 1:
        return False
    [taken] = signature.parameters.values()
    return taken.name in {"ctx", "context"} or "Context" in inspect.formatannotation(taken.annotation)


def _is_hidden(signature: inspect.Signature) -> bool:
    return any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in signature.parameters.values())


def _may_take_requests(signature: inspect.Signature) -> bool:
    [annotation, *_] = [str(inspect.formatannotation(each.annotation)) for each in signature.parameters.values()]
    return annotation.strip("'").partition("[")[0] not in _PLAIN


def _takes(signature: inspect.Signature, count: int) -> bool:
    try:
        signature.bind(*range(count))
    except TypeError:
        return False
    return True


def _functions_in(module: ModuleType) -> list[Function[Any]]:
    found = {id(value): value for value in vars(module).values() if isinstance(value, Function)}
    if not found:
        raise ConfigurationError(
            f"module {module.__name__} has no functions: name a handler or a list in it, as {module.__name__}:handler"
        )
    return list(found.values())


# Importing.


def _find(target: str, cwd: Path) -> tuple[str, list[str], Any]:
    module_name, attributes = _parts(target, cwd)
    try:
        found: Any = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise ConfigurationError(f"target {target!r}: importing {module_name} raised {_told(error)}") from error
    for attribute in attributes:
        if not hasattr(found, attribute):
            hint = names_hint(found, attribute) if isinstance(found, ModuleType) else ""
            raise ConfigurationError(
                f"target {target!r}: {module_name} has no attribute {'.'.join(attributes)!r}{hint}"
            )
        found = getattr(found, attribute)
    return module_name, attributes, found


def _parts(target: str, cwd: Path) -> tuple[str, list[str]]:
    """The module of a target and what to look up in it: the longest part that is a module, unless a colon tells."""
    if str(cwd) not in sys.path[:1]:
        sys.path.insert(0, str(cwd))
    importlib.invalidate_caches()
    path, colon, attribute = target.strip().partition(":")
    path = path.removesuffix(".py").removeprefix("./").replace("/", ".")
    words = path.split(".")
    if not all(word.isidentifier() for word in (*words, *(attribute.split(".") if colon else ()))):
        raise NoModuleError(f"target {target!r} is no target: write module:attribute or module.attribute")
    count = next((n for n in range(1, len(words) + 1) if not _is_module(target, ".".join(words[:n]))), len(words) + 1)
    if count == 1 or (colon and count <= len(words)):
        # Without a colon the last word is most likely what is looked for in the module.
        name, rest = (words, attribute) if colon or len(words) == 1 else (words[:-1], words[-1])
        hint = module_hint(".".join(name), rest, cwd)
        raise NoModuleError(
            f"target {target!r}: there is no module {'.'.join(words[:count])} in {cwd}: "
            f"start in the folder that has it{hint}"
        )
    return ".".join(words[: count - 1]), attribute.split(".") if colon else words[count - 1 :]


def _is_module(target: str, name: str) -> bool:
    parent, _, _ = name.rpartition(".")
    try:
        if parent and not hasattr(importlib.import_module(parent), "__path__"):
            return False  # the parent is no package: what follows is an attribute
        return find_spec(name) is not None
    except (Exception, SystemExit) as error:
        raise ConfigurationError(f"target {target!r}: importing {parent} raised {_told(error)}") from error


def _told(error: BaseException) -> str:
    """What an import raised and where, in one line: the innermost place that is the user's."""
    if isinstance(error, SyntaxError) and error.filename:
        place = place_of(error.filename, error.lineno or 0)
    else:
        place = raising_place(error.__traceback__)
    message = str(error.msg if isinstance(error, SyntaxError) else error).split("\n")[0]
    return f"{type(error).__name__}: {message} ({place})" if message else f"{type(error).__name__} ({place})"
