"""Log lines as Cloud Logging reads them: a JSON object each, with a severity.

Source: docs/deploy-gcp.md, "Logs", and the Cloud Logging documentation on structured logging.
"""

from __future__ import annotations

import logging
import os
import sys
from json import dumps
from typing import Any

__all__ = ["CloudLogFormatter", "use_cloud_logging"]

_SEVERITIES = (
    (logging.CRITICAL, "CRITICAL"),
    (logging.ERROR, "ERROR"),
    (logging.WARNING, "WARNING"),
    (logging.INFO, "INFO"),
    (logging.DEBUG, "DEBUG"),
)
# What every record has; anything else in one came with it as ``extra``.
_STANDARD = {*logging.makeLogRecord({}).__dict__, "message", "asctime", "taskName"}


class CloudLogFormatter(logging.Formatter):
    """Writes a record as one line of JSON: ``severity``, ``message``, ``logger``, ``stack_trace``, and its ``extra``.

    Records of ``ctx.logger`` bring ``run_id``, ``function_id``, ``attempt`` and ``step_id`` that way.
    """

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        fields: dict[str, Any] = {
            "severity": next((name for level, name in _SEVERITIES if record.levelno >= level), "DEFAULT"),
            "message": record.getMessage(),
            "logger": record.name,
        }
        if record.exc_info:
            fields["stack_trace"] = self.formatException(record.exc_info)
        extra = {name: value for name, value in record.__dict__.items() if name not in _STANDARD}
        try:
            return _json({**extra, **fields})
        except (ValueError, RecursionError):
            # A line that is no JSON would lose its severity, at the will of whoever sent the event that is logged.
            return _json(
                {name: value if _fits(value) else f"({type(value).__name__})" for name, value in extra.items()} | fields
            )


def _json(document: Any) -> str:
    # JSON has no NaN and no infinity; Python reads 1e400 as one.
    return dumps(document, default=str, skipkeys=True, allow_nan=False)


def _fits(value: Any) -> bool:
    try:
        _json(value)
    except (ValueError, RecursionError):
        return False
    return True


def use_cloud_logging(level: int | str = logging.INFO) -> None:
    """Make everything that is logged in this process a line of JSON that Cloud Logging understands.

    Otherwise what is logged has no severity there, and each line of a traceback is an entry of its own. It takes the
    place of what else the root logger has for handlers; call it in the file that has the function, before other things
    log. Off the platform, where K_SERVICE is not set, it changes nothing.

    Args:
        level: What to leave out: whatever is below it.

    Source: docs/deploy-gcp.md, "Logs".
    """
    if os.environ.get("K_SERVICE"):
        handler = _StdoutHandler()
        handler.setFormatter(CloudLogFormatter())
        logging.basicConfig(level=level, handlers=[handler], force=True)


class _StdoutHandler(logging.Handler):
    """Writes to what is standard output when it writes: functions-framework puts something else there for each call."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            sys.stdout.write(f"{self.format(record)}\n")
            sys.stdout.flush()
        except Exception:  # noqa: BLE001 - as logging's own handlers: whoever logs must not fail for it
            self.handleError(record)
