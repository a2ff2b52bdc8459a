"""Jobs for tests, by the message contract and without an API: submitted, enqueued by RQ's own Queue, waited for."""

from __future__ import annotations

from typing import Any

import redis
from rq import Queue, Retry

from producer import codec, keys, queue, results
from producer.jobs import Job
from producer.queue import Work
from producer.schema import Query
from tests.services import wait_for


def submit(connection: redis.Redis, **query: Any) -> str:
    """Submit a recommendation. → its job's id."""
    payload = Query.model_validate(query).model_dump(exclude_defaults=True)
    return queue.submit(connection, Work(keys.RECOMMEND, payload), limit=1000)[0]


def finished(connection: redis.Redis, job_id: str, deadline_s: float = 20.0) -> Job:
    """Wait until a job is over. → the job."""

    def look() -> Job | None:
        job = results.get_job(connection, job_id)
        return job if job.status.is_final else None

    return wait_for(look, f"job {job_id}", deadline_s)


def enqueue(connection: redis.Redis, function: str, *args: Any, **options: Any) -> str:
    """Enqueue by RQ's own Queue, as anybody may who can write to Redis. → the job's id."""
    rq_queue = Queue(keys.INTERACTIVE, connection=connection, serializer=codec.RQSerializer)
    chosen: dict[str, Any] = {"timeout": keys.JOB_TIMEOUT_S, "retry": Retry(max=keys.RETRIES), **options}
    return str(rq_queue.enqueue_call(function, args=args, **chosen).id)
