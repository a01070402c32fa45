"""Middleware that keeps large results of steps in a store of one's own and leaves the server a reference to them.

The server limits the result of a step to 4 MiB and the state of a run to 32 MiB, and sends the state with every call.
A reference is small::

    {"__OFFLOADED__": true, "ref": "s3://bucket/inngest/01J.../9f2c....json", "bytes": 5300214, "sha256": "9f2c..."}

Source: docs/middleware.md.
"""

from __future__ import annotations

from contextvars import ContextVar
from json import loads
from threading import Lock

from inngest_serverless.errors import ConfigurationError, InngestError, NonRetriableError, TransportError
from inngest_serverless.middleware import Middleware
from inngest_serverless.serialization import encode_output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from inngest_serverless.middleware import CallInput, CallOutput
    from inngest_serverless.stores import Store

__all__ = ["OffloadMiddleware"]

_MARK = "__OFFLOADED__"
_THRESHOLD_BYTES = 256 * 1024
_CACHE_BYTES = 32 * 1024 * 1024

# The run that the code belongs to: one middleware serves many runs, in several threads.
_run_id: ContextVar[str] = ContextVar("inngest_serverless_offload_run")


class OffloadMiddleware(Middleware):
    """Keeps results of steps that are large in a store; results of functions and events stay where they are.

    What is stored is never deleted: let objects expire after the longest run.

    Args:
        store: Where to keep them: ``S3Store``, ``GCSStore``, ``FileStore``, or anything with the methods of ``Store``.
        threshold_bytes: The largest JSON that stays with the server.
        cache_bytes: How much to keep in memory, so that warm calls do not fetch it again.

    Raises:
        ConfigurationError: That is no store, or a number is out of its bounds.

    Source: docs/middleware.md.
    """

    def __init__(
        self, store: Store, *, threshold_bytes: int = _THRESHOLD_BYTES, cache_bytes: int = _CACHE_BYTES
    ) -> None:
        if isinstance(store, type) or not all(callable(getattr(store, name, None)) for name in ("put", "get")):
            raise ConfigurationError("OffloadMiddleware takes a store, e.g. S3Store('my-bucket')")
        for name, value, least in (("threshold_bytes", threshold_bytes, 1), ("cache_bytes", cache_bytes, 0)):
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigurationError(f"OffloadMiddleware: {name} must be a number of bytes, {least} or more")
        self._store = store
        self._threshold = threshold_bytes
        self._cache = _Cache(cache_bytes)

    def transform_input(self, call: CallInput) -> None:
        """Fetch the results that are in the store."""
        _run_id.set(call.run_id)
        for key, memo in call.memos.items():
            # With a name it is an event, whose sender writes into its data what he likes.
            if isinstance(memo, dict) and "name" not in memo and _is_reference(memo.get("data")):
                call.memos[key] = {**memo, "data": loads(self._fetch(memo["data"], key))}

    def transform_output(self, output: CallOutput) -> None:
        """Store the result of a step if it is large."""
        if output.error is not None:
            return
        # A result that looks like a reference would be taken for one, and could name what it likes. Those of functions
        # come back as well, to functions that invoke them.
        is_lookalike = _is_reference(output.data)
        if output.step_id is None and not is_lookalike:
            return
        source = "the function" if output.step_id is None else f"step {output.step_id!r}"
        data = encode_output(output.data, source).encode()
        if is_lookalike or len(data) > self._threshold:
            output.data = self._keep(data, source)

    def _keep(self, data: bytes, source: str) -> dict[str, Any]:
        from hashlib import sha256

        digest = sha256(data).hexdigest()
        try:
            # A retry that comes to the same result comes to the same key.
            ref = self._store.put(f"{_run_id.get()}/{digest}.json", data)
        except InngestError:
            raise
        except Exception as error:
            raise TransportError(
                f"the result of {source} ({len(data)} bytes) was not stored: {type(error).__name__}: {error}"
            ) from error
        self._cache.put((ref, digest), data)
        return {_MARK: True, "ref": ref, "bytes": len(data), "sha256": digest}

    def _fetch(self, reference: dict[str, Any], key: str) -> bytes:
        from hashlib import sha256

        ref, digest = reference["ref"], reference["sha256"]
        data = self._cache.get((ref, digest))
        if data is not None:
            return data
        try:
            data = self._store.get(ref)
        except LookupError:
            raise NonRetriableError(
                f"the result of step {key} is gone: there is no object {ref} in the store; "
                "was it deleted while the run was under way, or is this another store?"
            ) from None
        except InngestError:
            raise
        except Exception as error:
            raise TransportError(
                f"the result of step {key} was not fetched from {ref}: {type(error).__name__}: {error}"
            ) from error
        if sha256(data).hexdigest() != digest:
            raise NonRetriableError(f"the result of step {key} is damaged: {ref} is not what was stored there")
        self._cache.put((ref, digest), data)
        return data


def _is_reference(value: Any) -> bool:
    return (
        isinstance(value, dict)
        and value.get(_MARK) is True
        and isinstance(value.get("ref"), str)
        and isinstance(value.get("sha256"), str)
    )


class _Cache:
    """What was stored or fetched last, up to a number of bytes."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._size = 0
        self._kept: dict[tuple[str, str], bytes] = {}
        self._lock = Lock()

    def get(self, key: tuple[str, str]) -> bytes | None:
        with self._lock:
            data = self._kept.pop(key, None)
            if data is not None:
                # At the end are those that were used last.
                self._kept[key] = data
            return data

    def put(self, key: tuple[str, str], data: bytes) -> None:
        if len(data) > self._limit:
            return
        with self._lock:
            self._size += len(data) - len(self._kept.pop(key, b""))
            self._kept[key] = data
            while self._size > self._limit:
                self._size -= len(self._kept.pop(next(iter(self._kept))))
