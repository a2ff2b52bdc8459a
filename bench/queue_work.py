"""The jobs that `bench.queue_peers` gives to every queue, and the log that says when each was done.

A job writes one record of 16 bytes by one append to a file that all workers share: so completion times, lost jobs and
jobs run twice are known the same way for every system, without asking any of them.
"""

from __future__ import annotations

import functools
import os
import struct
import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

URL = "QUEUE_BENCH_URL"
"""Environment: the Redis to use."""

LOG = "QUEUE_BENCH_LOG"
"""Environment: the file of records."""

VARIANT = "QUEUE_BENCH_VARIANT"
"""Environment: which of its ways a system works, where it has several."""

ROWS = "QUEUE_BENCH_ROWS"
"""Environment: how many rows the matrix has: what makes a job take 2 ms depends on the machine's memory."""

QUEUE = "bench"
TIMEOUT_S = 5
"""A job's time limit, for every system that has one: what comes back after a crash comes back no sooner."""

RESULT_TTL_S = 3600
EXTRA = 1_000_000
"""Jobs with a number from here on warm something up or keep it busy; they are not counted."""

COLUMNS = 64
RESULT_BYTES = 2500
_RECORD = struct.Struct("<IId")
RECORD = np.dtype([("job", "<u4"), ("pid", "<u4"), ("time", "<f8")])
"""job: its number; pid: of the process that ran it; time: `time.monotonic`, seconds, the same clock for all."""

Payload = dict[str, Any]


def payload(number: int) -> Payload:
    """Return a job's argument, about 200 bytes in any format."""
    return {"number": number, "text": "x" * 170}


def noop(payload: Payload) -> int:
    """Do nothing, and return the job's number."""
    _done([payload["number"]])
    return int(payload["number"])


def noops(payloads: Sequence[Payload]) -> list[int]:
    """`noop` of several: there is nothing to share."""
    return [noop(payload) for payload in payloads]


def matvec(payload: Payload) -> str:
    """Multiply the matrix with one of its rows. → RESULT_BYTES letters, which any format carries."""
    rows = matrix()
    scores = rows @ rows[payload["number"] % len(rows)]
    _done([payload["number"]])
    return _answer(scores)


def matvecs(payloads: Sequence[Payload]) -> list[str]:
    """`matvec` of several as one matrix product."""
    rows = matrix()
    scores = rows @ rows[[payload["number"] % len(rows) for payload in payloads]].T
    _done([payload["number"] for payload in payloads])
    return [_answer(scores[:, i]) for i in range(len(payloads))]


@functools.cache
def matrix() -> npt.NDArray[np.float32]:
    """Return the matrix, made at the first call in a process."""
    return np.random.default_rng(0).random((int(environment(ROWS)), COLUMNS), dtype=np.float32)


def environment(name: str) -> str:
    """Return a variable that the runner set. Raises: KeyError outside of it."""
    return os.environ[name]


def _answer(scores: npt.NDArray[np.float32]) -> str:
    return scores[: RESULT_BYTES // 8 + 1].tobytes().hex()[:RESULT_BYTES]


def _done(numbers: Sequence[int]) -> None:
    """Write the records; the system call is atomic, whoever else appends."""
    now, pid = time.monotonic(), os.getpid()
    os.write(_log(), b"".join(_RECORD.pack(number, pid, now) for number in numbers))


@functools.cache
def _log() -> int:
    return os.open(os.environ[LOG], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
