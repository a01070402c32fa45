"""Header names, lower case as they are compared and sent. Source: docs/protocol.md, sections 1, 2, 6 and 7."""

from __future__ import annotations

from inngest_serverless.version import __version__

__all__ = [
    "AUTHORIZATION",
    "CACHE_CONTROL",
    "CONTENT_TYPE",
    "ENV",
    "EVENT_ID_SEED",
    "EXPECTED_SERVER_KIND",
    "FRAMEWORK",
    "JSON",
    "NO_RETRY",
    "ORIGIN",
    "PLATFORM",
    "REPLAYED",
    "REQUEST_VERSION",
    "REQUEST_VERSION_VALUE",
    "RETRY_AFTER",
    "SDK",
    "SDK_LANGUAGE",
    "SDK_VALUE",
    "SERVER_KIND",
    "SIGNATURE",
    "SYNC_KIND",
    "TRACEPARENT",
    "TRACESTATE",
]

CONTENT_TYPE = "content-type"
AUTHORIZATION = "authorization"
CACHE_CONTROL = "cache-control"
RETRY_AFTER = "retry-after"
ORIGIN = "origin"
SDK = "x-inngest-sdk"
REQUEST_VERSION = "x-inngest-req-version"
FRAMEWORK = "x-inngest-framework"
PLATFORM = "x-inngest-platform"
ENV = "x-inngest-env"
SIGNATURE = "x-inngest-signature"
NO_RETRY = "x-inngest-no-retry"
SERVER_KIND = "x-inngest-server-kind"
EXPECTED_SERVER_KIND = "x-inngest-expected-server-kind"
SYNC_KIND = "x-inngest-sync-kind"
TRACEPARENT = "traceparent"
TRACESTATE = "tracestate"
EVENT_ID_SEED = "x-inngest-event-id-seed"
# Ours alone, for the local engine.
REPLAYED = "x-inngest-serverless-replayed"

JSON = "application/json"
SDK_LANGUAGE = "python"
SDK_VALUE = f"inngest-serverless:v{__version__}"
REQUEST_VERSION_VALUE = "2"
