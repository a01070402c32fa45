"""The custom resource of template.yaml: registers the app with Inngest when a new version is in place.

It waits until the app answers at its URL, then has the very version that was deployed answer a PUT, by Lambda's own
API: for some seconds after a deployment the alias may still lead to the version before. It holds no key, since the app
registers by itself. CloudFormation is always answered, and where the packages of the artifact cannot be loaded too:
only the standard library is needed for that.

Sources: docs/protocol.md, section 7; the AWS CloudFormation user guide on custom resources; docs/deploy-aws.md.
"""

from __future__ import annotations

import json
import logging
import re
import time
import urllib.error
import urllib.request
from http import HTTPStatus
from itertools import chain, repeat
from threading import Lock, Timer
from urllib.parse import urlsplit

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

__all__ = ["handler"]

_PHYSICAL_ID = "inngest-sync"
_SDK, _NO_RETRY = "x-inngest-sdk", "x-inngest-no-retry"
# Of the function's own time: to answer CloudFormation, and before that to ask whether the stack is rolling back.
_ANSWER_SECONDS, _RESERVED_SECONDS = 8.0, 20.0
_REQUEST_SECONDS = 30.0
_REASON_BYTES = 1500  # CloudFormation takes 4096 for the whole answer, in which quotes count twice
_ANSWER_TRIES = 4
_KEY = re.compile(r"signkey-[\w-]+\**")

_logger = logging.getLogger(__name__)


class _NotYetError(Exception):
    """What may pass if it is tried again; the message says what it is."""


class _NotSyncedError(Exception):
    """Why the app is not synced, for good."""


def handler(event: Mapping[str, Any], context: Any) -> None:
    """Answer a custom resource's request: sync on Create and Update, nothing on Delete.

    A deployment whose app is refused fails, with Inngest's message. While the stack rolls back the version before is
    synced again, and the roll-back goes on where that is refused as well, for a stack that cannot roll back is stuck.

    Args:
        event: CloudFormation's request. Its properties are ``ServeUrl`` and ``FunctionVersion``, the version's ARN.
        context: Lambda's context, for the time that is left.
    """
    answer = _Answer(event)
    left: float = context.get_remaining_time_in_millis() / 1000
    watchdog = Timer(left - _ANSWER_SECONDS, answer.fail, ["the sync ran out of time"])
    watchdog.daemon = True
    watchdog.start()
    try:
        if event["RequestType"] == "Delete":
            answer.succeed("nothing to do: archive the app in Inngest if it is to be gone there too")
        else:
            _deploy(event, answer, time.monotonic() + left - _RESERVED_SECONDS)
    except Exception as error:
        _logger.exception("the sync crashed")
        answer.fail(f"the sync crashed ({type(error).__name__}): see its log")
    finally:
        watchdog.cancel()


def _deploy(event: Mapping[str, Any], answer: _Answer, deadline: float) -> None:
    properties = event["ResourceProperties"]
    url, version = properties["ServeUrl"], properties["FunctionVersion"]
    try:
        _retry(lambda: _reach(url, deadline), deadline)
        message = _retry(lambda: _register(url, version), deadline)
    except _NotSyncedError as error:
        if _is_rolling_back(event["StackId"]):
            answer.succeed(f"the stack rolls back, though the app was not synced: {error}")
        else:
            answer.fail(f"the app was not synced: {error}")
    else:
        answer.succeed(message)


def _retry(attempt: Callable[[], str], deadline: float) -> str:
    for pause in chain((0.5, 1.0, 2.0), repeat(5.0)):
        try:
            return attempt()
        except _NotYetError as error:
            if time.monotonic() + pause > deadline:
                raise _NotSyncedError(str(error)) from None
            _logger.info("not yet: %s", error)
        time.sleep(pause)
    raise AssertionError("the pauses never end")


def _reach(url: str, deadline: float) -> str:
    """Find the app answering at its URL, whichever of its versions."""
    seconds = min(_REQUEST_SECONDS, max(1.0, deadline - time.monotonic()))
    request = urllib.request.Request(url)  # noqa: S310 - a URL of this stack's own
    try:
        with urllib.request.urlopen(request, timeout=seconds) as reply:  # noqa: S310 - as above
            status, headers = reply.status, reply.headers
    except urllib.error.HTTPError as error:
        with error:
            status, headers = error.code, error.headers
    except OSError as error:
        raise _NotYetError(f"{url} gives no reply ({getattr(error, 'reason', error)})") from None
    if _SDK not in headers:
        hint = ": does a policy of your organization forbid public access?" if status == HTTPStatus.FORBIDDEN else ""
        raise _NotYetError(f"{url} does not serve the app, HTTP status {status}{hint}")
    return url


def _register(url: str, version: str) -> str:
    """Have a version of the function register the app; returns what Inngest says to it."""
    reply = _invoke(version, _put_event(url))
    headers = {str(name).lower(): value for name, value in dict(reply.get("headers") or {}).items()}
    status = reply.get("statusCode")
    if _SDK not in headers:
        raise _NotYetError(f"{version} does not answer as an app does, status {status}")
    message = _message(reply.get("body")) or f"HTTP status {status}"
    if status == HTTPStatus.OK:
        return message
    if headers.get(_NO_RETRY) == "true":
        raise _NotSyncedError(message)
    raise _NotYetError(message)


def _put_event(url: str) -> dict[str, Any]:
    """A PUT as a function URL passes it on, whatever stands before the function: the app reads its address from it."""
    parts = urlsplit(url)
    return {
        "version": "2.0",
        # No request at a URL brings this along, so the app takes it for its own where it refuses unsigned syncs.
        "deployHook": True,
        "rawPath": parts.path,
        "rawQueryString": "",
        "headers": {"host": parts.netloc},
        "requestContext": {
            "domainName": parts.netloc,
            "stage": "$default",
            "http": {"method": "PUT", "path": parts.path},
        },
        "isBase64Encoded": False,
    }


def _invoke(version: str, event: Mapping[str, Any]) -> dict[str, Any]:
    # Of Lambda's own Python, not of the artifact.
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

    try:
        reply = _client("lambda").invoke(FunctionName=version, Payload=json.dumps(event).encode())
    except (BotoCoreError, ClientError) as error:
        raise _NotYetError(f"{version} was not invoked ({_name_of(error)})") from None
    document: Any = json.loads(reply["Payload"].read())
    if "FunctionError" not in reply:
        return document if isinstance(document, dict) else {}
    name, message = str(document.get("errorType")), str(document.get("errorMessage"))
    if name.startswith("Runtime."):
        # Lambda's own words, about what could not be loaded.
        raise _NotSyncedError(f"{version} does not start, {name}: {message}")
    # The app's own words are for its log: they may hold what is nobody else's business.
    raise _NotYetError(f"{version} fails with {name}: see the function's log")


def _is_rolling_back(stack_id: str) -> bool:
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        stacks = _client("cloudformation").describe_stacks(StackName=stack_id)["Stacks"]
    except (BotoCoreError, ClientError) as error:
        _logger.warning("whether the stack rolls back is not known (%s)", _name_of(error))
        return False
    return "ROLLBACK" in stacks[0]["StackStatus"]


def _client(service: str) -> Any:
    import boto3  # type: ignore[import-untyped]
    from botocore.config import Config  # type: ignore[import-untyped]

    # Its own tries would take longer than what is left; _retry has tries enough.
    once = Config(connect_timeout=5, read_timeout=_REQUEST_SECONDS, retries={"total_max_attempts": 1})
    return boto3.client(service, config=once)


def _name_of(error: Exception) -> str:
    response: Mapping[str, Any] = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code") or type(error).__name__)


def _message(body: Any) -> str:
    try:
        document: Any = json.loads(body)
    except (TypeError, ValueError):
        return ""
    return str(document.get("message") or "") if isinstance(document, dict) else ""


class _Answer:
    """The answer that CloudFormation waits for: given once, by whoever comes first."""

    def __init__(self, event: Mapping[str, Any]) -> None:
        self._event = event
        self._lock = Lock()
        self._is_given = False

    def succeed(self, reason: str) -> None:
        """Let the deployment go on."""
        self._give("SUCCESS", reason)

    def fail(self, reason: str) -> None:
        """Fail the deployment, except that nothing may ever stop a deletion."""
        self._give("SUCCESS" if self._event["RequestType"] == "Delete" else "FAILED", reason)

    def _give(self, status: str, reason: str) -> None:
        with self._lock:
            if self._is_given:
                return
            self._is_given = True
        reason = _KEY.sub("signkey-***", " ".join(reason.split()))
        reason = reason.encode()[:_REASON_BYTES].decode(errors="ignore")
        _logger.log(logging.INFO if status == "SUCCESS" else logging.ERROR, "%s: %s", status, reason)
        self._send(json.dumps(self._document(status, reason), ensure_ascii=False).encode())

    def _document(self, status: str, reason: str) -> dict[str, Any]:
        event = self._event
        return {
            "Status": status,
            "Reason": reason,
            "PhysicalResourceId": event.get("PhysicalResourceId") or _PHYSICAL_ID,
            "StackId": event["StackId"],
            "RequestId": event["RequestId"],
            "LogicalResourceId": event["LogicalResourceId"],
            "Data": {"ServeUrl": event.get("ResourceProperties", {}).get("ServeUrl", "")},
        }

    def _send(self, body: bytes) -> None:
        # The URL is signed for a request without a content type.
        request = urllib.request.Request(  # noqa: S310 - CloudFormation's own URL
            self._event["ResponseURL"], data=body, method="PUT", headers={"Content-Type": ""}
        )
        for left in reversed(range(_ANSWER_TRIES)):
            try:
                with urllib.request.urlopen(request, timeout=_ANSWER_SECONDS):  # noqa: S310 - as above
                    return
            except OSError as error:
                # Not the error itself: it may show the URL, with which anybody could answer.
                _logger.warning("CloudFormation was not reached (%s)", type(error).__name__)
                if not left:
                    raise RuntimeError("CloudFormation was not answered") from None
            time.sleep(1.0)
