"""Bytes to hostile values: a fuzzer and Hypothesis both only know how to make bytes, and how to make less of them."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    T = TypeVar("T")

# JSON text that no Python value gives; it takes the place of these words in a document's text.
RAW = {
    "@digits": "9" * 5000,
    "@digits-that-fit": "9" * 4300,
    "@infinite": "1e400",
    "@minus-infinite": "-1e400",
    "@nan": "NaN",
    "@infinity": "-Infinity",
    "@tiny": "1e-400",
    "@minus-zero": "-0",
    "@surrogate": '"\\ud800"',
    "@pair": '"\\ud83d\\ude00"',
    "@nul": '"\\u0000"',
    "@twice": '{"a":1,"a":[2],"":0,"":1}',
    "@deep": "[" * 960 + "]" * 960,
    "@deep-object": '{"a":' * 960 + "0" + "}" * 960,
    "@deeper": "[" * 100_000 + "]" * 100_000,
    "@open": "[" * 100_000,
    "@cut": '"',
    "@none": "",
    "@comma": "1,",
    "@control": '"\n"',
}
TEXTS = [
    "",
    " ",
    "step",
    "0" * 40,
    "../../etc/passwd",
    "//evil.example/x",
    "https://evil.example",
    "a\r\nx-evil: 1",
    "a\x00b",
    "\x1b[31mred",
    "\u00e9",
    "\u202eabc",
    "\U0001f600",
    "\ufeff",
    "%00%zz%e9%",
    "?a=b#c&d",
    "<script>alert(1)</script>",
    "{}",
    "[]",
    "null",
    "0",
    "-1",
    "9" * 400,
    "1e400",
    "x" * 20_000,
    "__proto__",
    "in_band",
    "cloud",
    "00-" + "0" * 32 + "-" + "0" * 16 + "-01",
    "00-" + "f" * 32 + "-" + "f" * 16 + "-zz",
]
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2**63, -(2**70), 1.5, -0.0, 1e308),
    *([], {}, [None], [[]], ["a", 1], {"a": None}, {"": ""}, {"data": 1}, {"error": 1}, {"error": {}}, {"input": 1}),
    *({"error": {"name": 1, "message": [], "stack": {}}}, {"name": "a", "data": []}, {"data": {"signal": 1}}),
]
METHODS = ["POST", "PUT", "GET", "HEAD", "DELETE", "post", "", "POST ", "P\x00ST"]


class Dice:
    """Makes choices by the bytes that it is given; when they are used up, always the first choice."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def below(self, limit: int) -> int:
        """A number from 0 to ``limit - 1``."""
        size = 1 if limit <= 256 else 3  # noqa: PLR2004 - what one byte tells apart
        part = self._data[self._at : self._at + size]
        self._at += size
        return int.from_bytes(part) % limit

    def one_of(self, choices: Sequence[T]) -> T:
        """One of them."""
        return choices[self.below(len(choices))]

    def chance(self, of: int) -> bool:
        """True once in ``of`` times."""
        return self.below(of) == of - 1

    def some(self, size: int) -> bytes:
        """Up to ``size`` bytes as they are."""
        count = self.below(size + 1)
        part = self._data[self._at : self._at + count]
        self._at += count
        return part

    def text(self) -> str:
        """Text that has a UTF-8 form: one that is known to be nasty, or any."""
        return self.some(12).decode("utf-8", "replace") if self.chance(4) else self.one_of(TEXTS)

    def value(self) -> Any:
        """A value for JSON, or a word that stands for JSON text; see ``RAW``."""
        kind = self.below(4)
        if kind == 0:
            return deepcopy(self.one_of(VALUES))
        return self.text() if kind == 1 else self.one_of([*RAW])

    def spoil(self, document: Any, most: int = 4) -> Any:
        """A copy of a document in which a few things are replaced, left out or added, anywhere in it."""
        spoiled = json.loads(json.dumps(document))
        for _ in range(1 + self.below(most)):
            place, key = self._place(spoiled)
            if place is None:
                return self.value()
            if self.chance(5) and key is not None:
                del place[key]
            elif isinstance(place, dict):
                place[self.text() if key is None or self.chance(5) else key] = self.value()
            elif key is None:
                place.append(self.value())
            else:
                place[key] = self.value()
        return spoiled

    def _place(self, document: Any) -> tuple[Any, Any]:
        """A container and a key in it; no key where it is empty, no container where the document is none."""
        place, key, inner = None, None, document
        while isinstance(inner, (dict, list)):
            place = inner
            keys = [*inner] if isinstance(inner, dict) else [*range(len(inner))]
            if not keys:
                return place, None
            key = self.one_of(keys)
            inner = inner[key]
            if self.chance(3):
                break
        return place, key


def json_text(document: Any, raw: Mapping[str, str] = RAW) -> str:
    """A document's JSON text, with the text that its words stand for; that need not be JSON any more."""
    text = json.dumps(document, ensure_ascii=False)
    for word, replacement in raw.items():
        text = text.replace(f'"{word}"', replacement)
    return text
