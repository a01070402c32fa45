"""Durable Inngest step functions on AWS Lambda and Google Cloud Functions.

The names are loaded when they are first used, so that a cold start pays for nothing else.
"""

from __future__ import annotations

from inngest_serverless.version import __version__

TYPE_CHECKING = False
if TYPE_CHECKING:
    from inngest_serverless.aws.forward import (
        forward_dynamodb,
        forward_eventbridge,
        forward_kinesis,
        forward_s3,
        forward_sns,
        forward_sqs,
    )
    from inngest_serverless.aws.handler import inngest_lambda
    from inngest_serverless.aws.observability_logs import PowertoolsLogs
    from inngest_serverless.aws.observability_metrics import PowertoolsMetrics
    from inngest_serverless.aws.observability_traces import PowertoolsTraces
    from inngest_serverless.client import (
        Client,
        dev_server_url,
        is_dev,
        send,
        send_async,
        send_many,
        send_many_async,
    )
    from inngest_serverless.clock import now_millis, timestamp
    from inngest_serverless.encryption import EncryptionMiddleware
    from inngest_serverless.engine.context import AsyncContext, Context
    from inngest_serverless.errors import (
        ConfigurationError,
        EventNotReceivedError,
        EventValidationError,
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
    from inngest_serverless.failures import RunFailure
    from inngest_serverless.flow_control import (
        Batch,
        Cancel,
        Concurrency,
        Debounce,
        Priority,
        RateLimit,
        Singleton,
        Throttle,
        Timeouts,
    )
    from inngest_serverless.functions import Function, create_function
    from inngest_serverless.gcp.handler import inngest_gcf, inngest_gcf_async
    from inngest_serverless.middleware import CallInput, CallOutput, Middleware
    from inngest_serverless.offload import OffloadMiddleware
    from inngest_serverless.options import register
    from inngest_serverless.signatures import sign, validate_signature
    from inngest_serverless.stores import FileStore, GCSStore, S3Store, Store
    from inngest_serverless.tracing import TracingMiddleware
    from inngest_serverless.triggers import Trigger, cron_trigger, event_trigger
    from inngest_serverless.user_fields import EMAIL, EXTERNAL_ID
    from inngest_serverless.workflow import Workflow

__all__ = [
    "EMAIL",
    "EXTERNAL_ID",
    "AsyncContext",
    "Batch",
    "CallInput",
    "CallOutput",
    "Cancel",
    "Client",
    "Concurrency",
    "ConfigurationError",
    "Context",
    "Debounce",
    "EncryptionMiddleware",
    "Event",
    "EventNotReceivedError",
    "EventValidationError",
    "ExpiredSignatureError",
    "FileStore",
    "Function",
    "GCSStore",
    "InngestError",
    "InvalidSignatureError",
    "InvalidTimestampError",
    "Middleware",
    "NonRetriableError",
    "OffloadMiddleware",
    "PowertoolsLogs",
    "PowertoolsMetrics",
    "PowertoolsTraces",
    "Priority",
    "RateLimit",
    "RetryAfterError",
    "RunFailure",
    "S3Store",
    "SendEventsError",
    "SignatureError",
    "Singleton",
    "StepError",
    "Store",
    "Throttle",
    "Timeouts",
    "TracingMiddleware",
    "Trigger",
    "Workflow",
    "__version__",
    "create_function",
    "cron_trigger",
    "dev_server_url",
    "event_trigger",
    "forward_dynamodb",
    "forward_eventbridge",
    "forward_kinesis",
    "forward_s3",
    "forward_sns",
    "forward_sqs",
    "inngest_gcf",
    "inngest_gcf_async",
    "inngest_lambda",
    "is_dev",
    "now_millis",
    "register",
    "send",
    "send_async",
    "send_many",
    "send_many_async",
    "sign",
    "timestamp",
    "validate_signature",
]

_HOMES = {
    "inngest_serverless.aws.forward": (
        "forward_dynamodb",
        "forward_eventbridge",
        "forward_kinesis",
        "forward_s3",
        "forward_sns",
        "forward_sqs",
    ),
    "inngest_serverless.aws.handler": ("inngest_lambda",),
    "inngest_serverless.aws.observability_logs": ("PowertoolsLogs",),
    "inngest_serverless.aws.observability_metrics": ("PowertoolsMetrics",),
    "inngest_serverless.aws.observability_traces": ("PowertoolsTraces",),
    "inngest_serverless.client": (
        "Client",
        "dev_server_url",
        "is_dev",
        "send",
        "send_async",
        "send_many",
        "send_many_async",
    ),
    "inngest_serverless.clock": ("now_millis", "timestamp"),
    "inngest_serverless.engine.context": ("AsyncContext", "Context"),
    "inngest_serverless.errors": (
        "ConfigurationError",
        "EventNotReceivedError",
        "EventValidationError",
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
    "inngest_serverless.failures": ("RunFailure",),
    "inngest_serverless.flow_control": (
        "Batch",
        "Cancel",
        "Concurrency",
        "Debounce",
        "Priority",
        "RateLimit",
        "Singleton",
        "Throttle",
        "Timeouts",
    ),
    "inngest_serverless.functions": ("Function", "create_function"),
    "inngest_serverless.gcp.handler": ("inngest_gcf", "inngest_gcf_async"),
    "inngest_serverless.middleware": ("CallInput", "CallOutput", "Middleware"),
    "inngest_serverless.encryption": ("EncryptionMiddleware",),
    "inngest_serverless.offload": ("OffloadMiddleware",),
    "inngest_serverless.options": ("register",),
    "inngest_serverless.stores": ("FileStore", "GCSStore", "S3Store", "Store"),
    "inngest_serverless.tracing": ("TracingMiddleware",),
    "inngest_serverless.signatures": ("sign", "validate_signature"),
    "inngest_serverless.triggers": ("Trigger", "cron_trigger", "event_trigger"),
    "inngest_serverless.user_fields": ("EMAIL", "EXTERNAL_ID"),
    "inngest_serverless.workflow": ("Workflow",),
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
