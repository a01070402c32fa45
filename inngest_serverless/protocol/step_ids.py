"""From the IDs in the code to the hashes on the wire. Source: docs/protocol.md, section 3."""

from __future__ import annotations

from hashlib import sha1

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    # Whether the code is in a branch, the full ID that its group is numbered under, that of its own first step or "".
    Scope = tuple[bool, str, str]

__all__ = ["StepIds", "hash_id"]


# IDs may be made of what events say, and whoever sends those must not fill the memory.
_LONGEST_KEPT = 256
_MOST_KEPT = 4096


class _Hashes(dict[str, str]):
    """Hashes by step ID: a warm environment sees the same IDs call after call, and each of them on every call."""

    def __missing__(self, full_id: str) -> str:
        key = sha1(full_id.encode("utf-8", "surrogatepass"), usedforsecurity=False).hexdigest()
        if len(full_id) <= _LONGEST_KEPT:
            if len(self) >= _MOST_KEPT:
                self.clear()
            self[full_id] = key
        return key


# The SHA-1 of a full step ID in hex. A method of the dictionary: what is known costs no call of Python code.
hash_id: Callable[[str], str] = _Hashes().__getitem__


class StepIds:
    """Hands out IDs: the first use of an ID is the ID itself, the n-th repeat is ``id:n``, and no two are ever equal.

    The branches of a parallel group in sync code run one after the other, each as far as it can, so the order in which
    they ask depends on how far each has come. Only the first step of every branch is always asked for in the same
    order. Therefore that one is numbered like a step outside the group, and the steps behind it are numbered within
    their branch, under the full ID of its first step.

    Attributes:
        index: Which repeat the ID taken last is: None for a first use, then 1, 2, ...
    """

    __slots__ = ("_base", "_first", "_in_branch", "_seen", "index")

    def __init__(self) -> None:
        self._seen: dict[str, int] = {}
        self._in_branch = False
        self._base = ""
        self._first = ""
        self.index: int | None = None

    def take(self, step_id: str) -> str:
        """The full ID of the next use of ``step_id``."""
        if self._in_branch:
            return self._take_in_branch(step_id)
        seen = self._seen
        if step_id in seen:
            return self._repeat(step_id)
        seen[step_id] = 1
        self.index = None
        return step_id

    def _repeat(self, step_id: str) -> str:
        seen = self._seen
        count = seen[step_id]
        # An explicit "a:1" may have taken the name that the second "a" would get.
        while (full_id := f"{step_id}:{count}") in seen:
            count += 1
        seen[step_id] = count + 1
        seen[full_id] = 1
        self.index = count
        return full_id

    def _take_in_branch(self, step_id: str) -> str:
        scope = self._first or self._base
        self._in_branch = False
        # The mark stands between scopes, so it must not come from an ID.
        step_id = step_id.replace("\0", "\0.")
        full_id = self.take(f"{scope}\0{step_id}" if scope else step_id)
        self._in_branch = True
        self._first = self._first or full_id
        return full_id

    def enter_group(self) -> Scope:
        """Start a group of branches; returns the scope around it, from which its branches start."""
        return (self._in_branch, self._base, self._first)

    def enter_branch(self, around: Scope) -> None:
        """Start a branch of the group within a scope."""
        _, base, first = around
        self._in_branch = True
        self._base = first or base
        self._first = ""

    def leave_branch(self) -> str:
        """End a branch; returns the full ID of its first step, or ""."""
        return self._first

    def leave_group(self, around: Scope, first: str) -> None:
        """End a group whose first step is ``first``: the branch around it has begun with that step, if not before."""
        self._in_branch, self._base, self._first = around
        if self._in_branch and first and not self._first:
            # A scope of its own: how far the branches of a race have come when the others go on is not always the same.
            self._first = f"{first}\0"

    def mark(self) -> int:
        """A point to which ``rewind`` can go back."""
        return len(self._seen)

    def rewind(self, mark: int) -> None:
        """Forget every ID taken since ``mark``, so that the code that asked for them can be run again."""
        seen = self._seen
        while len(seen) > mark:
            taken, _ = seen.popitem()
            # Counting again from 1 is always safe: numbers in use are skipped.
            origin = taken.rpartition(":")[0]
            if origin in seen:
                seen[origin] = 1
