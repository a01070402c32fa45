"""The IDs that the local engine gives: random to look at, the same for the same seed.

Source: docs/protocol.md, sections 2 and 9.
"""

from __future__ import annotations

import random
from base64 import b64decode, b64encode
from hashlib import sha256
from uuid import NAMESPACE_URL, uuid5

__all__ = ["Ids", "function_uuid", "queue_item_id", "seeded_ids", "trace_id"]

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_BASE_36 = "0123456789abcdefghijklmnopqrstuvwxyz"
_ENTROPY_BITS = 80
_JOB_ID_LENGTH = 13


class Ids:
    """A source of IDs and of chance.

    Args:
        seed: Whatever comes from it is the same for the same seed.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - determinism is the point

    def ulid(self, at_ms: int) -> str:
        """An ID for events, runs and requests, which sorts by its time."""
        return _ulid(at_ms, self._random.getrandbits(_ENTROPY_BITS))

    def job(self) -> str:
        """An ID for a call and its retries."""
        return "".join(self._random.choices(_BASE_36, k=_JOB_ID_LENGTH))

    def span(self) -> str:
        """An ID for one call in a trace."""
        return f"{self._random.getrandbits(64) or 1:016x}"

    def below(self, limit: int) -> int:
        """A number from 0 to just below a limit."""
        return self._random.randrange(limit)


def seeded_ids(seed: str, count: int) -> list[str] | None:
    """The IDs of events that were sent with a seed, which are the same each time; None if it is no seed.

    Args:
        seed: The header ``X-Inngest-Event-Id-Seed``: milliseconds and 10 bytes in base64.
        count: How many events there are.
    """
    millis, _, text = seed.partition(",")
    try:
        at_ms, entropy = int(millis), b64decode(text, validate=True)
    except ValueError:
        return None
    if len(entropy) * 8 != _ENTROPY_BITS or not 0 <= at_ms < 1 << 48:
        return None
    first = int.from_bytes(entropy, "big") + 1
    return [_ulid(at_ms, (first + number) % (1 << _ENTROPY_BITS)) for number in range(count)]


def function_uuid(composite_id: str) -> str:
    """The UUID by which the server knows a function."""
    return str(uuid5(NAMESPACE_URL, composite_id))


def queue_item_id(job_id: str) -> str:
    """The name of a call in the server's queue."""
    return b64encode(f"{job_id}::default".encode()).decode()


def trace_id(run_id: str) -> str:
    """The trace that the calls of a run are part of."""
    return sha256(run_id.encode()).hexdigest()[:32]


def _ulid(at_ms: int, entropy: int) -> str:
    number = (at_ms << _ENTROPY_BITS) | entropy
    return "".join(_CROCKFORD[(number >> shift) & 31] for shift in range(125, -1, -5))
