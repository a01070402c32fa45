"""What listens where keys might be told, and an API that quotes all that it is sent."""

from __future__ import annotations

import base64
import json
import logging
import threading
import traceback
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pprint import pformat
from urllib.parse import quote

KEYS = {
    "INNGEST_SIGNING_KEY": "signkey-test-" + "5eed0a1b" * 8,
    "INNGEST_SIGNING_KEY_FALLBACK": "signkey-test-" + "fa11bac4" * 8,
}
EVENT_KEY = "evt/QmZyZ3p+WlpRVlJz=="
CIPHER_KEY = "kN3vW8rT1yU6qX0pL5sD9fG2hJ4zC7bM"
MODEL_KEY = "sk-Vw7Xq2Lr9Tn4Kp6Hs3Jd8Fb1"


def tokens():
    """What the API takes in place of the keys: for its eyes only as well."""
    return [sha256(bytes.fromhex(key[-64:])).hexdigest() for key in KEYS.values()]


def pieces():
    """Every secret, in the forms that it could be told in, and parts of it."""
    for secret in [*(key[-64:] for key in KEYS.values()), EVENT_KEY, CIPHER_KEY, MODEL_KEY, *tokens()]:
        yield from (secret[start : start + 16] for start in range(0, len(secret) - 15, 4))
        yield quote(secret, safe="")[:16]
        yield base64.b64encode(secret.encode()).decode()[:16]


class Api:
    """Answers every request with one status, and with all that was in it."""

    def __init__(self):
        self.status = 400
        self.received = []
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)

    def _handler(api):  # noqa: N805 - the class inside has a self of its own
        class Handler(BaseHTTPRequestHandler):
            def answer(self):
                body = self.rfile.read(int(self.headers["Content-Length"] or 0)).decode()
                headers = {name.lower(): value for name, value in self.headers.items()}
                api.received.append((self.path, headers, body))
                if api.status == 0:
                    self.close_connection = True
                    return
                words = f"{self.command} {self.path} with {dict(self.headers)}"
                document = json.dumps({"error": words, "message": words, "status": api.status}).encode()
                self.send_response(api.status)
                self.send_header("Content-Length", str(len(document)))
                self.end_headers()
                self.wfile.write(document)

            do_GET = do_POST = do_PUT = answer  # noqa: N815 - the names that http.server asks for

            def log_message(self, *_):
                pass

        return Handler


class Ear(logging.Handler):
    """Hears everything: logs of all levels and libraries, and what a test tells it."""

    def __init__(self):
        super().__init__(logging.DEBUG)
        self.heard = []

    def emit(self, record):
        extra = {name: value for name, value in vars(record).items() if name not in {"exc_info", "args"}}
        self.heard += [logging.Formatter("%(message)s").format(record), repr(extra), repr(record.args)]

    def hear(self, *things):
        for thing in things:
            if isinstance(thing, BaseException):
                self.hear_error(thing)
            else:
                self.heard += [thing if isinstance(thing, str) else repr(thing), str(thing), pformat(thing)]

    def hear_error(self, error):
        """An error, with all that it came of, shown in a traceback or not."""
        self.heard.append("".join(traceback.format_exception(error)))
        seen = []
        while error is not None and error not in seen:
            seen.append(error)
            self.heard += [str(error), repr(error), repr(error.args), repr(getattr(error, "__notes__", ""))]
            if type(error).__module__.startswith("inngest_serverless"):
                self.heard.append(repr(vars(error)))
            error = error.__cause__ or error.__context__

    def attempt(self, call, *arguments, **options):
        """Do what may fail, and hear what comes of it."""
        try:
            result = call(*arguments, **options)
        except BaseException as error:  # noqa: BLE001 - whatever it is, it is heard
            self.hear(error)
        else:
            self.hear(result)

    def check(self, *more):
        """Nothing that was heard has anything of a secret in it."""
        everything = "\n".join([*self.heard, *more])
        told = {piece for piece in pieces() if piece in everything}
        places = [text[:300] for text in [*self.heard, *more] if any(piece in text for piece in told)]
        assert not told, places[:3]


def check_sent(api):
    """What left for the API: the event key in the path alone, the token in its header alone, and no key at all."""
    assert api.received
    bearers = [f"Bearer signkey-test-{token}" for token in tokens()]
    for path, headers, body in api.received:
        assert headers.pop("authorization", bearers[0]) in bearers
        rest = path.replace(f"/e/{quote(EVENT_KEY, safe='')}", "/e/")
        Ear().check(rest, repr(headers), body)
