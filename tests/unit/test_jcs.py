"""The canonical form of JSON: the vectors of RFC 8785, and recorded bodies, which are canonical already."""

from __future__ import annotations

import json
import math
import re
import struct
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from inngest_serverless.protocol.jcs import canonicalize

pytestmark = pytest.mark.usefixtures("resting_collector")

TRANSCRIPTS = Path(__file__).parents[1] / "golden" / "transcripts"

# RFC 8785, appendix B: the bits of a double, and how it is written.
RFC_NUMBERS = [
    ("0000000000000000", "0"),
    ("8000000000000000", "0"),
    ("0000000000000001", "5e-324"),
    ("8000000000000001", "-5e-324"),
    ("7fefffffffffffff", "1.7976931348623157e+308"),
    ("ffefffffffffffff", "-1.7976931348623157e+308"),
    ("4340000000000000", "9007199254740992"),
    ("c340000000000000", "-9007199254740992"),
    ("4430000000000000", "295147905179352830000"),
    ("44b52d02c7e14af5", "9.999999999999997e+22"),
    ("44b52d02c7e14af6", "1e+23"),
    ("44b52d02c7e14af7", "1.0000000000000001e+23"),
    ("444b1ae4d6e2ef4e", "999999999999999700000"),
    ("444b1ae4d6e2ef4f", "999999999999999900000"),
    ("444b1ae4d6e2ef50", "1e+21"),
    ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
    ("3eb0c6f7a0b5ed8d", "0.000001"),
    ("41b3de4355555553", "333333333.3333332"),
    ("41b3de4355555554", "333333333.33333325"),
    ("41b3de4355555555", "333333333.3333333"),
    ("41b3de4355555556", "333333333.3333334"),
    ("41b3de4355555557", "333333333.33333343"),
    ("becbf647612f3696", "-0.0000033333333333333333"),
    ("43143ff3c1cb0959", "1424953923781206.2"),
]


def canonical(text):
    result = canonicalize(text.encode())
    assert result is not None, f"{text!r} has a canonical form"
    return result.decode()


def has_none(text):
    return canonicalize(text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")) is None


@pytest.mark.parametrize(("bits", "text"), RFC_NUMBERS)
def test_numbers_of_the_rfc(bits, text):
    value = struct.unpack(">d", bytes.fromhex(bits))[0]
    assert canonical(repr(value)) == text
    assert canonical(f"[{text}]") == f"[{text}]"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("0", "0"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("0e5", "0"),
        ("1.0", "1"),
        ("100", "100"),
        ("1E2", "100"),
        ("1e21", "1e+21"),
        ("1e20", "100000000000000000000"),
        ("123456789012345678901", "123456789012345680000"),
        ("12345678901234567890123", "1.2345678901234568e+22"),
        ("1e-6", "0.000001"),
        ("1e-7", "1e-7"),
        ("0.00000012", "1.2e-7"),
        ("0.0000012", "0.0000012"),
        ("333333333.33333329", "333333333.3333333"),
        ("1E30", "1e+30"),
        ("4.50", "4.5"),
        ("2e-3", "0.002"),
        ("0.000000000000000000000000001", "1e-27"),
        ("5e-324", "5e-324"),
        ("2e-324", "0"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("9007199254740993", "9007199254740992"),
        ("-9007199254740993", "-9007199254740992"),
        ("18446744073709551615", "18446744073709552000"),
        ("0.1", "0.1"),
        ("-1.5e-10", "-1.5e-10"),
        ("10.10", "10.1"),
    ],
)
def test_numbers(text, expected):
    assert canonical(text) == expected


@pytest.mark.parametrize("text", ["1e309", "-1e309", "NaN", "Infinity", "-Infinity", "1" * 400, "9" * 5000])
def test_numbers_that_are_no_doubles_have_none(text):
    assert has_none(text)
    assert has_none(f'{{"a":[{text}]}}')


def test_the_example_of_the_rfc():
    text = r"""{
      "numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],
      "string": "\u20ac$\u000F\u000aA'\u0042\u0022\u005c\\\"\/",
      "literals": [null, true, false]
    }"""
    assert canonical(text) == (
        '{"literals":[null,true,false],"numbers":[333333333.3333333,1e+30,4.5,0.002,1e-27],'
        '"string":"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/"}'
    )


def test_keys_are_sorted_by_utf16():
    """The example of RFC 8785, section 3.2.3: a surrogate pair comes before U+FB33, whose code point is lower."""
    text = r'{"\u20ac":1,"\r":2,"\ufb33":3,"1":4,"\ud83d\ude00":5,"\u0080":6,"\u00f6":7}'
    assert list(json.loads(canonical(text)).values()) == [2, 4, 6, 7, 1, 5, 3]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (r'"\u0000\u001f\u0008\t\n\f\r"', r'"\u0000\u001f\b\t\n\f\r"'),
        (r'"\u007f\u0080\u2028\u2029"', '"\x7f\x80\u2028\u2029"'),
        (r'"\/\u003c\u003E&\u0027"', '"/<>&\'"'),
        (r'"\ud83d\ude00"', '"😀"'),
        (r'"\u00e9e\u0301"', '"ée\u0301"'),
        ('"\\"\\\\"', '"\\"\\\\"'),
        ("[ ]", "[]"),
        ("{ }", "{}"),
        (' [ 1 , { "b" : 2 , "a" : [ ] } ] ', '[1,{"a":[],"b":2}]'),
        ("true", "true"),
        ("null", "null"),
    ],
)
def test_text_and_structure(text, expected):
    assert canonical(text) == expected


@pytest.mark.parametrize(
    "text",
    ["", "{", "[1,]", "{'a':1}", b"\xff", b'"\xff"', r'"\ud800"', r'{"\udfff":1}', "[" * 100_000, "01", "1.", "nul"],
    ids=range(12),
)
def test_what_is_no_json_has_none(text):
    assert has_none(text)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_json_in_another_encoding_has_none(encoding):
    """Canonical JSON is UTF-8; Python's own reader guesses others."""
    assert has_none('{"a":1}'.encode(encoding))


@pytest.mark.parametrize("path", sorted(TRANSCRIPTS.glob("*.json")), ids=lambda path: path.stem)
def test_recorded_calls_are_canonical_already(path):
    for exchange in json.loads(path.read_text())["exchanges"]:
        body = exchange["request"]["body"] or ""
        if exchange["direction"] == "server to SDK" and body.startswith('{"ctx"'):
            assert canonical(body) == body


@given(st.floats(allow_nan=False, allow_infinity=False))
@example(1e21)
@example(1e-7)
@example(123e18)
def test_a_double_is_written_as_in_ecmascript(value):
    text = canonical(repr(value))
    assert float(text) == value
    assert re.fullmatch(r"-?(0|[1-9][0-9]*)(\.[0-9]*[1-9])?(e[+-][1-9][0-9]*)?", text)
    digits = Decimal(text).as_tuple().digits
    assert len(str(int("".join(map(str, digits)))).rstrip("0")) <= 17
    size = abs(value)
    assert ("e" in text) is (size != 0 and not 1e-6 <= size < 1e21)
    if "e" in text:
        assert 1 <= abs(float(text.partition("e")[0])) < 10
    assert len(text.replace("-", "").partition("e")[0].replace(".", "").strip("0")) <= len(
        repr(size).partition("e")[0].replace(".", "").strip("0") or "0"
    )


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(json_values)
def test_canonical_json_is_canonical_and_means_the_same(value):
    try:
        text = json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return
    first = canonicalize(text)
    assert canonicalize(first) == first
    assert json.loads(first, parse_int=float) == json.loads(text, parse_int=float)
    assert canonicalize(json.dumps(value, indent=3).encode()) == first


def test_whole_numbers_beyond_doubles_are_rounded():
    assert math.isclose(float(canonical(str(2**70))), 2**70)
