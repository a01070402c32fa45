"""``inngest-serverless send``: sends an event."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import click

from inngest_serverless.cli.errors import UNREACHABLE, fail, printable
from inngest_serverless.cli.exchanges import UnreachableError, http_endpoint
from inngest_serverless.cli.output import json_option, print_json, progress
from inngest_serverless.client import Client
from inngest_serverless.config import Settings, dev_server
from inngest_serverless.errors import SendEventsError, TransportError
from inngest_serverless.protocol.headers import SDK

__all__ = ["command", "read_document"]

_CLOUD = "https://inn.gs"
_HOST_AND_PORT = re.compile(r"[\w.-]+:\d+(/.*)?|localhost(/.*)?")
_LOOK_SECONDS = 5.0


@click.command("send", short_help="Send an event.")
@click.argument("name")
@click.option("--data", metavar="JSON|@FILE|-", help="The event's data: a JSON object, a file of it, or - for stdin.")
@click.option("--user", metavar="JSON|@FILE|-", help="The event's user, in the same way.")
@click.option("--id", "event_id", metavar="ID", help="The event's ID: events that have the same one start runs once.")
@click.option("--to", metavar="dev|cloud|URL", help="Where to send it; by default where the environment says.")
@click.option("--env", metavar="NAME", help="The branch environment; INNGEST_ENV by default.")
@json_option
def command(
    name: str, data: str | None, user: str | None, event_id: str | None, to: str | None, env: str | None, as_json: bool
) -> int:
    """Send an event, and print its ID.

    It goes with the key in INNGEST_EVENT_KEY; a dev server needs none. --to dev is the dev server of INNGEST_DEV, or
    http://127.0.0.1:8288; --to cloud is Inngest Cloud; a URL is the origin of another dev server or a self-hosted
    Inngest. Without --to, INNGEST_DEV, INNGEST_BASE_URL and INNGEST_EVENT_API_BASE_URL count, as they do for an app.
    """
    if data == user == "-":
        raise click.UsageError("stdin can be read once only: give --data or --user in another way")
    given = {"id": event_id, "data": read_document("--data", data), "user": read_document("--user", user)}
    event = {"name": name} | {key: value for key, value in given.items() if value is not None}
    is_dev, origin = _destination(to)
    # What is left out counts as the environment says.
    where = Settings.for_client(os.environ, is_dev=is_dev, event_api_origin=origin).event_api_origin
    # The real key is nothing for a dev server, which takes any.
    client = Client(event_key="dev" if to == "dev" else None, is_dev=is_dev, event_api_base_url=origin, env=env)
    with progress(f"sending {name} to {where}"):
        try:
            sent = client.send(event)
        except SendEventsError as error:
            if isinstance(error.__cause__, TransportError):
                hint = ": is the dev server running?" if is_dev or (is_dev is None and _is_local(where)) else ""
                fail(f"{error}{hint}", UNREACHABLE)
            if error.status is not None and _is_app(where):
                fail(f"{where} is an app, which takes no events: give --to dev, or the address of the dev server")
            raise
    if as_json:
        print_json({"id": sent, "name": name, "to": where})
    else:
        click.echo(printable(sent))
    return 0


def _destination(to: str | None) -> tuple[bool | None, str | None]:
    """Whether it is a dev server, and the origin; None for what the environment decides."""
    if to is None:
        return None, None
    if to == "dev":
        return True, dev_server(os.environ)
    if to == "cloud":
        return False, _CLOUD
    if not to.startswith(("http://", "https://")):
        hint = f": write http://{to}" if _HOST_AND_PORT.fullmatch(to) else ""
        raise click.BadParameter(f"{to!r} is neither dev nor cloud nor a URL{hint}", param_hint="--to")
    # A key is sent if there is one, and whoever is there says whether it takes events without.
    return True, to


def _is_app(origin: str) -> bool:
    """Whether an app answers there, of any SDK, which takes calls and no events."""
    try:
        with http_endpoint(_LOOK_SECONDS) as endpoint:
            return SDK in {name.lower() for name in endpoint("GET", origin, {}, b"").headers}
    except UnreachableError:
        return False


def _is_local(origin: str) -> bool:
    return "://127.0.0.1" in origin or "://localhost" in origin


def read_document(option: str, text: str | None) -> dict[str, Any] | None:
    """The object that an option gives as JSON, as a file of it, or on stdin; None if it was not given.

    Raises:
        click.BadParameter: It is none.
    """
    if text is None:
        return None
    where = text.removeprefix("@") if text.startswith("@") else "stdin" if text == "-" else "it"
    try:
        source = Path(where).read_bytes() if text.startswith("@") else None
    except OSError as error:
        raise click.BadParameter(f"{where} cannot be read: {error.strerror}", param_hint=option) from None
    try:
        document = json.loads(source if source is not None else sys.stdin.read() if text == "-" else text)
    except ValueError as error:
        raise click.BadParameter(f"{where} is not JSON: {error}", param_hint=option) from None
    if not isinstance(document, dict):
        raise click.BadParameter(f"{where} is {_kind(document)}: it must be an object, {{...}}", param_hint=option)
    return document


def _kind(value: object) -> str:
    return {list: "a list", str: "a text", bool: "true or false", type(None): "null"}.get(type(value), "a number")
