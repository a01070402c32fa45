"""Whether there is a dev server on the other side, and where. Source: docs/protocol.md, section 10."""

from __future__ import annotations

import os

from inngest_serverless.config import Settings, dev_server

__all__ = ["dev_server_url", "is_dev"]


def is_dev() -> bool:
    """Whether INNGEST_DEV says that this program works with a dev server."""
    return Settings.for_client(os.environ).is_dev


def dev_server_url() -> str:
    """The origin of the dev server: the one in INNGEST_DEV, or ``"http://127.0.0.1:8288"``."""
    return dev_server(os.environ)
