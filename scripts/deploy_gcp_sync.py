"""Waits until an app answers at a URL, and has it register its functions with Inngest; for scripts/deploy_gcp."""

from __future__ import annotations

import hmac
import json
import os
import re
import sys
import time
import urllib.error
import urllib.request
from typing import Any

SDK = "x-inngest-sdk"
OK, FORBIDDEN = 200, 403
REQUEST_SECONDS = 60


def main(url: str, wait_seconds: float) -> int:
    """Wait and sync; 0 if Inngest took the app."""
    deadline = time.monotonic() + wait_seconds
    while (fault := check(url)) is not None:
        if time.monotonic() >= deadline:
            return fail(f"{url} does not serve the app: {fault}")
        time.sleep(float(os.environ.get("DEPLOY_POLL_SECONDS", "3")))
    status, _, body = exchange("PUT", url, signature())
    message = text_of(body)
    if status != OK:
        return fail(f"the app was not synced: {message or f'HTTP status {status}'}")
    print(f"deploy_gcp: {url}: {message or 'synced'}")
    return 0


def check(url: str) -> str | None:
    """What is wrong with what answers at the URL, or None."""
    try:
        status, headers, body = exchange("GET", url)
    except OSError as error:
        return f"no reply ({getattr(error, 'reason', error)})"
    if SDK not in headers:
        hint = ": may everybody call it (--allow-unauthenticated)?" if status == FORBIDDEN else ""
        return f"HTTP status {status}{hint}"
    # An app whose settings are wrong says so itself.
    return None if status == OK else f"HTTP status {status}: {text_of(body)}"


def signature() -> dict[str, str]:
    """The header that signs an empty body, where INNGEST_SIGNING_KEY is set: an app may refuse what is not signed.

    Source: docs/protocol.md, section 6.
    """
    key = re.sub(r"^signkey-[^-]*-", "", os.environ.get("INNGEST_SIGNING_KEY", "").strip())
    at = str(int(time.time()))
    return (
        {"X-Inngest-Signature": f"t={at}&s={hmac.new(key.encode(), at.encode(), 'sha256').hexdigest()}"} if key else {}
    )


def exchange(method: str, url: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    """Send a request: the status, the headers in lower case, the body."""
    request = urllib.request.Request(url, headers=headers or {}, method=method)  # noqa: S310 - a URL of the caller's own
    try:
        with urllib.request.urlopen(request, timeout=REQUEST_SECONDS) as reply:  # noqa: S310 - as above
            return reply.status, {name.lower(): value for name, value in reply.headers.items()}, reply.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, {name.lower(): value for name, value in error.headers.items()}, error.read()


def text_of(body: bytes) -> str:
    """The message in a reply of the app's, which repeats Inngest's own."""
    try:
        document: Any = json.loads(body)
    except ValueError:
        return ""
    return str(document.get("message") or "") if isinstance(document, dict) else ""


def fail(message: str) -> int:
    """Say what went wrong."""
    print(f"deploy_gcp: {message}", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
