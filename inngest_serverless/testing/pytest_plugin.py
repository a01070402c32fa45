"""The pytest plugin: the fixture ``inngest``. It is loaded at every start of pytest, so it imports nothing before that.

It is registered by the entry point ``pytest11``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from inngest_serverless.testing.session import Session

__all__ = ["inngest"]


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
