"""Put jobs into the queue."""

from __future__ import annotations

import os
import time
import uuid

import redis
from rq import Queue, Retry

from producer import codec, keys
from producer.connections import translated
from producer.errors import QueueFull
from producer.schema import Job, Links, Query, Status


def new_id() -> str:
    """Return a UUID version 7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then 74 random bits.

    The time in it lets an id that Redis no longer knows be told from one that never was.
    """
    value = (int(time.time() * 1000) << 80) | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | (0x7 << 76)  # version
    value = value & ~(0x3 << 62) | (0x2 << 62)  # variant
    return str(uuid.UUID(int=value))


def submit(connection: redis.Redis, query: Query, *, queue_limit: int) -> Job:
    """Queue `query` for the workers and return its job, at status queued.

    queue_limit: how many jobs may wait already.

    Raises: QueueFull; Unavailable when Redis does not answer (the job may or may not have been queued).
    """
    job_id = new_id()
    with translated():
        queue = Queue(keys.INTERACTIVE, connection=connection, serializer=codec.RQSerializer)
        if (waiting := connection.llen(queue.key)) >= queue_limit:
            raise QueueFull(f"{waiting} jobs wait already; try again in a few seconds")
        job = queue.enqueue_call(
            keys.RECOMMEND,
            args=(query.model_dump(exclude_none=True),),
            meta={"metadata": query.metadata},
            job_id=job_id,
            timeout=keys.JOB_TIMEOUT_S,
            result_ttl=keys.RESULT_TTL_S,
            failure_ttl=keys.FAILURE_TTL_S,
            retry=Retry(max=keys.RETRIES),
            description=keys.RECOMMEND,
        )
    return Job(
        id=job_id,
        status=Status.QUEUED,
        created_at=f"{job.created_at:%Y-%m-%dT%H:%M:%S.%f}Z",
        links=Links(self=f"/v1/jobs/{job_id}"),
        metadata=query.metadata,
    )
