"""What scripts/deploy_aws does: has ``sam`` build the functions, compiles them, and has ``sam`` deploy the stack."""

from __future__ import annotations

import argparse
import hashlib
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any, NoReturn

from lambda_compile import compile_command, find_python

ROOT = Path(__file__).resolve().parent.parent
TEMPLATE = ROOT / "template.yaml"
CONFIG = ROOT / "samconfig.toml"
TOOLS = ROOT / ".tools" / "aws" / "bin"
FUNCTIONS = ("ServeFunction", "SyncFunction", "ForwardFunction")
VERSION_LENGTH = 64  # as template.yaml has it
EMPTY = '""'  # sam leaves a parameter out that has nothing behind the equals sign
KEYS = ("INNGEST_SIGNING_KEY", "INNGEST_SIGNING_KEY_FALLBACK", "INNGEST_EVENT_KEY")
EPILOG = """
The keys are in a secret of AWS Secrets Manager, which --secret names. docs/deploy-aws.md begins at an empty account.
"""


def main() -> int:
    """Deploy."""
    arguments = read_arguments()
    config = read_config(arguments.environment)
    parameters = gather_parameters(arguments, config)
    sam = find_sam()
    desk = Desk(is_dry=arguments.dry_run)
    build = Path(arguments.build_dir)
    where = [
        *option("--region", arguments.region or config.get("region")),
        *option("--profile", arguments.profile or config.get("profile")),
    ]
    if (secret := arguments.secret) is not None:
        parameters["SecretArn"] = secret if secret.startswith("arn:") else desk.ask(*describe_secret(secret, where))
    # Whatever the code and the template, other parameters are another version.
    parameters.setdefault("Revision", digest(parameters))
    overrides = ["--parameter-overrides", *(f"{name}={value or EMPTY}" for name, value in parameters.items())]
    runtime = parameters.get("PythonRuntime") or default_runtime()
    python = runtime if arguments.dry_run else runtime_python(runtime, needed=not arguments.use_container)
    common = ["--config-file", str(CONFIG), "--config-env", arguments.environment]

    container = ["--use-container"] if arguments.use_container else []
    desk.run(sam, "build", *common, "--template-file", str(TEMPLATE), "--build-dir", str(build), *container, *overrides)
    if python is None:
        print("deploy_aws: no Python of the runtime's version: nothing is compiled, and cold starts take longer")
    else:
        for function in FUNCTIONS:
            desk.run(*compile_command(python, build / function))
    if arguments.build_only:
        return 0
    stack = option("--stack-name", arguments.stack)
    confirm = ["--no-confirm-changeset"] if arguments.yes else []
    template = ["--template-file", str(build / "template.yaml")]
    desk.run(sam, "deploy", *common, *template, *stack, *where, *confirm, *overrides)
    return 0


def read_arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="scripts/deploy_aws",
        description="Builds the Lambda functions, deploys the stack of template.yaml, and with it syncs the app.",
        epilog=EPILOG,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("environment", help="one of the environments of samconfig.toml: dev or prod")
    add("--secret", metavar="NAME", help="the secret's name or ARN; needed the first time, for each stack")
    add("--set", action="append", default=[], metavar="NAME=VALUE", help="a parameter of template.yaml; repeatable")
    add("--app-version", metavar="TEXT", help="the version that Inngest shows; what git describes")
    add("--stack", metavar="NAME", help="the stack; the one in samconfig.toml")
    add("--region", help="the region; the AWS command line's own default")
    add("--profile", help="the profile of the AWS command line")
    add("--build-dir", default=str(ROOT / ".aws-sam" / "build"), metavar="DIR", help=".aws-sam/build")
    add("--use-container", action="store_true", help="build in Docker, where the runtime's Python is not at hand")
    add("--build-only", action="store_true", help="deploy nothing")
    add("--yes", action="store_true", help="do not ask before the changes are made")
    add("--dry-run", action="store_true", help="print the commands, one a line, and run none")
    return parser.parse_args()


def read_config(environment: str) -> dict[str, Any]:
    """What samconfig.toml says of an environment, for all of sam's commands."""
    config = tomllib.loads(CONFIG.read_text("utf-8"))
    environments = [name for name, value in config.items() if isinstance(value, dict)]
    if environment not in environments:
        fail(f"samconfig.toml has no environment {environment!r}: it has {', '.join(environments)}", 2)
    found: dict[str, Any] = config[environment].get("global", {}).get("parameters", {})
    return found


def gather_parameters(arguments: argparse.Namespace, config: dict[str, Any]) -> dict[str, str]:
    """The template's parameters, from samconfig.toml and the command line, which wins."""
    known = set(re.findall(r"^  (\w+):$", section("Parameters"), re.MULTILINE))
    parameters = dict(text.split("=", 1) for text in config.get("parameter_overrides", []))
    if version := describe_commit() if arguments.app_version is None else arguments.app_version:
        parameters["AppVersion"] = version
    for text in arguments.set:
        name, equals, value = text.partition("=")
        if not equals:
            fail(f"--set takes NAME=VALUE, not {text!r}", 2)
        if name in KEYS:
            # In a parameter it would be there for all to read who may see the stack.
            fail(f"{name} belongs into the secret that --secret names", 2)
        if name not in known:
            fail(f"template.yaml has no parameter {name!r}: it has {', '.join(sorted(known))}", 2)
        parameters[name] = value
    if len(parameters.get("AppVersion", "")) > VERSION_LENGTH:
        fail(f"the version that Inngest shows has at most {VERSION_LENGTH} characters", 2)
    for name, value in parameters.items():
        if re.search(r"[\s\"'\\]", value):
            fail(f"{name} cannot hold spaces, quotes or backslashes: sam would take its value apart", 2)
    return parameters


def section(name: str) -> str:
    """A top-level section of the template, as text."""
    found = re.search(rf"^{name}:\n((?:(?: .*)?\n)+)", TEMPLATE.read_text("utf-8"), re.MULTILINE)
    if found is None:
        fail(f"template.yaml has no {name}")
    return found[1]


def default_runtime() -> str:
    """The runtime that the template has by default."""
    found = re.search(r"^  PythonRuntime:\n(?:    .*\n)*?    Default: (\S+)$", section("Parameters"), re.MULTILINE)
    if found is None:
        fail("template.yaml has no default for PythonRuntime")
    return found[1]


def describe_commit() -> str:
    """The commit that is checked out, or "" where there is none."""
    command = ["git", "-C", str(ROOT), "describe", "--always", "--dirty", "--abbrev=10"]
    try:
        ran = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return ran.stdout.strip()[:VERSION_LENGTH]


def digest(parameters: dict[str, str]) -> str:
    """A short name for a template and its parameters: the same for the same."""
    text = TEMPLATE.read_text("utf-8") + repr(sorted(parameters.items()))
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def find_sam() -> str:
    """The SAM command line: what is on PATH, or what scripts/setup --aws installed."""
    found = shutil.which("sam") or shutil.which("sam", path=str(TOOLS))
    return found or fail("there is no sam: run scripts/setup --aws, or install aws-sam-cli")


def runtime_python(runtime: str, *, needed: bool) -> str | None:
    """An interpreter of the version that a Lambda runtime has, which sam looks for in the same places."""
    path = find_python(runtime)
    if path is None and needed:
        fail(
            f"{runtime} is not on PATH: install it, build in Docker (--use-container), "
            f"or deploy the Python that you have (--set PythonRuntime=python3.{sys.version_info.minor})"
        )
    return path


def describe_secret(name: str, where: list[str]) -> list[str]:
    """The command that prints a secret's ARN."""
    query = ["--query", "ARN", "--output", "text"]
    return ["aws", "secretsmanager", "describe-secret", "--secret-id", name, *query, *where]


def option(name: str, value: str | None) -> list[str]:
    """An option with its value, if it has one."""
    return [] if value is None else [name, value]


class Desk:
    """Runs commands, or prints them in a dry run, for a shell to read."""

    def __init__(self, *, is_dry: bool) -> None:
        self._is_dry = is_dry

    def run(self, *command: str) -> None:
        """Run a command; where it fails, so do we."""
        if self._is_dry:
            print(shlex.join(command))
            return
        sys.stdout.flush()
        status = subprocess.run(command, cwd=ROOT, check=False).returncode
        if status:
            sys.exit(status)

    def ask(self, *command: str) -> str:
        """Run a command for the line that it prints."""
        if self._is_dry:
            print(shlex.join(command))
            return "ARN-OF-THE-SECRET"
        if shutil.which(command[0]) is None:
            fail("there is no aws: install the AWS command line, or give --secret the secret's ARN")
        ran = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
        if ran.returncode or not ran.stdout.strip():
            fail(f"the secret was not found: {shlex.join(command)}")
        return ran.stdout.strip()


def fail(message: str, status: int = 1) -> NoReturn:
    """Say what is wrong, and leave."""
    print(f"deploy_aws: {message}", file=sys.stderr)
    sys.exit(status)


if __name__ == "__main__":
    sys.exit(main())
