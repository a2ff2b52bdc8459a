"""The worker that runs: many jobs in one round trip, and none lost.

RQ's SimpleWorker goes to Redis 20 times for a job; this one goes once for a batch. `producer/lua/step.lua` ends the
jobs of the last batch and takes those of the next in one step, so a job is always in a queue or under a lease; a
heartbeat renews the leases. It stays a worker of RQ's: `rq info`, registries, retries and failures are RQ's own, and
what only RQ's code knows how to do (see `RQ_ONLY` in `producer/lua/jobs.lua`) is done by `QueueWorker`.
"""

from __future__ import annotations

import inspect
import logging
import math
import time
import traceback
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import redis
from rq.executions import Execution
from rq.worker import WorkerStatus

from producer import codec, keys
from producer.errors import BadMessage
from producer.queue import now_text
from producer.scripts import STEP
from worker import progress
from worker.heartbeat import packed_error
from worker.queue_worker import QueueWorker
from worker.rq_jobs import LONGEST_S, ZLIB, seconds
from worker.tasks import BATCHES, FUNCTIONS
from worker.time_limit import time_limit

log = logging.getLogger("segue.worker")

_BATCH_S = 0.01
"""How long a batch may take: its first job's answer waits for its last."""

_MOST = 32
"""Jobs in a batch, at most: what a kill -9 makes others do again."""

_LOOK_S = 0.25
"""How long an idle worker waits at the first queue before it looks at the others."""

_GIVE_UP_S = 5.0
"""How long a worker that was told to stop tries to hand in what it has done, with Redis down."""

_LONGEST_ERROR = 20_000


@dataclass(frozen=True)
class Taken:
    """A job under this worker's lease. Its fields are the record's; time_limit_s is of one try."""

    id: str
    queue: str
    lease: str
    data: bytes
    time_limit_s: float
    result_ttl_s: int
    failure_ttl_s: int
    retries_left: int
    plain: bool


class BatchWorker(QueueWorker):
    """Works off QUEUES, in batches, in this process."""

    def work(self, *_: Any, burst: bool = False, **__: Any) -> bool:
        """Work until told to stop; with `burst`, until nothing waits. → whether there was anything to do.

        What RQ's own `work` takes besides has no meaning here. Raises: redis.RedisError if Redis is down at the start.
        """
        self._install_signal_handlers()
        self.bootstrap("WARNING")
        self._seconds: dict[str, float] = {}
        self._worked_s, self._suspended = 0.0, 0
        self._steps, self._prefix = 0, uuid.uuid4().hex[:12]
        worked = False
        ended: list[dict[str, Any]] = []
        try:
            while not self._stop_requested:
                self._between()
                taken = self._step(ended, _MOST)
                ended = self._run(taken) if taken else []
                worked = worked or bool(taken)
                if not taken:
                    if burst:
                        break
                    self._wait()
        finally:
            if ended:
                self._step(ended, 0)
            self.teardown()
        return worked

    def _step(self, ended: list[dict[str, Any]], most: int) -> list[Taken]:
        """Hand in `ended` and take up to `most` jobs, whatever it takes: an answer is not thrown away for an outage."""
        gave_up_at: float | None = None
        while True:
            # Another id for each try: what a lost reply had taken is not in hand, and returns when its lease ends.
            self._steps += 1
            try:
                became, rows, self._suspended = STEP(
                    self.connection,
                    worker=self.name,
                    at=now_text(),
                    lease_s=keys.LEASE_S,
                    step=f"{self._prefix}.{self._steps}",
                    ended=ended,
                    queues=keys.QUEUES,
                    most=0 if self._stop_requested else most,
                    batch={name: self._room(name) for name in BATCHES},
                    worked_s=self._worked_s,
                )
            except redis.RedisError as error:
                log.warning("Redis does not take what was done (%s); trying on", error)
                if self._stop_requested:
                    gave_up_at = gave_up_at or time.monotonic() + _GIVE_UP_S
                    if time.monotonic() > gave_up_at:
                        return []
                time.sleep(0.5)
                continue
            self._worked_s = 0.0
            lost = [how["id"] for how, what in zip(ended, became, strict=True) if what == 0]
            if lost:
                log.warning("%d jobs had ended or were given to others meanwhile: %s", len(lost), ", ".join(lost))
            for how, what in zip(ended, became, strict=True):
                if what == 2:
                    self._tell_dependents(how["id"], how["queue"])
            taken = [_taken(row) for row in rows]
            self._heart.leases = tuple((job.queue, f"{job.id}:{job.lease}") for job in taken)
            return taken

    def _room(self, name: str) -> int:
        """Return how many jobs of a function fit into a batch, by what they took lately."""
        return max(1, min(_MOST, int(_BATCH_S / max(self._seconds.get(name, _BATCH_S / 4), 1e-6))))

    def _wait(self) -> None:
        """Wait until there may be work, _LOOK_S at most.

        Moving the head of a list to the same end is a look that blocks: the job never leaves its queue.
        """
        if self._suspended:  # then there may be jobs, and they are not for us
            time.sleep(_LOOK_S)
            return
        head = f"rq:queue:{keys.INTERACTIVE}"
        try:
            self.connection.blmove(head, head, _LOOK_S, "LEFT", "LEFT")  # type: ignore[arg-type]  # fractions are taken
        except redis.RedisError as error:
            log.warning("Redis does not answer (%s); trying on", error)
            time.sleep(0.5)

    def _run(self, taken: list[Taken]) -> list[dict[str, Any]]:
        """Run jobs that were taken together. → how each ended."""
        if not taken[0].plain:
            return self._run_by_rq(taken[0])
        started = time.monotonic()
        calls: list[tuple[Taken, str, tuple[Any, ...]]] = []
        ended = []
        for job in taken:
            try:
                calls.append((job, *_call(job)))
            except BadMessage as error:
                # Not even looked at, and no better the next time.
                ended.append(self._failed(job, f"refused: {error}", final=True))
        if len(calls) > 1:
            ended += self._run_together(calls)
        elif calls:
            ended.append(self._run_one(*calls[0]))
        took_s = time.monotonic() - started
        self._worked_s += took_s
        if calls:
            name, each = calls[0][1], took_s / len(calls)
            self._seconds[name] = 0.8 * self._seconds.get(name, each) + 0.2 * each
        return ended

    def _run_together(self, calls: list[tuple[Taken, str, tuple[Any, ...]]]) -> list[dict[str, Any]]:
        name = calls[0][1]
        try:
            if any(other != name for _, other, _ in calls):  # the script went by their descriptions
                raise RuntimeError("these jobs are not of one function")
            with self._watched(max(job.time_limit_s for job, _, _ in calls)):
                answers = BATCHES[name]([arguments for _, _, arguments in calls])
            if len(answers) != len(calls):
                raise RuntimeError(f"the batch form of {name} gave {len(answers)} answers to {len(calls)} calls")
            return [self._succeeded(job, a) for (job, _, _), a in zip(calls, answers, strict=True)]
        except BaseException as error:  # noqa: BLE001 — run one by one, the one at fault will say so
            log.warning("a batch of %d failed (%r); running its jobs one by one", len(calls), error)
        return [self._run_one(*call) for call in calls]

    def _run_one(self, job: Taken, name: str, arguments: tuple[Any, ...]) -> dict[str, Any]:
        try:
            with self._watched(job.time_limit_s), progress.of(self._hasty, job.id, job.lease):
                answer = FUNCTIONS[name](*arguments)
            return self._succeeded(job, answer)
        except BaseException:  # noqa: BLE001 — whatever a job raises is the job's end, not the worker's
            text = traceback.format_exc()[-_LONGEST_ERROR:]
            log.warning("job %s failed (%d retries left): %s", job.id, job.retries_left, text.splitlines()[-1])
            return self._failed(job, text, final=False)

    def _watched(self, seconds: float) -> _Watched:
        return _Watched(self._busy, seconds)

    def _succeeded(self, job: Taken, answer: Any) -> dict[str, Any]:
        end = {"status": "finished", "answer": codec.pack_answer(answer), "ttl": job.result_ttl_s}
        said = answer if isinstance(answer, dict) else {}
        erred = True if "error" in said else None
        return self._end(job) | end | {"good": said.get("good"), "erred": erred}  # good: of a batch's part

    def _failed(self, job: Taken, error: str, *, final: bool) -> dict[str, Any]:
        end = {"status": "failed", "error": packed_error(error), "ttl": job.failure_ttl_s, "retry": not final}
        return self._end(job) | end

    def _end(self, job: Taken) -> dict[str, Any]:
        return {"id": job.id, "queue": job.queue, "lease": job.lease, "at": now_text(), "worker": self.name}

    def _run_by_rq(self, taken: Taken) -> list[dict[str, Any]]:
        """Run a job that uses what only RQ knows, by RQ's own methods. → how it ended, if they cannot read it."""
        queue = self._queue(taken.queue)
        try:
            job = queue.fetch_job(taken.id)
        except redis.RedisError:
            raise
        except Exception as error:  # noqa: BLE001 — others have written its record
            return [self._failed(taken, f"refused: its record cannot be read ({error!r})", final=True)]
        if job is None:
            return []
        execution = Execution(taken.lease, taken.id, self.connection, worker_name=self.name)
        self.perform_job(job, queue, execution)
        self.set_state(WorkerStatus.IDLE)
        return []

    def _tell_dependents(self, job_id: str, queue_name: str) -> None:
        queue = self._queue(queue_name)
        try:
            if job := queue.fetch_job(job_id):
                queue.enqueue_dependents(job)
        except Exception:
            # What has been taken meanwhile must not wait for its lease on their account.
            log.exception("the jobs that wait for %s could not be told", job_id)

    def _queue(self, name: str) -> Any:
        return next(queue for queue in self.queues if queue.name == name)


class _Watched:
    """Runs what is inside under a time limit and the eye of the watchdog."""

    def __init__(self, busy: Callable[[float | None], None], seconds: float) -> None:
        self._busy, self._seconds, self._limit = busy, seconds, time_limit(seconds)

    def __enter__(self) -> None:
        self._busy(self._seconds)
        self._limit.__enter__()

    def __exit__(self, *exception: Any) -> None:
        try:
            self._limit.__exit__(*exception)
        finally:
            self._busy(None)


def _taken(row: list[Any]) -> Taken:
    job_id, queue, lease, data, timeout, time_limit_s, result_ttl, failure_ttl, retries_left, plain = row
    return Taken(
        id=job_id.decode(),
        queue=queue.decode(),
        lease=lease.decode(),
        data=data,
        time_limit_s=_number(time_limit_s, _number(timeout, keys.JOB_TIMEOUT_S)),
        result_ttl_s=seconds(_number(result_ttl, 0), keys.RESULT_TTL_S),
        failure_ttl_s=seconds(_number(failure_ttl, 0), keys.FAILURE_TTL_S),
        retries_left=int(_number(retries_left, 0)) if retries_left else 0,
        plain=bool(plain),
    )


def _number(raw: bytes | None, otherwise: float) -> float:
    """Return a field of a job's record: others may have written it, or left it out. Never for ever, never at once."""
    try:
        value = float(raw or "")
    except ValueError:
        return otherwise
    return min(value, LONGEST_S) if math.isfinite(value) and value > 0 else otherwise


def _call(job: Taken) -> tuple[str, tuple[Any, ...]]:
    """Return the function that a job names, and its arguments. Raises: BadMessage."""
    data = job.data
    if data[:1] == ZLIB:
        data = codec.decompress(data)
    message = codec.unpack(data)
    if not (isinstance(message, list) and len(message) == 4):
        raise BadMessage("not a call of a function")
    name, instance, arguments, options = message
    if not isinstance(name, str) or name not in FUNCTIONS or instance is not None:
        raise BadMessage(f"{name!r} is not a function that jobs may name")
    if not options and isinstance(arguments, list):
        return name, tuple(arguments)
    try:
        bound = inspect.signature(FUNCTIONS[name]).bind(*arguments, **options)
    except TypeError as error:
        raise BadMessage(f"{name}: {error}") from error
    if bound.kwargs:
        raise BadMessage(f"{name}: {', '.join(bound.kwargs)} can only be given by name")
    return name, bound.args
