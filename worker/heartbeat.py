"""A thread beside a worker: says that it is alive, renews its leases, and sees to what other workers left behind."""

from __future__ import annotations

import base64
import logging
import threading
import zlib
from collections.abc import Callable

import redis

from producer import keys, overdue
from producer.errors import ProducerError
from producer.queue import now_text
from producer.scripts import BEAT, RECOVER

log = logging.getLogger("segue.worker")

_WORKER_RECORD_S = 90
"""How long RQ's record of a worker outlives it; RQ's own is the worker's ttl + 60 s."""

RQ_CLEANS_S = 10
"""How often RQ's own clean-up runs: it trims registries, and sees to jobs that use what only RQ knows."""

Lease = tuple[str, str]
"""Queue, and "<job id>:<execution id>"."""

ABANDONED = "the worker that had this job died, or said nothing for too long, and it has no retries left"


class Heartbeat:
    """Beats every BEAT_S from `start` to `stop`.

    leases: what the worker has in hand; replaced, never changed, by the worker. register: makes RQ's record of the
    worker anew, if Redis lost it; announce: publishes the model's description. clean_up, enqueue_due: RQ's own.
    """

    def __init__(
        self,
        worker: str,
        connection: redis.Redis,
        register: Callable[[], None],
        announce: Callable[[redis.Redis], None],
        clean_up: Callable[[], None],
        enqueue_due: Callable[[], None],
    ) -> None:
        self.leases: tuple[Lease, ...] = ()
        self._worker, self._connection = worker, connection
        self._register, self._announce = register, announce
        self._clean_up, self._enqueue_due = clean_up, enqueue_due
        self._beats, self._left, self._late = 0, 0, list[str]()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heartbeat", daemon=True)

    def start(self) -> None:
        """Beat once, then go on in a thread. Raises: RedisError, Unavailable."""
        self._beat()
        self._thread.start()

    def stop(self) -> None:
        """Beat no more; waits for the beat in hand, at most a second."""
        self._stopped.set()
        self._thread.join(1)

    def _run(self) -> None:
        while not self._stopped.wait(keys.BEAT_S):
            self._beats += 1
            for duty in (self._beat, self._recover, self._let_rq_clean_up, self._answer_late):
                try:
                    duty()
                except (redis.RedisError, ProducerError) as error:
                    log.warning("heartbeat: Redis does not answer (%s)", error)
                    if isinstance(error, redis.ConnectionError | redis.TimeoutError):
                        break
                except Exception:
                    # Whatever it is, the leases have to be renewed: a beat that stops gives this worker's jobs away.
                    log.exception("heartbeat: going on after an error")

    def _beat(self) -> None:
        known, model, late = BEAT(
            self._connection,
            worker=self._worker,
            at=now_text(),
            ttl=_WORKER_RECORD_S,
            alive_s=keys.WORKER_ALIVE_S,
            lease_s=keys.LEASE_S,
            leases=self.leases,
        )
        if not known:
            self._register()
        if not model:
            self._announce(self._connection)
        self._late = [job_id.decode() for job_id in late]

    def _recover(self) -> None:
        mended, self._left, due = RECOVER(
            self._connection,
            queues=keys.QUEUES,
            at=now_text(),
            most=100,
            ttl=keys.FAILURE_TTL_S,
            error=packed_error(ABANDONED),
        )
        if mended:
            log.warning("%d jobs of workers that died were given back", mended)
        if due:
            self._enqueue_due()

    def _let_rq_clean_up(self) -> None:
        if self._left or self._beats % RQ_CLEANS_S == 0:
            self._clean_up()

    def _answer_late(self) -> None:
        overdue.answer(self._connection, self._late)


def packed_error(text: str) -> str:
    """Return a traceback as RQ's results hold it (`rq.results.Result.serialize`)."""
    return base64.b64encode(zlib.compress(text.encode(errors="backslashreplace"))).decode()
