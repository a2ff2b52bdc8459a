"""arq."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import uvloop
from arq import create_pool
from arq.connections import RedisSettings
from arq.worker import Worker

from bench import queue_work as work

SETTINGS = RedisSettings.from_dsn(work.environment(work.URL))


# Coroutines, because an executor would only add hand-overs: the jobs keep the processor busy anyway.
async def noop(ctx: dict[str, Any], payload: work.Payload) -> int:
    return work.noop(payload)


async def matvec(ctx: dict[str, Any], payload: work.Payload) -> str:
    return work.matvec(payload)


async def client() -> Callable[[str, work.Payload], Awaitable[object]]:
    pool = await create_pool(SETTINGS)
    enqueue: Callable[[str, work.Payload], Awaitable[object]] = pool.enqueue_job
    return enqueue


def main() -> None:
    """Work until told to stop."""
    work.matrix()
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    worker = Worker(
        [noop, matvec],
        redis_settings=SETTINGS,
        poll_delay=0.02,  # it polls; its default of 0.5 s would be the latency
        job_timeout=work.TIMEOUT_S,
        keep_result=work.RESULT_TTL_S,
        log_results=False,
    )
    worker.run()


if __name__ == "__main__":
    main()
