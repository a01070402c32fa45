"""What a check finds: what it is, why that matters, and what to do about it."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

__all__ = ["Finding", "Level", "Report", "note", "ok", "problem", "warning"]

_USER_INFO = re.compile(r"(?<=://)[^/@\s]+@")
Level = Literal["ok", "note", "warning", "problem"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a check found.

    Attributes:
        check: The check's name, which stays the same from version to version.
        level: ``"ok"``; ``"note"``: good to know; ``"warning"``: works, but not always or not for long;
            ``"problem"``: does not work, or is not safe.
        what: What was found, in a line.
        why: What follows from it, or what it comes from.
        do: What to do about it.
    """

    check: str
    level: Level
    what: str
    why: str = ""
    do: str = ""

    def to_json(self) -> dict[str, str]:
        """The finding in the form of the ``--json`` output."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Report:
    """What came of checks of one kind.

    Attributes:
        facts: What is there, by name: JSON values.
        findings: What to say about it.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)

    def without_passwords(self) -> Report:
        """The report as it may be shown: an origin that is set may have a name and a password in it."""
        findings = [Finding(**_masked(finding.to_json())) for finding in self.findings]
        return Report(_masked(self.facts), findings)


def ok(check: str, what: str) -> Finding:
    """All is well."""
    return Finding(check, "ok", what)


def note(check: str, what: str, why: str = "", do: str = "") -> Finding:
    """Good to know."""
    return Finding(check, "note", what, why, do)


def warning(check: str, what: str, why: str, do: str) -> Finding:
    """It works, but not always or not for long."""
    return Finding(check, "warning", what, why, do)


def problem(check: str, what: str, why: str, do: str) -> Finding:
    """It does not work, or is not safe."""
    return Finding(check, "problem", what, why, do)


def _masked(value: Any) -> Any:
    """JSON with ``***`` in place of what stands before a URL's host."""
    if isinstance(value, str):
        return _USER_INFO.sub("***@", value)
    if isinstance(value, dict):
        return {name: _masked(part) for name, part in value.items()}
    return [_masked(part) for part in value] if isinstance(value, list) else value
