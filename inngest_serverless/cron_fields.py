"""The fields of a schedule. Source: docs/protocol.md, section 7."""

from __future__ import annotations

__all__ = ["cron_fault"]

_CRON_FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of month", 1, 31), ("month", 1, 12), ("day of week", 0, 6))
_CRON_NAMES = {
    "month": ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"],
    "day of week": ["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"],
}
# What cron programs call them; the server takes fields only.
_CRON_WORDS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}


def cron_fault(cron: str) -> str | None:
    """What is wrong with a schedule, or None.

    Args:
        cron: Five fields; a time zone may stand before them.
    """
    fields = cron.split()
    if fields and fields[0].startswith(("TZ=", "CRON_TZ=")):
        fields = fields[1:]
    if len(fields) == 1 and fields[0] in _CRON_WORDS:
        return f"Inngest takes no {fields[0]}, write {_CRON_WORDS[fields[0]]!r}"
    if fields and fields[0].startswith("@"):
        return f"Inngest takes no {fields[0]}"
    if len(fields) != len(_CRON_FIELDS):
        return f"it has {len(fields)} fields"
    for text, (name, low, high) in zip(fields, _CRON_FIELDS, strict=True):
        if not all(_is_cron_part(part, name, low, high) for part in text.split(",")):
            return f"the {name} {text!r} is not in {low}-{high}"
    return None


def _is_cron_part(part: str, name: str, low: int, high: int) -> bool:
    span, slash, step = part.partition("/")
    if slash and not (step.isascii() and step.isdigit() and int(step) > 0):
        return False
    if span in {"*", "?"}:
        return True
    start, dash, end = span.partition("-")
    first = _cron_number(start, name)
    last = _cron_number(end, name) if dash else first
    return first is not None and last is not None and low <= first <= last <= high


def _cron_number(text: str, name: str) -> int | None:
    names = _CRON_NAMES.get(name, [])
    if text.upper() in names:
        return names.index(text.upper()) + (name == "month")
    return int(text) if text.isascii() and text.isdigit() else None
