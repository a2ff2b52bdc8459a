"""RQ's Job and Queue, made safe: only functions on the allow-list, only our own messages, no job ended twice."""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import redis
from redis.client import Pipeline
from rq import Queue
from rq.executions import Execution
from rq.intermediate_queue import IntermediateQueue
from rq.job import Job
from rq.utils import now
from rq.worker import BaseWorker

from producer import codec, keys
from producer.errors import BadMessage
from producer.queue import now_text
from producer.scripts import TOLD
from worker import progress
from worker.tasks import CALLBACKS, FUNCTIONS

log = logging.getLogger("segue.worker")

LONGEST_S = 366 * 86_400
"""The longest time that a job's record may ask for: Redis and the kernel refuse those that are out of all reason."""

ZLIB = b"\x78"
"""What zlib's bytes begin with: RQ's own Queue compresses messages."""

_CLEAN_UP_LOCK_S = 10
_STRANDED_S = 3


class LeaseLost(Exception):
    """The job was given to another worker, or ended, while this one had it in hand."""


class SafeJob(Job):
    """A job whose answer is packed where it is made, so that one that cannot be packed fails the job, loudly.

    Callbacks would be code of the sender's choice, and RQ's own webhooks addresses: what is not on the allow-list is
    refused, and not even its failure runs it.
    """

    answer: bytes | None = None
    good: int | None = None
    erred: bool | None = None
    execution: Execution | None = None
    hasty: redis.Redis | None = None
    busy: Callable[[float | None], None] = staticmethod(lambda _: None)

    @property
    def success_callback(self) -> Any:
        """What is called after success: nothing that is not on the allow-list."""
        return super().success_callback if self._success_callback_name in CALLBACKS else None

    @property
    def failure_callback(self) -> Any:
        """What is called after a failure: nothing that is not on the allow-list.

        Nor anything when the heartbeat fails a job whose worker died: RQ limits a callback's time by a signal, which
        only the main thread can.
        """
        if threading.current_thread() is not threading.main_thread():
            return None
        return super().failure_callback if self._failure_callback_name in CALLBACKS else None

    @property
    def stopped_callback(self) -> Any:
        """Nothing: a job in the worker's own process cannot be stopped."""
        return None

    def prepare_for_execution(self, worker_name: str, pipeline: Pipeline) -> None:
        """As RQ's, and under its lease again: on its way from the queue that may have run out."""
        super().prepare_for_execution(worker_name, pipeline)
        if self.execution:
            self.started_job_registry.add_execution(self.execution, pipeline, ttl=keys.LEASE_S)

    def _execute(self) -> None:
        if self.func_name not in FUNCTIONS or self.instance is not None:
            raise BadMessage(f"{self.func_name!r} is not a function that jobs may name")
        named = (self._success_callback_name, self._failure_callback_name, self._stopped_callback_name)
        if wrong := [name for name in named if name and name not in CALLBACKS]:
            raise BadMessage(f"jobs may not name the callbacks {', '.join(wrong)}")
        self.busy(float(self.timeout or keys.JOB_TIMEOUT_S))
        try:
            with progress.of(self.hasty or self.connection, self.id, self.execution.id if self.execution else ""):
                answer = super()._execute()
        finally:
            self.busy(None)
        said = answer if isinstance(answer, dict) else {}
        self.good, self.erred = said.get("good"), True if "error" in said else None
        self.answer = codec.pack_answer(answer)

    def send_webhooks(self, *_: object, **__: object) -> None:
        """Send nothing."""

    def restore(self, raw_data: dict[bytes, bytes]) -> None:
        """As RQ's, but what is small and says that it unpacks into more than a message may have is left out."""
        fields = {name: value for name, value in raw_data.items() if name != b"exc_info"}
        if fields.get(b"data", b"")[:1] == ZLIB:
            try:
                codec.decompress(fields[b"data"])
            except BadMessage:
                fields[b"data"] = b""  # refused when it is run
        super().restore(fields)
        self.timeout = seconds(self.timeout, keys.JOB_TIMEOUT_S)

    def _handle_failure(self, exc_string: str, pipeline: Pipeline, *args: Any, **options: Any) -> None:
        super()._handle_failure(exc_string, pipeline, *args, **options)
        tell_end(self, pipeline, "failed")


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


class SafeQueue(Queue):
    """A queue whose stranded jobs come back soon, and whose jobs end once."""

    job_class = SafeJob

    @property
    def intermediate_queue(self) -> IntermediateQueue:
        """Where RQ's loop keeps what it has taken and not yet started."""
        return _IntermediateQueue(self.key, connection=self.connection)

    def acquire_maintenance_lock(self) -> bool:
        """As RQ's, for _CLEAN_UP_LOCK_S instead of a quarter of an hour."""
        return bool(self.connection.set(self.registry_cleaning_key, 1, nx=True, ex=_CLEAN_UP_LOCK_S))

    def move_dependents_to_ready(self, job: Job, pipeline: Pipeline | None = None, *args: Any, **options: Any) -> Any:
        """As RQ's, but first see to it that the job is still ours, now and until the transaction is carried out.

        Raises: LeaseLost.
        """
        if pipeline is not None:
            pipeline.watch(job.key)
            if not is_ours(pipeline, job):
                raise LeaseLost(f"job {job.id} was given to another worker, or ended, meanwhile")
        return super().move_dependents_to_ready(job, pipeline, *args, **options)


def tell_end(job: Job, pipeline: Pipeline, status: str) -> None:
    """Wake whoever waits for a job, and note its end for webhooks, in the transaction that ends it."""
    answer, erred = getattr(job, "answer", None), getattr(job, "erred", None)
    TOLD.within(pipeline, id=job.id, status=status, at=now_text(), answer=answer, erred=erred)
    pipeline.zrem(keys.DEADLINES, job.id)
    pipeline.publish(keys.DONE, job.id)


def seconds(asked: float | None, otherwise: int) -> int:
    """Return a time that a job's record asks for. Never for ever, never at once."""
    return min(math.ceil(asked), LONGEST_S) if asked and 0 < asked < math.inf else otherwise


def is_plain(job: Job) -> bool:
    """Return whether a job uses nothing that only RQ knows: `RQ_ONLY` in `producer/lua/jobs.lua`."""
    return not (
        job._success_callback_name
        or job._failure_callback_name
        or job._stopped_callback_name
        or job.webhooks
        or job._dependency_ids
        or job.repeats_left
        or job.rate_limit_key
        or any(job.retry_intervals or ())
        or job.connection.exists(job.dependents_key)
    )


def is_ours(connection: redis.Redis, job: Job) -> bool:
    """Return whether `job` is still in the hands of the worker that its record names."""
    status, worker = connection.hmget(job.key, "status", "worker_name")
    return (status, worker) == (b"started", (job.worker_name or "").encode())
