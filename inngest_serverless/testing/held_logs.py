"""Log records of calls that nobody was to see."""

from __future__ import annotations

import logging
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    Held = list[tuple[logging.Logger, logging.LogRecord]]

__all__ = ["held", "let_go"]


@contextmanager
def held() -> Iterator[Held]:
    """Keep back what is logged meanwhile, in all threads; unless it ends by an error, which tells it all."""
    records: Held = []
    before = logging.Logger.handle

    def keep(logger: logging.Logger, record: logging.LogRecord) -> None:
        records.append((logger, record))

    logging.Logger.handle = keep  # type: ignore[method-assign, assignment]
    try:
        yield records
    except BaseException:
        logging.Logger.handle = before  # type: ignore[method-assign]
        let_go(records)
        raise
    finally:
        logging.Logger.handle = before  # type: ignore[method-assign]


def let_go(records: Held) -> None:
    """Log what was kept back."""
    for logger, record in records:
        logger.handle(record)
