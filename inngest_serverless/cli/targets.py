"""Targets on the command line: what an app on this machine says of itself, without a word to Inngest."""

from __future__ import annotations

import sys
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from secrets import token_hex
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import click

from inngest_serverless.cli.errors import FAILED, fail
from inngest_serverless.config import SECRET_ARN
from inngest_serverless.errors import InngestError
from inngest_serverless.local.in_band import registration
from inngest_serverless.local.places import raising_place
from inngest_serverless.local.targets import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, MutableMapping
    from pathlib import Path

    from inngest_serverless.local.endpoints import Endpoint
    from inngest_serverless.local.gateway import HttpReply
    from inngest_serverless.local.targets import Kind, Target

__all__ = ["DEFAULT_PATH", "Answer", "ask", "calling", "local_key", "target_argument"]

DEFAULT_PATH = "/api/inngest"
# A name that no host can have (RFC 6761): an app that repeats it does not know its own address.
_NOBODY = "https://address.invalid"
_NOWHERE = "http://127.0.0.1:9"
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")


@dataclass(frozen=True, slots=True)
class Answer:
    """What an app on this machine says of itself.

    Attributes:
        target: The target.
        kind: Which kind of target it is.
        registration: The reply to an in-band sync (docs/protocol.md, section 7).
        serve_url: The public URL that it registers, or None if that depends on who calls.
    """

    target: Target
    registration: dict[str, Any]
    serve_url: str | None

    @property
    def kind(self) -> Kind:
        """Which kind of target it is."""
        return self.target.kind


def target_argument(*, required: bool = True) -> Callable[[Any], Any]:
    """The argument TARGET of a command."""
    return click.argument("target", required=required)


def ask(target: str, cwd: Path, environ: MutableMapping[str, str]) -> Answer:
    """Load a target and ask it for its registration.

    It is asked with the signing key of the environment. If there is none, one is made up and given to the app as its
    fallback key, which leaves everything else that it says of itself as it is.

    Args:
        target: The target, see ``local.targets.load``.
        cwd: The folder that it is imported from.
        environ: The environment that the target will read, ``os.environ``: it is changed.

    Raises:
        ConfigurationError: It cannot be loaded, or does not answer as it should.
        CommandError: It raised.
    """
    key = local_key(environ)
    environ["INNGEST_ALLOW_IN_BAND_SYNC"] = "1"
    url = f"{_NOBODY}{environ.get('INNGEST_SERVE_PATH') or DEFAULT_PATH}"
    # What the target prints is none of the command's output.
    with redirect_stdout(sys.stderr):
        loaded = load(target, cwd=cwd)
        # An app that refuses in-band sync in its code would register itself, at an address that is nobody's.
        with _cut_off(environ):
            document = registration(calling(loaded.endpoint, target), url=url, signing_key=key)
    served = str(document.get("url"))
    known = served if urlsplit(served).hostname != urlsplit(_NOBODY).hostname else None
    return Answer(loaded, document, known)


def local_key(environ: MutableMapping[str, str]) -> str:
    """A signing key that an app made in this environment will accept: one that it has, or else a new one."""
    # The keys of a secret would have to be fetched, and are not needed here.
    environ.pop(SECRET_ARN, None)
    for name in ("INNGEST_SIGNING_KEY", "INNGEST_SIGNING_KEY_FALLBACK"):
        if environ.get(name):
            return environ[name]
    environ["INNGEST_SIGNING_KEY_FALLBACK"] = key = f"signkey-local-{token_hex(32)}"
    return key


def calling(endpoint: Endpoint, target: str) -> Endpoint:
    """The endpoint of a target, where an exception of the handler's becomes a line that says so."""

    def call(method: str, url: str, headers: Mapping[str, str], body: bytes) -> HttpReply:
        try:
            return endpoint(method, url, headers, body)
        except InngestError:
            raise
        except Exception as error:  # noqa: BLE001 - it is the handler's own
            place = raising_place(error.__traceback__)
            fail(f"target {target!r} raised {type(error).__name__} when it was called: {error} ({place})", FAILED)

    return call


@contextmanager
def _cut_off(environ: MutableMapping[str, str]) -> Iterator[None]:
    """No request leaves this process: each goes to a proxy that is not there."""
    before = {name: environ.pop(name) for name in list(environ) if name.upper() in {*_PROXIES, "NO_PROXY"}}
    environ.update(dict.fromkeys(_PROXIES, _NOWHERE))
    try:
        yield
    finally:
        for name in _PROXIES:
            del environ[name]
        environ.update(before)
