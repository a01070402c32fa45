"""The command line as it is installed, in processes of its own, against servers that really listen."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys

import pytest
from cli_server import COMMAND, KEY, OTHER_KEY, PATH, ROOT, app, reply, run_command, served

from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.engine import Engine

pytestmark = pytest.mark.integration


@pytest.fixture
def api():
    """A server that apps register with and events go to; it wants the signing key."""

    def endpoint(*_):
        raise AssertionError("nobody is called")

    engine = Engine(endpoint, signing_key=KEY)
    with LocalApi(engine) as local_api:
        yield local_api, engine


class TestSend:
    def events(self, requests):
        """An event API that keeps what it is sent."""

        def endpoint(method, url, headers, body):
            requests.append((method, url.partition("127.0.0.1")[2].partition("/")[2], headers, json.loads(body)))
            ids = [f"id-{number}" for number, _ in enumerate(json.loads(body))]
            return reply(200, json.dumps({"ids": ids, "status": 200}))

        return endpoint

    def test_everything_about_an_event(self, tmp_path):
        (tmp_path / "data.json").write_text('{"name": "Zoë"}', encoding="utf-8")
        requests = []
        arguments = ["--data", "@data.json", "--user", "-", "--id", "order-1", "--env", "feature"]
        with served(self.events(requests)) as origin:
            ran = run_command(
                "send", "shop/order", *arguments, "--to", origin, cwd=tmp_path, stdin='{"id": 7}', INNGEST_EVENT_KEY="k"
            )
        assert (ran.returncode, ran.stdout, ran.stderr) == (0, "id-0\n", "")
        [(method, path, headers, [event])] = requests
        assert (method, path) == ("POST", "e/k")
        assert {name.lower(): value for name, value in headers.items()}["x-inngest-env"] == "feature"
        assert event.pop("ts") > 0
        assert event == {"name": "shop/order", "data": {"name": "Zoë"}, "user": {"id": 7}, "id": "order-1"}

    def test_json(self):
        with served(self.events([])) as origin:
            ran = run_command("send", "a/b", "--data", "{}", "--json", INNGEST_DEV=origin)
        assert json.loads(ran.stdout) == {"id": "id-0", "name": "a/b", "to": origin}

    def test_a_dev_server_gets_no_real_key(self):
        requests = []
        with served(self.events(requests)) as origin:
            ran = run_command("send", "a/b", "--to", "dev", INNGEST_DEV=origin, INNGEST_EVENT_KEY="real")
        assert ran.returncode == 0
        assert requests[0][1] == "e/dev"

    def test_to_the_local_engine(self, api):
        local_api, _ = api
        ran = run_command("send", "a/b", "--to", local_api.origin)
        assert (ran.returncode, len(ran.stdout.strip())) == (0, 26), ran

    def test_refused(self):
        with served(lambda *_: reply(401, '{"error": "Event key not found", "status": 401}')) as origin:
            ran = run_command("send", "a/b", "--to", origin, "--json", INNGEST_EVENT_KEY="secret-key")
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr == (
            "inngest-serverless: 0 of 1 events were sent: the event API answered 401: Event key not found\n"
        )

    def test_nobody_there(self):
        ran = run_command("send", "a/b", "--to", "dev", INNGEST_DEV="http://127.0.0.1:9")
        assert (ran.returncode, ran.stdout) == (3, "")
        assert ran.stderr == (
            "inngest-serverless: 0 of 1 events were sent: no reply from 127.0.0.1:9 (ConnectError): "
            "is the dev server running?\n"
        )


class TestSync:
    def test_a_deployed_app_registers_itself(self, api):
        local_api, engine = api
        with served(app(api_base_url=local_api.origin)) as origin:
            first = run_command("sync", "--url", origin + PATH, INNGEST_SIGNING_KEY=KEY)
            second = run_command("sync", "--url", origin + PATH, "--json", INNGEST_SIGNING_KEY=KEY)
        assert (first.returncode, first.stdout) == (0, f"{origin}{PATH}: synced (changed)\n"), first
        assert json.loads(second.stdout) == {
            "url": origin + PATH,
            "how": "out-of-band",
            "synced": True,
            "modified": False,
            "message": "synced",
        }
        assert engine.functions["app-fn"].url == f"{origin}{PATH}?fnId=app-fn&stepId=step"

    def test_inngests_own_message(self):
        refusal = reply(400, '{"error": "Function limit reached for your plan"}')
        with served(lambda *_: refusal) as inngest, served(app(api_base_url=inngest)) as origin:
            ran = run_command("sync", "--url", origin + PATH, INNGEST_SIGNING_KEY=KEY)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert ran.stderr == (
            f"inngest-serverless: {origin}{PATH} was not synced: Function limit reached for your plan\n"
        )

    def test_in_band(self, api):
        """The app itself reaches nobody; this command brings its registration to Inngest."""
        local_api, engine = api
        settings = {"INNGEST_SIGNING_KEY": KEY, "INNGEST_API_BASE_URL": local_api.origin}
        with served(app(api_base_url="http://127.0.0.1:9", app_version="1.2")) as origin:
            ran = run_command("sync", "--url", origin + PATH, "--in-band", "--json", **settings)
        assert json.loads(ran.stdout) == {
            "url": origin + PATH,
            "how": "in-band",
            "synced": True,
            "modified": True,
            "message": "synced",
        }
        assert list(engine.functions) == ["app-fn"]

    def test_what_in_band_registers(self):
        """The same as the app does by itself."""
        got = []

        def inngest(method, url, headers, body):
            got.append((headers["authorization"], json.loads(body)))
            return reply(200, '{"ok": true, "modified": true}')

        with served(inngest) as api_origin, served(app(api_base_url=api_origin)) as origin:
            settings = {"INNGEST_SIGNING_KEY": KEY, "INNGEST_API_BASE_URL": api_origin}
            assert run_command("sync", "--url", origin + PATH, **settings).returncode == 0
            assert run_command("sync", "--url", origin + PATH, "--in-band", **settings).returncode == 0
        [by_itself, by_us] = got
        assert by_us == by_itself

    def test_in_band_where_inngest_is_not_reached(self):
        with served(app()) as origin:
            settings = {"INNGEST_SIGNING_KEY": KEY, "INNGEST_API_BASE_URL": "http://127.0.0.1:9"}
            ran = run_command("sync", "--url", origin + PATH, "--in-band", **settings)
        assert (ran.returncode, ran.stdout) == (3, "")
        assert ran.stderr == "inngest-serverless: Inngest was not reached: no reply from 127.0.0.1:9 (ConnectError)\n"

    @pytest.mark.parametrize("how", [[], ["--in-band"]], ids=["out-of-band", "in-band"])
    def test_another_key(self, how):
        with served(app(signing_key=OTHER_KEY)) as origin:
            ran = run_command("sync", "--url", origin + PATH, *how, INNGEST_SIGNING_KEY=KEY)
        assert (ran.returncode, ran.stdout) == (1, "")
        assert "INNGEST_SIGNING_KEY" in ran.stderr

    def test_no_app(self):
        with served(lambda *_: reply(403, "<html>")) as origin:
            ran = run_command("sync", "--url", origin, "--json")
        assert ran.returncode == 1
        message = "what answers is no app (HTTP status 403); inngest-serverless doctor --url finds out why"
        assert json.loads(ran.stdout)["message"] == message
        assert ran.stderr == f"inngest-serverless: {origin} was not synced: {message}\n"

    def test_redirect(self):
        with served(lambda *_: reply(301, "", location="https://www.x.example/")) as origin:
            ran = run_command("sync", "--url", origin)
        assert ran.returncode == 1
        assert "it redirects to https://www.x.example/" in ran.stderr

    def test_nobody_there(self):
        ran = run_command("sync", "--url", "http://127.0.0.1:9/api/inngest")
        assert (ran.returncode, ran.stdout) == (3, "")
        assert ran.stderr == "inngest-serverless: no reply from 127.0.0.1:9: the connection was refused\n"

    def test_a_target(self, api, tmp_path):
        """It registers itself with the server of its own settings, under the URL that is given."""
        local_api, engine = api
        settings = {"INNGEST_DEV": local_api.origin, "INNGEST_SIGNING_KEY": KEY}
        url = "https://shop.example/api/inngest"
        ran = run_command("sync", "handlers.aws_http.handler", "--url", url, **settings)
        assert (ran.returncode, ran.stdout) == (0, f"{url}: synced (changed)\n"), ran
        assert engine.functions["core-account-created"].url.startswith(url)
        ran = run_command("sync", "handlers.aws_http.handler", INNGEST_SERVE_ORIGIN="https://x.example", **settings)
        assert ran.stdout == "https://x.example/api/inngest: synced (changed)\n", ran

    def test_a_target_whose_server_is_not_there(self):
        ran = run_command(
            "sync", "handlers.aws_http.handler", "--url", "https://x.y/", INNGEST_DEV="http://127.0.0.1:9"
        )
        assert (ran.returncode, ran.stdout) == (1, "")
        assert "https://x.y/ was not synced: Inngest was not reached: no reply from 127.0.0.1:9" in ran.stderr


class TestTheProcess:
    def test_functions(self):
        ran = run_command("functions", "handlers/gcp_http.py:handler", "--json")
        document = json.loads(ran.stdout)
        assert (document["kind"], document["framework"]) == ("gcf", "google-cloud-functions")
        assert [function["id"] for function in document["functions"]] == ["core-account-created"]
        assert ran.stderr == ""

    def test_as_a_module(self):
        ran = subprocess.run(
            [sys.executable, "-m", "inngest_serverless", "--help"], cwd=ROOT, capture_output=True, text=True, check=True
        )
        assert ran.stdout == run_command("--help").stdout
        assert ran.stdout.startswith("Usage: inngest-serverless [OPTIONS] COMMAND")

    def test_help_loads_little(self):
        """Everybody waits for it: none of what commands need is loaded."""
        program = "import sys; from inngest_serverless.cli import main\ntry: main()\nfinally: print(*sys.modules)"
        command = [sys.executable, "-c", program, "--help"]
        ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 - this program
        loaded = set(ran.stdout.splitlines()[-1].split())
        heavy = {"httpx", "flask", "starlette", "pydantic", "rich.console", "inngest_serverless.local.targets"}
        assert "inngest_serverless.cli.group" in loaded
        assert not loaded & heavy

    @pytest.mark.parametrize(
        ("env", "has_colours"),
        [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
        ids=["", "NO_COLOR", "dumb"],
    )
    def test_colours_on_a_terminal(self, env, has_colours):
        assert ("\x1b[33m" in on_a_terminal("doctor", **env)) is has_colours

    def test_no_colours_in_a_pipe(self):
        ran = run_command("doctor", TERM="xterm-256color")
        assert "\x1b" not in ran.stdout

    def test_long_lines_stay_whole_in_a_pipe(self):
        ran = run_command("doctor", COLUMNS="40")
        [why] = [line for line in ran.stdout.splitlines() if "an app with these settings" in line]
        assert why.endswith("no signature can be checked from here")

    def test_who_reads_may_stop_early(self):
        pipe = subprocess.Popen(  # noqa: S603 - our own command
            [str(COMMAND), "functions", "handlers.aws_http.handler", "--json"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert pipe.stdout is not None
        assert pipe.stderr is not None
        pipe.stdout.close()
        assert (pipe.stderr.read(), pipe.wait()) == (b"", 1)
        pipe.stderr.close()


def on_a_terminal(*arguments, **env):
    """What the command writes to a terminal."""
    ours, theirs = pty.openpty()
    keep = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), "TERM": "xterm"}
    process = subprocess.Popen(  # noqa: S603 - our own command
        [str(COMMAND), *arguments], stdout=theirs, stderr=theirs, env={**keep, **env}, cwd=ROOT
    )
    os.close(theirs)
    written = b""
    try:
        while chunk := os.read(ours, 4096):
            written += chunk
    except OSError:
        pass  # Linux ends a terminal's output so
    os.close(ours)
    process.wait()
    return written.decode()
