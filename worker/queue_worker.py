"""RQ's SimpleWorker, made fit for us: safe messages, short leases, answers under our own key.

What it changes, against RQ 3.0 (look here before moving that pin):
- a job runs only if its function is on the allow-list and it names no callbacks: `_Job._execute`;
- its answer goes under `segue:result:<id>`, in the transaction that finishes the job: `cleanup_execution`, which
  `handle_job_success` calls inside its MULTI. RQ's own result stream holds None, so nothing is stored twice;
- a job whose worker was killed returns after its time limit + LEASE_MARGIN_S, not + 60 s: `get_heartbeat_ttl`, and
  clean-up every second instead of every ten minutes, under a lock that its holder's death cannot keep for 15 minutes;
  one that was killed between taking and starting a job costs it _STRANDED_S + 1 s, not over a minute;
- SIGTERM sets a flag and no more: `request_stop`. RQ's own raises out of the blocking read, and a job that arrives at
  that moment is left in the intermediate list for over a minute. So the wait is our own, a second at a time.
"""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from datetime import timedelta
from threading import Event
from types import FrameType

import redis
from redis.client import Pipeline
from rq import Queue, SimpleWorker
from rq.exceptions import DequeueTimeout
from rq.executions import Execution
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job, JobStatus
from rq.utils import now
from rq.worker import BaseWorker, WorkerStatus
from rq.worker_registration import register

from producer import codec, fallback, keys
from producer.errors import BadMessage
from worker.tasks import ALLOWED

log = logging.getLogger("segue.worker")

_CLEAN_UP_LOCK_S = 10
_STRANDED_S = 3
_IDLE_LOOK_S = 1
_WORKER_TTL_S = 30


class _Job(Job):
    """A job whose answer is packed where it is made, so that one that cannot be packed fails the job, loudly.

    Callbacks and RQ's own webhooks would be code and addresses of the sender's choice: a job that names one is
    refused, and not even its failure runs one.
    """

    answer: bytes | None = None
    success_callback = failure_callback = stopped_callback = None

    def _execute(self) -> None:
        if self.func_name not in ALLOWED or self.instance is not None:
            raise BadMessage(f"{self.func_name!r} is not a function that jobs may name")
        if self._success_callback_name or self._failure_callback_name or self._stopped_callback_name:
            raise BadMessage("jobs may not name callbacks")
        self.answer = codec.pack(super()._execute())

    def send_webhooks(self, *_: object, **__: object) -> None:
        """Send nothing."""


class _IntermediateQueue(IntermediateQueue):
    """Jobs taken from the queue and not yet started: a matter of milliseconds, unless their worker was killed."""

    def cleanup(self, worker: BaseWorker, queue: Queue) -> None:
        """Give stranded jobs back; what cannot be read as a job is dropped, and does not keep the others."""
        for raw in self.connection.lrange(self.key, 0, -1):
            if isinstance(raw, bytes) and not _is_job(queue, raw):
                self.connection.lrem(self.key, 1, raw)  # type: ignore[arg-type]  # bytes are as good
        super().cleanup(worker, queue)

    def should_be_cleaned_up(self, job_id: str) -> bool:
        first_seen = self.get_first_seen(job_id)
        return first_seen is not None and now() - first_seen > timedelta(seconds=_STRANDED_S)


def _is_job(queue: Queue, raw: bytes) -> bool:
    """Return whether an entry of a queue names a job that can be read, or one that is gone."""
    try:
        queue.fetch_job(raw.decode())
    except (ValueError, TypeError, KeyError, OverflowError) as error:
        log.error("dropped %r from %s: no job of ours (%s)", raw[:80], queue.name, error)
        return False
    return True


class _Queue(Queue):
    job_class = _Job

    @property
    def intermediate_queue(self) -> IntermediateQueue:
        return _IntermediateQueue(self.key, connection=self.connection)

    def acquire_maintenance_lock(self) -> bool:
        return bool(self.connection.set(self.registry_cleaning_key, 1, nx=True, ex=_CLEAN_UP_LOCK_S))


class QueueWorker(SimpleWorker):
    """Works off one queue, one job at a time, in this process."""

    queue_class = _Queue
    job_class = _Job

    def __init__(
        self, queue: str, connection: redis.Redis, announce: Callable[[redis.Redis], None], stopping: Event
    ) -> None:
        """announce: publishes the model's description and popular lists; called if Redis has lost them.

        stopping: set when the worker is told to stop.
        """
        self._announce, self._stopping = announce, stopping
        super().__init__(
            [queue],
            connection=connection,
            serializer=codec.RQSerializer,
            maintenance_interval=1,
            worker_ttl=_WORKER_TTL_S,
            log_job_description=False,
        )

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        """Return how long a job may stay with a worker that no longer says anything, in seconds."""
        return int(job.timeout or keys.JOB_TIMEOUT_S) + keys.LEASE_MARGIN_S

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Wait for a job, a second at a time, saying each time that this worker is alive.

        timeout: None looks once (RQ's burst mode). max_idle_time: not used. → None: told to stop, or nothing there.
        """
        self.set_state(WorkerStatus.IDLE)
        while not self._stop_requested:
            try:
                self.heartbeat()
                if not fallback.worker_alive(self.connection, self.name):
                    self._announce(self.connection)
                    register(self)
                if self.should_run_maintenance_tasks:
                    self.run_maintenance_tasks()  # type: ignore[no-untyped-call]
                return self.queue_class.dequeue_any(
                    self.queues,
                    None if timeout is None else _IDLE_LOOK_S,
                    connection=self.connection,
                    job_class=self.job_class,
                    serializer=self.serializer,
                    death_penalty_class=self.death_penalty_class,
                )
            except DequeueTimeout:
                continue
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                log.error("an entry of the queue is no job (%s); clean-up drops it", error)
            except (redis.ConnectionError, redis.TimeoutError) as error:
                log.warning("Redis does not answer (%s); trying on", error)
        return None

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Finish the job in hand, then leave. A second signal does not hurry it: a job is over in seconds."""
        log.info("worker %s: %s, leaving", self.name, signal.Signals(signum).name)
        self._stop_requested = True
        self._stopping.set()

    def cleanup_execution(self, job: Job, pipeline: Pipeline, execution: Execution | None = None) -> None:
        """End an execution; with the one that finishes the job, its answer is written."""
        super().cleanup_execution(job, pipeline, execution)
        answer: bytes | None = getattr(job, "answer", None)
        if answer is not None and job.get_status(refresh=False) == JobStatus.FINISHED:
            pipeline.set(keys.RESULT.format(job_id=job.id), answer, ex=keys.RESULT_TTL_S)

    def teardown(self) -> None:
        """Leave: no longer alive, no longer registered. With Redis down there is nothing to sign off from."""
        try:
            fallback.worker_gone(self.connection, self.name)
            super().teardown()  # type: ignore[no-untyped-call]
        except redis.ConnectionError as error:
            log.warning("left without signing off: %s", error)
