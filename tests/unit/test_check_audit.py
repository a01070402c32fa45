"""The audit of the pins never says that all is well without having asked: scripts/check_audit.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

sys.path.append(str(Path(__file__).parents[2] / "scripts"))

import check_audit
from check_audit import FAILED, NOT_ASKED, OK

VULNERABLE = {"name": "jinja2", "version": "2.4.1", "vulns": [{"id": "PYSEC-1", "fix_versions": ["2.8.1"]}]}
FINE = {"name": "httpx", "version": "0.28.1", "vulns": []}
UNKNOWN = {"name": "httpx", "skip_reason": "Dependency not found on PyPI and could not be audited: httpx (0.28.1)"}


def audit(monkeypatch, capsys, canary, pins):
    monkeypatch.setattr(check_audit, "_ask", lambda text: canary if text == check_audit.CANARY else pins)
    return check_audit.main(), capsys.readouterr().out


def document(*packages):
    return {"dependencies": [*packages], "fixes": []}


@pytest.mark.parametrize("canary", [None, document(), document(UNKNOWN), document(FINE)], ids=repr)
def test_a_service_that_finds_nothing_in_what_is_vulnerable_was_not_reached(canary, monkeypatch, capsys):
    """That is what no network looks like: pip-audit skips every package, and is content."""
    code, said = audit(monkeypatch, capsys, canary, document(FINE))
    assert code == NOT_ASKED
    assert "NOT RUN" in said
    assert "nothing is known against" not in said


@pytest.mark.parametrize(
    ("pins", "code", "words"),
    [
        (document(FINE, FINE), OK, "nothing is known against 2 packages"),
        (document(FINE, VULNERABLE), FAILED, "jinja2 2.4.1: PYSEC-1, mended in 2.8.1"),
        (document(VULNERABLE, UNKNOWN), FAILED, "PYSEC-1"),
        (document(FINE, UNKNOWN), NOT_ASKED, "NOT RUN for 1 of 2 packages: httpx"),
        (None, NOT_ASKED, "NOT RUN"),
    ],
)
def test_what_the_service_says(pins, code, words, monkeypatch, capsys):
    found, said = audit(monkeypatch, capsys, document(VULNERABLE), pins)
    assert found == code
    assert words in said


def test_what_is_accepted_is_not_found_again(monkeypatch, capsys):
    monkeypatch.setitem(check_audit.ACCEPTED, "PYSEC-1", "not reached from here")
    code, said = audit(monkeypatch, capsys, document(VULNERABLE), document(FINE, VULNERABLE))
    assert (code, "1 accepted" in said) == (OK, True)


@pytest.mark.parametrize("output", ["", "Traceback", None], ids=repr)
def test_pip_audit_that_breaks_is_no_answer(output, monkeypatch, capsys):
    def run(*_, **__):
        if output is None:
            raise subprocess.TimeoutExpired("pip_audit", 1)
        return SimpleNamespace(stdout=output)

    monkeypatch.setattr(subprocess, "run", run)
    assert check_audit.main() == NOT_ASKED
    assert "NOT RUN" in capsys.readouterr().out


def test_the_pins_are_all_asked_about(monkeypatch, capsys):
    asked = []
    monkeypatch.setattr(check_audit, "_ask", lambda text: asked.append(text) or document(VULNERABLE))
    check_audit.main()
    assert asked[1].count("==") > 100
