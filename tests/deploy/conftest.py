"""Fixtures of what is deployed to AWS."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import aws_artifact
import pytest
from stack_names import CODE_BUCKET, CODE_KEY, SECRET_ARN

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path
    from typing import Any


@pytest.fixture(scope="session")
def translate() -> Callable[..., dict[str, Any]]:
    """Translates template.yaml as SAM does in a deployment: ``translate(Trigger="http-api")``."""
    python = aws_artifact.tool("aws/bin/python")
    program = str(aws_artifact.ROOT / "tests" / "deploy" / "translate_template.py")

    def run(**parameters: str) -> dict[str, Any]:
        values = json.dumps({"SecretArn": SECRET_ARN, **parameters})
        code = [CODE_BUCKET, CODE_KEY]
        translated: dict[str, Any] = json.loads(aws_artifact.run(python, program, "template.yaml", *code, values))
        return translated

    return run


@pytest.fixture(scope="session")
def translated(translate: Callable[..., dict[str, Any]]) -> dict[str, Any]:
    """template.yaml with the parameters that it has by default."""
    return translate()


@pytest.fixture(scope="session")
def artifact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The serve function as a deployment builds it, for this machine."""
    return aws_artifact.build(tmp_path_factory) / "ServeFunction"


@pytest.fixture(scope="session")
def bare_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter that has Lambda's runtime client, and nothing else."""
    return aws_artifact.lambda_python(tmp_path_factory.mktemp("bare"), "awslambdaric")


@pytest.fixture(scope="session")
def lambda_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """An interpreter that has what Lambda's own has: its runtime client, and boto3."""
    return aws_artifact.lambda_python(tmp_path_factory.mktemp("lambda"), "awslambdaric", "boto3")
