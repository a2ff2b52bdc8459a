"""Dramatiq with Redis as broker and result backend."""

from __future__ import annotations

from collections.abc import Callable

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend

from bench import queue_work as work

# heartbeat_timeout: the consumer is silent while it waits for the one thread to take a job, two limits at most.
# maintenance_chance: in a million commands; one in ten looks for dead workers.
broker = RedisBroker(
    url=work.environment(work.URL), heartbeat_timeout=3 * work.TIMEOUT_S * 1000, maintenance_chance=100_000
)
results = RedisBackend(url=work.environment(work.URL))
broker.add_middleware(Results(backend=results, store_results=True, result_ttl=work.RESULT_TTL_S * 1000))
dramatiq.set_broker(broker)
actors = {
    "noop": dramatiq.actor(work.noop, time_limit=work.TIMEOUT_S * 1000),
    "matvec": dramatiq.actor(work.matvec, time_limit=work.TIMEOUT_S * 1000),
}
work.matrix()  # not in the first job


def client() -> Callable[[str, work.Payload], object]:
    return lambda kind, payload: actors[kind].send(payload)
