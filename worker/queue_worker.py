"""RQ's own worker loop, made fit for us: safe messages, short leases, answers under our own key.

`worker/batching.py` builds on it and is what runs; `python -m worker recommend --one-by-one` runs this one alone. Jobs
that use what only RQ knows (callbacks, dependencies, repeats …) are worked off by the methods here in either case.

What it changes, against RQ 3.0 (look here before moving that pin):
- a job runs only if its function is on the allow-list, and its callbacks are on theirs: `SafeJob`;
- a plain job ends by the script that ends all others (`producer/lua/finish.lua`), which puts its answer under
  `segue:result:<id>`: `handle_job_success` and `handle_job_failure`;
- one that uses what only RQ knows ends in RQ's own transaction, with its answer: `cleanup_execution`, which
  `handle_job_success` calls inside its MULTI. It fails if the job was given to another worker meanwhile:
  `SafeQueue.move_dependents_to_ready`, which is called between WATCH and MULTI;
- a job whose worker was killed returns after LEASE_S, not after its time limit + 60 s: `get_heartbeat_ttl` and a
  heartbeat that renews leases and gives back what others left behind; RQ's own clean-up runs every RQ_CLEANS_S, not
  every ten minutes, under a lock that its holder's death cannot keep for 15 minutes; a worker that was killed between
  taking and starting a job costs it that and some seconds, not over a minute;
- two queues, the first before the second, without RQ's BLPOP, which loses the job of a worker that is killed then;
- SIGTERM sets a flag and no more: `request_stop`. RQ's own raises out of the blocking read, and a job that arrives at
  that moment is left in the intermediate list for over a minute. So the wait is our own, a second at a time.
"""

from __future__ import annotations

import logging
import signal
import time
from collections.abc import Callable
from threading import Event
from types import FrameType
from typing import Any

import redis
from redis.client import Pipeline
from rq import Queue, SimpleWorker
from rq.exceptions import DequeueTimeout
from rq.executions import Execution
from rq.job import Job, JobStatus
from rq.registry import StartedJobRegistry
from rq.scheduler import RQScheduler
from rq.utils import now
from rq.worker import WorkerStatus
from rq.worker_registration import register

from producer import codec, connections, fallback, keys
from producer.queue import now_text
from producer.scripts import FINISH
from worker.heartbeat import RQ_CLEANS_S, Heartbeat, packed_error
from worker.rq_jobs import SafeJob, SafeQueue, is_ours, is_plain, seconds, tell_end

log = logging.getLogger("segue.worker")

_IDLE_LOOK_S = 1
_NOTE_S = 0.25
_WORKER_TTL_S = 30


class QueueWorker(SimpleWorker):
    """Works off QUEUES, one job at a time, in this process."""

    queue_class = SafeQueue
    job_class = SafeJob

    def __init__(
        self,
        connection: redis.Redis,
        *,
        announce: Callable[[redis.Redis], None],
        stopping: Event,
        between: Callable[[], None] = lambda: None,
        busy: Callable[[float | None], None] = lambda _: None,
    ) -> None:
        """announce: publishes the model's description and popular lists; called if Redis has lost them.

        stopping: set when the worker is told to stop. between: called before each look for jobs. busy: told how many
        seconds what begins now may take, and None when it is over.
        """
        self._stopping, self._between, self._busy = stopping, between, busy
        self._hasty = connections.hasty(connection, _NOTE_S)
        super().__init__(
            list(keys.QUEUES),
            connection=connection,
            serializer=codec.RQSerializer,
            maintenance_interval=RQ_CLEANS_S,  # as long do RQ's locks last; it is the heartbeat that cleans up
            worker_ttl=_WORKER_TTL_S,
            log_job_description=False,
        )
        self._heart = Heartbeat(
            self.name, connection, self._register_again, announce, self.run_maintenance_tasks, self._enqueue_due
        )

    @property
    def should_run_maintenance_tasks(self) -> bool:
        """Whether RQ's loop has to clean up: never, the heartbeat does."""
        return False

    def bootstrap(self, *args: Any, **options: Any) -> None:
        """As RQ's, then start to beat. Raises: RedisError, Unavailable."""
        super().bootstrap(*args, **options)
        self._heart.start()

    def _register_again(self) -> None:
        """Make RQ's record of this worker anew, after Redis lost it."""
        with self.connection.pipeline() as pipe:
            pipe.hset(self.key, mapping=self.serialize())
            pipe.expire(self.key, self.worker_ttl + 60)
            register(self, pipe)
            pipe.execute()

    def _enqueue_due(self) -> None:
        """Queue what was scheduled for now, retries with pauses and repeats, by RQ's own code and under its lock."""
        scheduler = RQScheduler(
            self.queues, connection=self.connection, serializer=self.serializer, logging_level="WARNING"
        )
        scheduler.acquire_locks()
        try:
            scheduler.enqueue_scheduled_jobs()
        finally:
            scheduler.release_locks()

    def get_heartbeat_ttl(self, job: Job, working_time: float = 0.0) -> int:
        """Return how long a job may stay with a worker that no longer says anything, in seconds."""
        return keys.LEASE_S

    def dequeue_job_and_maintain_ttl(
        self, timeout: int | None, max_idle_time: int | None = None
    ) -> tuple[Job, Queue] | None:
        """Wait for a job, a second at a time; the heartbeat says meanwhile that this worker is alive.

        timeout: None looks once (RQ's burst mode). max_idle_time: not used. → None: told to stop, or nothing there.
        """
        self.set_state(WorkerStatus.IDLE)
        while not self._stop_requested:
            try:
                self.check_for_suspension(burst=timeout is None)
                self._between()
                for queue in self.queues:
                    if found := self._dequeue(queue, None):
                        return found
                return None if timeout is None else self._dequeue(self.queues[0], _IDLE_LOOK_S)
            except DequeueTimeout:
                continue
            except (ValueError, TypeError, KeyError, OverflowError) as error:
                log.error("an entry of the queue is no job (%s); clean-up drops it", error)
            except redis.RedisError as error:
                log.warning("Redis does not answer (%s); trying on", error)
                time.sleep(0.5)
        return None

    def _dequeue(self, queue: Queue, timeout_s: int | None) -> tuple[Job, Queue] | None:
        return self.queue_class.dequeue_any(
            [queue],
            timeout_s,
            connection=self.connection,
            job_class=self.job_class,
            serializer=self.serializer,
            death_penalty_class=self.death_penalty_class,
        )

    def prepare_job_execution(self, job: Job, remove_from_intermediate_queue: bool = False) -> None:
        """As RQ's; the job has come through an intermediate queue, although this worker has more queues than one."""
        super().prepare_job_execution(job, remove_from_intermediate_queue=True)

    def perform_job(self, job: Job, queue: Queue, execution: Execution) -> bool:
        """As RQ's, under a lease that is renewed, and under the eye of the watchdog."""
        self._heart.leases = ((queue.name, execution.composite_key),)
        if isinstance(job, SafeJob):
            job.busy, job.execution, job.hasty = self._busy, execution, self._hasty
        try:
            return super().perform_job(job, queue, execution)
        finally:
            self._heart.leases = ()

    def handle_execution_ended(self, job: Job, queue: Queue, heartbeat_ttl: int) -> None:
        """Note when a try was over. RQ's own writes into the job's record, whoever may have it by now."""
        job.ended_at = now()

    def _install_signal_handlers(self) -> None:
        """As RQ's; and leave at once if whoever started this worker has heard a signal before."""
        super()._install_signal_handlers()  # type: ignore[no-untyped-call]
        if self._stopping.is_set():
            self._stop_requested = True

    def request_stop(self, signum: int, frame: FrameType | None) -> None:
        """Finish the job in hand, then leave. A second signal does not hurry it: a job is over in seconds."""
        log.info("worker %s: %s, leaving", self.name, signal.Signals(signum).name)
        self._stop_requested = True
        self._stopping.set()

    def cleanup_execution(self, job: Job, pipeline: Pipeline, execution: Execution | None = None) -> None:
        """End an execution; with the one that finishes the job, its answer is written and waiters are woken."""
        super().cleanup_execution(job, pipeline, execution)
        status = job.get_status(refresh=False)
        answer: bytes | None = getattr(job, "answer", None)
        if answer is not None and status == JobStatus.FINISHED:
            pipeline.set(keys.RESULT.format(job_id=job.id), answer, ex=keys.RESULT_TTL_S)
        if status == JobStatus.FINISHED:  # not one that is to be repeated
            tell_end(job, pipeline, "finished")

    def handle_job_success(
        self, job: Job, queue: Queue, started_job_registry: StartedJobRegistry, execution: Execution
    ) -> None:
        """As RQ's; a job that uses nothing that only RQ knows ends by the script that ends all others."""
        if not is_plain(job):
            super().handle_job_success(job, queue, started_job_registry, execution)
            return
        answer = getattr(job, "answer", b"")
        ttl = seconds(job.result_ttl, keys.RESULT_TTL_S)
        end = {"status": "finished", "answer": answer, "ttl": ttl, "good": getattr(job, "good", None)}
        end["erred"] = getattr(job, "erred", None)
        self._end_by_script(job, queue, execution, end)

    def handle_job_failure(
        self,
        job: Job,
        queue: Queue,
        started_job_registry: StartedJobRegistry | None = None,
        exc_string: str = "",
        execution: Execution | None = None,
    ) -> None:
        """As RQ's, by the same script as above, and only if the job is still ours."""
        stranded = job.get_status(refresh=False) == JobStatus.QUEUED  # in the intermediate list
        if is_plain(job) and execution is not None:
            error = packed_error(exc_string)
            ttl = seconds(job.failure_ttl, keys.FAILURE_TTL_S)
            end = {"status": "failed", "retry": True, "error": error, "ttl": ttl}
            self._end_by_script(job, queue, execution, end)
        elif stranded or is_ours(self.connection, job):
            super().handle_job_failure(job, queue, started_job_registry, exc_string, execution)
        else:
            log.warning("job %s had ended or was given to another worker meanwhile", job.id)

    def _end_by_script(self, job: Job, queue: Queue, execution: Execution, end: dict[str, Any]) -> None:
        became = FINISH(
            self.connection, id=job.id, queue=queue.name, lease=execution.id, at=now_text(), worker=self.name, **end
        )
        with self.connection.pipeline() as pipe:
            execution.delete(job, pipe)
            self.executions.pop(execution.id, None)
            if became and end["status"] == "finished":
                self.increment_successful_job_count(pipe)
            elif became:
                self.increment_failed_job_count(pipe)
            if job.started_at and job.ended_at:
                self.increment_total_working_time(job.ended_at - job.started_at, pipe)
            pipe.execute()
        if became == 2:
            queue.enqueue_dependents(job)
        if not became:
            log.warning("job %s had ended or was given to another worker meanwhile", job.id)

    def teardown(self) -> None:
        """Leave: no longer alive, no longer registered. With Redis down there is nothing to sign off from."""
        self._heart.stop()
        if self.pubsub_thread:
            self.pubsub_thread.stop()  # before RQ wakes it: it then ends at once, and not after a second
        try:
            fallback.worker_gone(self.connection, self.name)
            super().teardown()  # type: ignore[no-untyped-call]
        except redis.RedisError as error:
            log.warning("left without signing off: %s", error)
