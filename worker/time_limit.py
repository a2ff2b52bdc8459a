"""Stop Python code that takes too long: SIGALRM after so many seconds, fractions included; main thread only."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from rq.timeouts import JobTimeoutException


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise JobTimeoutException in what runs inside, `seconds` from now; in C code, when it returns."""

    def stop(_signal: int, _frame: FrameType | None) -> NoReturn:
        raise JobTimeoutException(f"took longer than its time limit of {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
