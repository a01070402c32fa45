"""The commands on the pages are there, and so are their options."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from functools import cache
from importlib import import_module
from importlib.util import find_spec

import pytest
from botocore.session import get_session
from pages import PAGES, ROOT, blocks_of, name_of

from inngest_serverless.cli.group import group

# Programs of others, of which only the names are checked here.
OTHERS = {
    *(
        "cat",
        "cd",
        "cp",
        "curl",
        "docker",
        "echo",
        "export",
        "gcloud",
        "git",
        "ls",
        "mkdir",
        "npx",
        "openssl",
        "printf",
        "pytest",
    ),
    *("read", "sam", "sed", "sh", "source", "terraform", "unzip", "zip"),
}
_PUNCTUATION = set(";|&()<>")
_KEYWORDS = {"do", "done", "else", "fi", "if", "then", "while", "!"}
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=.*", re.DOTALL)
WITH_COMMANDS = [page for page in PAGES if blocks_of(page, "bash", "sh", "console")]


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_the_commands_of_the_page_are_there(page):
    faults = [
        f"{block}: {fault}"
        for block in blocks_of(page, "bash", "sh", "console")
        for command in commands_of(_script(block))
        if (fault := fault_of(command))
    ]
    assert not faults, "\n".join(["correct the page, or teach tests/docs/test_page_commands.py the command", *faults])


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=name_of)
def test_the_shell_can_read_them(page):
    for block in blocks_of(page, "bash", "sh", "console"):
        read = subprocess.run(["bash", "-n"], input=_script(block), capture_output=True, text=True, check=False)  # noqa: S607 - the first bash
        assert not read.stderr, f"{block}: {read.stderr}"


def _script(block):
    """What the reader types: all of a block, or of a session at a terminal the lines behind the prompt."""
    if block.language != "console":
        return block.code
    return "".join(re.findall(r"(?m)^\$ ((?:.*\\\n)*.*\n)", block.code))


def commands_of(script):
    """The commands of a script, each as a list of words."""
    found = []
    for line in script.replace("\\\n", " ").splitlines():
        words = shlex.shlex(line, posix=True, punctuation_chars=True)
        words.whitespace_split = True
        found.append([])
        for word in words:
            if set(word) <= _PUNCTUATION:
                found.append([])
            elif found[-1] or not (word in _KEYWORDS or _ASSIGNMENT.fullmatch(word)):
                found[-1].append(word)
    return [command for command in found if command and command[0] != "for"]


def fault_of(command):
    """What is wrong with a command, or None."""
    program, *words = command
    if program.startswith("scripts/"):
        return _unknown(words, _usage_of_script(program)) if (ROOT / program).exists() else f"there is no {program}"
    check = _CHECKS.get(program)
    if check is not None:
        return check(words)
    return None if program in OTHERS else f"what is {program}?"


def _unknown(words, known):
    unknown = [word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)]
    unknown = [word for word in unknown if word not in known]
    return f"no option {', '.join(unknown)}" if unknown else None


def _options_of(command):
    return {"-h", "--help", *(name for parameter in command.params for name in parameter.opts)}


@cache
def _usage_of_script(program):
    usage = subprocess.run([ROOT / program, "--help"], capture_output=True, text=True, check=True).stdout  # noqa: S603 - our own
    return {"-h", "--help", *re.findall(r"(?<![\w-])--?[a-z][a-z-]*", usage)}


def _fault_of_ours(words):
    if words and words[0] in group.list_commands(None):
        return _unknown(words, _options_of(group.get_command(None, words[0])))
    return _unknown(words, _options_of(group)) if words and words[0].startswith("-") else f"no command {words[:1]}"


def _fault_of_framework(words):
    return _unknown(words, _options_of(import_module("functions_framework._cli")._cli))


def _fault_of_python(words):
    if words[:1] == ["-m"]:
        if words[1] == "pip":
            return _fault_of_pip(words[2:])
        return None if find_spec(words[1]) else f"there is no module {words[1]}"
    return None if words and (words[0] == "-c" or (ROOT / words[0]).exists()) else f"python cannot run {words}"


def _fault_of_pip(words):
    extras = set(tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["optional-dependencies"])
    named = {
        extra.strip()
        for word in words
        if (match := re.fullmatch(r"inngest-serverless\[([\w, -]+)\].*", word))
        for extra in match[1].split(",")
    }
    return f"there is no extra {', '.join(named - extras)}" if named - extras else None


def _fault_of_aws(words):
    """By botocore's own models, which the command line makes its options of."""
    service, operation, *rest = words
    if service == "s3":  # a command of its own, with no model
        return None
    model = get_session().get_service_model({"logs": "logs"}.get(service, service))
    names = {_dashed(name): name for name in model.operation_names}
    if operation not in names:
        return f"aws {service} has no {operation}"
    shape = model.operation_model(names[operation]).input_shape
    own = {f"--{_dashed(member)}" for member in (shape.members if shape else ())}
    return _unknown(rest, own | {"--query", "--output", "--region", "--profile", "--cli-input-json", "--no-cli-pager"})


def _dashed(name):
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "-", name).lower()


_CHECKS = {
    "aws": _fault_of_aws,
    "functions-framework": _fault_of_framework,
    "inngest-serverless": _fault_of_ours,
    "pip": _fault_of_pip,
    "python": _fault_of_python,
    "python3": _fault_of_python,
}


def test_commands_are_found_behind_assignments_and_pipes():
    script = "A=1 b --c  # d\nfor e in f; do\n  g=$(h 'i j' | k)\ndone\nl \\\n  --m\n"
    assert commands_of(script) == [["b", "--c"], ["h", "i j"], ["k"], ["l", "--m"]]


@pytest.mark.parametrize(
    "command",
    [
        "scripts/nowhere",
        "scripts/setup --nothing",
        "inngest-serverless start",
        "inngest-serverless send --loud a/b",
        "pip install 'inngest-serverless[azure]'",
        "python -m no_such_module",
        "aws secretsmanager make-secret --name a",
        "aws secretsmanager create-secret --title a",
        "functions-framework --loud",
        "mystery",
    ],
)
def test_what_is_not_there_is_found(command):
    assert fault_of(shlex.split(command))


@pytest.mark.parametrize(
    "command",
    [
        "scripts/setup --aws",
        "inngest-serverless send a/b --to dev",
        "pip install 'inngest-serverless[aws, tracing]' pytest",
        "aws secretsmanager create-secret --name a --secret-string b --region c",
    ],
)
def test_what_is_there_passes(command):
    assert fault_of(shlex.split(command)) is None
