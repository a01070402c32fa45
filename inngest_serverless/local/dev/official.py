"""Inngest's own dev server, run by npx, in the place of the local engine.

Source: Inngest's documentation, "Local development".
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from contextlib import suppress
from threading import Thread
from typing import TYPE_CHECKING, Self

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.local.processes import end_session

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

__all__ = ["DEFAULT_PORT", "OfficialServer"]

DEFAULT_PORT = 8288
_PACKAGE = "inngest-cli@latest"
_TERM_SECONDS = 1.0
_STDERR = 2


class OfficialServer:
    """The server, as a context manager.

    Args:
        app_url: The URL of the app that it syncs and calls.
        host: Where it listens.
        port: The port.
        env: Its variables, all of them.
        retry_seconds: How long it waits before each further try; its own table if None.
        ended: Called with an error if it ends by itself.

    Raises:
        ConfigurationError: There is no npx.
    """

    def __init__(
        self,
        app_url: str,
        *,
        host: str,
        port: int,
        env: Mapping[str, str],
        retry_seconds: int | None,
        ended: Callable[[ConfigurationError], None],
    ) -> None:
        npx = shutil.which("npx")
        if npx is None:
            raise ConfigurationError("npx is not installed: install Node.js, or leave out --engine inngest")
        self._arguments = [npx, _PACKAGE, "dev", "-u", app_url, "--no-discovery"]
        if port != DEFAULT_PORT:
            self._arguments += ["--port", str(port)]
        if host != "127.0.0.1":
            self._arguments += ["--host", host]
        if retry_seconds is not None:
            self._arguments += ["--retry-interval", str(retry_seconds)]
        # So that npx does not ask whether it may download the package.
        self._env = {"npm_config_yes": "true", **env}
        self._ended = ended
        self._is_stopping = False

    def __enter__(self) -> Self:
        """Start it; it takes a while until it listens."""
        # What it writes goes to stderr, as what the app writes does.
        self._process = subprocess.Popen(  # noqa: S603 - what was asked for
            self._arguments, env=self._env, stdin=subprocess.DEVNULL, stdout=_STDERR, start_new_session=True
        )
        Thread(target=self._watch, name="dev-official", daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End it."""
        self._is_stopping = True
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_TERM_SECONDS)
        self._process.kill()
        end_session(self._process)

    def _watch(self) -> None:
        code = self._process.wait()
        if not self._is_stopping:
            self._ended(ConfigurationError(f"npx {_PACKAGE} ended with exit code {code}: what it wrote says why"))
