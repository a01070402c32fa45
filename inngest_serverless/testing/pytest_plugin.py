"""The pytest plugin: the fixture ``inngest``, and what a failed test says of runs that have failed.

It is loaded at every start of pytest, so it imports nothing before that. It is registered by the entry point
``pytest11``.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inngest_serverless.testing.session import Session

__all__ = ["inngest"]

_RESULTS = "inngest_serverless.testing.results"
_STATUSES = {"completed", "failed", "cancelled", "queued", "running"}


@pytest.fixture
def inngest(request: pytest.FixtureRequest) -> Iterator[Session]:
    """A session for one test: ``inngest.run(...)``, ``inngest.start(...)``, ``inngest.mock_step(...)``.

    What the code under test sends during the test, from anywhere, comes to it; nothing leaves the process. When the
    test has passed, every mock and every fault has to have been reached.
    """
    from inngest_serverless.testing.session import Session

    __tracebackhide__ = True
    failed_before = request.session.testsfailed
    session = Session()
    with session.lasting():
        yield session
    if request.session.testsfailed == failed_before:
        session.verify()


def pytest_runtest_setup() -> None:
    """Forget the runs of the test before."""
    _failures().clear()


def pytest_assertrepr_compare(op: str, left: object, right: object) -> list[str] | None:
    """Say why a run has failed where a test finds that it has: pytest itself knows only of two words."""
    failures = _failures()
    if not failures or op != "==" or left != "failed" or right not in _STATUSES:
        return None
    *_, last = failures.values()
    # The reason first: of a long line the summary shows the beginning.
    return [f"{last.error.reason if last.error else last.status} ({left!r} == {right!r})"]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport() -> Iterator[None]:
    """Add to the report of a failed test which runs have failed, and where."""
    outcome: Any = yield
    report = outcome.get_result()
    if report.failed and (failures := _failures()):
        told = "\n".join(result.describe() for result in failures.values())
        report.sections.append(("inngest: runs that failed", told))


def _failures() -> dict[str, Any]:
    """The runs of this test that have failed, by their IDs; none where nothing of the kit has been used."""
    results = sys.modules.get(_RESULTS)
    failures: dict[str, Any] = {} if results is None else results.RECENT_FAILURES
    return failures
