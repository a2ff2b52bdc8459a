"""RQ as it comes: `Worker`, which forks for each job, and `SimpleWorker`, which does not."""

from __future__ import annotations

from collections.abc import Callable

import redis
from rq import Queue, Retry, SimpleWorker, Worker

from bench import queue_work as work

WORKERS = {"fork": Worker, "simple": SimpleWorker}


def client() -> Callable[[str, work.Payload], object]:
    queue = Queue(work.QUEUE, connection=redis.Redis.from_url(work.environment(work.URL)))
    retry = Retry(max=2)  # without retries an abandoned job fails for good

    def submit(kind: str, payload: work.Payload) -> object:
        return queue.enqueue(
            f"bench.queue_work.{kind}",
            payload,
            job_timeout=work.TIMEOUT_S,
            result_ttl=work.RESULT_TTL_S,
            retry=retry,
        )

    return submit


def main() -> None:
    """Work until told to stop."""
    work.matrix()
    worker = WORKERS[work.environment(work.VARIANT)](
        [work.QUEUE],
        connection=redis.Redis.from_url(work.environment(work.URL)),
        # Recovery as soon as RQ allows: clean-up every 5 s, idle workers look every worker_ttl - 15 s.
        maintenance_interval=5,
        worker_ttl=20,
        log_job_description=False,
    )
    worker.work(logging_level="WARNING")


if __name__ == "__main__":
    main()
