"""What sam builds: for which processor, with what in it, and that it runs with nothing but what Lambda has."""

from __future__ import annotations

import importlib.util
import struct
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aws_artifact
import pytest

from inngest_serverless.local.api import LocalApi
from inngest_serverless.local.endpoints import lambda_endpoint
from inngest_serverless.local.engine import Engine
from inngest_serverless.local.rie import LambdaInvocationError, LambdaRuntime

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inngest_serverless.local.gateway import HttpReply

pytestmark = pytest.mark.integration

MACHINES = {"x86_64": 62, "arm64": 183}  # ELF's numbers for them
SERVE_URL = "https://abc.lambda-url.eu-west-1.on.aws/api/inngest"
EVENT = {"name": "api/account.created", "data": {"account_id": "a-17", "email": "ada@example.com"}}
# The packages of requirements.txt, what they need, and ours.
PACKAGES = {
    *("aws_lambda_powertools", "jmespath"),
    *("annotated_types", "pydantic", "pydantic_core", "typing_extensions.py", "typing_inspection"),
    *("anyio", "certifi", "h11", "httpcore", "httpx", "idna"),
    *("handlers", "inngest_serverless", "requirements.txt"),
}
WHERE = """
import sys

def handler(event, context):
    names = ["httpx", "inngest_serverless", "pydantic", "pydantic_core._pydantic_core"]
    try:
        import pytest
    except ImportError:
        pass
    else:
        names.append("pytest")
    return {name: __import__(name, fromlist=["x"]).__file__ for name in names}
"""


@pytest.fixture(scope="module", params=aws_artifact.ARCHITECTURES)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """Each architecture, and what is built for it on this machine, whatever its own."""
    return request.param, aws_artifact.build(tmp_path_factory, request.param)


# What is in it.


def test_machine_code_is_for_the_processor_that_it_is_deployed_to(built: tuple[str, Path]) -> None:
    architecture, folder = built
    libraries = list((folder / "ServeFunction").rglob("*.so*"))
    assert any("_pydantic_core" in path.name for path in libraries)
    for path in libraries:
        header = path.read_bytes()[:20]
        assert header[:4] == b"\x7fELF"
        assert struct.unpack("<H", header[18:20]) == (MACHINES[architecture],), path.name


def test_no_more_is_in_it_than_what_it_needs(built: tuple[str, Path]) -> None:
    _, folder = built
    for function in ("ServeFunction", "SyncFunction", "ForwardFunction"):
        names = {path.name for path in (folder / function).iterdir() if not path.name.endswith((".dist-info", ".data"))}
        # What Powertools' extras and newer releases bring is theirs to say; ours is that nothing of this checkout is.
        assert names >= PACKAGES, function
        assert not names & {"tests", "docs", "scripts", "requirements", "templates", ".git", ".venv", ".tools"}
        assert not names & {"boto3", "botocore", "pip", "setuptools", "pytest", "awslambdaric"}
        size = sum(path.stat().st_size for path in (folder / function).rglob("*") if path.is_file())
        assert size < 30_000_000, "a cold start loads it all: what has grown?"
        assert not any(path.is_symlink() for path in (folder / function).rglob("*"))


def test_it_is_compiled_for_wherever_it_will_lie(built: tuple[str, Path]) -> None:
    """Packing changes the times of files, and Lambda cannot write: bytecode that is checked would be for nothing."""
    _, folder = built
    for source in ["inngest_serverless/serve.py", "pydantic/main.py", "handlers/aws_http.py"]:
        path = folder / "ServeFunction" / source
        compiled = Path(importlib.util.cache_from_source(str(path))).read_bytes()
        assert compiled[:4] == importlib.util.MAGIC_NUMBER
        assert struct.unpack("<I", compiled[4:8]) == (0b01,), "a hash that is not checked"
        assert f"/var/task/{source}".encode() in compiled
        assert str(folder).encode() not in compiled


# That it runs: in the real Lambda runtime, in an interpreter that has none of its packages.


@pytest.fixture
def runtimes() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def test_all_that_it_imports_is_its_own(artifact: Path, bare_python: str, tmp_path: Path, runtimes: ExitStack) -> None:
    (tmp_path / "where.py").write_text(WHERE)
    settings: dict[str, Any] = {"python": bare_python, "env": {"PYTHONPATH": str(artifact)}}
    places = runtimes.enter_context(LambdaRuntime("where.handler", cwd=tmp_path, **settings)).invoke({})
    assert len(places) == 4
    for name, place in places.items():
        assert Path(place).is_relative_to(artifact), name


def test_the_interpreter_has_none_of_its_packages(bare_python: str) -> None:
    for package in ("pydantic", "httpx", "inngest_serverless", "boto3"):
        command = [bare_python, "-I", "-c", f"import {package}"]
        ran = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - ourselves
        assert f"No module named '{package}'" in ran.stderr


def test_a_run_from_its_event_to_its_end(artifact: Path, bare_python: str, runtimes: ExitStack) -> None:
    def endpoint(*request: Any) -> HttpReply:
        return lambda_endpoint(runtime.invoke)(*request)

    engine = Engine(endpoint)
    api = runtimes.enter_context(LocalApi(engine))
    env = {"INNGEST_DEV": api.origin, "INNGEST_APP_ID": "shop"}
    settings: dict[str, Any] = {"python": bare_python, "env": env}
    runtime = runtimes.enter_context(LambdaRuntime("handlers.aws_http.handler", cwd=artifact, **settings))
    synced = endpoint("PUT", SERVE_URL, {}, b"")
    assert synced.status == 200, synced.body
    assert list(engine.functions) == ["shop-account-created"]
    run = engine.execute(EVENT)
    assert (run.status, run.output) == ("completed", "done"), run.error


@pytest.mark.parametrize("handler", ["handlers.aws_forward.handler", "inngest_serverless.aws.deploy_hook.handler"])
def test_the_other_handlers_are_there(handler: str, artifact: Path, bare_python: str, runtimes: ExitStack) -> None:
    settings: dict[str, Any] = {"python": bare_python, "env": {"INNGEST_DEV": "1"}}
    runtime = runtimes.enter_context(LambdaRuntime(handler, cwd=artifact, **settings))
    with pytest.raises(LambdaInvocationError) as caught:
        runtime.invoke({})
    assert not caught.value.error_type.startswith("Runtime."), caught.value.message
