"""``inngest-serverless new``: what it creates, and what it refuses. That the project works: tests/integration."""

from __future__ import annotations

import ast
import json
import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from inngest_serverless import __version__
from inngest_serverless.cli.group import COMMANDS, group
from inngest_serverless.cli.new import _values

CLOUDS = ("aws", "gcp")
COMMON = {
    ".gitignore", "README.md", "deploy.sh", "pyproject.toml", "requirements-dev.txt", "src/main.py",
    "src/onboarding.py", "src/requirements.txt", "tests/test_onboarding.py",
}  # fmt: skip
FILES = {"aws": COMMON | {"template.yaml", "samconfig.toml"}, "gcp": COMMON | {"src/.gcloudignore"}}


@pytest.fixture
def new(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return lambda *arguments: CliRunner().invoke(group, ["new", *arguments], prog_name="inngest-serverless")


def _read(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_text("utf-8") for path in folder.rglob("*") if path.is_file()
    }


@pytest.mark.parametrize("cloud", CLOUDS)
class TestWhatIsCreated:
    def test_files(self, cloud, new, tmp_path):
        done = new("my-app", "--cloud", cloud)
        assert (done.exit_code, done.stderr) == (0, "")
        created = _read(tmp_path / "my-app")
        assert set(created) == FILES[cloud]
        for name, text in created.items():
            assert f"  my-app/{name}\n" in done.stdout
            assert "%%" not in text, f"{name} has a name that is not filled in"
            assert text.endswith("\n"), name
            if name.endswith(".py"):
                ast.parse(text)
        assert os.access(tmp_path / "my-app" / "deploy.sh", os.X_OK)

    def test_json(self, cloud, new, tmp_path):
        done = new("my-app", "--cloud", cloud, "--json")
        files = sorted(FILES[cloud])
        expected = {"name": "my-app", "cloud": cloud, "folder": str(tmp_path / "my-app"), "files": files}
        assert json.loads(done.stdout) == expected

    def test_it_needs_the_version_that_created_it(self, cloud, new, tmp_path):
        new("my-app", "--cloud", cloud)
        created = _read(tmp_path / "my-app")
        assert created["src/requirements.txt"] == f"inngest-serverless[{cloud}]~={__version__}\n"
        assert f"inngest-serverless[dev]~={__version__}\n" in created["requirements-dev.txt"]
        tomllib.loads(created["pyproject.toml"])

    def test_it_is_tidy(self, cloud, new, tmp_path):
        """As ruff has it by default."""
        new("my-app", "--cloud", cloud)
        rules = ["--select", "E,F,I,B,UP,SIM", "--line-length", "120"]
        for command in (["format", "--check", "--line-length", "120"], ["check", *rules]):
            line = [sys.executable, "-m", "ruff", *command, "--isolated", "--no-cache", "."]
            ran = subprocess.run(line, cwd=tmp_path / "my-app", capture_output=True, text=True, check=False)  # noqa: S603 - ours
            assert ran.returncode == 0, ran.stdout + ran.stderr

    def test_an_empty_folder_is_filled(self, cloud, new, tmp_path):
        (tmp_path / "my-app").mkdir()
        assert new("my-app", "--cloud", cloud).exit_code == 0
        assert set(_read(tmp_path / "my-app")) == FILES[cloud]


def test_the_name_is_everywhere(new, tmp_path):
    new("My-App", "--cloud", "aws")
    created = _read(tmp_path / "My-App")
    assert 'app_id="My-App"' in created["src/main.py"]
    assert tomllib.loads(created["samconfig.toml"])["default"]["global"]["parameters"] == {"stack_name": "My-App"}
    assert "--stack-name My-App " in created["deploy.sh"]


def test_a_cloud_function_has_no_capitals(new, tmp_path):
    new("My-App", "--cloud", "gcp")
    created = _read(tmp_path / "My-App")
    assert 'app_id="My-App"' in created["src/main.py"]
    assert "gcloud functions deploy my-app " in created["deploy.sh"]
    assert "gcloud functions describe my-app " in created["deploy.sh"]


@pytest.mark.parametrize(
    ("cloud", "minor", "runtime"),
    [("aws", 11, "python3.11"), ("aws", 14, "python3.14"), ("aws", 15, "python3.14"), ("gcp", 12, "python312"), ("gcp", 15, "python313")],
)  # fmt: skip
def test_the_runtime_is_the_python_that_creates_it_if_there_is_one(cloud, minor, runtime):
    assert _values("x", cloud, minor)["runtime"] == runtime


def test_the_stack_shows_no_key(new, tmp_path):
    """One function behind a function URL, which reads its keys from a secret."""

    class Loader(yaml.SafeLoader):
        pass

    Loader.add_multi_constructor("!", lambda loader, tag, node: {tag: loader.construct_scalar(node)})
    new("my-app", "--cloud", "aws")
    stack = yaml.load((tmp_path / "my-app/template.yaml").read_text("utf-8"), Loader)  # noqa: S506 - a safe loader with tags
    types = sorted(resource["Type"] for resource in stack["Resources"].values())
    assert types == [
        "AWS::Lambda::Permission", "AWS::Lambda::Permission", "AWS::Lambda::Url", "AWS::Logs::LogGroup",
        "AWS::Serverless::Function",
    ]  # fmt: skip
    function = stack["Resources"]["ServeFunction"]["Properties"]
    assert set(function["Environment"]["Variables"]) == {"INNGEST_SECRET_ARN", "INNGEST_ENV"}
    assert function["Runtime"] == _values("x", "aws", sys.version_info.minor)["runtime"]
    assert stack["Resources"]["ServeLogGroup"]["Properties"] == {"RetentionInDays": {"Ref": "LogRetentionDays"}}


class TestWhatIsRefused:
    @pytest.mark.parametrize(
        "name", ["", "1st", "-x", "x-", "a_b", "a b", "a/b", "..", "../x", "/x", "é", "a.b", "a\n", "x" * 41]
    )
    def test_names(self, name, new, tmp_path):
        done = new("--cloud", "aws", "--", name)
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr.count("\n") == 1
        assert "up to 40 letters, digits and dashes" in done.stderr
        assert not list(tmp_path.iterdir())

    def test_a_folder_with_something_in_it(self, new, tmp_path):
        (tmp_path / "my-app").mkdir()
        (tmp_path / "my-app" / "mine").write_text("x")
        done = new("my-app", "--cloud", "aws")
        assert (done.exit_code, done.stdout) == (2, "")
        expected = f"{tmp_path / 'my-app'} is there already, and not empty: choose another name, or move it away"
        assert done.stderr == f"inngest-serverless: {expected}\n"
        assert set(_read(tmp_path / "my-app")) == {"mine"}

    def test_a_file_in_its_place(self, new, tmp_path):
        (tmp_path / "my-app").write_text("x")
        done = new("my-app", "--cloud", "gcp")
        assert (done.exit_code, done.stdout) == (2, "")
        assert done.stderr == f"inngest-serverless: {tmp_path / 'my-app'} cannot be written: File exists\n"

    def test_no_cloud(self, new):
        done = new("my-app")
        assert (done.exit_code, done.stdout) == (2, "")
        assert "Missing option '--cloud'" in done.stderr


# Writes down what it is asked, and answers what its file says.
_FAKE = """#!/bin/sh
echo "$(basename "$0") $*" >> "{folder}/calls"
for answer in "{folder}/$(basename "$0")-$1" "{folder}/$(basename "$0")-$1-$2"; do [ ! -f "$answer" ] || cat "$answer"; done
"""


@pytest.mark.skipif(shutil.which("bash") is None, reason="deploy.sh needs bash")
class TestDeployScript:
    @pytest.fixture
    def deploy(self, new, tmp_path):
        def run(cloud, answers, *arguments):
            new("my-app", "--cloud", cloud)
            fakes = tmp_path / "fakes"
            fakes.mkdir()
            for command in ("sam", "gcloud", "inngest-serverless"):
                (fakes / command).write_text(_FAKE.format(folder=fakes))
                (fakes / command).chmod(0o755)
            for name, answer in answers.items():
                (fakes / name).write_text(answer)
            kept = {"PATH": f"{fakes}{os.pathsep}{os.environ['PATH']}"}
            script = [str(tmp_path / "my-app" / "deploy.sh"), *arguments]
            ran = subprocess.run(script, cwd=tmp_path, env=kept, capture_output=True, text=True, check=False)  # noqa: S603 - ours
            calls = Path(fakes / "calls")
            return ran, calls.read_text().splitlines() if calls.exists() else []

        return run

    @pytest.mark.parametrize(
        ("arguments", "given"),
        [((), "sam deploy"), (("arn:x",), "sam deploy --parameter-overrides SecretArn=arn:x")],
        ids=["again", "the first time"],
    )
    def test_aws(self, deploy, arguments, given):
        outputs = [
            {"OutputKey": "LogGroup", "OutputValue": "logs", "Description": "Where its logs are."},
            {"OutputKey": "ServeUrl", "OutputValue": "https://x.on.aws/api/inngest", "Description": ""},
        ]
        ran, calls = deploy("aws", {"sam-list-stack-outputs": json.dumps(outputs)}, *arguments)
        assert (ran.returncode, ran.stderr) == (0, "")
        assert calls == [
            "sam build",
            given,
            "sam list stack-outputs --stack-name my-app --output json",
            "inngest-serverless sync --url https://x.on.aws/api/inngest",
        ]

    def test_gcp(self, deploy):
        answers = {"gcloud-config-get-value": "shop\n", "gcloud-functions-describe": "https://my-app-x.run.app\n"}
        ran, calls = deploy("gcp", answers, "europe-west1")
        assert (ran.returncode, ran.stderr) == (0, "")
        assert calls[1].startswith("gcloud functions deploy my-app --gen2 --region=europe-west1 --runtime=python3")
        assert "--service-account=inngest@shop.iam.gserviceaccount.com " in calls[1]
        assert calls[-1] == "inngest-serverless sync --url https://my-app-x.run.app/api/inngest"

    def test_gcp_without_a_region(self, deploy):
        ran, calls = deploy("gcp", {})
        assert ran.returncode != 0
        assert "which region? ./deploy.sh europe-west1 for example" in ran.stderr
        assert calls == []


def test_the_short_help_is_the_one_in_the_list():
    command = group.get_command(click.Context(group), "new")
    assert command is not None
    assert command.short_help == COMMANDS["new"]
