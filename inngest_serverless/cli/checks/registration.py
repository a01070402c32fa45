"""What an app registers, read as an engine reads it at a sync: its expressions, its schedules, its flow control."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from inngest_serverless.cli.checks.findings import note, problem
from inngest_serverless.clock import now_millis
from inngest_serverless.errors import ConfigurationError
from inngest_serverless.local.packages import PackageMissingError
from inngest_serverless.local.registry import read_function
from inngest_serverless.local.schedules import check_schedules

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from inngest_serverless.cli.checks.findings import Finding

__all__ = ["check_registration"]


def check_registration(functions: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Look for what an engine would refuse at a sync; one finding for each function that has such a thing.

    Args:
        functions: The functions, in the wire's form.
    """
    findings: list[Finding] = []
    for function in functions:
        try:
            check_schedules([read_function(function)], now_millis())
        except PackageMissingError as error:
            return [note("registration", f"not everything that is registered was checked: {error}")]
        except ConfigurationError as error:
            why = "a sync is refused for it, with all functions of the app, or the function is never started"
            findings.append(problem("registration", str(error), why, "mend what it says, in the function's options"))
    return findings
