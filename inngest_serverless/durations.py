"""Time strings, durations and instants, as the Inngest server spells them.

Two kinds of value leave this module: a *time string* ("1h30m") and an *instant* (RFC 3339, UTC, milliseconds, "Z").
Everything is counted in whole nanoseconds, so no float can drift between one replay and the next, and no clock is read
here: whoever needs "now" passes it in. Where an instant must be rounded, it is rounded up, so that nothing wakes early.
"""

from __future__ import annotations

from inngest_serverless.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from datetime import datetime, timedelta

_RETRY_AFTER_DIGITS = 7

__all__ = ["millis_to_instant", "parse_duration", "to_instant", "to_millis", "to_retry_after", "to_time_string"]

_MICROSECOND = 1_000
_MILLISECOND = 1_000_000
_SECOND = 1_000_000_000
_MINUTE = 60 * _SECOND
_HOUR = 60 * _MINUTE
_DAY = 24 * _HOUR
_UNITS = {
    "ns": 1, "us": _MICROSECOND, "ms": _MILLISECOND, "s": _SECOND, "m": _MINUTE, "h": _HOUR, "d": _DAY, "w": 7 * _DAY,
    "\u00b5s": _MICROSECOND, "\u03bcs": _MICROSECOND,  # the micro sign and the Greek mu, as in Go
}  # fmt: skip
_WRITTEN_UNITS = ("d", "h", "m", "s", "ms", "us")  # no weeks: "10d" is easier to read in a run's trace than "1w3d"

_LONGEST_DAYS = 366
_LONGEST_GO_DURATION = 2**63 - 1  # Go counts a duration in an int64; the server fails on more
_LONGEST_TEXT = 100

_MONTHS = "janfebmaraprmayjunjulaugsepoctnovdec"
_OFFSETS = {
    "gmt": "+0000", "utc": "+0000", "ut": "+0000", "z": "+0000", "est": "-0500", "edt": "-0400", "cst": "-0600",
    "cdt": "-0500", "mst": "-0700", "mdt": "-0600", "pst": "-0800", "pdt": "-0700",
}  # fmt: skip
_CENTURY_SPLIT = 69  # of two-digit years, as in Go and POSIX: 69 is 1969, 68 is 2068

# Strings, not compiled patterns: a cold start that reads no date pays for none of them, and re remembers the rest.
# English names are spelled out, because strptime reads them in the language of the process.
_WEEKDAY = "(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun|(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)"
_MONTH = "(?P<month>Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)"
_CLOCK = "(?P<hour>[0-9]{2}):(?P<minute>[0-9]{2})"
_SECONDS = ":(?P<second>[0-9]{2})"
_FRACTION = "(?:[.](?P<fraction>[0-9]{1,9}))?"
_OFFSET = "[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9]"
_RFC_3339_OR_DATE = (
    "(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})"
    f"(?:[T ]{_CLOCK}{_SECONDS}{_FRACTION}(?P<zone>Z|{_OFFSET})?)?"
)
_RFC_1123_OR_822 = (
    f"(?:{_WEEKDAY}, )?(?P<day>[0-9]{{1,2}}) {_MONTH} (?P<year>[0-9]{{4}}|[0-9]{{2}}) "
    f"{_CLOCK}(?:{_SECONDS})? (?P<zone>[A-Z]+|{_OFFSET})"
)
_ANSI_C = f"{_WEEKDAY} {_MONTH}  ?(?P<day>[0-9]{{1,2}}) {_CLOCK}{_SECONDS} (?P<year>[0-9]{{4}})"
_UNIX_SECONDS = f"(?P<unix>[0-9]+){_FRACTION}"
_ACCEPTED_FORMS = (
    "RFC 3339 ('2026-11-22T00:48:30Z'), RFC 1123 ('Mon, 02 Jan 2006 15:04:05 GMT'), RFC 822 ('02 Jan 06 15:04 -0700'), "
    "a date ('2026-11-22', midnight UTC), ANSI C ('Mon Jan  2 15:04:05 2006', UTC), Unix seconds ('1795308508')"
)


def parse_duration(value: str) -> int:
    """Read an Inngest time string.

    Units are ns, us, ms, s, m, h, d and w. A string may have several parts ("1h30m") and decimal fractions ("1.5h");
    like Go, a fraction of a nanosecond is dropped.

    Args:
        value: The time string, without sign and without spaces.

    Returns:
        The duration in whole nanoseconds.

    Raises:
        ConfigurationError: The string is not a time string, or is longer than the 292 years the server can count.

    Source: docs/protocol.md, section 4.
    """
    if not value:
        raise _not_a_duration(value, "it is empty")
    if len(value) > _LONGEST_TEXT:
        raise _not_a_duration(value, f"it has more than {_LONGEST_TEXT} characters")
    if value[0] in "+-":
        raise _not_a_duration(value, "it has a sign")
    if any(character.isspace() for character in value):
        raise _not_a_duration(value, "it has a space in it")
    total = 0
    position = 0
    while position < len(value):
        unit_start = _end_of_run(value, position, of_number=True)
        next_part = _end_of_run(value, unit_start, of_number=False)
        total += _part_in_nanos(value, value[position:unit_start], value[unit_start:next_part])
        position = next_part
    if total > _LONGEST_GO_DURATION:
        raise _not_a_duration(value, "it is longer than 292 years")
    return total


def to_time_string(value: str | int | timedelta) -> str:
    """Spell a duration as the time string that goes out on the wire, the same on every replay.

    Args:
        value: A time string (checked and returned unchanged), an int of milliseconds, or a timedelta.

    Returns:
        The time string: "2s" stays "2s", 1500 is "1s500ms", timedelta(minutes=90) is "1h30m", zero is "0s".

    Raises:
        ConfigurationError: The value is no duration, is negative, or is longer than 366 days.

    Source: docs/protocol.md, section 4.
    """
    rest = _duration_in_nanos(value)
    if isinstance(value, str):
        return value
    parts: list[str] = []
    for unit in _WRITTEN_UNITS:
        count, rest = divmod(rest, _UNITS[unit])
        if count:
            parts.append(f"{count}{unit}")
    return "".join(parts) or "0s"


def to_millis(value: str | int | timedelta) -> int:
    """Count a duration in milliseconds, rounded up.

    Args:
        value: A time string, an int of milliseconds, or a timedelta.

    Returns:
        The duration in whole milliseconds, never less than the value.

    Raises:
        ConfigurationError: The value is no duration, is negative, or is longer than 366 days.

    Source: docs/protocol.md, section 4.
    """
    return _millis_rounded_up(_duration_in_nanos(value))


def to_instant(value: datetime | str) -> str:
    """Spell a moment in time as the server reads it.

    Args:
        value: An aware datetime, or a string: RFC 3339, RFC 1123, RFC 822, an ISO date (midnight UTC), ANSI C (UTC),
            or Unix seconds. A weekday must be a weekday's name, but need not be the right one.

    Returns:
        RFC 3339 in UTC with milliseconds, as "2026-11-22T00:48:30.658Z". What is finer is rounded up, so that the
        instant is never before the value.

    Raises:
        ConfigurationError: The datetime has no zone, the string has none of the forms above or is no real date, or the
            value is of another type.

    Source: docs/protocol.md, section 4.
    """
    return millis_to_instant(_millis_rounded_up(_instant_in_nanos(value)))


def to_retry_after(value: datetime | timedelta | int | str, now: float) -> str:
    """Say when to try again, for the Retry-After header.

    Args:
        value: How long to wait (a timedelta, an int of milliseconds, a time string), or until when (an aware datetime,
            a date string as in `to_instant`). A string that can be read as a time string is one, and one of at most
            seven digits is a number of seconds, as in HTTP's own Retry-After.
        now: The current time in Unix seconds.

    Returns:
        RFC 3339 in UTC with milliseconds, never earlier than asked.

    Raises:
        ConfigurationError: The value is neither a duration of at most 366 days nor an instant.

    Source: docs/protocol.md, section 4.
    """
    from datetime import datetime

    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= _RETRY_AFTER_DIGITS:
        value += "s"
    if isinstance(value, datetime) or (isinstance(value, str) and not _is_time_string(value)):
        try:
            return to_instant(value)
        except ConfigurationError as error:
            raise ConfigurationError(f"{error}; or wait for a duration, e.g. '1h30m'") from None
    # A float of Unix seconds is good to a microsecond; its noise below that must not cost a whole millisecond.
    now_in_nanos = round(now * 1_000_000) * _MICROSECOND
    return millis_to_instant(_millis_rounded_up(now_in_nanos + _duration_in_nanos(value)))


def millis_to_instant(millis: int) -> str:
    """Spell a Unix time in milliseconds as an instant.

    Args:
        millis: Milliseconds since 1970-01-01T00:00:00Z; may be negative.

    Returns:
        RFC 3339 in UTC with milliseconds, as "2026-11-22T00:48:30.658Z".

    Raises:
        ConfigurationError: The instant is outside the years 1 to 9999.

    Source: docs/protocol.md, section 4.
    """
    from datetime import UTC, datetime, timedelta

    try:
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=millis)
    except OverflowError:
        raise ConfigurationError(
            "an instant must be in the years 1 to 9999; a number in a string is Unix seconds, not milliseconds"
        ) from None
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"


def _end_of_run(value: str, start: int, *, of_number: bool) -> int:
    end = start
    while end < len(value) and (value[end] in "0123456789.") is of_number:
        end += 1
    return end


def _part_in_nanos(value: str, number: str, unit: str) -> int:
    whole, _, fraction = number.partition(".")
    if not (whole or fraction) or "." in fraction:
        raise _not_a_duration(value, f"{_shown(number + unit)} does not start with a number")
    if not unit:
        raise _not_a_duration(value, f"{_shown(number)} has no unit")
    size = _UNITS.get(unit)
    if size is None:
        raise _not_a_duration(value, f"unknown unit {_shown(unit)}, the units are ns us ms s m h d w")
    scale: int = 10 ** len(fraction)
    return int(whole + fraction) * size // scale


def _not_a_duration(value: str, reason: str) -> ConfigurationError:
    return ConfigurationError(f"{_shown(value)} is not a duration ({reason}): use e.g. '1h30m'")


def _is_time_string(value: str) -> bool:
    try:
        parse_duration(value)
    except ConfigurationError:
        return False
    return True


def _duration_in_nanos(value: object) -> int:
    if isinstance(value, str):
        nanos = parse_duration(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        nanos = value * _MILLISECOND
    else:
        from datetime import timedelta

        if not isinstance(value, timedelta):
            raise ConfigurationError(
                "a duration is a string such as '1h30m', an int of milliseconds or a timedelta, "
                f"not {type(value).__name__}"
            )
        nanos = _timedelta_in_nanos(value)
    if nanos < 0:
        raise ConfigurationError("a duration cannot be negative: use e.g. '1h30m'")
    if nanos > _LONGEST_DAYS * _DAY:
        raise ConfigurationError(f"a duration can be at most {_LONGEST_DAYS} days: use e.g. '{_LONGEST_DAYS}d'")
    return nanos


def _timedelta_in_nanos(value: timedelta) -> int:
    return value.days * _DAY + value.seconds * _SECOND + value.microseconds * _MICROSECOND


def _instant_in_nanos(value: object) -> int:
    from datetime import UTC, datetime

    if isinstance(value, str):
        return _parse_instant(value)
    if not isinstance(value, datetime):
        raise ConfigurationError(f"an instant is an aware datetime or a date string, not {type(value).__name__}")
    if value.utcoffset() is None:
        raise ConfigurationError(
            "the datetime is naive, so its instant is unknown: "
            "use datetime.now(tz=UTC), or name its zone with .replace(tzinfo=...)"
        )
    return _timedelta_in_nanos(value - datetime(1970, 1, 1, tzinfo=UTC))


def _parse_instant(value: str) -> int:
    import re

    if len(value) <= _LONGEST_TEXT:
        if unix := re.fullmatch(_UNIX_SECONDS, value):
            return int(unix["unix"]) * _SECOND + _fraction_in_nanos(unix["fraction"])
        for form in (_RFC_3339_OR_DATE, _RFC_1123_OR_822, _ANSI_C):
            # ASCII, or the long s (U+017F) would pass for the s of "Sep".
            if found := re.fullmatch(form, value, re.IGNORECASE | re.ASCII):
                return _civil_in_nanos(value, found.groupdict())
    raise ConfigurationError(f"{_shown(value)} is not an instant: use {_ACCEPTED_FORMS}")


def _civil_in_nanos(value: str, fields: dict[str, str | None]) -> int:
    """Count the nanoseconds from 1970 to the date and time of day in the named groups of a form."""
    from datetime import UTC, datetime

    if fields["hour"] and fields.get("zone", "none in ANSI C") is None:
        raise ConfigurationError(f"{_shown(value)} has no zone: add 'Z' or an offset such as '+02:00'")
    day, hour, minute, second = (int(fields.get(name) or "0") for name in ("day", "hour", "minute", "second"))
    try:
        moment = datetime(
            _year(fields["year"] or ""), _month(fields["month"] or ""), day, hour, minute, second, tzinfo=UTC
        )
    except ValueError as error:
        raise ConfigurationError(f"{_shown(value)} is not a real date and time: {error}") from None
    offset = _offset_in_nanos(value, fields.get("zone") or "UTC")
    return _instant_in_nanos(moment) - offset + _fraction_in_nanos(fields.get("fraction"))


def _year(digits: str) -> int:
    year = int(digits)
    if len(digits) > len("06"):
        return year
    return year + (1900 if year >= _CENTURY_SPLIT else 2000)


def _month(text: str) -> int:
    return int(text) if text.isdigit() else _MONTHS.index(text.lower()) // len("jan") + 1


def _fraction_in_nanos(digits: str | None) -> int:
    return int((digits or "").ljust(9, "0"))


def _offset_in_nanos(value: str, zone: str) -> int:
    offset = _OFFSETS.get(zone.lower(), zone)
    if offset[0] not in "+-":
        raise ConfigurationError(f"{_shown(value)} has an unknown zone {_shown(zone)}: give an offset such as '-0700'")
    size = int(offset[1:3]) * _HOUR + int(offset[-2:]) * _MINUTE
    return -size if offset[0] == "-" else size


def _millis_rounded_up(nanos: int) -> int:
    return -(-nanos // _MILLISECOND)


def _shown(text: str) -> str:
    return repr(text) if len(text) <= _LONGEST_TEXT else repr(text[:_LONGEST_TEXT]) + "..."
