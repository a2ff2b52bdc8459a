"""What a worker makes of a message: a call of a function that it may call, or a refusal. Never anything else."""

from __future__ import annotations

import zlib
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer import codec, keys
from producer.errors import BadMessage
from worker.batching import Taken, _call, _number
from worker.rq_jobs import LONGEST_S, ZLIB, seconds
from worker.tasks import FUNCTIONS

plain = st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats() | st.text(max_size=9) | st.binary()
values = st.recursive(
    plain, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)
calls = st.tuples(st.sampled_from([*FUNCTIONS, "os.getcwd"]) | values, st.none() | values, values, values).map(list)


def taken(data: bytes) -> Taken:
    return Taken("id", keys.INTERACTIVE, "lease", data, 5.0, 60, 60, 3, plain=True)


def read(data: bytes) -> tuple[str, tuple[Any, ...]] | None:
    """Read a message. → the call, None if it was refused."""
    try:
        name, arguments = _call(taken(data))
    except BadMessage:
        return None
    assert name in FUNCTIONS
    assert isinstance(arguments, tuple)
    return name, arguments


@given(st.binary(max_size=200))
def test_any_bytes_are_refused_or_a_call(data: bytes) -> None:
    for begun in (data, codec.FORMAT + data, codec.COMPRESSED + data, ZLIB + data, codec.FORMAT + b"\x94" + data):
        read(begun)


@given(values | calls)
def test_any_message_is_refused_or_a_call(message: Any) -> None:
    packed = codec.FORMAT + msgpack.packb(message)
    assert msgpack.packb(read(packed)) == msgpack.packb(read(zlib.compress(packed)))  # not ==, for the sake of NaN


@given(st.sampled_from(list(FUNCTIONS)), values)
def test_a_call_comes_as_it_was_sent(name: str, payload: Any) -> None:
    found = read(codec.pack([name, None, [payload], {}]))
    assert found
    assert found[0] == name
    assert msgpack.packb(found[1]) == msgpack.packb([payload])
    assert read(codec.pack([name, None, [], {"payload": {}}])) == (name, ({},))


@given(st.none() | st.binary(max_size=12) | st.floats().map(lambda number: repr(number).encode()))
def test_a_number_in_a_record_is_a_time_within_reason(raw: bytes | None) -> None:
    assert 0 < _number(raw, 5.0) <= LONGEST_S
    assert 1 <= seconds(_number(raw, 0), 60) <= LONGEST_S


@pytest.mark.parametrize(("asked", "found"), [(None, 7), (0, 7), (-1, 7), (0.2, 1), (60, 60), (1e300, LONGEST_S)])
def test_a_time_that_a_record_asks_for_is_never_for_ever_and_never_at_once(asked: float | None, found: int) -> None:
    assert seconds(asked, 7) == found
