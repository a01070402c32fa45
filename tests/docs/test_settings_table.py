"""The environment variables that are read are told of in docs/protocol.md, known to the doctor, and no others are set."""

from __future__ import annotations

import re

import pytest
from pages import DOCS, ROOT

from inngest_serverless.cli.checks import settings

NAME = re.compile(r"INNGEST_[A-Z_]*[A-Z]")
DEVELOPMENT = {"cli", "local", "testing"}
# Other SDKs read it; this one says that it does not.
NOT_READ = {"INNGEST_LOG_LEVEL"}


@pytest.fixture(scope="module")
def read() -> set[str]:
    """The variables that what serves production names."""
    package = ROOT / "inngest_serverless"
    files = [path for path in package.rglob("*.py") if path.relative_to(package).parts[0] not in DEVELOPMENT]
    return {name for path in files for name in NAME.findall(path.read_text("utf-8"))}


def test_the_protocols_table_has_each(read):
    section = (DOCS / "protocol.md").read_text("utf-8").partition("## 10. ")[2].partition("\n## ")[0]
    rows = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `INNGEST_")]
    assert {name for row in rows for name in NAME.findall(row)} == read | NOT_READ, "docs/protocol.md, section 10"


def test_the_doctor_knows_each(read):
    assert set(settings._KNOWN) == read, "inngest_serverless/cli/checks/settings.py, _KNOWN"


def test_the_stack_sets_none_that_nobody_reads(read):
    written = set(NAME.findall((ROOT / "template.yaml").read_text("utf-8")))
    assert "INNGEST_APP_ID" in written
    assert written <= read, "template.yaml"
