"""What a cold start loads. Every module costs each cold start its time, so none comes in unnoticed."""

from __future__ import annotations

import ast
import hmac
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import inngest_serverless
from inngest_serverless.local.gateway import TRIGGERS, to_lambda_event

if TYPE_CHECKING:
    from collections.abc import Callable

ROOT = Path(inngest_serverless.__file__).parents[1]
TRANSCRIPT = Path(__file__).parents[1] / "golden" / "transcripts" / "dev-no-steps.json"
SECRET = "0123456789abcdef" * 4
SETTINGS = {"dev": {"INNGEST_DEV": "1"}, "cloud": {"INNGEST_SIGNING_KEY": f"signkey-test-{SECRET}"}}

SYNC_APP = """
from inngest_serverless import create_function, event_trigger, inngest_lambda

@create_function(id="no-steps", trigger=event_trigger("t/no-steps"))
def no_steps(ctx):
    return ctx.step.run("only", lambda: ctx.event.data["name"])

handler = inngest_lambda([no_steps], app_id="rec")
"""
ASYNC_APP = SYNC_APP.replace("def no_steps", "async def no_steps").replace("return ctx", "return await ctx")

# In an interpreter of its own: import the handler, make its first call, print which modules that added.
COLD_START = """
import os, sys
{before}
sys.path[:0] = {path!r}
os.environ.update({environ!r})
known = set(sys.modules)
from cold_app import handler
reply = handler({event!r}, None)
assert reply["statusCode"] == 206 and '"data":"Ada"' in reply["body"], reply
print(sorted(set(sys.modules) - known))
"""

EXPENSIVE = {
    *("asyncio", "dataclasses", "email", "http.client", "httpx", "inspect", "logging", "ssl", "typing"),
    *("aws_lambda_powertools", "boto3", "botocore", "pydantic", "pydantic_core"),
}
STANDARD_LIBRARY = {
    *("__future__", "contextvars", "gc", "hashlib", "hmac", "json"),
    # What those bring with them: json.decoder needs re, which needs the rest. Interpreters differ in what they have loaded.
    *("collections", "copyreg", "enum", "functools", "keyword", "operator", "re", "reprlib", "types"),
    # From Python 3.12 and 3.13 on.
    *(("itertools",) if sys.version_info >= (3, 12) else ()),
    *(("warnings",) if sys.version_info >= (3, 13) else ()),
}
OURS = {
    "inngest_serverless",
    *(f"inngest_serverless.{name}" for name in ("config", "errors", "events")),
    *(f"inngest_serverless.{name}" for name in ("functions", "generics", "hooks", "options")),
    *(f"inngest_serverless.{name}" for name in ("result_types", "running", "serialization")),
    *(f"inngest_serverless.{name}" for name in ("serve", "transport", "triggers", "version")),
    *(f"inngest_serverless.aws{name}" for name in ("", ".handler", ".http_events", ".http_triggers")),
    *(f"inngest_serverless.engine{name}" for name in ("", ".context", ".deadline", ".interrupts")),
    *(f"inngest_serverless.engine.{name}" for name in ("invocation", "ledger", "plans", "steps")),
    *(f"inngest_serverless.protocol{name}" for name in ("", ".call", ".exchange", ".headers", ".opcodes")),
    *(f"inngest_serverless.protocol.{name}" for name in ("registration", "reply", "signing", "step_ids")),
}
OURS_FOR_ASYNC = {f"inngest_serverless.engine.{name}" for name in ("async_steps", "rendezvous")}


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., set[str]]:
    """Makes a cold start and returns the modules it loads, besides the app's own."""

    def run(app: str, *, trigger: str = "function-url", mode: str = "dev", before: str = "") -> set[str]:
        (tmp_path / "cold_app.py").write_text(app, encoding="utf-8")
        program = COLD_START.format(
            before=before, path=[str(ROOT), str(tmp_path)], environ=SETTINGS[mode], event=_first_call(trigger)
        )
        command = [sys.executable, "-I", "-c", program]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - this program
        assert ran.returncode == 0, ran.stderr
        return set(ast.literal_eval(ran.stdout)) - {"cold_app"}

    return run


def _first_call(trigger: str) -> dict[str, Any]:
    request = json.loads(TRANSCRIPT.read_text("utf-8"))["exchanges"][0]["request"]
    body, seconds = request["body"].encode(), str(int(time.time()))
    digest = hmac.new(SECRET.encode(), body + seconds.encode(), "sha256").hexdigest()
    headers = request["headers"] | {"X-Inngest-Signature": f"t={seconds}&s={digest}"}
    return to_lambda_event(trigger, "POST", f"https://rec.example.com{request['path']}", headers, body)


def _named(modules: set[str], names: set[str]) -> set[str]:
    """Those of the modules that are one of the names, or inside one."""
    return {module for module in modules if any(f"{module}.".startswith(f"{name}.") for name in names)}


def _split(modules: set[str]) -> tuple[set[str], set[str]]:
    """Ours, and the top-level names of the others; without C modules, whose Python halves are there as well."""
    ours = _named(modules, {"inngest_serverless"})
    return ours, {
        name
        for module in modules - ours
        for name in [module.partition(".")[0]]
        if not name[1:].isalnum() or name[0] != "_"
    }


@pytest.mark.parametrize("mode", SETTINGS)
@pytest.mark.parametrize("trigger", TRIGGERS)
def test_nothing_expensive(trigger: str, mode: str, load: Callable[..., set[str]]) -> None:
    loaded = _named(load(SYNC_APP, trigger=trigger, mode=mode), EXPENSIVE)
    assert not loaded, "import these where they are needed, inside the function"


@pytest.mark.parametrize("mode", SETTINGS)
def test_sync_function(mode: str, load: Callable[..., set[str]]) -> None:
    ours, others = _split(load(SYNC_APP, mode=mode))
    assert ours == OURS, "a module more or less on the call path: is it needed by each call? Then change OURS"
    assert others <= STANDARD_LIBRARY, "import these where they are needed, inside the function"


@pytest.mark.parametrize("mode", SETTINGS)
def test_async_function(mode: str, load: Callable[..., set[str]]) -> None:
    """It needs asyncio, and of what is not asyncio's own no more than a sync one."""
    ours, others = _split(load(ASYNC_APP, mode=mode, before="import asyncio"))
    assert ours == OURS | OURS_FOR_ASYNC, "a module more or less on the call path of async functions"
    assert others <= STANDARD_LIBRARY, "import these where they are needed, inside the function"


def test_async_function_loads_asyncio_itself(load: Callable[..., set[str]]) -> None:
    loaded = load(ASYNC_APP)
    assert "asyncio" in loaded
    assert not _named(
        loaded, {"httpx", "pydantic", "botocore", "boto3", "aws_lambda_powertools", "dataclasses", "http.client"}
    )


def test_the_check_notices(load: Callable[..., set[str]]) -> None:
    """An app that does load something expensive is caught: the interpreter has not loaded it all beforehand."""
    assert _named(load("import dataclasses, logging\n" + SYNC_APP), EXPENSIVE) >= {"dataclasses", "inspect", "logging"}
