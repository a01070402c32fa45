"""The dev server's smaller parts: changes of files, the address of the app, requests that are given up."""

from __future__ import annotations

import http.client
import os
import socket
import threading
from importlib.util import cache_from_source
from pathlib import Path
from py_compile import compile as compile_module

import pytest

from inngest_serverless.errors import InngestError, TransportError
from inngest_serverless.local.dev.changes import Changes
from inngest_serverless.local.dev.front import Front, PortTakenError
from inngest_serverless.local.dev.outbound import Outbound
from inngest_serverless.local.gateway import HttpReply


class TestChanges:
    @pytest.fixture
    def seen(self, tmp_path):
        """Files that a change of a folder tells of."""
        (tmp_path / "app").mkdir()
        (tmp_path / "app" / "main.py").write_text("1")

        def see(change):
            changes = Changes([tmp_path])
            change()
            found = changes.wait(threading.Event())
            return [path.removeprefix(f"{tmp_path}/") for path in found]

        return see

    @pytest.mark.parametrize(
        "name", ["app/main.py", "new.py", "app/settings.toml", ".env", "prod.env", ".env.local", "workflow.yaml"]
    )
    def test_code_and_settings(self, name, seen, tmp_path):
        assert seen(lambda: (tmp_path / name).write_text("22")) == [name]

    def test_the_time_alone_tells(self, seen, tmp_path):
        assert seen(lambda: os.utime(tmp_path / "app" / "main.py", (1, 1))) == ["app/main.py"]

    def test_what_is_gone(self, seen, tmp_path):
        assert seen((tmp_path / "app" / "main.py").unlink) == ["app/main.py"]

    @pytest.mark.parametrize(
        "name", ["data.json", "app/notes.md", ".git/x.py", "node_modules/x.py", "__pycache__/x.py", "venv/lib/x.py"]
    )
    def test_what_does_not_count(self, name, seen, tmp_path):
        (tmp_path / "venv").mkdir()
        (tmp_path / "venv" / "pyvenv.cfg").touch()
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)

        def change():
            path.write_text("2")
            (tmp_path / "last.py").write_text("2")

        assert seen(change) == ["last.py"]

    def test_the_wait_ends_when_nobody_waits_any_more(self, tmp_path):
        stopping = threading.Event()
        stopping.set()
        assert Changes([tmp_path]).wait(stopping) == []

    def test_several_are_told_at_once(self, seen, tmp_path):
        def change():
            for number in range(5):
                (tmp_path / f"m{number}.py").write_text("2")

        assert seen(change) == [f"m{number}.py" for number in range(5)]

    def test_what_python_has_compiled_is_forgotten(self, seen, tmp_path):
        path = tmp_path / "app" / "main.py"
        compile_module(str(path))
        compiled = Path(cache_from_source(str(path)))
        assert compiled.exists()
        seen(lambda: path.write_text("2"))
        assert not compiled.exists()


class TestFront:
    @pytest.fixture
    def ask(self):
        """Sends a request to a front whose app tells what it got."""

        def app(method, url, headers, body):
            if url.endswith("/broken"):
                raise InngestError("the code has to be mended")
            text = f"{method} {url} {sorted(headers.items())} {body!r}"
            return HttpReply(207, {"x-app": "1", "content-length": "0", "connection": "upgrade"}, text.encode())

        with Front(app, "127.0.0.1", 0) as front:

            def send(method, path, body=None, headers=(), host=None):
                connection = http.client.HTTPConnection(front.origin.removeprefix("http://"), timeout=20)
                connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
                for name, value in [("Host", host or connection.host), *headers]:
                    connection.putheader(name, value)
                connection.endheaders(body)
                reply = connection.getresponse()
                received = reply.status, dict(reply.getheaders()), reply.read().decode()
                connection.close()
                return received

            yield send

    def test_a_request_comes_as_it_was_sent(self, ask):
        headers = [("X-Two", "1"), ("x-two", "2"), ("Content-Length", "3")]
        status, received, text = ask("PUT", "/a%20b?c=d", b"\xff12", headers)
        assert (status, received["x-app"], received["Connection"]) == (207, "1", "close")
        expected = [("Content-Length", "3"), ("Host", "127.0.0.1"), ("X-Two", "1,2")]
        assert text == f"PUT http://127.0.0.1/a%20b?c=d {expected} " + repr(b"\xff12")

    def test_head(self, ask):
        status, headers, text = ask("HEAD", "/")
        assert (status, text) == (207, "")
        assert int(headers["Content-Length"]) > 0

    @pytest.mark.parametrize(
        ("status", "options"),
        [
            (403, {"host": "evil.example"}),
            (403, {"headers": [("Origin", "http://evil.example")]}),
            (411, {"headers": [("Transfer-Encoding", "chunked")], "body": b"1\r\nx\r\n0\r\n\r\n"}),
            (411, {"headers": [("Content-Length", "-1")]}),
            (413, {"headers": [("Content-Length", str(10**9))]}),
            (413, {"headers": [("Content-Length", "9" * 5000)]}),
        ],
        ids=["host", "origin", "chunked", "negative", "large", "endless"],
    )
    def test_what_is_refused(self, status, options, ask):
        assert ask("POST", "/", **options)[0] == status

    def test_an_app_that_cannot_be_reached(self, ask):
        status, _, text = ask("POST", "/broken", headers=[("Content-Length", "0")])
        assert (status, text) == (503, '{"message": "the code has to be mended"}')

    def test_a_port_that_is_taken(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            with pytest.raises(PortTakenError, match=r"cannot listen on 127.0.0.1:\d+: Address already in use"):
                Front(lambda *_: HttpReply(200, {}, b""), "127.0.0.1", other.getsockname()[1])


class TestOutbound:
    def test_requests_under_way_are_given_up(self):
        with socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            nobody.listen()
            url = f"http://127.0.0.1:{nobody.getsockname()[1]}/"
            problems = []

            def send():
                try:
                    outbound.send("GET", url, {}, b"")
                except TransportError as error:
                    problems.append(str(error))

            with Outbound() as outbound:
                sending = threading.Thread(target=send)
                sending.start()
                nobody.settimeout(20)
                connection, _ = nobody.accept()
            sending.join(20)
            connection.close()
            send()
        assert problems == ["the dev server is being stopped"] * 2

    def test_nobody_is_there(self):
        with Outbound() as outbound, socket.socket() as nobody:
            nobody.bind(("127.0.0.1", 0))
            url = f"http://user:secret@127.0.0.1:{nobody.getsockname()[1]}/"
            with pytest.raises(TransportError) as raised:
                outbound.send("GET", url, {}, b"")
        assert str(raised.value).startswith("no reply from 127.0.0.1:")
        assert "secret" not in str(raised.value)

    def test_no_proxy_stands_before_this_machine(self, monkeypatch):
        monkeypatch.setenv("HTTP_PROXY", "http://proxy.invalid:1")
        with Front(lambda *_: HttpReply(200, {}, b"direct"), "127.0.0.1", 0) as front, Outbound() as outbound:
            assert outbound.send("POST", front.origin, {"x-a": "1"}, b"2").body == b"direct"
