"""The routes of the local engine's API: what is there for everybody, what apps ask for, and what the page does."""

from __future__ import annotations

import json
from importlib.resources import files
from secrets import compare_digest
from typing import TYPE_CHECKING, Any, NamedTuple

from inngest_serverless.local.page_api import PageApi
from inngest_serverless.local.refusals import RefusedError
from inngest_serverless.local.sdk_api import answer, answered, split_target
from inngest_serverless.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from inngest_serverless.local.core import EngineCore
    from inngest_serverless.local.cost import Size

__all__ = ["Reply", "Request", "Routes", "refuse"]

_SEED_HEADER = "X-Inngest-Event-Id-Seed"
_JSON = "application/json"
_TYPES = {
    "css": "text/css; charset=utf-8",
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_OK, _UNAUTHORIZED, _NOT_FOUND, _UNSUPPORTED_TYPE, _FAULT = 200, 401, 404, 415, 500


class Reply(NamedTuple):
    """What to answer."""

    status: int
    body: bytes
    content_type: str = _JSON


class Request(NamedTuple):
    """What was asked.

    Attributes:
        method: The method.
        target: The path, perhaps with a query.
        headers: The headers, with names as in ``Content-Type``.
        body: The body.
    """

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


class Routes:
    """Answers requests.

    Args:
        engine: The engine.
        schemas: JSON schemas of the data of events, by name.
        size: What costs are counted with.
        token: What the page may show instead of the engine's signing key.
    """

    def __init__(self, engine: EngineCore, schemas: Mapping[str, Any], size: Size, token: str) -> None:
        self._engine = engine
        self._page = PageApi(engine, schemas, size)
        self._token = token
        self._files = _page_files()

    def serve(self, request: Request) -> Reply:
        """Answer a request."""
        method, target, headers, body = request
        path = target.partition("?")[0]
        if method == "GET" and path in self._files:
            return self._files[path]
        if method == "GET" and path == "/health":
            return _json(_OK, {"status": _OK, "message": "OK"})
        if method == "GET" and path == "/dev":
            return _json(_OK, {"version": f"inngest-serverless {__version__}", "functions": [], "handlers": []})
        if not (method == "POST" and path.startswith("/e/")) and not self._has_key(headers):
            return refuse(_UNAUTHORIZED, "the signing key is missing or wrong")
        if path.startswith("/page/"):
            return _json(*answered(lambda: self._ask_page(request)))
        return _json(*answer(self._engine, method, target, body, seed=headers.get(_SEED_HEADER)))

    def _has_key(self, headers: Mapping[str, str]) -> bool:
        key = self._engine.key
        if key is None:
            return True
        given = headers.get("Authorization", "").encode()
        accepted = (key.bearer(), f"Bearer {key.hashed()}", f"Bearer {self._token}")
        return any(compare_digest(given, each.encode()) for each in accepted)

    def _ask_page(self, request: Request) -> Any:
        path, query = split_target(request.target)
        if request.method == "GET":
            return self._page.get(path[1:], query)
        # A form of another page cannot send JSON without asking first, and nobody answers that.
        if request.headers.get("Content-Type", "").partition(";")[0].strip().lower() != _JSON:
            raise RefusedError("the page sends JSON, with Content-Type: application/json", _UNSUPPORTED_TYPE)
        if request.method != "POST":
            raise RefusedError(f"the page has no {request.method}", _NOT_FOUND)
        return self._page.post(path[1:], json.loads(request.body))


def refuse(status: int, message: str) -> Reply:
    """An error, in the official server's form."""
    return _json(status, {"error": message, "status": status})


def _json(status: int, document: Any) -> Reply:
    if document is None:
        return Reply(status, b"")
    try:
        return Reply(status, json.dumps(document, allow_nan=False).encode())
    except ValueError:
        return refuse(_FAULT, "the answer holds a number that JSON does not know: NaN, or an infinity")


def _page_files() -> dict[str, Reply]:
    """The page's files, by their paths."""
    found: dict[str, Reply] = {}
    for file in files("inngest_serverless.local").joinpath("page").iterdir():
        content_type = _TYPES.get(file.name.rpartition(".")[2])
        if content_type is not None:
            found[f"/page/{file.name}"] = Reply(_OK, file.read_bytes(), content_type)
    found["/"] = found.pop("/page/index.html")
    return found
