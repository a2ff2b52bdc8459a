"""Celery with Redis as broker and result backend."""

from __future__ import annotations

from collections.abc import Callable

from celery import Celery

from bench import queue_work as work

LATE = {
    "task_acks_late": True,
    "task_reject_on_worker_lost": True,
    "broker_transport_options": {
        "visibility_timeout": work.TIMEOUT_S,
        "unacked_restore_interval": 1,
        "unacked_restore_throttle": 1,
    },
}
"""What the documentation gives against crashes; slower, so throughput is measured without."""

app = Celery("bench", broker=work.environment(work.URL), backend=work.environment(work.URL))
app.conf.update(
    worker_prefetch_multiplier=64,
    result_expires=work.RESULT_TTL_S,
    worker_send_task_events=False,
    task_track_started=False,
    broker_connection_retry_on_startup=True,
)
if work.environment(work.VARIANT) == "late":
    app.conf.update(LATE)
tasks = {
    "noop": app.task(work.noop, name="noop"),
    "matvec": app.task(work.matvec, name="matvec"),
}
work.matrix()  # workers are forked off this


def client() -> Callable[[str, work.Payload], object]:
    return lambda kind, payload: tasks[kind].delay(payload)
