"""scripts/build_lambda: what it leaves out, that the rest works by itself, and what it says where it cannot."""

from __future__ import annotations

import hmac
import importlib.util
import json
import subprocess
import sys
import time
import zipfile
from contextlib import ExitStack
from importlib.metadata import distribution
from textwrap import dedent
from typing import TYPE_CHECKING, Any

import pytest
from aws_artifact import HERE_ARCHITECTURE, ROOT, RUNTIME

from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.engine import Engine
from inngest_serverless.local.gateway import to_lambda_event
from inngest_serverless.local.rie import LambdaRuntime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from inngest_serverless.local.gateway import HttpReply

pytestmark = pytest.mark.integration

SCRIPT = ROOT / "scripts" / "build_lambda_run.py"
# What an app without types takes at most, zipped.
UNTYPED_BYTES = 300_000
KEY = "0123456789abcdef" * 4
URL = "https://abc.lambda-url.eu-west-1.on.aws/api/inngest"
UNTYPED = """
    from inngest_serverless import create_function, event_trigger, inngest_lambda

    @create_function(id="greet", trigger=event_trigger("t/greet"))
    def greet(ctx):
        ctx.step.sleep("wait", "1s")
        found = ctx.step.wait_for_event("answer", event="t/answer", timeout="1s")
        sent = ctx.step.send_event("tell", {"name": "t/told", "data": {}})
        return [ctx.step.run("name", lambda: ctx.event.data["name"]), found, len(sent)]

    @create_function(id="greet-async", trigger=event_trigger("t/greet-async"))
    async def greet_async(ctx):
        sent = await ctx.step.send_event("tell", {"name": "t/told", "data": {}})
        return [await ctx.step.run("name", lambda: ctx.event.data["name"]), len(sent)]

    handler = inngest_lambda([greet, greet_async])
"""
TYPED = ("pydantic", "pydantic_core", "typing_extensions", "typing_inspection", "annotated-types")
HTTP = ("httpx", "httpcore", "anyio", "certifi", "h11", "idna")


class Apps:
    """Folders of apps, and what is built of them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = folder / "built" / "lambda"

    def make(self, source: str, *packages: str) -> Path:
        """An app with one module, ``app``, this toolkit, and packages of the development environment."""
        app = self.folder / "app"
        app.mkdir()
        (app / "app.py").write_text(dedent(source))
        (app / "inngest_serverless").symlink_to(ROOT / "inngest_serverless")
        for name in packages:
            found = distribution(name)
            for entry in {file.parts[0] for file in found.files or ()} - {"..", "__pycache__"}:
                (app / entry).symlink_to(str(found.locate_file(entry)))
        return app

    def build(self, *arguments: str, handler: str = "app.handler") -> subprocess.CompletedProcess[str]:
        """Build it for this interpreter and this processor, unless the arguments say otherwise."""
        here = ["--runtime", RUNTIME, "--architecture", HERE_ARCHITECTURE, "--output", str(self.output), "--installed"]
        command = [sys.executable, str(SCRIPT), handler, "--source", str(self.folder / "app"), *here, *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)  # noqa: S603 - ours

    @property
    def zip(self) -> Path:
        """The zip of what was built."""
        return self.output.with_name(f"{self.output.name}.zip")


@pytest.fixture
def apps(tmp_path: Path) -> Apps:
    return Apps(tmp_path)


@pytest.fixture(scope="module")
def untyped(tmp_path_factory: pytest.TempPathFactory) -> Apps:
    """The artifact of an app without types, built once."""
    made = Apps(tmp_path_factory.mktemp("untyped"))
    made.make(UNTYPED, *TYPED, *HTTP)
    ran = made.build("--untyped")
    assert (ran.stderr, ran.returncode) == ("", 0)
    return made


@pytest.fixture
def runtimes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


# What is in it.


def test_an_untyped_app_is_small_and_has_nothing_that_it_does_not_import(untyped: Apps) -> None:
    assert untyped.zip.stat().st_size <= UNTYPED_BYTES, "what does it have that no call imports?"
    assert sorted(path.name for path in untyped.output.iterdir()) == ["__pycache__", "app.py", "inngest_serverless"]
    toolkit = untyped.output / "inngest_serverless"
    assert not {path.name for path in toolkit.iterdir()} & {"local", "cli", "testing", "gcp"}
    assert {path.suffix for path in toolkit.rglob("*") if path.is_file()} == {".pyc"}
    # What a call may come to, deep inside of functions.
    for late in ("durations", "sync", "engine/async_steps", "engine/failure", "protocol/jcs", "plain_connections"):
        assert (toolkit / f"{late}.pyc").exists(), late


def test_it_is_compiled_for_where_it_will_lie_and_not_compared_with_sources(untyped: Apps) -> None:
    own = untyped.output / "__pycache__" / f"app.{sys.implementation.cache_tag}.pyc"
    for compiled, source in [(own, "app.py"), (untyped.output / "inngest_serverless" / "serve.pyc", "serve.py")]:
        data = compiled.read_bytes()
        assert data[:4] == importlib.util.MAGIC_NUMBER
        assert data[4:8] == b"\x01\0\0\0", "a hash that is not checked"
        assert b"/var/task/" in data
        assert source.encode() in data
        assert str(untyped.folder).encode() not in data


def test_the_zip_is_the_folder(untyped: Apps) -> None:
    with zipfile.ZipFile(untyped.zip) as archive:
        assert archive.testzip() is None
        packed = {info.filename: info for info in archive.infolist()}
    files = [path for path in untyped.output.rglob("*") if path.is_file()]
    assert set(packed) == {path.relative_to(untyped.output).as_posix() for path in files}
    assert all((info.external_attr >> 16) & 0o444 == 0o444 for info in packed.values()), "Lambda's user has to read it"


def test_a_typed_app_keeps_what_its_types_need(apps: Apps, bare_python: str, runtimes: ExitStack) -> None:
    apps.make(
        """
        from pydantic import BaseModel
        from inngest_serverless import Event, create_function, event_trigger, inngest_lambda

        class Name(BaseModel):
            name: str

        class Greeted(Event[Name], name="t/greet"): ...

        @create_function(id="greet", trigger=event_trigger(Greeted))
        def greet(ctx):
            return [ctx.step.run("name", lambda: ctx.event.data.name)]

        handler = inngest_lambda([greet])
        """,
        *TYPED,
        *HTTP,
        "aws_lambda_powertools",
        "jmespath",
        "iniconfig",
    )
    ran = apps.build("--without", "aws_lambda_powertools", "--without", "pydantic.v1")
    assert (ran.stderr, ran.returncode) == ("", 0)
    left_out = ran.stdout.splitlines()[1].removeprefix("left out: ").split(", ")
    assert {"aws_lambda_powertools", "jmespath", "iniconfig"} <= set(left_out)
    names = {path.name for path in apps.output.iterdir()}
    assert names >= {"pydantic", "pydantic_core", "typing_extensions.pyc", "httpx", "certifi", "inngest_serverless"}
    assert not names & set(left_out)
    assert not (apps.output / "pydantic" / "v1").exists()
    # Packages ask for the versions of others.
    assert "Version: " in next(apps.output.glob("pydantic_core-*.dist-info")).joinpath("METADATA").read_text()
    reply = signed_call(runtimes, apps.output, bare_python, {"name": "Ada"})
    assert reply["statusCode"] == 206, reply
    assert json.loads(reply["body"])[0]["data"] == "Ada"


# That it works by itself: in Lambda's runtime, in an interpreter that has nothing else.


def signed_call(runtimes: ExitStack, artifact: Path, python: str, data: dict[str, Any]) -> dict[str, Any]:
    """Call the function ``greet`` as the server does."""
    event = {"name": "t/greet", "data": data, "id": "1", "ts": 1}
    ctx = {"attempt": 0, "fn_id": "f", "run_id": "r", "stack": {"current": 0, "stack": []}}
    body = json.dumps({"ctx": ctx, "event": event, "events": [event], "steps": {}, "version": 1}).encode()
    at = str(int(time.time()))
    digest = hmac.new(KEY.encode(), body + at.encode(), "sha256").hexdigest()
    headers = {"content-type": "application/json", "x-inngest-signature": f"t={at}&s={digest}"}
    env = {"INNGEST_SIGNING_KEY": f"signkey-test-{KEY}", "INNGEST_APP_ID": "app"}
    settings: dict[str, Any] = {"python": python, "env": env}
    runtime = runtimes.enter_context(LambdaRuntime("app.handler", cwd=artifact, **settings))
    url = f"{URL}?fnId=app-greet&stepId=step"
    reply: dict[str, Any] = runtime.invoke(to_lambda_event("function-url", "POST", url, headers, body))
    return reply


def test_it_answers_a_signed_call(untyped: Apps, bare_python: str, runtimes: ExitStack) -> None:
    reply = signed_call(runtimes, untyped.output, bare_python, {"name": "Ada"})
    assert reply["statusCode"] == 206, reply
    assert reply["headers"]["x-inngest-signature"]
    assert json.loads(reply["body"])[0]["op"] == "Sleep"


def test_a_run_from_its_sync_to_its_end_without_httpx(untyped: Apps, bare_python: str, runtimes: ExitStack) -> None:
    def endpoint(*request: Any) -> HttpReply:
        return lambda_endpoint(runtime.invoke)(*request)

    engine = Engine(endpoint)
    api = runtimes.enter_context(LocalApi(engine))
    settings: dict[str, Any] = {"python": bare_python, "env": {"INNGEST_DEV": api.origin, "INNGEST_APP_ID": "app"}}
    runtime = runtimes.enter_context(LambdaRuntime("app.handler", cwd=untyped.output, **settings))
    synced = endpoint("PUT", URL, {}, b"")
    assert synced.status == 200, synced.body
    for name, output in (("t/greet", ["Ada", None, 1]), ("t/greet-async", ["Ada", 1])):
        run = engine.execute({"name": name, "data": {"name": "Ada"}})
        assert (run.status, run.output) == ("completed", output), run.error


# What it says where it cannot.


@pytest.mark.parametrize(
    ("source", "arguments", "message"),
    [
        (
            "import nowhere",
            [],
            "app.handler cannot be imported from the artifact: ModuleNotFoundError: No module named",
        ),
        ("handle = 1", [], "app.handler cannot be imported from the artifact: AttributeError: module 'app' has no"),
        ("import pydantic\nhandler = 1", ["--untyped"], "ModuleNotFoundError: No module named 'pydantic'"),
        ("def handler(: pass", [], "app.py"),
        ("handler = 1", ["--runtime", "python3.99"], "python3.99 is not on PATH: bytecode of another version"),
    ],
    ids=["import", "name", "left out", "syntax", "version"],
)
def test_what_does_not_work_is_one_line_and_leaves_what_was_there(
    source: str, arguments: list[str], message: str, apps: Apps
) -> None:
    apps.make(source, *TYPED)
    apps.output.mkdir(parents=True)
    (apps.output / "before").touch()
    ran = apps.build(*arguments)
    assert ran.returncode == 1
    [line] = ran.stderr.splitlines()
    assert line.startswith("build_lambda: ")
    assert message in line
    assert [path.name for path in apps.output.parent.iterdir()] == ["lambda"]
    assert [path.name for path in apps.output.iterdir()] == ["before"]


def test_a_handler_that_is_not_there(apps: Apps) -> None:
    apps.make("handler = 1")
    ran = apps.build(handler="other.handler")
    assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
    assert "other.handler is not there" in ran.stderr


def test_machine_code_for_another_python_is_refused(apps: Apps) -> None:
    (apps.make("handler = 1") / "fast.cpython-399-aarch64-linux-gnu.so").touch()
    ran = apps.build()
    assert ran.stderr == f"build_lambda: fast.cpython-399-aarch64-linux-gnu.so is for another Python than {RUNTIME}\n"


def test_what_is_for_another_processor_is_said_not_to_be_tried_out(apps: Apps) -> None:
    other = "arm64" if HERE_ARCHITECTURE == "x86_64" else "x86_64"
    apps.make("import pydantic\nhandler = 1", *TYPED)
    ran = apps.build("--architecture", other)
    assert "not tried out: its machine code is not for this" in ran.stdout, ran.stderr
