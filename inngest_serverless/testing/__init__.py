"""What tests of durable functions need: run them to their end, mock their steps, pass time, let things go wrong.

The names are loaded when they are first used, so that pytest, which loads the plugin beside them, starts as fast as
without.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from inngest_serverless.testing.determinism import assert_deterministic
    from inngest_serverless.testing.entry import run, start
    from inngest_serverless.testing.errors import NotDeterministicError, NotReachedError
    from inngest_serverless.testing.faults import Fault, Injection
    from inngest_serverless.testing.mocks import StepMock, mock_step
    from inngest_serverless.testing.results import RunError, RunResult, StepResult, Waiting
    from inngest_serverless.testing.session import Session
    from inngest_serverless.testing.started import TestRun

__all__ = [
    "Fault",
    "Injection",
    "NotDeterministicError",
    "NotReachedError",
    "RunError",
    "RunResult",
    "Session",
    "StepMock",
    "StepResult",
    "TestRun",
    "Waiting",
    "assert_deterministic",
    "mock_step",
    "run",
    "start",
]

_HOMES = {
    "determinism": ("assert_deterministic",),
    "entry": ("run", "start"),
    "errors": ("NotDeterministicError", "NotReachedError"),
    "faults": ("Fault", "Injection"),
    "mocks": ("StepMock", "mock_step"),
    "results": ("RunError", "RunResult", "StepResult", "Waiting"),
    "session": ("Session",),
    "started": ("TestRun",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> object:
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{home}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
