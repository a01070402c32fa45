"""Where the emulator is looked for."""

from __future__ import annotations

from pathlib import Path

import pytest

from inngest_serverless.errors import ConfigurationError
from inngest_serverless.local.emulator import find_emulator


@pytest.fixture
def empty(tmp_path, monkeypatch):
    """A folder without an emulator, on a machine without one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("AWS_LAMBDA_RIE", raising=False)
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    return tmp_path


def program(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


def test_without_an_emulator_the_error_says_how_to_get_it(empty):
    with pytest.raises(ConfigurationError, match="run scripts/setup, or pip install aws-sam-cli, or set"):
        find_emulator(None, empty)


@pytest.mark.parametrize("by", ["argument", "variable"])
def test_a_wrong_path_is_an_error_even_where_there_is_an_emulator(empty, monkeypatch, by):
    program(empty / "aws-lambda-rie")
    monkeypatch.setenv("AWS_LAMBDA_RIE", "elsewhere/rie")
    with pytest.raises(ConfigurationError, match="rie is not the Lambda runtime emulator"):
        find_emulator("elsewhere/rie" if by == "argument" else None, empty)


@pytest.mark.parametrize(("machine", "name"), [("x86_64", "x86_64"), ("aarch64", "arm64"), ("arm64", "arm64")])
def test_the_order_in_which_the_emulator_is_looked_for(empty, monkeypatch, machine, name):
    monkeypatch.setattr("platform.machine", lambda: machine)
    on_path = program(empty / "aws-lambda-rie")
    assert find_emulator(None, empty / "app") == str(on_path)
    by_setup = program(empty / f".tools/sam/samcli/local/rapid/aws-lambda-rie-{name}")
    assert find_emulator(None, empty / "app/handlers") == str(by_setup)
    assert find_emulator(None, Path("/")) == str(by_setup)
    monkeypatch.setenv("AWS_LAMBDA_RIE", "aws-lambda-rie")
    assert find_emulator(None, empty) == str(on_path)
    assert find_emulator(by_setup, empty) == str(by_setup)


def test_an_installed_sam_is_found(empty, monkeypatch):
    class Spec:
        submodule_search_locations = (str(empty / "site/samcli"),)

    monkeypatch.setattr("importlib.util.find_spec", lambda _: Spec)
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    binary = program(empty / "site/samcli/local/rapid/aws-lambda-rie-x86_64")
    assert find_emulator(None, empty) == str(binary)
