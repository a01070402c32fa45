"""The public names, pinned: one more or one less is a decision, not an accident."""

from __future__ import annotations

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import inngest_serverless

ROOT = Path(inngest_serverless.__file__).parent
FILES = sorted(path for path in ROOT.rglob("*.py") if path.name != "__main__.py")


def _name(path: Path) -> str:
    parts = [ROOT.name, *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts).removesuffix(".__init__")


NAMES = {
    *("__version__", "inngest_lambda", "inngest_gcf", "inngest_gcf_async"),
    *("forward_dynamodb", "forward_eventbridge", "forward_kinesis", "forward_s3", "forward_sns", "forward_sqs"),
    *("create_function", "event_trigger", "cron_trigger", "Function", "Trigger", "Workflow"),
    *("Context", "AsyncContext", "Event", "RunFailure", "EXTERNAL_ID", "EMAIL"),
    *("Batch", "Cancel", "Concurrency", "Debounce", "Priority", "RateLimit", "Singleton", "Throttle", "Timeouts"),
    *("Client", "register", "send", "send_async", "send_many", "send_many_async"),
    *("Middleware", "CallInput", "CallOutput", "EncryptionMiddleware", "OffloadMiddleware", "TracingMiddleware"),
    *("FileStore", "GCSStore", "S3Store", "Store"),
    *("PowertoolsLogs", "PowertoolsMetrics", "PowertoolsTraces"),
    *("now_millis", "timestamp", "is_dev", "dev_server_url", "sign", "validate_signature"),
    *("InngestError", "ConfigurationError", "NonRetriableError", "RetryAfterError", "StepError"),
    *("EventNotReceivedError", "EventValidationError", "SendEventsError"),
    *("SignatureError", "ExpiredSignatureError", "InvalidSignatureError", "InvalidTimestampError"),
}


def test_all() -> None:
    assert set(inngest_serverless.__all__) == NAMES
    assert len(inngest_serverless.__all__) == len(NAMES)


def test_dir() -> None:
    assert sorted(dir(inngest_serverless)) == sorted(NAMES)


@pytest.mark.parametrize("name", sorted(NAMES))
def test_each_name(name: str) -> None:
    value = getattr(inngest_serverless, name)
    assert getattr(inngest_serverless, name) is value
    home = getattr(value, "__module__", None)
    if home is not None:
        module = importlib.import_module(home)
        assert getattr(module, name) is value
        assert name in module.__all__


def test_import_star() -> None:
    names: dict[str, object] = {}
    exec("from inngest_serverless import *", names)  # noqa: S102 - this very text
    assert names.keys() >= NAMES


def test_a_name_that_is_not_there() -> None:
    with pytest.raises(AttributeError, match=r"inngest_serverless.*create_funktion"):
        inngest_serverless.create_funktion  # noqa: B018
    with pytest.raises(ImportError, match="create_funktion"):
        exec("from inngest_serverless import create_funktion")  # noqa: S102 - this very text


def test_the_names_for_type_checkers_are_those_at_run_time() -> None:
    """``__init__`` says each name twice: in imports for type checkers, and in where it finds them itself."""
    tree = ast.parse((ROOT / "__init__.py").read_text("utf-8"))
    guarded = [node for node in tree.body if isinstance(node, ast.If)]
    homes = {
        alias.asname or alias.name: node.module
        for block in guarded
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert homes.keys() | {"__version__"} == NAMES
    for name, home in homes.items():
        assert getattr(importlib.import_module(str(home)), name) is getattr(inngest_serverless, name)


def test_names_are_loaded_when_they_are_used() -> None:
    program = (
        "import sys, inngest_serverless\n"
        "dir(inngest_serverless)\n"
        "print([name for name in sys.modules if name.startswith('inngest_serverless.')])\n"
        "inngest_serverless.NonRetriableError\n"
        "print([name for name in sys.modules if name.startswith('inngest_serverless.')])\n"
    )
    command = [sys.executable, "-I", "-c", program]
    ran = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 - this program
    before, after = (ast.literal_eval(line) for line in ran.stdout.splitlines())
    assert before == ["inngest_serverless.version"]
    assert after == ["inngest_serverless.version", "inngest_serverless.errors"]


def _defined(path: Path) -> set[str]:
    """The names without an underscore that a module defines itself."""
    names: set[str] = set()
    for node in ast.parse(path.read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
    return {name for name in names - {"TYPE_CHECKING"} if not name.startswith("_")}


@pytest.mark.parametrize("path", FILES, ids=_name)
def test_each_module(path: Path) -> None:
    """Every module says what it exports, and has it."""
    module = importlib.import_module(_name(path))
    exported = getattr(module, "__all__", None)
    assert exported is not None or not _defined(path), "it has public names: say which of them are exported"
    for name in exported or ():
        assert hasattr(module, name), name
    assert len(set(exported or ())) == len(exported or ())


def test_it_says_that_it_is_typed() -> None:
    assert (ROOT / "py.typed").exists()
