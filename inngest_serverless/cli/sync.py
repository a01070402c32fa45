"""``inngest-serverless sync``: registers an app with Inngest. Source: docs/protocol.md, section 7."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from inngest_serverless.cli.errors import FAILED, OK, fail, printable
from inngest_serverless.cli.exchanges import checked_url, http_endpoint, timeout_option
from inngest_serverless.cli.output import json_option, print_json, progress
from inngest_serverless.cli.targets import DEFAULT_PATH, calling, target_argument
from inngest_serverless.config import Settings
from inngest_serverless.errors import ConfigurationError, TransportError
from inngest_serverless.inngest_api import InngestApi
from inngest_serverless.local.in_band import registration
from inngest_serverless.local.targets import load
from inngest_serverless.protocol import headers as names
from inngest_serverless.protocol.registration import register_json
from inngest_serverless.protocol.signing import sign
from inngest_serverless.transport import Transport, drive

if TYPE_CHECKING:
    from inngest_serverless.local.endpoints import Endpoint
    from inngest_serverless.local.gateway import HttpReply

__all__ = ["command"]

_SUCCESS, _REDIRECTS, _UNAUTHORIZED = range(200, 300), range(300, 400), 401


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What came of it: whether Inngest took the app, whether that changed anything, and what was said."""

    synced: bool
    modified: bool
    message: str


@click.command("sync", short_help="Register an app with Inngest.")
@target_argument(required=False)
@click.option("--url", metavar="URL", help="The public URL of the app: where Inngest will call it.")
@click.option("--in-band", is_flag=True, help="Fetch the registration from URL, and bring it to Inngest from here.")
@timeout_option
@json_option
def command(target: str | None, url: str | None, in_band: bool, timeout: float, as_json: bool) -> int:
    """Register an app with Inngest, and print what Inngest says.

    With --url, the deployed app is asked to register itself. With --in-band it only hands over what it would register,
    and this command brings that to Inngest: for an app that cannot reach Inngest's API. It needs the app's key in
    INNGEST_SIGNING_KEY.

    With TARGET, the app is loaded here and registers itself with the server that its settings name, under its own URL
    or under that of --url.
    """
    if target is None and url is None:
        raise click.UsageError("nothing to register: give --url URL or a TARGET")
    if target is not None and in_band:
        raise click.UsageError("--in-band is for an app that is deployed: leave out TARGET")
    address = checked_url(url) if url else _own_url(Settings.for_client(os.environ))
    with progress(f"syncing {target or address}"):
        if target is not None:
            # What the target prints is none of the command's output.
            with redirect_stdout(sys.stderr):
                endpoint = calling(load(target, cwd=Path.cwd()).endpoint, target)
                outcome = _ask_app(endpoint, address)
        else:
            with http_endpoint(timeout) as endpoint:
                outcome = _bring(endpoint, address) if in_band else _ask_app(endpoint, address)
    if as_json:
        how = "in-band" if in_band else "out-of-band"
        said = {"synced": outcome.synced, "modified": outcome.modified, "message": outcome.message}
        print_json({"url": address, "how": how} | said)
    elif outcome.synced:
        words = printable(" ".join(outcome.message.split()))
        click.echo(f"{address}: {words} ({'changed' if outcome.modified else 'nothing changed'})")
    return OK if outcome.synced else fail(f"{address} was not synced: {outcome.message}", FAILED)


def _own_url(settings: Settings) -> str:
    """The URL that the environment gives the app."""
    if settings.serve_origin is None:
        raise click.UsageError("the app's public URL is not known: give it as --url, or set INNGEST_SERVE_ORIGIN")
    return checked_url("".join(settings.public_address("", DEFAULT_PATH)), "INNGEST_SERVE_ORIGIN")


def _ask_app(endpoint: Endpoint, url: str) -> _Outcome:
    """Have an app register itself, by a PUT; it is signed where there is a key, for apps that insist."""
    key = Settings.for_client(os.environ).signing_key
    headers = {names.SIGNATURE: sign(b"", key, time.time())} if key else {}
    reply = endpoint("PUT", url, headers, b"")
    document = _object(reply)
    if names.SDK not in reply.headers:
        return _Outcome(synced=False, modified=False, message=_no_app(reply))
    if reply.status == _UNAUTHORIZED:
        message = "it does not take the signature: is INNGEST_SIGNING_KEY the key that the app has?"
        return _Outcome(synced=False, modified=False, message=message)
    synced = reply.status in _SUCCESS
    said = document.get("message") or ("synced" if synced else f"HTTP status {reply.status}")
    return _Outcome(synced, bool(document.get("modified")), str(said))


def _no_app(reply: HttpReply) -> str:
    if reply.status in _REDIRECTS and (location := reply.headers.get("location")):
        return f"it redirects to {location}; sync that URL, if it is the app's"
    return f"what answers is no app (HTTP status {reply.status}); inngest-serverless doctor --url finds out why"


def _bring(endpoint: Endpoint, url: str) -> _Outcome:
    """Fetch an app's registration, and register it with Inngest from here."""
    settings = Settings.for_client(os.environ)
    if settings.signing_key is None:
        raise click.UsageError("--in-band needs the app's signing key: set INNGEST_SIGNING_KEY")
    try:
        document = registration(endpoint, url=url, signing_key=os.environ["INNGEST_SIGNING_KEY"])
    except ConfigurationError as error:
        return _Outcome(synced=False, modified=False, message=str(error))
    body = register_json(
        document["app_id"],
        document.get("app_version"),
        document["framework"],
        document["url"],
        document["functions"],
    )
    # The app's own version counts, not that of this program.
    body["sdk"] = f"{document['sdk_author']}:v{document['sdk_version']}".removeprefix("inngest-")
    steps = InngestApi(settings).register(json.dumps(body), None, None)
    try:
        reply = drive(steps, Transport().send)
    except TransportError as error:
        raise TransportError(f"Inngest was not reached: {error}") from None
    answer = _object(reply)
    said = answer.get("message") or answer.get("error") or ("synced" if reply.ok else f"HTTP status {reply.status}")
    return _Outcome(reply.ok, bool(answer.get("modified")), str(said))


def _object(reply: Any) -> dict[str, Any]:
    try:
        document = json.loads(reply.body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}
