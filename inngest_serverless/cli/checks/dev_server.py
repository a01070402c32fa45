"""The dev server that the settings name: is there one?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from inngest_serverless.cli.checks.findings import Finding, ok, warning
from inngest_serverless.cli.exchanges import UnreachableError
from inngest_serverless.config import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from inngest_serverless.local.endpoints import Endpoint

__all__ = ["check_dev_server"]


def check_dev_server(environ: Mapping[str, str], endpoint: Endpoint) -> Iterator[Finding]:
    """In dev mode, whether anybody answers where apps register and events go.

    Args:
        environ: The environment.
        endpoint: Sends requests, and raises ``UnreachableError`` where there is no reply.
    """
    settings = Settings.for_client(environ)
    if not settings.is_dev:
        return
    for origin in dict.fromkeys((settings.api_origin, settings.event_api_origin)):
        if not origin.startswith(("http://", "https://")):
            continue  # that is told with the settings
        try:
            endpoint("GET", f"{origin}/", {}, b"")
        except UnreachableError as error:
            yield warning(
                "dev-server",
                f"no dev server answers at {origin}: {error.detail}",
                "in dev mode apps register there and events go there",
                "start one with inngest-serverless dev, or unset INNGEST_DEV to work with Inngest Cloud",
            )
        else:
            yield ok("dev-server", f"a server answers at {origin}")
