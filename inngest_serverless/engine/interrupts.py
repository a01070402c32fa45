"""How an invocation leaves the user's code: once there is something to report, or when its time is up."""

from __future__ import annotations

__all__ = ["DeadlineExceeded", "Interrupt"]


class Interrupt(BaseException):
    """Unwinds the user's function at a step that the server has to be told of.

    It is no ``Exception``, so ``except Exception`` lets it pass. A bare ``except`` that swallows it does no harm to the
    run: what was to be reported is reported all the same, and every further step raises it again.
    """

    def __init__(self, step_id: str) -> None:
        super().__init__(
            f"the call ends at step {step_id!r}; the function is called again to go on behind it. "
            "This is not an error: let it pass (catch Exception instead of BaseException)"
        )


class DeadlineExceeded(BaseException):
    """Ends code that is not done when its call has to be answered; what was running then is tried again.

    It is no ``Exception``, so ``except Exception`` lets it pass. Code that swallows it is ended again.

    Source: docs/deadlines-and-limits.md.
    """
