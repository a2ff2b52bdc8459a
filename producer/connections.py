"""Connections to Redis: quick ones for calls that somebody waits for, patient ones for workers.

redis-py 8 retries ten times with back-off by default; behind an HTTP request that turns a Redis that is down
into a client that hangs. Here one retry covers a connection that a restart of Redis left dead in the pool.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import redis
from redis.backoff import ConstantBackoff, NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from producer.errors import Unavailable

_FUSE_S = 0.5
"""After a failure to connect no caller tries for so long: the others need not wait to learn the same."""


class _FusedPool(redis.BlockingConnectionPool):
    """A pool whose callers fail at once for a moment after one of them could not connect."""

    blown_until = 0.0

    def get_connection(self, *args: Any, **options: Any) -> Any:
        if time.monotonic() < self.blown_until:
            raise RedisConnectionError("Redis did not answer a moment ago")
        try:
            return super().get_connection(*args, **options)  # type: ignore[no-untyped-call]
        except (RedisConnectionError, RedisTimeoutError):
            self.blown_until = time.monotonic() + _FUSE_S
            raise


def quick(url: str, timeout_s: float, connections: int = 64) -> redis.Redis:
    """Return a client whose every call ends within about 2 × `timeout_s`. Connects at the first call.

    connections: at most so many; a caller that finds none free waits `timeout_s`, then fails.
    """
    pool = _FusedPool.from_url(
        url,
        max_connections=connections,
        timeout=timeout_s,
        socket_connect_timeout=timeout_s,
        socket_timeout=timeout_s,
        # A call that timed out is not tried again: it may have been carried out, and the client has waited enough.
        retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
    )
    return redis.Redis(connection_pool=pool)


class _UntilStopped(ConstantBackoff):
    """A second between tries, and no further try once `stopping` is set."""

    def __init__(self, stopping: Event) -> None:
        super().__init__(1)
        self._stopping = stopping

    def compute(self, failures: int) -> float:
        if self._stopping.is_set():
            raise RedisConnectionError("told to stop, with Redis down")
        return super().compute(failures)

    def __deepcopy__(self, memo: object) -> _UntilStopped:
        return self  # redis-py copies it for each connection; they all have to see the same event


def patient(url: str, stopping: Event) -> redis.Redis:
    """Return a client for a worker: a call in the middle of a job outlives a restart of Redis of up to 8 seconds.

    stopping: once set, a call that finds Redis down fails at once.
    """
    return redis.Redis.from_url(url, socket_connect_timeout=5, retry=Retry(_UntilStopped(stopping), 8))


def hasty(connection: redis.Redis, timeout_s: float) -> redis.Redis:
    """Return a client of the same Redis that gives up after `timeout_s`, for what may as well be left out."""
    pool = connection.connection_pool
    hurried = {"socket_connect_timeout": timeout_s, "socket_timeout": timeout_s, "retry": Retry(NoBackoff(), 0)}
    return redis.Redis(connection_pool=redis.ConnectionPool(pool.connection_class, **pool.connection_kwargs | hurried))


@contextmanager
def translated() -> Iterator[None]:
    """Turn redis-py's errors into the contract's.

    Raises: Unavailable, whatever kept Redis from answering.
    """
    try:
        yield
    except RedisError as error:
        raise Unavailable(f"Redis does not answer ({type(error).__name__})") from error
