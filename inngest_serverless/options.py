"""The options of a handler, the same for every adapter, and the functions that it serves.

Source: docs/protocol.md, section 10.
"""

from __future__ import annotations

from inngest_serverless.config import Settings
from inngest_serverless.errors import ConfigurationError
from inngest_serverless.functions import Function
from inngest_serverless.serve import App

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from logging import Logger
    from typing import Any, TypedDict

    from inngest_serverless.middleware import Middleware

    class HandlerOptions(TypedDict, total=False):
        """What a handler takes beside its functions; what is not given is read from the environment."""

        app_id: str
        app_version: str
        signing_key: str
        signing_key_fallback: str
        event_key: str
        env: str
        is_dev: bool
        logger: Logger
        register_url: str
        api_base_url: str
        event_api_base_url: str
        url: str
        serve_origin: str
        serve_path: str
        max_body_size: int
        middleware: Iterable[Middleware | Callable[[], Middleware]]
        allow_in_band_sync: bool
        enable_unauthed_sync: bool
        streaming: bool
        deadline: bool | float
        deadline_margin: float


__all__ = ["make_app", "read_deadline", "register"]

# The options that are text, and the settings that they become.
_TEXTS = {
    "app_id": "app_id",
    "app_version": "app_version",
    "signing_key": "signing_key",
    "signing_key_fallback": "signing_key_fallback",
    "event_key": "event_key",
    "env": "env",
    "register_url": "register_url",
    "api_base_url": "api_origin",
    "event_api_base_url": "event_api_origin",
    "url": "url",
    "serve_origin": "serve_origin",
    "serve_path": "serve_path",
}
_SWITCHES = ("is_dev", "allow_in_band_sync", "enable_unauthed_sync", "streaming")
_ADDRESSES = ("register_url", "api_base_url", "event_api_base_url", "url", "serve_origin")
_DEADLINE = ("deadline", "deadline_margin")
_KNOWN = (*_TEXTS, *_SWITCHES, *_DEADLINE, "max_body_size", "logger", "middleware")

_OFF = {"0", "false", "no", "off"}
_ON = {"true", "yes", "on"}
# Several times what the first such answer takes on the smallest function: 4.6 ms of CPU, of which that has 1/14.
_MARGIN_SECONDS = 0.5

_registered: list[Function[Any]] = []


def register(*functions: Function[Any]) -> None:
    """Add functions to those that a handler serves which is given none.

    Raises:
        ConfigurationError: One of them is not made by ``create_function``.
    """
    for function in functions:
        if not isinstance(function, Function):
            raise ConfigurationError(f"register takes functions made by create_function, not {type(function).__name__}")
        if function not in _registered:
            _registered.append(function)


def make_app(
    functions: Iterable[Any] | None,
    framework: str,
    environ: Mapping[str, str],
    now: Callable[[], float],
    options: Mapping[str, Any],
) -> App:
    """Make the app that an adapter serves.

    Args:
        functions: Its functions, or None for those that were given to ``register``.
        framework: The adapter's name on the wire.
        environ: The environment.
        now: The clock, Unix seconds.
        options: The handler's options.

    Raises:
        ConfigurationError: There are no functions, one of them is wrong, or an option is unknown, wrong, or at odds
            with another.
    """
    given = {name: value for name, value in options.items() if value is not None}
    _check(given)
    served = [functions] if isinstance(functions, Function) else list(_registered if functions is None else functions)
    if not served:
        raise ConfigurationError("there are no functions to serve: pass a list of them, or call register first")
    settings = {_TEXTS.get(name, name): value for name, value in given.items()}
    for name in ("streaming", "logger", "middleware", *_DEADLINE):
        settings.pop(name, None)
    return App(
        Settings.from_env(environ, **settings),
        served,
        framework,
        now,
        middleware=given.get("middleware", ()),
        logger=given.get("logger"),
    )


def read_deadline(environ: Mapping[str, str], options: Mapping[str, Any]) -> tuple[float | None, float] | None:
    """Whether calls are ended before their caller stops waiting for them, and when.

    Args:
        environ: The environment: INNGEST_DEADLINE and INNGEST_DEADLINE_MARGIN.
        options: The handler's options, which count for more.

    Returns:
        How many seconds the caller waits, or None where that is known by other means, and how many seconds before that
        to answer; None if calls are not to be ended.

    Raises:
        ConfigurationError: One of them is neither a number of seconds nor a switch.
    """
    waits = _seconds(options, environ, "deadline")
    margin = _seconds(options, environ, "deadline_margin")
    if waits is False:
        return None
    return None if waits is None or waits is True else waits, margin or _MARGIN_SECONDS


def _seconds(options: Mapping[str, Any], environ: Mapping[str, str], name: str) -> float | bool | None:
    value, source = options.get(name), f"option {name}"
    if value is None:
        source = f"INNGEST_{name.upper()}"
        text = environ.get(source, "").strip().lower()
        if not text:
            return None
        value = False if text in _OFF else True if text in _ON else _number(text)
    is_switch = isinstance(value, bool) and name == "deadline"
    if is_switch or (isinstance(value, (int, float)) and not isinstance(value, bool) and 0 < value < float("inf")):
        return value
    switch = " or a switch (off, on)" if name == "deadline" else ""
    raise ConfigurationError(f"{source} must be a number of seconds, more than 0{switch}")


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _check(given: Mapping[str, Any]) -> None:
    for name, value in given.items():
        if name not in _KNOWN:
            raise ConfigurationError(f"unknown option {name!r}: the options are {', '.join(_KNOWN)}")
        if name in _TEXTS and not (isinstance(value, str) and value.strip()):
            raise ConfigurationError(f"option {name} must be text that is not empty; leave it out instead")
        if name in _SWITCHES and not isinstance(value, bool):
            raise ConfigurationError(f"option {name} must be True or False, not {type(value).__name__}")
        if name in _ADDRESSES and not str(value).startswith(("http://", "https://")):
            raise ConfigurationError(f"option {name} must begin with http:// or https://")
    size = given.get("max_body_size", 1)
    if not isinstance(size, int) or isinstance(size, bool) or size < 1:
        raise ConfigurationError("option max_body_size must be a number of bytes, 1 or more")
    if given.get("streaming"):
        raise ConfigurationError(
            "streaming=True: this toolkit answers each call with one step and never streams; leave it out, "
            "and on AWS set InvokeMode to BUFFERED"
        )
    if "url" in given and ("serve_origin" in given or "serve_path" in given):
        raise ConfigurationError("options url and serve_origin / serve_path say the same: give one of them")
