"""The wheel and the source distribution: what is in them, and that the wheel works where there is nothing else."""

from __future__ import annotations

import sys
import tarfile
import tomllib
from email import message_from_string
from zipfile import ZipFile

import pytest
from built_package import ROOT, install, run

pytestmark = pytest.mark.integration

PACKAGE = "inngest_serverless"
EXTRAS = {"aws", "gcp", "ai", "encryption", "tracing", "xray", "dev"}
# What a checkout has beside the sources.
RUBBISH = (
    "__pycache__",
    ".pyc",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
    ".benchmarks",
    "/.venv/",
)
# One call of a handler, as Lambda makes it.
CALL = """
import json
from inngest_serverless import create_function, event_trigger, inngest_lambda

@create_function(id="hello", trigger=event_trigger("app/hello"))
def hello(ctx):
    return ctx.step.run("greet", lambda: "hello " + ctx.event.data["name"])

event = {"name": "app/hello", "data": {"name": "Ada"}, "id": "e", "ts": 1}
call = {"event": event, "events": [event], "steps": {}, "version": 1, "use_api": False,
        "ctx": {"run_id": "r", "attempt": 0, "fn_id": "f", "disable_immediate_execution": False, "use_api": False,
                "stack": {"stack": [], "current": 0}}}
http = {"method": "POST", "path": "/api/inngest", "sourceIp": "127.0.0.1"}
reply = inngest_lambda([hello], app_id="app")({
    "version": "2.0", "rawPath": "/api/inngest", "rawQueryString": "fnId=app-hello&stepId=step",
    "headers": {"host": "app.example", "content-type": "application/json"}, "requestContext": {"http": http},
    "body": json.dumps(call), "isBase64Encoded": False,
}, None)
print(json.dumps(reply))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The wheel and the source distribution. The wheel is built from what the source distribution has."""
    folder = tmp_path_factory.mktemp("dist")
    ran = run(sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(ROOT), cwd=folder)
    assert "Building wheel from sdist" in ran.stderr
    assert "warning" not in (ran.stdout + ran.stderr).lower(), ran.stdout + ran.stderr
    [wheel], [sdist] = folder.glob("*.whl"), folder.glob("*.tar.gz")
    return wheel, sdist


@pytest.fixture(scope="module")
def wheel(built):
    return built[0]


@pytest.fixture(scope="module")
def names(wheel):
    with ZipFile(wheel) as archive:
        return set(archive.namelist())


@pytest.fixture(scope="module")
def metadata(wheel, names):
    [name] = [name for name in names if name.endswith(".dist-info/METADATA")]
    with ZipFile(wheel) as archive:
        return message_from_string(archive.read(name).decode())


@pytest.fixture(scope="module")
def bare(wheel, tmp_path_factory):
    """The wheel and its dependencies, no extra."""
    return install(wheel, tmp_path_factory.mktemp("bare") / "venv")


def _sources(*folders):
    """The files below folders of the checkout, without what running them leaves behind."""
    files = [path for folder in folders for path in (ROOT / folder).rglob("*") if path.is_file()]
    names = {path.relative_to(ROOT).as_posix() for path in files}
    return {name for name in names if not any(part in name for part in RUBBISH)}


class TestWheel:
    def test_it_has_the_whole_package(self, names):
        missing = _sources(PACKAGE) - names
        assert not missing, "hatchling leaves these out of the wheel: see [tool.hatch.build] in pyproject.toml"

    def test_it_has_what_is_no_code(self, names):
        assert f"{PACKAGE}/py.typed" in names
        assert {f"{PACKAGE}/local/page/{name}" for name in ("index.html", "app.js", "base.css", "icon.svg")} <= names
        templates = f"{PACKAGE}/cli/templates"
        assert f"{templates}/aws/template.yaml.tmpl" in names
        assert {f"{templates}/common/.gitignore.tmpl", f"{templates}/gcp/src/.gcloudignore.tmpl"} <= names

    def test_it_has_nothing_else(self, names):
        assert {name.partition("/")[0].partition("-")[0] for name in names} == {PACKAGE}
        assert not [name for name in names if any(part in name for part in RUBBISH)]
        modules = [name.rpartition("/")[2] for name in names if name.endswith(".py")]
        assert not [name for name in modules if name.startswith(("test_", "conftest"))]

    def test_commands_and_plugins(self, wheel, names):
        [name] = [name for name in names if name.endswith(".dist-info/entry_points.txt")]
        with ZipFile(wheel) as archive:
            text = archive.read(name).decode()
        assert f"[console_scripts]\ninngest-serverless = {PACKAGE}.cli:main\n" in text
        assert f"[pytest11]\ninngest-serverless = {PACKAGE}.testing.pytest_plugin\n" in text


class TestMetadata:
    def test_extras(self, metadata):
        assert set(metadata.get_all("Provides-Extra")) == EXTRAS

    def test_what_it_needs_by_itself(self, metadata):
        needs = [line for line in metadata.get_all("Requires-Dist") if "extra ==" not in line]
        assert {line.partition("<")[0].partition(">")[0] for line in needs} == {"httpx", "pydantic"}
        assert all("<" in line for line in needs), "a next major version may break what is deployed anew"

    def test_what_is_said_of_it(self, metadata):
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        assert metadata["Name"] == project["name"]
        assert metadata["Summary"] == project["description"]
        assert metadata["License-Expression"] == "Apache-2.0"
        assert metadata["Requires-Python"] == ">=3.11"
        assert metadata.get_payload() == (ROOT / "README.md").read_text("utf-8")

    def test_twine(self, built, tmp_path):
        ran = run(sys.executable, "-m", "twine", "--no-color", "check", "--strict", *map(str, built), cwd=tmp_path)
        assert ran.stdout.count("PASSED") == len(built), ran.stdout


def test_the_source_distribution_has_the_sources_and_no_rubbish(built):
    with tarfile.open(built[1]) as archive:
        found = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "PKG-INFO"} <= found
    assert not _sources(PACKAGE, "tests") - found
    assert not [name for name in found if any(part in f"/{name}" for part in (*RUBBISH, "/.tools/", "/.git/"))]


class TestInstalled:
    def test_it_is_the_wheels(self, bare, tmp_path):
        ran = bare.run("python", "-W", "error", "-c", f"import {PACKAGE}; print({PACKAGE}.__file__)", cwd=tmp_path)
        assert str(bare.folder) in ran.stdout

    def test_every_public_name_is_there(self, bare, tmp_path):
        code = f"import {PACKAGE} as it; print(len([getattr(it, name) for name in it.__all__]))"
        assert int(bare.run("python", "-W", "error", "-c", code, cwd=tmp_path).stdout) > 50

    def test_a_call_in_dev_mode(self, bare, tmp_path):
        ran = bare.run("python", "-W", "error", "-c", CALL, cwd=tmp_path, INNGEST_DEV="1")
        assert '"statusCode": 206' in ran.stdout, ran.stdout
        assert "hello Ada" in ran.stdout, ran.stdout

    @pytest.mark.parametrize("command", [["inngest-serverless"], ["python", "-m", PACKAGE]], ids=["command", "-m"])
    def test_the_command_line_says_what_to_install(self, command, bare, tmp_path):
        ran = bare.run(*command, "doctor", cwd=tmp_path, code=2)
        expected = "inngest-serverless: click and rich are needed: pip install 'inngest-serverless[dev]'\n"
        assert (ran.stdout, ran.stderr) == ("", expected)

    def test_the_extra_that_it_names_is_enough(self, wheel, tmp_path):
        dev = install(wheel, tmp_path / "venv", "dev")
        assert "Create the folder of a new project." in dev.run("inngest-serverless", "--help", cwd=tmp_path).stdout
        assert dev.run("inngest-serverless", "doctor", "--json", cwd=tmp_path).stdout.startswith("{")

    @pytest.mark.parametrize("extra", sorted(EXTRAS))
    def test_each_extra_can_be_had(self, extra, wheel, tmp_path):
        """All that an extra names is there, and the modules that need it load with it."""
        modules = {
            "aws": "inngest_serverless.aws.observability",
            "xray": "inngest_serverless.aws.observability_traces",
            "gcp": "functions_framework, inngest_serverless.gcp.forward",
            "encryption": "cryptography, inngest_serverless.encryption",
            "tracing": "opentelemetry.trace, inngest_serverless.tracing",
            "dev": "inngest_serverless.cli.dev, inngest_serverless.testing",
            "ai": "inngest_serverless.ai",
        }
        environment = install(wheel, tmp_path / "venv", extra)
        environment.run("python", "-c", f"import {modules[extra]}", cwd=tmp_path)
