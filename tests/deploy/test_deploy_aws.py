"""scripts/deploy_aws, with a sam and an aws that only write down what they are asked."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from textwrap import dedent

import pytest
from aws_artifact import ROOT

SCRIPT = ROOT / "scripts" / "deploy_aws"
RUNTIME = f"python3.{sys.version_info.minor}"
OTHER_RUNTIME = "python3.99"
ARN = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:inngest/prod-AbCdEf"
# Makes what sam build would make, so that there is something to compile.
SAM = """
    #!/bin/sh
    folder="$(dirname "$0")"
    for argument in sam "$@"; do printf '%s\\0' "$argument"; done >> "$folder/calls"
    printf '\\n' >> "$folder/calls"
    [ "${SAM_CLI_TELEMETRY}" = 0 ] || exit 9
    if [ "$1" = build ]; then
      for function in ServeFunction SyncFunction ForwardFunction; do
        mkdir -p "$folder/out/$function"
        echo "answer = 42" > "$folder/out/$function/app.py"
      done
    fi
    [ ! -f "$folder/$1-status" ] || exit "$(cat "$folder/$1-status")"
"""
AWS = f"""
    #!/bin/sh
    folder="$(dirname "$0")"
    for argument in aws "$@"; do printf '%s\\0' "$argument"; done >> "$folder/calls"
    printf '\\n' >> "$folder/calls"
    [ "$4" != none ] || {{ echo "ResourceNotFoundException" >&2; exit 254; }}
    echo {ARN}
"""
CONFIG = ["--config-file", str(ROOT / "samconfig.toml"), "--config-env"]


class Desk:
    """A shell with those two."""

    def __init__(self, folder):
        self.folder = folder
        for name, text in (("sam", SAM), ("aws", AWS)):
            (folder / name).write_text(dedent(text).lstrip())
            (folder / name).chmod(0o755)

    @property
    def calls(self):
        path = self.folder / "calls"
        return [line.split("\0")[:-1] for line in path.read_text().splitlines()] if path.exists() else []

    def __call__(self, *arguments, **env):
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SAM_", "AWS_"))}
        kept["PATH"] = f"{self.folder}:{Path(sys.executable).parent}:{kept['PATH']}"
        return subprocess.run(  # noqa: S603 - our own script
            [SCRIPT, *arguments], capture_output=True, text=True, env=kept | env, timeout=60, check=False
        )

    def deploy(self, *arguments, runtime=RUNTIME):
        build = ["--build-dir", str(self.folder / "out"), "--app-version", "abc123"]
        return self("dev", *build, "--set", f"PythonRuntime={runtime}", *arguments)


@pytest.fixture
def desk(tmp_path):
    return Desk(tmp_path)


def overrides(call):
    """The parameters that a call of sam gives."""
    return dict(text.split("=", 1) for text in call[call.index("--parameter-overrides") + 1 :])


DEV = {
    "Environment": "dev",
    "DeploymentType": "AllAtOnce",
    "Alarms": "off",
    "GuardDeployment": "off",
    "LogRetentionDays": "7",
}


def test_builds_compiles_and_deploys(desk):
    ran = desk.deploy("--secret", ARN)
    assert (ran.stderr, ran.returncode) == ("", 0)
    build, deploy = desk.calls
    assert build[:11] == [
        *("sam", "build", *CONFIG, "dev", "--template-file", str(ROOT / "template.yaml")),
        *("--build-dir", f"{desk.folder}/out", "--parameter-overrides"),
    ]
    given = overrides(build)
    revision = given.pop("Revision")
    assert re.fullmatch("[0-9a-f]{10}", revision)
    assert given == {**DEV, "AppVersion": "abc123", "PythonRuntime": RUNTIME, "SecretArn": ARN}
    assert deploy[:8] == ["sam", "deploy", *CONFIG, "dev", "--template-file", f"{desk.folder}/out/template.yaml"]
    assert deploy[8] == "--parameter-overrides"
    assert overrides(deploy) == overrides(build), "what is built must be what is deployed"
    for function in ("ServeFunction", "SyncFunction", "ForwardFunction"):
        assert list((desk.folder / "out" / function / "__pycache__").glob("app.*.pyc"))


def test_every_option(desk):
    ran = desk(
        *("prod", "--build-dir", str(desk.folder / "out"), "--secret", "inngest/prod", "--stack", "shop"),
        *("--region", "eu-west-1", "--profile", "ops", "--use-container", "--yes", "--app-version", "v1"),
        *("--set", "MemorySize=1024", "--set", "InngestEnv="),
    )
    assert ran.returncode == 0, ran.stderr
    ask, build, deploy = desk.calls
    where = ["--region", "eu-west-1", "--profile", "ops"]
    query = ["--secret-id", "inngest/prod", "--query", "ARN", "--output", "text"]
    assert ask == ["aws", "secretsmanager", "describe-secret", *query, *where]
    assert "--use-container" in build
    assert deploy[8:16] == ["--stack-name", "shop", *where, "--no-confirm-changeset", "--parameter-overrides"]
    given = overrides(deploy)
    assert len(given.pop("Revision")) == 10
    # Two quotes sam takes for nothing; without them it leaves the parameter out.
    expected = {"Environment": "prod", "AppVersion": "v1", "SecretArn": ARN, "MemorySize": "1024", "InngestEnv": '""'}
    assert given == expected


def test_another_parameter_is_another_revision(desk):
    """SAM would not publish a version for it."""
    for arguments in ([], [], ["--set", "ServeOrigin=https://api.example.com"], ["--secret", ARN]):
        desk.deploy(*arguments)
    revisions = [overrides(call)["Revision"] for call in desk.calls if call[1] == "deploy"]
    assert revisions[0] == revisions[1]
    assert len(set(revisions)) == 3


def test_a_revision_of_ones_own(desk):
    desk.deploy("--set", "Revision=again")
    assert overrides(desk.calls[-1])["Revision"] == "again"


def test_the_commit_is_the_version(desk):
    desk("dev", "--build-dir", str(desk.folder / "out"), "--set", f"PythonRuntime={RUNTIME}")
    git = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=10"]
    commit = subprocess.run(git, capture_output=True, text=True, check=False).stdout.strip()  # noqa: S603 - git
    assert overrides(desk.calls[-1]).get("AppVersion", "") == commit


def test_build_only(desk):
    assert desk.deploy("--build-only").returncode == 0
    assert [call[1] for call in desk.calls] == ["build"]


@pytest.mark.parametrize(("command", "count"), [("build", 1), ("deploy", 2)])
def test_what_fails_fails(command, count, desk):
    (desk.folder / f"{command}-status").write_text("7")
    assert desk.deploy().returncode == 7
    assert len(desk.calls) == count


def test_a_secret_that_is_not_there(desk):
    ran = desk.deploy("--secret", "none")
    assert ran.returncode == 1
    assert "ResourceNotFoundException" in ran.stderr
    assert "deploy_aws: the secret was not found: aws secretsmanager describe-secret --secret-id none" in ran.stderr
    assert len(desk.calls) == 1


def test_a_python_that_is_not_there(desk):
    ran = desk.deploy(runtime=OTHER_RUNTIME)
    assert ran.returncode == 1
    assert f"{OTHER_RUNTIME} is not on PATH: install it, build in Docker (--use-container)" in ran.stderr
    assert f"--set PythonRuntime={RUNTIME}" in ran.stderr
    assert desk.calls == []


def test_in_a_container_nothing_is_compiled_without_its_python(desk):
    ran = desk.deploy("--use-container", runtime=OTHER_RUNTIME)
    assert ran.returncode == 0
    assert "nothing is compiled" in ran.stdout
    assert len(desk.calls) == 2


# Without deploying.


def test_a_dry_run_prints_each_command_and_runs_none(desk):
    ran = desk.deploy("--dry-run", "--secret", "inngest/it's")
    assert (ran.returncode, ran.stderr) == (0, "")
    commands = [shlex.split(line) for line in ran.stdout.splitlines()]
    assert [command[1:3] for command in commands] == [
        ["secretsmanager", "describe-secret"],
        ["build", "--config-file"],
        *[["-m", "compileall"]] * 3,
        ["deploy", "--config-file"],
    ]
    assert commands[0][4] == "inngest/it's"
    assert overrides(commands[-1])["SecretArn"] == "ARN-OF-THE-SECRET"
    assert desk.calls == []
    assert not (desk.folder / "out").exists()


def test_a_dry_run_prints_what_a_deployment_runs(desk):
    printed = [shlex.split(line) for line in desk.deploy("--dry-run", "--secret", ARN).stdout.splitlines()]
    desk.deploy("--secret", ARN)
    assert [command[1:] for command in printed if command[1] in {"build", "deploy"}] == [
        call[1:] for call in desk.calls
    ]


def test_a_dry_run_needs_no_python_of_the_runtime(desk):
    ran = desk("prod", "--dry-run")
    assert ran.returncode == 0, ran.stderr
    assert "\npython3.13 -m compileall -q --invalidation-mode unchecked-hash" in ran.stdout


# How it is called.


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_help(option, desk):
    ran = desk(option)
    assert ran.returncode == 0
    assert ran.stdout.startswith("usage: scripts/deploy_aws ")
    assert "docs/deploy-aws.md" in ran.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "environment"),
        (["staging"], "samconfig.toml has no environment 'staging': it has default, dev, prod"),
        (["dev", "--what"], "--what"),
        (["dev", "--region"], "--region"),
        (["dev", "--set", "MemorySize"], "--set takes NAME=VALUE, not 'MemorySize'"),
        (["dev", "--set", "Memory=1"], "template.yaml has no parameter 'Memory': it has Alarm"),
        (["dev", "--set", "INNGEST_SIGNING_KEY=signkey-x"], "belongs into the secret"),
        (["dev", "--set", "INNGEST_EVENT_KEY=signkey-x"], "belongs into the secret"),
        (["dev", "--set", "ServePath=/a b"], "ServePath cannot hold spaces"),
        (["dev", "--set", 'ServePath=/a"'], "ServePath cannot hold spaces, quotes"),
        (["dev", "--app-version", "x" * 65], "at most 64 characters"),
    ],
)
def test_wrong_arguments(arguments, message, desk):
    ran = desk(*arguments)
    assert ran.returncode == 2
    assert message in ran.stderr
    assert "signkey-x" not in ran.stderr
    assert desk.calls == []


@pytest.fixture
def elsewhere(tmp_path):
    """Another checkout, and a PATH with Python only."""
    checkout = tmp_path / "checkout"
    (checkout / "scripts").mkdir(parents=True)
    scripts = ("scripts/deploy_aws", "scripts/deploy_aws_run.py", "scripts/lambda_compile.py")
    for name in (*scripts, "template.yaml", "samconfig.toml"):
        shutil.copy(ROOT / name, checkout / name)
    (tmp_path / "bin").mkdir()
    for name in ("env", "bash", "dirname", "git"):
        (tmp_path / "bin" / name).symlink_to(shutil.which(name))
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)

    def run():
        command = [checkout / "scripts" / "deploy_aws", "dev", "--dry-run"]
        env = {"PATH": str(tmp_path / "bin")}
        return subprocess.run(command, capture_output=True, text=True, env=env, timeout=60, check=False)  # noqa: S603

    return checkout, run


def test_without_sam(elsewhere):
    _, run = elsewhere
    ran = run()
    assert (ran.returncode, ran.stderr) == (
        1,
        "deploy_aws: there is no sam: run scripts/setup --aws, or install aws-sam-cli\n",
    )


def test_the_sam_that_setup_installs_will_do(elsewhere):
    checkout, run = elsewhere
    sam = checkout / ".tools" / "aws" / "bin" / "sam"
    sam.parent.mkdir(parents=True)
    sam.write_text("#!/bin/sh\n")
    sam.chmod(0o755)
    assert run().stdout.startswith(f"{sam} build --config-file {checkout}/samconfig.toml")


# samconfig.toml.


def config():
    return tomllib.loads((ROOT / "samconfig.toml").read_text())


def test_its_parameters_are_the_templates():
    text = (ROOT / "template.yaml").read_text()
    known = set(
        re.findall(r"^  (\w+):$", text.partition("\nParameters:\n")[2].partition("\nRules:\n")[0], re.MULTILINE)
    )
    for name in ("default", "dev", "prod"):
        given = dict(each.split("=") for each in config()[name]["global"]["parameters"]["parameter_overrides"])
        assert given.keys() <= known


def test_without_an_environment_it_is_dev():
    assert config()["default"] == config()["dev"]


def test_production_asks_first_and_has_a_stack_of_its_own():
    assert config()["prod"]["deploy"]["parameters"]["confirm_changeset"] is True
    assert (
        config()["prod"]["global"]["parameters"]["stack_name"] != config()["dev"]["global"]["parameters"]["stack_name"]
    )
