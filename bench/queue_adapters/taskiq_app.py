"""Taskiq with taskiq-redis: its stream broker, which acknowledges, and its list broker, which does not."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from taskiq_redis import ListQueueBroker, RedisAsyncResultBackend, RedisStreamBroker

from bench import queue_work as work

URL = work.environment(work.URL)
BROKERS: dict[str, Callable[[], Any]] = {
    "list": lambda: ListQueueBroker(URL),
    "stream": lambda: RedisStreamBroker(
        # consumer_id "0": jobs that were queued before the first worker came are for it too.
        URL,
        consumer_id="0",
        idle_timeout=work.TIMEOUT_S * 1000,
        unacknowledged_lock_timeout=work.TIMEOUT_S,
    ),
}
broker = BROKERS[work.environment(work.VARIANT)]().with_result_backend(
    RedisAsyncResultBackend(URL, result_ex_time=work.RESULT_TTL_S)
)


# Coroutines, because a thread pool would only add hand-overs: the jobs keep the processor busy anyway.
async def noop(payload: work.Payload) -> int:
    return work.noop(payload)


async def matvec(payload: work.Payload) -> str:
    return work.matvec(payload)


tasks = {"noop": broker.task(task_name="noop")(noop), "matvec": broker.task(task_name="matvec")(matvec)}
work.matrix()  # not in the first job


async def client() -> Callable[[str, work.Payload], Awaitable[object]]:
    await broker.startup()
    return lambda kind, payload: tasks[kind].kiq(payload)
