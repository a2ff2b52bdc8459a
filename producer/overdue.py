"""Nobody waits for ever: a job past its deadline is answered with the fallback, by whoever notices first."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterable
from typing import Any

import redis
from pydantic import ValidationError

from producer import codec, fallback, keys, queue
from producer.connections import translated
from producer.errors import BadMessage, NotReady
from producer.playlists.shapes import PlaylistQuery
from producer.public import ModelInfo, PopularLists
from producer.schema import Query

log = logging.getLogger("segue.overdue")

_AT_ONCE = 100


def answer(connection: redis.Redis, job_ids: Iterable[str]) -> int:
    """End jobs that are past their deadline. → how many this call ended. Raises: Unavailable."""
    ended = 0
    lists = functools.cache(lambda: fallback.all_lists(connection))  # 1.4 MB, once for all of them
    for job_id in job_ids:
        with translated():
            data = connection.hget(f"rq:job:{job_id}", "data")
            if not isinstance(data, bytes):
                connection.zrem(keys.DEADLINES, job_id)
                continue
        ended += queue.finish(connection, job_id, "finished", _instead(lists, data))
    if ended:
        log.warning("%d jobs passed their deadline and were answered with the fallback", ended)
    return ended


def answer_due(connection: redis.Redis) -> int:
    """End all jobs that are past their deadline, for when no worker may be alive. → how many. Raises: Unavailable."""
    with translated():
        due = connection.zrangebyscore(keys.DEADLINES, "-inf", time.time(), start=0, num=_AT_ONCE)
    return answer(connection, [str(job_id, "ascii") for job_id in due])  # type: ignore[arg-type]


def _instead(lists: Callable[[], tuple[ModelInfo, PopularLists]], data: bytes) -> dict[str, Any]:
    """Return what a job is answered with that no worker has answered in time."""
    try:
        function, _, (payload, *_), _ = codec.unpack(data)
        if function == keys.RECOMMEND:
            query = Query.model_validate(payload)
            return {"ok": fallback.answer(query, *lists(), _late(query.deadline_s)).model_dump()}
        if function == keys.PLAYLIST:
            wanted = PlaylistQuery.model_validate(payload)
            return {"ok": fallback.playlist(wanted, *lists(), _late(wanted.deadline_s)).model_dump()}
    except (BadMessage, ValidationError, TypeError, ValueError, NotReady) as error:
        log.warning("no fallback for a job past its deadline: %s", error)
    return {"error": {"code": "deadline-exceeded", "detail": "no worker answered in time", "pointer": ""}}


def _late(deadline_s: float) -> str:
    return f"no worker answered within {deadline_s:g} s"
