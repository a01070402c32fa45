"""Imports point one way. All of them are read: those for type checking and those inside functions count as well."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = "inngest_serverless"

# From the ground up: a room may import what stands on its own rung or below, never what stands above.
RUNGS = [
    {"version", "errors", "generics", "user_fields"},
    {"durations", "serialization", "json_faults", "annotations", "typed_json", "result_types", "clock"},
    {"protocol"},
    {
        "config",
        "events",
        "sent_events",
        "flow_control",
        "triggers",
        "cron_fields",
        "failures",
        "ai",
        "functions",
        "signatures",
    },
    {"middleware", "hooks", "encryption", "offload", "stores", "tracing", "call_span"},
    {"engine", "workflow"},
    {"inngest_api", "sync", "serve"},
    {"transport", "connections", "plain_connections", "connection_faults", "options"},
    {"tries", "sending", "client", "running", "forwarding", "secret_keys", "rekeying"},
    {"aws", "gcp", "local", "testing"},
    {"cli"},
    {PACKAGE, "__main__"},  # the package's own __init__.py, which only names what is below; python -m
    {"handlers"},
]
HEIGHT = {room: height for height, rung in enumerate(RUNGS) for room in rung}

# Clouds know nothing of each other.
STRANGERS = [{"aws", "gcp"}]
# A step up that only type checkers see, and why it is allowed.
FOR_TYPES = {
    ("protocol", "config"): "introspection shows settings, which it is given",
    ("protocol", "engine"): "a request carries the time by which its call has to be answered",
    ("functions", "engine"): "a function is declared by the type of context that it takes",
}

HTTP_CLIENTS = {"httpx", "requests", "aiohttp", "urllib3"}
# Of what serves production one module; the others are for development.
HTTP_ROOMS = {"connections", "local", "cli"}
ENVIRONMENT_ROOMS = {"cli", "local", "testing"}
ENVIRONMENT_FILES = {
    "handlers/aws_http.py": "the stack that it is deployed in names the app",
    "inngest_serverless/aws/handler.py": "makes the settings of an app",
    "inngest_serverless/aws/reply_size.py": "goes by what the runtime goes by when it writes the reply",
    "inngest_serverless/client.py": "a client without an app makes settings of its own",
    "inngest_serverless/gcp/handler.py": "makes the settings of an app",
    "inngest_serverless/gcp/logs.py": "writes lines for the platform only where there is one",
}
# What would make the protocol depend on more than its arguments: the clock, chance, the machine, the network.
IMPURE = {
    *("asyncio", "datetime", "http", "io", "logging", "os", "pathlib", "random", "secrets", "select", "selectors"),
    *("shutil", "signal", "socket", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "uuid"),
}


@dataclass(frozen=True)
class Step:
    """One import: of a module, by a file, in a line."""

    file: str
    line: int
    module: str
    for_types: bool

    @property
    def source(self) -> str:
        return _room(self.file.removesuffix(".py").removesuffix("/__init__").replace("/", "."))

    @property
    def target(self) -> str | None:
        """The room of ours that is imported, or None."""
        ours = self.module.partition(".")[0] in {PACKAGE, "handlers"}
        return _room(self.module) if ours else None

    def __str__(self) -> str:
        return f"{self.file}:{self.line} imports {self.module}"


def _room(module: str) -> str:
    top, _, inner = module.partition(".")
    return inner.partition(".")[0] or top if top == PACKAGE else top


def read_imports(source: str, file: str) -> list[Step]:
    """All the imports in a file's source, wherever they stand."""
    tree = ast.parse(source)
    guarded = [node for node in ast.walk(tree) if isinstance(node, ast.If) and _is_type_checking(node.test)]
    for_types = {inner for node in guarded for statement in node.body for inner in ast.walk(statement)}
    return [
        Step(file, node.lineno, module, node in for_types)
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in _modules_of(node, file)
    ]


def _is_type_checking(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in {getattr(test, "id", None), getattr(test, "attr", None)}


def _modules_of(node: ast.Import | ast.ImportFrom, file: str) -> set[str]:
    if isinstance(node, ast.Import):
        return {alias.name for alias in node.names}
    parents = file.split("/")[: -node.level] if node.level else []
    module = ".".join([*parents, *([node.module] if node.module else [])])
    inside = ROOT / module.replace(".", "/")
    names = {alias.name for alias in node.names}
    submodules = {name for name in names if (inside / f"{name}.py").exists() or (inside / name).is_dir()}
    return {f"{module}.{name}" for name in submodules} | ({module} if names - submodules else set())


def _files() -> list[Path]:
    return sorted(path for folder in (PACKAGE, "handlers") for path in (ROOT / folder).rglob("*.py"))


@cache
def _all_imports() -> list[Step]:
    return [
        step for path in _files() for step in read_imports(path.read_text("utf-8"), path.relative_to(ROOT).as_posix())
    ]


def _told(faults: list[object], advice: str) -> None:
    assert not faults, "\n".join([advice, *map(str, faults)])


def test_every_room_has_its_place() -> None:
    rooms = {step.source for step in _all_imports()} | {step.target for step in _all_imports()} - {None}
    _told(
        sorted(rooms - HEIGHT.keys()), "These rooms are on no rung: put each into RUNGS, as low as its imports allow."
    )


def test_imports_point_down() -> None:
    faults = [
        step
        for step in _all_imports()
        if step.target in HEIGHT
        and HEIGHT[step.target] > HEIGHT.get(step.source, len(RUNGS))
        and not (step.for_types and (step.source, step.target) in FOR_TYPES)
    ]
    _told(faults, "These imports point up. Move what is needed down a rung, or pass it in as an argument.")


def test_strangers_stay_strangers() -> None:
    faults = [
        step
        for step in _all_imports()
        if step.source != step.target and any({step.source, step.target} <= pair for pair in STRANGERS)
    ]
    _told(faults, "One cloud's adapter must not need another's. Move what both need down a rung.")


def test_exceptions_are_needed() -> None:
    up = {(step.source, step.target) for step in _all_imports() if step.for_types}
    _told(sorted(FOR_TYPES.keys() - up), "Nobody takes these steps any more: delete them from FOR_TYPES.")
    senders = {step.source for step in _http_imports()}
    _told(sorted(HTTP_ROOMS - senders), "No HTTP client is imported there any more: delete them from HTTP_ROOMS.")
    readers = _environment_readers()
    rooms = {Step(file, 0, "os", for_types=False).source for file in readers}
    _told(
        sorted((ENVIRONMENT_FILES.keys() - readers.keys()) | (ENVIRONMENT_ROOMS - rooms)),
        "No environment variable is read there any more: delete them from ENVIRONMENT_FILES or ENVIRONMENT_ROOMS.",
    )


def _http_imports() -> list[Step]:
    return [step for step in _all_imports() if step.module.partition(".")[0] in HTTP_CLIENTS]


def test_requests_leave_through_the_transport() -> None:
    faults: list[object] = [step for step in _http_imports() if step.source not in HTTP_ROOMS]
    _told(faults, "Only connections.py has an HTTP client: yield an Outbound, which transport.py has sent.")


def test_the_protocol_is_pure() -> None:
    faults = [step for step in _all_imports() if step.source == "protocol" and step.module.partition(".")[0] in IMPURE]
    _told(faults, "protocol/ does no IO and reads no clock: take what it needs as an argument.")


def read_environment_uses(source: str) -> list[int]:
    """The lines that touch the process's environment variables."""
    names = {"environ", "environb", "getenv", "getenvb", "putenv"}
    lines = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in names and getattr(node.value, "id", None) == "os":
            lines.append(node.lineno)
        if isinstance(node, ast.ImportFrom) and node.module == "os" and names & {alias.name for alias in node.names}:
            lines.append(node.lineno)
    return sorted(lines)


def _environment_readers() -> dict[str, list[int]]:
    """The files that touch it, each with the lines."""
    uses = {path.relative_to(ROOT).as_posix(): read_environment_uses(path.read_text("utf-8")) for path in _files()}
    return {file: lines for file, lines in uses.items() if lines}


def test_the_environment_is_read_where_settings_are_made() -> None:
    faults: list[object] = [
        f"{file}:{line}"
        for file, lines in _environment_readers().items()
        for line in lines
        if file not in ENVIRONMENT_FILES and Step(file, line, "os", for_types=False).source not in ENVIRONMENT_ROOMS
    ]
    _told(faults, "Environment variables are read once, into Settings: take the settings as an argument.")


# The reader itself: a check that overlooks imports would pass for ever.

_SAMPLE = """
import inngest_serverless.serve
from inngest_serverless import engine, Context
from ..client import sending
from . import signing
TYPE_CHECKING = False
if TYPE_CHECKING:
    from inngest_serverless.config import Settings
else:
    import os.path
def late():
    try:
        import httpx
    except ImportError:
        from typing import TYPE_CHECKING
        if TYPE_CHECKING:
            import inngest_serverless.aws.handler
"""


def test_the_reader_sees_every_import() -> None:
    steps = read_imports(_SAMPLE, "inngest_serverless/protocol/sample.py")
    assert {step.source for step in steps} == {"protocol"}
    assert {(step.module, step.target, step.for_types) for step in steps} == {
        ("inngest_serverless.serve", "serve", False),
        ("inngest_serverless.engine", "engine", False),
        ("inngest_serverless", PACKAGE, False),
        ("inngest_serverless.client", "client", False),
        ("inngest_serverless.protocol.signing", "protocol", False),
        ("inngest_serverless.config", "config", True),
        ("os.path", None, False),
        ("httpx", None, False),
        ("typing", None, False),
        ("inngest_serverless.aws.handler", "aws", True),
    }


def test_the_reader_sees_the_environment() -> None:
    source = "import os\nfrom os import environ, path\nx = os.environ['A']\ndef f():\n    return os.getenv('B')\n"
    assert read_environment_uses(source) == [2, 3, 5]
    assert read_environment_uses("import os\nos.path.join('environ')\ndef f(environ): return environ['A']\n") == []
