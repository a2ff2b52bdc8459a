"""JSON that strangers send: what is read, what is refused, and that refusing is quick."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.json_body import MOST_DEEP, MOST_DIGITS, loads

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(10**90), 10**90)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


@given(values, st.booleans())
def test_json_is_read_as_it_was_meant(value: object, ascii_only: bool) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only)
    assert loads(text.encode("utf-8", "surrogatepass") if ascii_only else text.encode()) == json.loads(text)


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (b"\xef\xbb\xbf[1]", [1]),
        (b'"' + b"[" * 60 + b'"', "[" * 60),
        (rb'["\\", "' + b"[" * 60 + b'"]', ["\\", "[" * 60]),
        (rb'["\"' + b"[" * 60 + b'"]', ['"' + "[" * 60]),
        (b"[" * MOST_DEEP + b"]" * MOST_DEEP, json.loads("[" * MOST_DEEP + "]" * MOST_DEEP)),
        (b"[" + b"[]," * 1000 + b"[]]", [[]] * 1001),
        (b"9" * MOST_DIGITS, int("9" * MOST_DIGITS)),
        (b"1e-999", 0.0),
        (b'{"a": {"a": 1}, "b": {"a": 2}}', {"a": {"a": 1}, "b": {"a": 2}}),
    ],
)
def test_what_looks_odd_but_is_not(body: bytes, value: object) -> None:
    assert loads(body) == value


_MB = 1_000_000


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        (b"", "Expecting value"),
        (b"{", "Expecting property name"),
        (b"{'a': 1}", "Expecting property name"),
        (b"[1,]", "Expecting value"),
        (b"[1] [2]", "Extra data"),
        (b'["\x00"]', "Invalid control character"),
        (rb'["\x41"]', "Invalid \\\\escape"),
        (b"\xff\xfe", "codec can't decode"),
        ("[1]".encode("utf-16"), "codec can't decode"),
        (b'["\xed\xa0\x80"]', "codec can't decode"),
        (b"NaN", "NaN is no JSON number"),
        (b"[-Infinity]", "-Infinity is no JSON number"),
        (b"1e400", "1e400 is beyond"),
        (b"-1e999999999", "is beyond"),
        (b"[" * (MOST_DEEP + 1) + b"]" * (MOST_DEEP + 1), "nested deeper than 50"),
        (b'{"a":' * 51 + b"1" + b"}" * 51, "nested deeper than 50"),
        (b"[" * _MB, "nested deeper than 50"),
        (b'{"a":' * (_MB // 5), "nested deeper than 50"),
        (b"1" * _MB, "a number of 1000000 digits"),
        (b"0." + b"1" * _MB, "is beyond"),
        (b"1e" + b"9" * _MB, "is beyond"),
        (b'{"a": 1, "b": 2, "a": 1}', "'a' stands twice"),
        (rb'{"a": 1, "\u0061": 2}', "'a' stands twice"),
        (b"[{" + b'"' + b"a" * 1000 + b'":1,"' + b"a" * 1000 + b'":1}]', "'a{50}' stands twice"),
        (b"{" + b",".join(b'"%d":1' % i for i in range(100_000)) + b',"99999":1}', "'99999' stands twice"),
        (b'["' + rb"\"" * (_MB // 2), "Unterminated string"),
        (b'["' + rb"\\" * (_MB // 2), "Unterminated string"),
        (b'"' * _MB, "Extra data"),
        (b"[" + b"{}," * 4_000_000 + b"{}]", "more than 4000000 values"),
    ],
    ids=lambda given: given[:20] if isinstance(given, bytes) else "",
)
def test_what_is_refused(body: bytes, detail: str) -> None:
    started = time.perf_counter()
    with pytest.raises(ValueError, match=detail):
        loads(body)
    assert time.perf_counter() - started < 5, "some hundredths of a second, on a machine that does other things as well"
