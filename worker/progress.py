"""How far the job in hand is, noted on its record in Redis for whoever waits for it.

The loop that runs a job says `of` which job that is; its task hands `report` on to what answers it, which need know
neither job nor Redis.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import redis

from producer import codec
from producer.scripts import PROGRESS
from worker.reporting import Report, silent

log = logging.getLogger("segue.worker")

_MOST = 5
"""Notes of one job: each is a round trip, some 0.1 ms of a job of 100 ms."""

_SAME_STAGE_S = 0.5


_report: ContextVar[Report] = ContextVar("report", default=silent)


def report(stage: str, fraction: float) -> None:
    """Note what begins for the job in hand, and how much of it lies behind, 0–1. Never fails, never waits long."""
    _report.get()(stage, fraction)


@contextmanager
def of(connection: redis.Redis, job_id: str, lease: str) -> Iterator[None]:
    """Have `report`, inside, be about a job under a lease. connection: one that gives up soon."""
    token = _report.set(_Notes(connection, job_id, lease).add)
    try:
        yield
    finally:
        _report.reset(token)


@contextmanager
def unheard() -> Iterator[None]:
    """Have `report`, inside, say nothing."""
    token = _report.set(silent)
    try:
        yield
    finally:
        _report.reset(token)


class _Notes:
    """The notes of one job."""

    def __init__(self, connection: redis.Redis, job_id: str, lease: str) -> None:
        self._connection, self._job_id, self._lease = connection, job_id, lease
        self._left, self._stage, self._again_at = _MOST, "", 0.0

    def add(self, stage: str, fraction: float) -> None:
        now = time.monotonic()
        if not self._left or (stage == self._stage and now < self._again_at):
            return
        self._left, self._stage, self._again_at = self._left - 1, stage, now + _SAME_STAGE_S
        noted = codec.pack({"stage": stage, "fraction": round(min(max(float(fraction), 0.0), 1.0), 3)})
        try:
            if not PROGRESS(self._connection, id=self._job_id, lease=self._lease, progress=noted):
                self._left = 0  # it is no longer ours
        except redis.RedisError as error:
            log.warning("how far job %s is cannot be noted (%s)", self._job_id, error)
            self._left = 0
