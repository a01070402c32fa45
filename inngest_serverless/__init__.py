"""Durable Inngest step functions on AWS Lambda and Google Cloud Functions.

The names are loaded when they are first used, so that a cold start pays for nothing else.
"""

from __future__ import annotations

from inngest_serverless.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from inngest_serverless.aws.handler import inngest_lambda
    from inngest_serverless.engine.context import AsyncContext, Context
    from inngest_serverless.errors import (
        ConfigurationError,
        ExpiredSignatureError,
        InngestError,
        InvalidSignatureError,
        InvalidTimestampError,
        NonRetriableError,
        RetryAfterError,
        SendEventsError,
        SignatureError,
        StepError,
    )
    from inngest_serverless.events import Event
    from inngest_serverless.functions import Function, Trigger, create_function, cron_trigger, event_trigger

__all__ = [
    "AsyncContext",
    "ConfigurationError",
    "Context",
    "Event",
    "ExpiredSignatureError",
    "Function",
    "InngestError",
    "InvalidSignatureError",
    "InvalidTimestampError",
    "NonRetriableError",
    "RetryAfterError",
    "SendEventsError",
    "SignatureError",
    "StepError",
    "Trigger",
    "__version__",
    "create_function",
    "cron_trigger",
    "event_trigger",
    "inngest_lambda",
]

_HOMES = {
    "inngest_serverless.aws.handler": ("inngest_lambda",),
    "inngest_serverless.engine.context": ("AsyncContext", "Context"),
    "inngest_serverless.errors": (
        "ConfigurationError",
        "ExpiredSignatureError",
        "InngestError",
        "InvalidSignatureError",
        "InvalidTimestampError",
        "NonRetriableError",
        "RetryAfterError",
        "SendEventsError",
        "SignatureError",
        "StepError",
    ),
    "inngest_serverless.events": ("Event",),
    "inngest_serverless.functions": ("Function", "Trigger", "create_function", "cron_trigger", "event_trigger"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
