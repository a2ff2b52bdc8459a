"""Token buckets: how many requests pass, and that the table of them stays small."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.limits import Buckets


class Clock:
    """Time as a test says it is."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_passes_and_then_as_many_as_are_filled_in() -> None:
    clock = Clock()
    buckets = Buckets(clock=clock)
    assert [buckets.take("a", 2.0, 3) for _ in range(4)] == [(True, 2.0), (True, 1.0), (True, 0.0), (False, 0.0)]
    clock.now += 0.25
    assert buckets.take("a", 2.0, 3) == (False, 0.5)
    assert buckets.take("b", 2.0, 3) == (True, 2.0), "another caller has a bucket of its own"
    clock.now += 0.25
    assert buckets.take("a", 2.0, 3) == (True, 0.0)
    clock.now += 100
    assert buckets.take("a", 2.0, 3) == (True, 2.0), "a bucket does not overflow"


@given(st.lists(st.floats(0, 2), max_size=200), st.floats(0.1, 5), st.integers(1, 10))
def test_never_more_pass_than_the_burst_and_the_rate_allow(pauses: list[float], per_s: float, burst: int) -> None:
    clock = Clock()
    buckets = Buckets(clock=clock)
    passed = 0
    for pause in pauses:
        clock.now += pause
        taken, left = buckets.take("a", per_s, burst)
        assert 0 <= left < burst
        passed += taken
        assert passed <= burst + per_s * (clock.now - 1000) + 1e-6


def test_the_table_holds_those_who_asked_last() -> None:
    buckets = Buckets(most=2, clock=Clock())
    for name in ("a", "b", "a", "c"):
        buckets.take(name, 1.0, 5)
    assert buckets.take("a", 1.0, 5) == (True, 2.0)
    assert buckets.take("b", 1.0, 5) == (True, 4.0), "forgotten, hence full"


@pytest.mark.parametrize("burst", [1, 20])
def test_a_limit_that_was_lowered_holds_at_once(burst: int) -> None:
    buckets = Buckets(clock=Clock())
    buckets.take("a", 100.0, 1000)
    assert buckets.take("a", 1.0, burst) == (True, burst - 1.0)
