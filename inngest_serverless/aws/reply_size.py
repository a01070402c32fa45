"""How large a text is in a reply of a Lambda function. Source: the Lambda runtime for Python, ``awslambdaric``."""

from __future__ import annotations

import os

__all__ = ["json_size"]

# The runtimes that write replies in UTF-8; all others, and images of one's own, write \uXXXX for what is not ASCII.
_UTF8_RUNTIMES = {f"AWS_Lambda_python3.{minor}" for minor in range(12, 16)}
_ESCAPE = len("\\u0000")


def json_size(text: str) -> int:
    """The bytes of a text as a JSON string, as the runtime writes it.

    Args:
        text: JSON text, or base64: without control characters.
    """
    size = 2 + text.count('"') + text.count("\\")
    if os.environ.get("AWS_EXECUTION_ENV") in _UTF8_RUNTIMES:
        if text.isascii():
            return size + len(text)
        # Some versions of simplejson escape these all the same.
        separators = text.count("\u2028") + text.count("\u2029")
        return size + len(text.encode()) + separators * (_ESCAPE - len("\u2028".encode()))
    size += text.count("\x7f") * (_ESCAPE - 1)
    if text.isascii():
        return size + len(text)
    ascii_characters = len(text.encode("ascii", "ignore"))
    units = len(text.encode("utf-16-le")) // 2
    return size + ascii_characters + (units - ascii_characters) * _ESCAPE
