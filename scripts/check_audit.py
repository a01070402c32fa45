"""Asks PyPI's vulnerability service about the pinned packages, and says so when it could not ask: see scripts/check.

pip-audit itself calls packages that the service does not answer for "skipped", and succeeds: without a network it would
find nothing wrong with anything. So the service is first asked about a release that is known to be vulnerable.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

PINS = Path(__file__).parents[1] / "requirements" / "dev.txt"
# It has had several known vulnerabilities for years.
CANARY = "jinja2==2.4.1"
# What is known and accepted: the vulnerability's ID, and why.
ACCEPTED: dict[str, str] = {}
# Asking about all pins takes some seconds; without an answer in this time there will be none.
SECONDS = 180
OK, FAILED, NOT_ASKED = 0, 1, 3


def main() -> int:
    """Run the command: 0 if nothing is known against the pins, 1 if something is, 3 if that could not be asked."""
    canary = _ask(CANARY)
    if not _vulnerabilities(canary):
        line, code = "NOT RUN: PyPI's vulnerability service was not reached, so nothing is known of the pins", NOT_ASKED
    else:
        line, code = verdict(_ask(PINS.read_text("utf-8")))
    print(line)
    return code


def verdict(document: dict[str, Any] | None) -> tuple[str, int]:
    """What to say of pip-audit's document about the pins, None if there is none, and the exit code."""
    if document is None:
        return "NOT RUN: pip-audit gave no answer about the pins, though the service was reached", NOT_ASKED
    found = [line for identity, line in _vulnerabilities(document) if identity not in ACCEPTED]
    if found:
        return "\n".join(["", *found, "move the pins (scripts/pin), or accept one in scripts/check_audit.py"]), FAILED
    packages = document["dependencies"]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    if unknown:
        return f"NOT RUN for {len(unknown)} of {len(packages)} packages: {', '.join(unknown)}", NOT_ASKED
    accepted = f", {len(ACCEPTED)} accepted" if ACCEPTED else ""
    return f"nothing is known against {len(packages)} packages{accepted}", OK


def _vulnerabilities(document: dict[str, Any] | None) -> list[tuple[str, str]]:
    """What is known against packages: IDs, and a line on each."""
    return [
        (known["id"], f"{package['name']} {package['version']}: {known['id']}, mended in {_versions(known)}")
        for package in (document or {"dependencies": []})["dependencies"]
        for known in package.get("vulns", ())
    ]


def _versions(known: dict[str, Any]) -> str:
    return ", ".join(known.get("fix_versions") or ["no release yet"])


def _ask(requirements: str) -> dict[str, Any] | None:
    """pip-audit's document about some pins; None if it made none."""
    with tempfile.TemporaryDirectory() as folder:
        pins = Path(folder, "pins.txt")
        pins.write_text(requirements, encoding="utf-8")
        command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--no-deps", "--format", "json"]
        command += ["--progress-spinner", "off", "--timeout", "10", "--requirement", str(pins)]
        try:
            ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
            document: dict[str, Any] = json.loads(ran.stdout)
        except (subprocess.TimeoutExpired, ValueError):
            return None
    return document


if __name__ == "__main__":
    sys.exit(main())
