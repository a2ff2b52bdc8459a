"""Ours: one job at a time, and in batches where a function has a batch form."""

from __future__ import annotations

from collections.abc import Callable
from threading import Event

from bench import queue_work as work
from producer import connections
from producer.queue import Work, submit
from worker.batching import BatchWorker
from worker.tasks import BATCHES, FUNCTIONS

_NO_LIMIT = 10**9


def client() -> Callable[[str, work.Payload], object]:
    connection = connections.quick(work.environment(work.URL), 5.0)

    def put(kind: str, payload: work.Payload) -> object:
        # No deadline: a job that waits for longer than others here is not to be answered without a worker.
        job = Work(f"bench.queue_work.{kind}", payload, deadline_s=None, time_limit_s=work.TIMEOUT_S)
        return submit(connection, job, limit=_NO_LIMIT)

    return put


def main() -> None:
    """Work until told to stop."""
    work.matrix()
    FUNCTIONS.update({"bench.queue_work.noop": work.noop, "bench.queue_work.matvec": work.matvec})
    if work.environment(work.VARIANT) == "batches":
        BATCHES["bench.queue_work.noop"] = lambda calls: list(work.noops([call[0] for call in calls]))
        BATCHES["bench.queue_work.matvec"] = lambda calls: list(work.matvecs([call[0] for call in calls]))
    _worker(work.environment(work.URL)).work()


def _worker(url: str) -> BatchWorker:
    stopping = Event()
    return BatchWorker(connections.patient(url, stopping), announce=lambda _: None, stopping=stopping)


if __name__ == "__main__":
    main()
