"""The commands in this process: what they print, and how they end."""

from __future__ import annotations

import json
import os
import socket
import sys
from hashlib import sha256

import click
import pytest
from click.testing import CliRunner

from inngest_serverless.cli.errors import EXIT_CODES, CommandError, report
from inngest_serverless.cli.group import COMMANDS, group
from inngest_serverless.errors import (
    ConfigurationError,
    EventValidationError,
    SendEventsError,
    TransportError,
)

KEY = "signkey-test-0123456789abcdef0123456789abcdef"
SHOP = """
    from inngest_serverless import (
        Concurrency, Throttle, create_function, cron_trigger, event_trigger, inngest_lambda
    )
    print("imported")

    @create_function(id="order", name="Orders", trigger=[event_trigger("shop/order", "event.data.n > 1"),
                     cron_trigger("0 9 * * *")], retries=2, concurrency=[Concurrency(3), Concurrency(1, key="event.user.id")],
                     throttle=Throttle(5, "1m"))
    def order(ctx):
        print("called")

    @create_function(id="é", trigger=event_trigger("shop/[red]other[/red]"))
    def other(ctx): ...

    handler = inngest_lambda([order, other], app_id="shop")
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Runs a command in the folder of the modules; ``ConfigurationError`` and the like end as they do in a shell."""
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments, stdin=None):
        # A command changes the environment of the process, which it has for itself otherwise.
        before = dict(os.environ)
        try:
            return CliRunner().invoke(group, list(arguments), input=stdin, prog_name="inngest-serverless")
        finally:
            os.environ.clear()
            os.environ.update(before)

    return invoke


class TestFunctions:
    def test_table(self, run, write):
        done = run("functions", f"{write(SHOP)}.handler")
        assert done.exit_code == 0
        assert done.stdout == (
            "ID          triggers                        retries  flow control\n"
            "shop-order  shop/order if event.data.n > 1  2        concurrency: limit 3; limit 1, key event.user.id\n"
            "            cron 0 9 * * *                           throttle: limit 5, period 1m\n"
            "shop-é      shop/[red]other[/red]           4        -\n"
            "\n"
            "app shop, aws-lambda, 2 functions\n"
            "served at the address that each request names (set INNGEST_SERVE_ORIGIN to fix it)\n"
        )
        assert done.stderr == "imported\n", "what the target prints is not the command's output"

    def test_json(self, run, write, monkeypatch):
        monkeypatch.setenv("INNGEST_SERVE_ORIGIN", "https://shop.example")
        name = write(SHOP)
        done = run("functions", f"{name}:handler", "--json")
        document = json.loads(done.stdout)
        assert {key: value for key, value in document.items() if key != "functions"} == {
            "target": f"{name}:handler",
            "kind": "lambda",
            "app_id": "shop",
            "framework": "aws-lambda",
            "serve_url": "https://shop.example/api/inngest",
        }
        assert document["functions"][0] == {
            "id": "shop-order",
            "name": "Orders",
            "triggers": [{"event": "shop/order", "expression": "event.data.n > 1"}, {"cron": "0 9 * * *"}],
            "retries": 2,
            "flow_control": {
                "concurrency": [{"limit": 3}, {"key": "event.user.id", "limit": 1}],
                "throttle": {"limit": 5, "period": "1m"},
            },
            "url": "https://shop.example/api/inngest?fnId=shop-order&stepId=step",
        }

    @pytest.mark.parametrize(
        "settings",
        [
            {"INNGEST_DEV": "1"},
            {"INNGEST_SIGNING_KEY": KEY},
            {"INNGEST_SIGNING_KEY_FALLBACK": KEY},
            {"INNGEST_ALLOW_IN_BAND_SYNC": "0"},
            {"INNGEST_SECRET_ARN": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:inngest"},
            {"INNGEST_SERVE_PATH": "/elsewhere"},
        ],
        ids=lambda settings: next(iter(settings)),
    )
    def test_whatever_the_settings(self, settings, run, write, monkeypatch):
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        assert run("functions", f"{write(SHOP)}:handler").exit_code == 0

    def test_what_cannot_be_synced_is_listed_with_a_note(self, run, write):
        done = run("functions", f"{write(SHOP.replace('event.data.n > 1', 'data.n > 1'))}:handler")
        assert done.exit_code == 0
        assert done.stdout.count("note: this cannot be synced: function 'shop-order': ") == 1
        assert "did you mean event.data.n?" in done.stdout

    def test_nothing_leaves(self, run, write):
        """Not even from an app that registers itself whatever it is asked."""
        with socket.socket() as api:
            api.bind(("127.0.0.1", 0))
            api.listen()
            api.setblocking(False)
            options = f"app_id='shop', allow_in_band_sync=False, api_base_url='http://127.0.0.1:{api.getsockname()[1]}'"
            done = run("functions", f"{write(f'{SHOP}    insists = inngest_lambda([order], {options})')}:insists")
            with pytest.raises(BlockingIOError):
                api.accept()
        assert done.exit_code == 2
        assert "the app did not give its registration: Inngest was not reached" in done.stderr


class TestHowCommandsEnd:
    @pytest.mark.parametrize(
        ("arguments", "line"),
        [
            (["functions"], "Missing argument 'TARGET'. (see inngest-serverless functions --help)"),
            (["bake"], "No such command 'bake'. (see inngest-serverless --help)"),
            (["functions", "no_such_module_here.handler"], "target 'no_such_module_here.handler': there is no module no_such_module_here in {cwd}: start in the folder that has it"),
            (["functions", "x", "--jsn"], "No such option '--jsn'. Did you mean '--json'? (see inngest-serverless functions --help)"),
            (["send", "a/b", "--data", "{"], "Invalid value for --data: it is not JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1) (see inngest-serverless send --help)"),
            (["send", "a/b", "--data", "[1]"], "Invalid value for --data: it is a list: it must be an object, {{...}} (see inngest-serverless send --help)"),
            (["send", "a/b", "--data", "@nowhere.json"], "Invalid value for --data: nowhere.json cannot be read: No such file or directory (see inngest-serverless send --help)"),
            (["send", "a/b", "--data", "-", "--user", "-"], "stdin can be read once only: give --data or --user in another way (see inngest-serverless send --help)"),
            (["send", "a/b", "--to", "mars"], "Invalid value for --to: 'mars' is neither dev nor cloud nor a URL (see inngest-serverless send --help)"),
            (["send", "a/b", "--to", "localhost:8288"], "Invalid value for --to: 'localhost:8288' is neither dev nor cloud nor a URL: write http://localhost:8288 (see inngest-serverless send --help)"),
            (["send", "a/b", "--to", "cloud"], "no event key: set INNGEST_EVENT_KEY, or INNGEST_DEV=1 to work with a dev server"),
            (["send", "", "--to", "dev"], "an event without a name cannot be sent: give it name='app/thing.happened'"),
            (["sync"], "nothing to register: give --url URL or a TARGET (see inngest-serverless sync --help)"),
            (["sync", "a:b"], "the app's public URL is not known: give it as --url, or set INNGEST_SERVE_ORIGIN (see inngest-serverless sync --help)"),
            (["sync", "a:b", "--in-band", "--url", "https://x.y"], "--in-band is for an app that is deployed: leave out TARGET (see inngest-serverless sync --help)"),
            (["sync", "--in-band", "--url", "https://x.y"], "--in-band needs the app's signing key: set INNGEST_SIGNING_KEY (see inngest-serverless sync --help)"),
            (["sync", "--url", "x.y/z"], "Invalid value for --url: 'x.y/z' is no URL: write it in full, https://host/path (see inngest-serverless sync --help)"),
            (["doctor", "--url", "http://x.y", "--timeout", "0"], "Invalid value for '--timeout': 0.0 is not in the range x>0. (see inngest-serverless doctor --help)"),
        ],
        ids=lambda value: " ".join(value)[:40] if isinstance(value, list) else "",
    )  # fmt: skip
    def test_wrong_usage_is_one_line(self, arguments, line, run, tmp_path):
        done = run(*arguments)
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr == f"inngest-serverless: {line.format(cwd=tmp_path)}\n"

    def test_a_fault_of_the_commands_own(self, run, monkeypatch):
        monkeypatch.setattr("inngest_serverless.cli.send.Client", lambda **_: {}["x"])
        done = run("send", "a/b", "--to", "dev")
        assert (done.exit_code, done.stdout) == (4, "")
        assert done.stderr.startswith("inngest-serverless: unexpected KeyError: 'x' (test_commands.py, line ")
        assert done.stderr.count("\n") == 1

    def test_interrupted(self, run, monkeypatch):
        def interrupt(**_):
            raise KeyboardInterrupt

        monkeypatch.setattr("inngest_serverless.cli.send.Client", interrupt)
        done = run("send", "a/b", "--to", "dev")
        assert (done.exit_code, done.stderr.strip()) == (130, "interrupted")

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (click.UsageError("x"), 2),
            (click.ClickException("x"), 2),
            (ConfigurationError("x"), 2),
            (EventValidationError("x"), 2),
            (TransportError("x"), 3),
            (SendEventsError("x", []), 1),
            (CommandError("x", 3), 3),
            (ValueError("x"), 4),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_exit_codes(self, error, code):
        assert report(error)[1] == code
        assert code in EXIT_CODES


class TestHelp:
    @pytest.mark.parametrize("arguments", [["--help"], ["-h"], []], ids=["--help", "-h", "nothing"])
    def test_lists_commands_and_exit_codes(self, arguments, run):
        done = run(*arguments)
        assert not done.stderr, "the help is what was asked for, not an error in one line"
        words = " ".join(done.stdout.split())
        for name, short in COMMANDS.items():
            assert f"{name} {short}" in words
        for code, meaning in EXIT_CODES.items():
            assert f"{code} {meaning}" in words

    def test_loads_no_command(self):
        loaded = {name: module for name, module in sys.modules.items() if name.startswith("inngest_serverless.cli.")}
        for name in loaded:
            del sys.modules[name]
        try:
            import importlib

            fresh = importlib.import_module("inngest_serverless.cli.group").group
            CliRunner().invoke(fresh, ["--help"])
            now = {name.rpartition(".")[2] for name in sys.modules if name.startswith("inngest_serverless.cli.")}
        finally:
            for name in [name for name in sys.modules if name.startswith("inngest_serverless.cli.")]:
                del sys.modules[name]
            sys.modules.update(loaded)
        assert now == {"group", "errors"}

    @pytest.mark.parametrize("name", ["functions", "send", "sync", "doctor"])
    def test_short_help_is_the_commands_own(self, name):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        assert command.short_help == COMMANDS[name]
        assert command.name == name
        assert "--json" in {option for param in command.params for option in param.opts}, "every command has --json"

    def test_version(self, run):
        from inngest_serverless import __version__

        assert run("--version").stdout == f"inngest-serverless {__version__}\n"


class TestDoctor:
    """Of the settings and of a target; of deployed apps: tests/integration/test_cli_doctor.py."""

    @pytest.mark.parametrize(
        ("settings", "check", "level", "part"),
        [
            ({}, "signing-key", "warning", "INNGEST_SIGNING_KEY is not set, in cloud mode"),
            ({}, "event-key", "note", "INNGEST_EVENT_KEY is not set"),
            ({"INNGEST_DEV": "localhost:8288"}, "dev-origin", "warning", "which is no origin"),
            ({"INNGEST_DEV": "1", "INNGEST_STREAMING": "allow"}, "streaming", "problem", "INNGEST_STREAMING is set"),
            ({"INNGEST_SIGNING_KEY": "signkey-prod-xyz"}, "signing-key-form", "problem", "not hexadecimal"),
            ({"INNGEST_SIGNING_KEY_FALLBACK": "x"}, "signing-key-form", "problem", "INNGEST_SIGNING_KEY_FALLBACK"),
            ({"INNGEST_EVENT_KEY": KEY}, "event-key-form", "problem", "holds a signing key"),
            ({"INNGEST_EVENT_KEY": "abc\n"}, "event-key-form", "problem", "a blank or a line break"),
            ({"INNGEST_API_BASE_URL": "inngest.internal"}, "origin-form", "problem", "INNGEST_API_BASE_URL"),
            ({"INNGEST_SIGNINGKEY": "x"}, "spelling", "warning", "INNGEST_SIGNINGKEY is set, which nothing reads"),
            ({"INNGEST_SECRET_ARN": "arn:x"}, "secret", "note", "comes from INNGEST_SECRET_ARN"),
            ({"INNGEST_DEV": "1"}, "settings", "ok", "the settings fit together (dev mode)"),
        ],
    )
    def test_settings(self, settings, check, level, part, run, monkeypatch):
        for name, value in settings.items():
            monkeypatch.setenv(name, value)
        done = run("doctor", "--json")
        document = json.loads(done.stdout)
        [found] = [finding for finding in document["findings"] if finding["check"] == check]
        assert (found["level"], part in found["what"]) == (level, True), found
        assert done.exit_code == (1 if any(each["level"] == "problem" for each in document["findings"]) else 0)
        assert document["ok"] is (done.exit_code == 0)
        assert level == "ok" or found["do"] or level == "note"

    def test_secrets_are_hashes(self, run, monkeypatch):
        monkeypatch.setenv("INNGEST_SIGNING_KEY", KEY)
        monkeypatch.setenv("INNGEST_EVENT_KEY", "event-key-secret")
        text = run("doctor").stdout
        variables = json.loads(run("doctor", "--json").stdout)["settings"]["variables"]
        event_hash = sha256(b"event-key-secret").hexdigest()[:12]
        signing_hash = sha256(bytes.fromhex(KEY.rpartition("-")[2])).hexdigest()[:12]
        assert variables == {"INNGEST_EVENT_KEY": f"hash {event_hash}", "INNGEST_SIGNING_KEY": f"hash {signing_hash}"}
        assert f"hash {signing_hash}" in text
        assert KEY.rpartition("-")[2] not in text
        assert "event-key-secret" not in text

    def test_passwords_in_origins_are_not_shown(self, run, write, monkeypatch):
        for name in ("INNGEST_DEV", "INNGEST_API_BASE_URL", "INNGEST_SERVE_ORIGIN"):
            monkeypatch.setenv(name, "http://shop:geheim@127.0.0.1:9")
        target = f"{write(SHOP)}:handler"
        for text in (run("doctor", target).stdout, run("doctor", target, "--json").stdout):
            assert "geheim" not in text
            assert text.count("http://***@127.0.0.1:9") >= 6, "the origins themselves are to be shown"

    def test_target(self, run, write, monkeypatch):
        monkeypatch.setenv("INNGEST_SIGNING_KEY", KEY)
        monkeypatch.setenv("INNGEST_SERVE_ORIGIN", "http://shop.example")
        name = write(SHOP)
        document = json.loads(run("doctor", f"{name}:handler", "--json").stdout)
        assert document["target"] == {
            "target": f"{name}:handler",
            "kind": "lambda",
            "app_id": "shop",
            "app_version": None,
            "env": None,
            "framework": "aws-lambda",
            "mode": "cloud",
            "api_origin": "https://api.inngest.com",
            "functions": ["shop-order", "shop-é"],
            "serve_url": "http://shop.example/api/inngest",
        }
        [found] = [finding for finding in document["findings"] if finding["check"] == "serve-url"]
        assert found["what"] == "Inngest will call http://shop.example/api/inngest, without TLS"

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ("trigger=event_trigger('a/b', 'event.data.x = 1')", "the condition 'event.data.x = 1' is not CEL"),
            ("trigger=cron_trigger('TZ=Europe/Pariss 0 3 * * *')", "there is no time zone 'Europe/Pariss'"),
            ("trigger=event_trigger('a/b'), idempotency='data.id'", "did you mean event.data.id?"),
        ],
    )
    def test_target_that_cannot_be_synced(self, options, told, run, write):
        """Which loads, as what is wrong is for an engine to read."""
        name = write(SHOP.replace('id="é", trigger=event_trigger("shop/[red]other[/red]")', f'id="é", {options}'))
        done = run("doctor", f"{name}:handler", "--json")
        [found] = [each for each in json.loads(done.stdout)["findings"] if each["check"] == "registration"]
        assert found["level"] == "problem"
        assert found["what"].startswith("function 'shop-é': ")
        assert told in found["what"]
        assert done.exit_code == 1

    @pytest.mark.parametrize("missing", ["cel", "cronsim"])
    def test_what_cannot_be_checked_is_a_note(self, missing, run, write, monkeypatch):
        monkeypatch.setitem(sys.modules, missing, None)
        # Expressions that were read before are known.
        name = write(SHOP.replace("event.data.n", "event.data.read_here_only"))
        done = run("doctor", f"{name}:handler", "--json")
        [found] = [each for each in json.loads(done.stdout)["findings"] if each["check"] == "registration"]
        assert (found["level"], done.exit_code) == ("note", 0)
        assert "pip install 'inngest-serverless[dev]'" in found["what"]

    def test_target_that_does_not_load(self, run, write):
        name = write("raise LookupError('TABLE')")
        done = run("doctor", f"{name}:handler")
        assert done.exit_code == 1
        assert f"problem target '{name}:handler': importing {name} raised LookupError: TABLE" in done.stdout

    def test_text(self, run, monkeypatch):
        monkeypatch.setenv("INNGEST_EVENT_KEY", KEY)
        assert run("doctor").stdout.splitlines()[-1] == "1 problem, 1 warning"


class TestWithoutTheExtra:
    @pytest.mark.parametrize("missing", ["click", "rich"])
    def test_it_says_what_to_install(self, missing, monkeypatch, capsys):
        from inngest_serverless.cli import main

        monkeypatch.setitem(sys.modules, missing, None)
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == 2
        printed = capsys.readouterr()
        assert (printed.out, printed.err.count("\n")) == ("", 1)
        assert "pip install 'inngest-serverless[dev]'" in printed.err
