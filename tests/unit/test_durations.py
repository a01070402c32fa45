"""Durations and instants: every accepted form, every refusal, and the properties that hold between them."""

from __future__ import annotations

import subprocess
import sys
import time
from datetime import UTC, date, datetime, timedelta, timezone
from email.utils import format_datetime
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from inngest_serverless import durations
from inngest_serverless.durations import (
    millis_to_instant,
    parse_duration,
    to_instant,
    to_millis,
    to_retry_after,
    to_time_string,
)
from inngest_serverless.errors import ConfigurationError

SECOND = 10**9
DAY = 86_400 * SECOND
NOW = 1_795_308_508.0  # 2026-11-22T00:48:28Z

SIZES = {
    "ns": 1,
    "us": 10**3,
    "\u00b5s": 10**3,
    "\u03bcs": 10**3,
    "ms": 10**6,
    "s": SECOND,
    "m": 60 * SECOND,
    "h": 3600 * SECOND,
    "d": DAY,
    "w": 7 * DAY,
}

spans = st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=366))
offsets = st.integers(-86_399, 86_399).map(lambda seconds: timezone(timedelta(seconds=seconds)))
moments = st.datetimes(datetime(1900, 1, 1), datetime(2200, 1, 1), timezones=offsets | st.timezones())  # noqa: DTZ001
whole_seconds = moments.map(lambda moment: moment.astimezone(UTC).replace(microsecond=0))
unlimited = settings(deadline=None)  # a slow machine is no bug


def refusal(call, *args) -> str:
    with pytest.raises(ConfigurationError) as caught:
        call(*args)
    message = str(caught.value)
    assert "\n" not in message
    assert len(message) < 700
    return message


def read(instant: str) -> datetime:
    assert instant.endswith("Z")
    assert len(instant) == len("2026-11-22T00:48:30.658Z")
    return datetime.fromisoformat(instant)


class TestParseDuration:
    @pytest.mark.parametrize(("unit", "size"), list(SIZES.items()))
    def test_every_unit(self, unit, size):
        assert parse_duration(f"1{unit}") == size
        assert parse_duration(f"30{unit}") == 30 * size

    @pytest.mark.parametrize(
        ("text", "nanos"),
        [
            ("0s", 0),
            ("1h30m", 5400 * SECOND),
            ("1.5h", 5400 * SECOND),
            ("2d12h", 2 * DAY + DAY // 2),
            ("30m1h", 5400 * SECOND),
            ("1m1m", 120 * SECOND),
            ("1w2d3h4m5s6ms7us8ns", 9 * DAY + 11_045 * SECOND + 6_007_008),
            (".5s", SECOND // 2),
            ("5.s", 5 * SECOND),
            ("0.1s", 10**8),
            ("0.3d", 25_920 * SECOND),
            ("1.000000001s", SECOND + 1),
            ("9007199254.740993s", 9_007_199_254_740_993_000),
            ("0.9ns", 0),
            ("0.4ns0.4ns0.4ns", 0),
            ("9223372036854775807ns", 2**63 - 1),
        ],
    )
    def test_parts_and_fractions(self, text, nanos):
        assert parse_duration(text) == nanos

    @pytest.mark.parametrize(
        ("text", "reason"),
        [
            ("", "empty"),
            ("-5s", "sign"),
            ("+5s", "sign"),
            (" 5s", "space"),
            ("5 s", "space"),
            ("1h 30m", "space"),
            ("5s\n", "space"),
            ("5", "'5' has no unit"),
            ("1h30", "'30' has no unit"),
            ("5x", "unknown unit 'x'"),
            ("5S", "unknown unit 'S'"),
            ("1M", "unknown unit 'M'"),
            ("1h-5m", "unknown unit 'h-'"),
            ("1y", "unknown unit 'y'"),
            ("1e3s", "unknown unit 'e'"),
            ("5min", "unknown unit 'min'"),
            ("s", "'s' does not start with a number"),
            (".s", "'.s' does not start with a number"),
            ("1.2.3s", "does not start with a number"),
            ("\u0665s", "does not start with a number"),
            ("\u00b2s", "does not start with a number"),
            ("9223372036854775808ns", "292 years"),
            ("293000d", "292 years"),
            ("1" * 5000 + "s", "100 characters"),
            ("2026-11-22", "unknown unit '-'"),
        ],
    )
    def test_refusals_say_why_and_show_a_right_one(self, text, reason):
        message = refusal(parse_duration, text)
        assert reason in message
        assert message.endswith("use e.g. '1h30m'")

    @given(st.integers(0, 10**4), st.text("0123456789", min_size=1, max_size=12), st.sampled_from(sorted(SIZES)))
    def test_a_fraction_is_exact(self, whole, fraction, unit):
        exact = Fraction(f"{whole}.{fraction}") * SIZES[unit]
        assert parse_duration(f"{whole}.{fraction}{unit}") == exact.numerator // exact.denominator

    @given(st.lists(st.tuples(st.integers(0, 10**3), st.sampled_from(sorted(SIZES))), min_size=1, max_size=8))
    def test_parts_add_up_in_any_order(self, parts):
        text = "".join(f"{count}{unit}" for count, unit in parts)
        assert parse_duration(text) == sum(count * SIZES[unit] for count, unit in parts)

    @given(st.text() | st.text("0123456789.smhdwnu+- \u00b5\u03bc"))
    def test_any_text_is_a_duration_or_a_configuration_error(self, text):
        try:
            nanos = parse_duration(text)
        except ConfigurationError as error:
            assert str(error).endswith("use e.g. '1h30m'")  # noqa: PT017
        else:
            assert 0 <= nanos < 2**63


class TestToTimeString:
    @pytest.mark.parametrize("text", ["2s", "1h30m", "90m", "1.5h", "1w", "366d", "0s", "30m1h", "5\u00b5s", "007s"])
    def test_a_string_stays_as_the_user_wrote_it(self, text):
        assert to_time_string(text) == text

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (0, "0s"),
            (1, "1ms"),
            (1500, "1s500ms"),
            (60_000, "1m"),
            (5_400_000, "1h30m"),
            (366 * 86_400_000, "366d"),
            (timedelta(0), "0s"),
            (timedelta(minutes=90), "1h30m"),
            (timedelta(milliseconds=1500), "1s500ms"),
            (timedelta(days=3), "3d"),
            (timedelta(weeks=1), "7d"),
            (timedelta(days=10, hours=2), "10d2h"),
            (timedelta(microseconds=7), "7us"),
            (timedelta(seconds=1, microseconds=1), "1s1us"),
            (timedelta(days=1, hours=2, minutes=3, seconds=4, milliseconds=5, microseconds=6), "1d2h3m4s5ms6us"),
            (timedelta(days=366), "366d"),
        ],
    )
    def test_ints_and_timedeltas(self, value, text):
        assert to_time_string(value) == text

    @pytest.mark.parametrize("call", [to_time_string, to_millis])
    @pytest.mark.parametrize("value", [-1, timedelta(microseconds=-1), timedelta(days=-2)])
    def test_negative_is_refused(self, call, value):
        assert "cannot be negative" in refusal(call, value)

    @pytest.mark.parametrize("call", [to_time_string, to_millis])
    @pytest.mark.parametrize(
        "value",
        ["366d1ns", "53w", "8785h", 366 * 86_400_000 + 1, timedelta(days=366, microseconds=1), timedelta.max],
    )
    def test_more_than_366_days_is_refused(self, call, value):
        assert "at most 366 days" in refusal(call, value)

    @pytest.mark.parametrize("call", [to_time_string, to_millis])
    @pytest.mark.parametrize(
        ("value", "name"),
        [(True, "bool"), (False, "bool"), (1.5, "float"), (None, "NoneType"), (b"1s", "bytes"), (date.max, "date")],
    )
    def test_another_type_is_named(self, call, value, name):
        message = refusal(call, value)
        assert message.endswith(f"not {name}")
        assert "'1h30m'" in message

    @pytest.mark.parametrize("call", [to_time_string, to_millis])
    def test_a_bad_string_is_refused(self, call):
        assert "unknown unit 'fortnights'" in refusal(call, "2fortnights")

    @given(spans)
    @example(timedelta(days=366))
    def test_timedelta_survives_the_round_trip(self, span):
        assert parse_duration(to_time_string(span)) == span // timedelta(microseconds=1) * 1000

    @given(st.integers(0, 366 * 86_400_000))
    def test_milliseconds_survive_the_round_trip(self, millis):
        assert parse_duration(to_time_string(millis)) == millis * 10**6
        assert to_time_string(millis) == to_time_string(timedelta(milliseconds=millis))

    @given(spans)
    def test_idempotent(self, span):
        once = to_time_string(span)
        assert to_time_string(once) == once

    @given(spans, spans)
    def test_monotone(self, one, other):
        assert (one < other) == (parse_duration(to_time_string(one)) < parse_duration(to_time_string(other)))


class TestToMillis:
    @pytest.mark.parametrize(
        ("value", "millis"),
        [
            ("0s", 0),
            ("1ns", 1),
            ("1ms", 1),
            ("1ms1ns", 2),
            ("1.5h", 5_400_000),
            (0, 0),
            (1234, 1234),
            (timedelta(microseconds=1), 1),
            (timedelta(microseconds=1000), 1),
            (timedelta(microseconds=1001), 2),
            ("366d", 366 * 86_400_000),
        ],
    )
    def test_rounds_up(self, value, millis):
        assert to_millis(value) == millis

    @given(spans)
    def test_never_shorter_and_less_than_a_millisecond_longer(self, span):
        added = timedelta(milliseconds=to_millis(span)) - span
        assert timedelta(0) <= added < timedelta(milliseconds=1)

    @given(spans, spans)
    def test_monotone(self, one, other):
        shorter, longer = sorted((one, other))
        assert to_millis(shorter) <= to_millis(longer)


class TestToInstant:
    @pytest.mark.parametrize(
        ("value", "instant"),
        [
            # RFC 3339
            ("2026-11-22T00:48:30Z", "2026-11-22T00:48:30.000Z"),
            ("2026-11-22t00:48:30z", "2026-11-22T00:48:30.000Z"),
            ("2026-11-22 00:48:30Z", "2026-11-22T00:48:30.000Z"),
            ("2026-11-22T00:48:30.6Z", "2026-11-22T00:48:30.600Z"),
            ("2026-11-22T00:48:30.658Z", "2026-11-22T00:48:30.658Z"),
            ("2026-11-22T00:48:30.658000000Z", "2026-11-22T00:48:30.658Z"),
            ("2026-11-22T00:48:30.657000001Z", "2026-11-22T00:48:30.658Z"),
            ("2026-12-31T23:59:59.999000001Z", "2027-01-01T00:00:00.000Z"),
            ("2026-11-22T02:18:30+01:30", "2026-11-22T00:48:30.000Z"),
            ("2026-11-21T17:48:30.5-07:00", "2026-11-22T00:48:30.500Z"),
            ("2026-11-22 00:48:30+0000", "2026-11-22T00:48:30.000Z"),
            ("2024-02-29T23:59:59-00:00", "2024-02-29T23:59:59.000Z"),
            ("1969-12-31T23:59:59.9991Z", "1970-01-01T00:00:00.000Z"),
            ("1969-12-31T23:59:59.9981Z", "1969-12-31T23:59:59.999Z"),
            # RFC 1123
            ("Mon, 02 Jan 2006 15:04:05 GMT", "2006-01-02T15:04:05.000Z"),
            ("Mon, 02 Jan 2006 15:04:05 -0700", "2006-01-02T22:04:05.000Z"),
            ("Sun, 02 Jan 2006 15:04:05 GMT", "2006-01-02T15:04:05.000Z"),
            ("MONDAY, 2 JAN 2006 15:04:05 gmt", "2006-01-02T15:04:05.000Z"),
            # RFC 822
            ("02 Jan 06 15:04 MST", "2006-01-02T22:04:00.000Z"),
            ("02 Jan 06 15:04 -0700", "2006-01-02T22:04:00.000Z"),
            ("Mon, 02 Jan 06 15:04 +0530", "2006-01-02T09:34:00.000Z"),
            ("Mon, 02 Jan 06 15:04:05 UT", "2006-01-02T15:04:05.000Z"),
            ("02 Jan 68 15:04 GMT", "2068-01-02T15:04:00.000Z"),
            ("02 Jan 69 15:04 GMT", "1969-01-02T15:04:00.000Z"),
            # A date, ANSI C
            ("2026-11-22", "2026-11-22T00:00:00.000Z"),
            ("Mon Jan  2 15:04:05 2006", "2006-01-02T15:04:05.000Z"),
            ("Mon Jan 22 15:04:05 2006", "2006-01-22T15:04:05.000Z"),
            # Unix seconds
            ("0", "1970-01-01T00:00:00.000Z"),
            ("1795308508", "2026-11-22T00:48:28.000Z"),
            ("1795308508.5", "2026-11-22T00:48:28.500Z"),
            ("1795308508.000000001", "2026-11-22T00:48:28.001Z"),
        ],
    )
    def test_every_form(self, value, instant):
        assert to_instant(value) == instant

    @pytest.mark.parametrize(
        ("zone", "hours"),
        [
            *[("GMT", 0), ("UTC", 0), ("UT", 0), ("Z", 0), ("EST", -5), ("EDT", -4), ("CST", -6), ("CDT", -5)],
            *[("MST", -7), ("MDT", -6), ("PST", -8), ("PDT", -7), ("pst", -8)],
        ],
    )
    def test_zone_names(self, zone, hours):
        expected = datetime(2006, 1, 2, 15, 4, tzinfo=UTC) - timedelta(hours=hours)
        assert read(to_instant(f"02 Jan 06 15:04 {zone}")) == expected

    @pytest.mark.parametrize(
        ("month", "name"),
        list(enumerate(["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"], 1)),
    )
    def test_month_names(self, month, name):
        assert to_instant(f"03 {name} 2006 15:04:05 GMT") == f"2006-{month:02}-03T15:04:05.000Z"

    @pytest.mark.parametrize("weekday", ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Wednesday", "saturday"])
    def test_weekday_names_need_not_be_right(self, weekday):
        assert to_instant(f"{weekday}, 03 Jan 2006 15:04:05 GMT") == "2006-01-03T15:04:05.000Z"

    @pytest.mark.parametrize(
        ("value", "instant"),
        [
            (datetime(2026, 11, 22, 0, 48, 30, 658_000, tzinfo=UTC), "2026-11-22T00:48:30.658Z"),
            (datetime(2026, 11, 22, 0, 48, 30, 657_001, tzinfo=UTC), "2026-11-22T00:48:30.658Z"),
            (datetime(2026, 11, 22, 2, tzinfo=timezone(timedelta(hours=2))), "2026-11-22T00:00:00.000Z"),
            (datetime(1, 1, 1, tzinfo=UTC), "0001-01-01T00:00:00.000Z"),
        ],
    )
    def test_datetimes(self, value, instant):
        assert to_instant(value) == instant

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "tomorrow",
            "1h30m",
            "-5",
            "1795308508.",
            "1795308508.0000000001",
            "2026-11-22T",
            "2026-11-22T00:48Z",
            "2026-11-22T00:48:30.Z",
            "2026-11-22T00:48:30.0000000001Z",
            "2026-11-22T00:48:30+2:00",
            "2026-11-22T00:48:30+24:00",
            "2026-11-22T00:48:30+02:60",
            "2026-11-22T00:48:30EST",
            "2026-11-22Z",
            "2026-11-22\n",
            " 2026-11-22",
            "26-11-22",
            "2026-1-2",
            "22.11.2026",
            "Xyz, 02 Jan 2006 15:04:05 GMT",
            "Xyz Jan  2 15:04:05 2006",
            "02 Xyz 06 15:04 GMT",
            "02 Mai 06 15:04 GMT",
            "02 January 2006 15:04 GMT",
            "02 \u017fep 06 15:04 GMT",
            "02 Jan 006 15:04 GMT",
            "02 Jan 06 15:04",
            "\u0662\u0660\u0662\u0666-11-22",
            "1" * 5000,
        ],
    )
    def test_an_unknown_form_is_refused_with_the_known_ones(self, text):
        message = refusal(to_instant, text)
        for form in ("RFC 3339", "RFC 1123", "RFC 822", "'2026-11-22'", "ANSI C", "Unix seconds"):
            assert form in message

    @pytest.mark.parametrize(
        "text",
        ["2026-02-29", "2026-13-01", "2026-11-22T24:00:00Z", "2016-12-31T23:59:60Z", "0000-01-01", "31 Jun 06 15:04 Z"],
    )
    def test_a_date_that_does_not_exist_is_refused(self, text):
        message = refusal(to_instant, text)
        assert repr(text) in message
        assert "not a real date" in message

    @pytest.mark.parametrize("zone", ["CET", "A", "Europe"])
    def test_an_unknown_zone_asks_for_an_offset(self, zone):
        message = refusal(to_instant, f"Mon, 02 Jan 2006 15:04:05 {zone}")
        assert f"unknown zone '{zone}'" in message
        assert "offset" in message

    @pytest.mark.parametrize("text", ["2026-11-22T00:48:30", "2026-11-22 00:48:30.5"])
    def test_a_text_without_zone_says_what_to_add(self, text):
        assert "no zone: add 'Z'" in refusal(to_instant, text)

    def test_a_naive_datetime_says_what_to_do(self):
        message = refusal(to_instant, datetime(2026, 11, 22))  # noqa: DTZ001
        assert "naive" in message
        assert "datetime.now(tz=UTC)" in message
        assert ".replace(tzinfo=...)" in message

    @pytest.mark.parametrize(
        ("value", "name"),
        [(date(2026, 11, 22), "date"), (5, "int"), (5.0, "float"), (None, "NoneType"), (timedelta(1), "timedelta")],
    )
    def test_another_type_is_named(self, value, name):
        assert refusal(to_instant, value).endswith(f"not {name}")

    @pytest.mark.parametrize("value", ["1795308508000", "9999-12-31T23:59:59.9991Z", "9999-12-31T23:59:59-01:00"])
    def test_outside_the_years_1_to_9999_is_refused(self, value):
        message = refusal(to_instant, value)
        assert "years 1 to 9999" in message
        assert "Unix seconds" in message

    @unlimited
    @given(moments)
    def test_an_aware_datetime_is_its_utc_instant_and_never_earlier(self, moment):
        added = read(to_instant(moment)) - moment.astimezone(UTC)
        assert timedelta(0) <= added < timedelta(milliseconds=1)

    @unlimited
    @given(moments, st.integers(0, 999_999_999), offsets.filter(lambda zone: zone.utcoffset(None).seconds % 60 == 0))
    def test_rfc_3339_text_is_never_early(self, moment, nanos, zone):
        whole = moment.astimezone(zone).replace(microsecond=0)
        date_and_time, offset = whole.isoformat()[:19], whole.isoformat()[19:]
        text = f"{date_and_time}.{nanos:09}{offset}"
        assert read(to_instant(text)) == whole + timedelta(milliseconds=-(-nanos // 10**6))

    @unlimited
    @given(whole_seconds)
    def test_http_dates_and_ansi_c_dates(self, moment):
        expected = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        assert to_instant(format_datetime(moment)) == expected
        assert to_instant(format_datetime(moment, usegmt=True)) == expected
        assert to_instant(time.asctime(moment.timetuple())) == expected

    @unlimited
    @given(moments, moments)
    def test_monotone(self, one, other):
        earlier, later = sorted((one.astimezone(UTC), other.astimezone(UTC)))
        assert to_instant(earlier) <= to_instant(later)

    @unlimited
    @given(moments)
    def test_idempotent(self, moment):
        once = to_instant(moment)
        assert to_instant(once) == once

    @given(st.text() | st.text("0123456789-:.TZ+ JanMo,"))
    def test_any_text_is_an_instant_or_a_configuration_error(self, text):
        try:
            instant = to_instant(text)
        except ConfigurationError as error:
            assert str(error)  # noqa: PT017
        else:
            read(instant)


class TestToRetryAfter:
    @pytest.mark.parametrize(
        ("value", "instant"),
        [
            (timedelta(seconds=30), "2026-11-22T00:48:58.000Z"),
            (timedelta(microseconds=1), "2026-11-22T00:48:28.001Z"),
            (1500, "2026-11-22T00:48:29.500Z"),
            (0, "2026-11-22T00:48:28.000Z"),
            ("1h30m", "2026-11-22T02:18:28.000Z"),
            ("1ns", "2026-11-22T00:48:28.001Z"),
            ("2026-12-01", "2026-12-01T00:00:00.000Z"),
            ("Mon, 02 Jan 2006 15:04:05 GMT", "2006-01-02T15:04:05.000Z"),
            ("1795308600", "2026-11-22T00:50:00.000Z"),
            (datetime(2026, 11, 22, 1, 0, 0, 1, tzinfo=UTC), "2026-11-22T01:00:00.001Z"),
        ],
    )
    def test_waits_count_from_now_and_dates_do_not(self, value, instant):
        assert to_retry_after(value, NOW) == instant

    @pytest.mark.parametrize("millis", range(1000))
    def test_the_noise_of_a_float_clock_costs_no_millisecond(self, millis):
        assert to_retry_after(0, NOW + millis / 1000) == f"2026-11-22T00:48:28.{millis:03}Z"

    def test_a_text_that_is_neither_lists_both(self):
        message = refusal(to_retry_after, "soon", NOW)
        assert "'soon'" in message
        assert "RFC 3339" in message
        assert "'1h30m'" in message

    def test_a_naive_datetime_is_refused(self):
        assert "naive" in refusal(to_retry_after, datetime(2026, 11, 22), NOW)  # noqa: DTZ001

    @pytest.mark.parametrize(
        ("value", "reason"),
        [
            (True, "not bool"),
            (1.5, "not float"),
            (None, "not NoneType"),
            (date(2026, 11, 22), "not date"),
            (-1, "negative"),
            (timedelta(-1), "negative"),
            ("367d", "at most 366 days"),
        ],
    )
    def test_other_values_are_refused(self, value, reason):
        assert reason in refusal(to_retry_after, value, NOW)

    @given(spans, st.integers(0, 4 * 10**9))
    def test_never_earlier_than_asked(self, span, now):
        asked = datetime.fromtimestamp(now, tz=UTC) + span
        assert timedelta(0) <= read(to_retry_after(span, now)) - asked < timedelta(milliseconds=1)


class TestMillisToInstant:
    @pytest.mark.parametrize(
        ("millis", "instant"),
        [
            (0, "1970-01-01T00:00:00.000Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (1_795_308_510_658, "2026-11-22T00:48:30.658Z"),
            (-62_135_596_800_000, "0001-01-01T00:00:00.000Z"),
            (253_402_300_799_999, "9999-12-31T23:59:59.999Z"),
        ],
    )
    def test_known_instants(self, millis, instant):
        assert millis_to_instant(millis) == instant

    @pytest.mark.parametrize("millis", [-62_135_596_800_001, 253_402_300_800_000, 10**30, -(10**30)])
    def test_outside_the_years_1_to_9999_is_refused(self, millis):
        assert "years 1 to 9999" in refusal(millis_to_instant, millis)

    @given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
    def test_survives_the_round_trip(self, millis):
        since = read(millis_to_instant(millis)) - datetime(1970, 1, 1, tzinfo=UTC)
        assert since // timedelta(milliseconds=1) == millis
        assert since % timedelta(milliseconds=1) == timedelta(0)


def test_every_public_function_names_its_source():
    for name in durations.__all__:
        assert "Source: docs/protocol.md, section 4." in getattr(durations, name).__doc__


def test_importing_the_module_imports_nothing_else():
    """It is on the cold-start path: datetime and re are paid for by those who use them."""
    root = Path(durations.__file__).parents[1]
    program = (
        f"import __future__, sys; sys.path.insert(0, {str(root)!r}); import inngest_serverless.errors; before = set(sys.modules); "
        "import inngest_serverless.durations; print(*sorted(set(sys.modules) - before))"
    )
    found = subprocess.run([sys.executable, "-ISc", program], capture_output=True, text=True, check=True)  # noqa: S603
    assert found.stdout.split() == ["inngest_serverless.durations"]
