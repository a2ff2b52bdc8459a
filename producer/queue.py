"""Put jobs into the queue, and end them from outside: each a single step in Redis (`lua/`)."""

from __future__ import annotations

import hashlib
import math
import os
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Required, TypedDict, Unpack

import redis

from producer import codec, keys
from producer.connections import translated
from producer.errors import KeyReused, QueueFull, RateLimited
from producer.jobs import TYPES, Job, Links, Status
from producer.playlists.shapes import DoctorQuery, PlaylistQuery
from producer.schema import Query
from producer.scripts import FINISH, SUBMIT
from producer.webhooks import Webhook


def new_id() -> str:
    """Return a UUID version 7 (RFC 9562 §5.7): 48 bits of Unix milliseconds, then 74 random bits.

    The time in it lets an id that Redis no longer knows be told from one that never was.
    """
    value = (int(time.time() * 1000) << 80) | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | (0x7 << 76)  # version
    value = value & ~(0x3 << 62) | (0x2 << 62)  # variant
    return str(uuid.UUID(int=value))


def now_text() -> str:
    """Return the time as RQ writes it: ISO 8601, UTC, microseconds."""
    return f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def made_at(job_id: str) -> str:
    """Return when `new_id` gave an id out, as RQ writes times."""
    return f"{datetime.fromtimestamp((uuid.UUID(job_id).int >> 80) / 1000, UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


@dataclass(frozen=True)
class Work:
    """What a job asks of a worker, and how long all of it may take and be kept.

    function: as in `worker.tasks`. deadline_s: after this it is answered without a worker; None: it waits for one.
    time_limit_s: of one try in a worker. result_ttl_s, failure_ttl_s: how long its end is kept. caller: whose
    registered endpoints are told of its end; None: nobody's. webhook: where its request wants to be told.
    """

    function: str
    payload: dict[str, Any]
    queue: str = keys.INTERACTIVE
    metadata: dict[str, str] | None = None
    deadline_s: float | None = keys.DEADLINE_S
    time_limit_s: float = keys.JOB_TIMEOUT_S
    result_ttl_s: int = keys.RESULT_TTL_S
    failure_ttl_s: int = keys.FAILURE_TTL_S
    caller: str | None = None
    webhook: Webhook | None = None


@dataclass(frozen=True)
class Rate:
    """How often `caller` may submit: `per_s` on average, `burst` at once."""

    caller: str
    per_s: float
    burst: int

    @property
    def given(self) -> dict[str, Any]:
        """It, as the scripts take it."""
        return {"key": keys.RATE.format(caller=self.caller), "per_s": self.per_s, "burst": self.burst}


def submit(
    connection: redis.Redis,
    work: Work,
    *,
    limit: int,
    idempotency_key: str | None = None,
    caller: str = "",
    rate: Rate | None = None,
) -> tuple[str, bool]:
    """Queue a job, in one round trip. → its id, and whether it is new: under a key that was seen it is the first one.

    limit: how many jobs may wait in its queue. idempotency_key: 1–200 characters, of one `caller`.

    Raises: KeyReused (the key came with another payload); RateLimited; QueueFull (too many wait, or Redis is fuller
    than MEMORY_SHARE); Unavailable when Redis does not answer (the job may or may not have been queued: sent again
    under an idempotency key, it is queued once).
    """
    job_id = new_id()
    job = record(work, job_id, at=made_at(job_id))
    whole = job["data"] + (job["webhook"] or b"")
    with translated():
        outcome = SUBMIT(
            connection,
            job=job,
            limit=limit,
            memory_share=keys.MEMORY_SHARE,
            idempotency=idempotency(caller, idempotency_key, whole),
            rate=rate and rate.given,
        )
    found = accepted(outcome) or job_id
    return found, found == job_id


def record(work: Work, job_id: str, **more: Any) -> dict[str, Any]:
    """Return a job as `enqueue` in `lua/jobs.lua` takes it. more: its further fields."""
    return {
        "id": job_id,
        "queue": work.queue,
        "description": work.function,
        "data": codec.pack([work.function, None, [work.payload], {}]),
        "meta": codec.pack({"metadata": work.metadata}) if work.metadata else None,
        "timeout": math.ceil(work.time_limit_s),  # RQ knows whole seconds only
        "time_limit": str(work.time_limit_s),
        "result_ttl": work.result_ttl_s,
        "failure_ttl": work.failure_ttl_s,
        "retries": keys.RETRIES,
        "at": now_text(),
        "deadline_s": work.deadline_s,
        "caller": work.caller,
        "webhook": work.webhook.packed() if work.webhook else None,
        **more,
    }


def is_known(connection: redis.Redis, caller: str, key: str) -> bool:
    """Whether a caller's Idempotency-Key was seen already: nothing new is submitted under it. Raises: Unavailable."""
    with translated():
        return bool(connection.exists(_key_of(caller, key)))


def _key_of(caller: str, key: str) -> str:
    return keys.IDEMPOTENCY.format(digest=hashlib.sha256(f"{caller}\n{key}".encode()).hexdigest()[:32])


def idempotency(caller: str, key: str | None, body: bytes) -> dict[str, Any] | None:
    """Return an Idempotency-Key as the scripts take it: of one caller, and for one body."""
    if key is None:
        return None
    return {
        "key": _key_of(caller, key),
        "digest": hashlib.sha256(body).hexdigest()[:32],
        "ttl": keys.IDEMPOTENCY_TTL_S,
    }


def accepted(outcome: list[Any]) -> str | None:
    """Read what a script said of a submission. → the id of the first one, if this is one sent again.

    Raises: KeyReused, RateLimited, QueueFull.
    """
    match outcome:
        case [b"queued", *_]:
            return None
        case [b"same", job_id]:
            return str(job_id.decode())
        case [b"conflict"]:
            raise KeyReused("this Idempotency-Key came with another request; take a new key for a new request")
        case [b"limited", wait]:
            wait_s = float(wait)
            raise RateLimited(f"too many requests; the next is taken in {wait_s:.1f} s", wait_s)
        case [b"memory", used, most]:
            raise QueueFull(f"Redis holds {used >> 20} of {most >> 20} MB; results expire, try again later", 0)
        case [_, waiting]:
            raise QueueFull(f"{waiting} jobs wait already; try again in a few seconds", int(waiting))
    raise AssertionError(f"no such outcome: {outcome!r}")


class Submitting(TypedDict, total=False):
    """How a request is submitted: as for `submit`. webhook: its address has to be one that `addresses.check` allows."""

    limit: Required[int]
    idempotency_key: str | None
    caller: str
    rate: Rate | None
    webhook: Webhook | None


def recommend(connection: redis.Redis, query: Query, **how: Unpack[Submitting]) -> tuple[Job, bool]:
    """Queue a request for recommendations: `submit` with what it takes. → its job, and whether it is new.

    A job that is not new is given as queued, whatever became of it: `results.get_job` knows.
    """
    return _ask(connection, keys.RECOMMEND, query, keys.JOB_TIMEOUT_S, **how)


def playlist(connection: redis.Redis, query: PlaylistQuery, **how: Unpack[Submitting]) -> tuple[Job, bool]:
    """Queue a request for a playlist, as `recommend` does."""
    return _ask(connection, keys.PLAYLIST, query, keys.PLAYLIST_TIMEOUT_S, **how)


def diagnose(connection: redis.Redis, query: DoctorQuery, **how: Unpack[Submitting]) -> tuple[Job, bool]:
    """Queue a playlist to be looked at, as `recommend` does."""
    return _ask(connection, keys.DIAGNOSE, query, keys.PLAYLIST_TIMEOUT_S, **how)


def _ask(
    connection: redis.Redis,
    function: str,
    query: Query | PlaylistQuery | DoctorQuery,
    time_limit_s: float,
    *,
    limit: int,
    idempotency_key: str | None = None,
    caller: str = "",
    rate: Rate | None = None,
    webhook: Webhook | None = None,
) -> tuple[Job, bool]:
    work = Work(
        function,
        query.model_dump(exclude_none=True),
        metadata=query.metadata or None,
        deadline_s=query.deadline_s,
        time_limit_s=time_limit_s,
        caller=caller,
        webhook=webhook,
    )
    job_id, new = submit(connection, work, limit=limit, idempotency_key=idempotency_key, caller=caller, rate=rate)
    job = Job(
        id=job_id,
        type=TYPES[function],
        status=Status.QUEUED,
        created_at=made_at(job_id),
        links=Links.of(job_id),
        metadata=query.metadata,
    )
    return job, new


def finish(connection: redis.Redis, job_id: str, status: str, answer: Any = None) -> bool:
    """End a job from outside its worker, whether it waits or runs. → whether this did; False: it was over already.

    status: RQ's word, finished or canceled. answer: as a task returns it. Raises: Unavailable.
    """
    with translated():
        return bool(
            FINISH(
                connection,
                id=job_id,
                status=status,
                at=now_text(),
                ttl=keys.RESULT_TTL_S,
                answer=None if answer is None else codec.pack_answer(answer),
                erred=True if isinstance(answer, dict) and "error" in answer else None,
            )
        )


def cancel(connection: redis.Redis, job_id: str) -> bool:
    """Cancel a job: it leaves the queue, or its result is discarded. → False: it was over. Raises: Unavailable."""
    return finish(connection, job_id, "canceled")


def waiting(connection: redis.Redis) -> int:
    """Return how many jobs wait, in all queues. Raises: Unavailable."""
    with translated(), connection.pipeline(transaction=False) as pipe:
        for name in keys.QUEUES:
            pipe.llen(f"rq:queue:{name}")
        return sum(pipe.execute())
