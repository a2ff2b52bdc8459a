"""Many requests under one id: a record, and parts, which are jobs on BULK, of PART requests each.

In a batch that asks for playlists, too, each request is a part.

A part's answers are the answer of its job. `lua/jobs.lua` counts, as each part ends, what became of its requests, and
ends the batch with its last part; so a batch outlives workers and Redis as its parts do.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import redis

from producer import codec, keys
from producer.connections import translated
from producer.errors import BadMessage
from producer.jobs import Batch, BatchCounts, BatchLinks, Status
from producer.queue import Rate, Work, accepted, idempotency, new_id, now_text, record
from producer.results import later, missing
from producer.scripts import ADD_PARTS, FINISH, OPEN_BATCH
from producer.webhooks import Webhook

PART = 4
"""Recommendations in a part: some 5 ms of work, which is what an interactive job may have to wait for.

A playlist is a part by itself: while nothing but playlists of 30 (100) tracks fills BULK, an interactive answer takes
27 ms (83 ms) in the middle, and 8 ms without. So is every request beside one: then a part's place follows from an index
whatever is mixed, and 1,000 recommendations among playlists take 0.1 to 1.3 s longer than by fours.
"""

_AT_ONCE = 100
_READ_AT_ONCE = 16


def submit(
    connection: redis.Redis,
    items: Sequence[dict[str, Any]],
    *,
    metadata: dict[str, str],
    limit: int,
    idempotency_key: str | None = None,
    caller: str = "",
    rate: Rate | None = None,
    webhook: Webhook | None = None,
) -> tuple[str, bool]:
    """Queue a batch. → its id, and whether it is new: under an idempotency key that was seen it is the first one.

    items: each `custom_id` and `query`, the fields of a `schema.Query`, or with `type` playlist of a `PlaylistQuery`,
    unchecked: the worker checks them, and what is wrong with one stands in its line of the results; or `error` instead.
    limit: how many jobs may wait on BULK. webhook: where to tell of its end; an address that `addresses.check` allows.

    Raises: KeyReused, RateLimited, QueueFull, Unavailable; BadMessage: more than MAX_BATCH_BYTES. Sent again under its
    key, it completes what was begun.
    """
    size = 1 if any(item.get("type") == "playlist" for item in items) else PART
    batch_id = new_id()
    jobs = [
        record(
            Work(
                keys.RECOMMEND_MANY,
                {"items": [{"index": i, **items[i]} for i in range(start, min(start + size, len(items)))]},
                queue=keys.BULK,
                deadline_s=None,
                time_limit_s=keys.PART_TIMEOUT_S,
                result_ttl_s=keys.BATCH_TTL_S,
                failure_ttl_s=keys.BATCH_TTL_S,
            ),
            "",
            items=min(size, len(items) - start),
        )
        for start in range(0, len(items), size)
    ]
    packed_webhook = webhook.packed() if webhook else None
    total_bytes = sum(len(job["data"]) for job in jobs)
    if total_bytes > codec.MAX_BATCH_BYTES:
        raise BadMessage(f"{total_bytes} bytes, {codec.MAX_BATCH_BYTES} at most")
    meta = codec.pack({"metadata": metadata})
    whole = b"".join([*(job["data"] for job in jobs), meta, packed_webhook or b""]) if idempotency_key else b""
    with translated():
        outcome = OPEN_BATCH(
            connection,
            id=batch_id,
            at=now_text(),
            total=len(items),
            parts=len(jobs),
            meta=meta,
            bytes=total_bytes,
            limit=limit,
            queue=keys.BULK,
            memory_share=keys.MEMORY_SHARE,
            ttl=2 * keys.BATCH_TTL_S,
            idempotency=idempotency(caller, idempotency_key, whole),
            rate=rate and rate.given,
            caller=caller,
            webhook=packed_webhook,
        )
        found = accepted(outcome)
        batch = found or batch_id
        if found is None or connection.hget(keys.BATCH.format(batch_id=batch), "complete") is None:
            for n, job in enumerate(jobs):
                job |= {"id": f"{batch}-{n}", "batch": batch}
            for start in range(0, len(jobs), _AT_ONCE):
                some = jobs[start : start + _AT_ONCE]
                ADD_PARTS(connection, batch=batch, jobs=some, last=start + _AT_ONCE >= len(jobs))
    return batch, found is None


def get(connection: redis.Redis, batch_id: str) -> Batch:
    """Return where a batch stands. Raises: NotFound, Expired, Unavailable."""
    with translated():
        raw = cast(dict[bytes, bytes], connection.hgetall(keys.BATCH.format(batch_id=batch_id)))
    if b"total" not in raw:
        raise missing(batch_id, keys.BATCH_TTL_S)
    fields = {name.decode(): value for name, value in raw.items()}
    number = {name: int(fields.get(name, 0)) for name in ("total", "succeeded", "failed", "canceled", "done")}
    started, finished = (fields[name].decode() if name in fields else None for name in ("started_at", "finished_at"))
    if "cancel" in fields and number["canceled"]:
        status = Status.CANCELED
    elif finished:
        status = Status.SUCCEEDED
    else:
        status = Status.RUNNING if started else Status.QUEUED
    return Batch(
        id=batch_id,
        status=status,
        created_at=fields["created_at"].decode(),
        started_at=started,
        finished_at=finished,
        expires_at=later(finished, keys.BATCH_TTL_S) if finished else None,
        counts=BatchCounts(
            total=number["total"],
            waiting=number["total"] - number["done"],
            succeeded=number["succeeded"],
            failed=number["failed"],
            canceled=number["canceled"],
        ),
        links=BatchLinks.of(batch_id),
        metadata=codec.unpack(fields["meta"])["metadata"],
    )


def results(connection: redis.Redis, batch_id: str, after: int = -1) -> Iterator[dict[str, Any]]:
    """Yield what became of each request, in their order, from the one behind index `after`, as far as parts have ended.

    Raises: NotFound, Expired, Unavailable, each before the first is yielded or at a part that has gone.
    """
    with translated():
        total, parts_of, complete = connection.hmget(keys.BATCH.format(batch_id=batch_id), "total", "parts", "complete")
    count = int(parts_of or 0)
    if count == 0:
        raise missing(batch_id, keys.BATCH_TTL_S)
    first = (after + 1) // (1 if count == int(total or 0) else PART)
    for start in range(first, count, _READ_AT_ONCE):
        parts = [f"{batch_id}-{n}" for n in range(start, min(start + _READ_AT_ONCE, count))]
        with translated(), connection.pipeline(transaction=False) as pipe:
            for part in parts:
                pipe.hget(f"rq:job:{part}", "status")
                pipe.get(keys.RESULT.format(job_id=part))
            replies = pipe.execute()
        for part, status, packed in zip(parts, replies[::2], replies[1::2], strict=True):
            if status not in (b"finished", b"failed", b"canceled"):
                if status is None and complete is not None:
                    raise missing(batch_id, 0)
                return
            lines = codec.unpack(packed)["ok"]["items"] if packed else _without_answer(connection, part, status)
            yield from (line for line in lines if line["index"] > after)


def _without_answer(connection: redis.Redis, part: str, status: bytes) -> list[dict[str, Any]]:
    """Return what became of the requests of a part that no worker has answered."""
    with translated():
        data = connection.hget(f"rq:job:{part}", "data")
    items = codec.unpack(data)[2][0]["items"] if isinstance(data, bytes) else []
    error = {"code": "job-failed", "detail": "the worker could not answer this request; it was logged", "pointer": ""}
    end: dict[str, Any] = {"status": "canceled"} if status == b"canceled" else {"status": "failed", "error": error}
    return [{"index": item["index"], "custom_id": item["custom_id"], **end} for item in items]


def cancel(connection: redis.Redis, batch_id: str) -> Batch:
    """Cancel the parts of a batch that have not ended; what has, is kept. Raises: NotFound, Expired, Unavailable."""
    key = keys.BATCH.format(batch_id=batch_id)
    with translated():
        count = int(connection.hget(key, "parts") or 0)
        if count == 0:
            raise missing(batch_id, keys.BATCH_TTL_S)
        connection.hset(key, "cancel", 1)
        for n in reversed(range(count)):  # from the end, where nobody works yet
            FINISH(connection, id=f"{batch_id}-{n}", status="canceled", at=now_text(), ttl=keys.BATCH_TTL_S)
    return get(connection, batch_id)
