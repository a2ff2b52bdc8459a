"""What everybody may know of the model in service: its description and its popular lists, kept in Redis.

The worker that loads a model writes them; the API reads them, so that it needs neither the model nor a worker.
"""

from __future__ import annotations

import time
from typing import Any

import redis

from producer import codec, keys
from producer.connections import translated
from producer.errors import NotFound, NotReady
from producer.schema import ModelInfo, PopularList


def publish(connection: redis.Redis, info: dict[str, Any], popular: dict[str, list[dict[str, Any]]]) -> None:
    """Replace both in one step, so that no reader sees the lists of one model under the name of another.

    info: a `ModelInfo` as a dict. popular: tracks by genre, "" for all genres, each list best first.
    """
    with translated(), connection.pipeline(transaction=True) as pipe:
        pipe.set(keys.MODEL, codec.pack(info))
        pipe.delete(keys.POPULAR)
        pipe.hset(keys.POPULAR, mapping={genre: codec.pack(tracks) for genre, tracks in popular.items()})
        pipe.execute()


def model_info(connection: redis.Redis) -> ModelInfo:
    """Return what the model in service holds. Raises: NotReady, Unavailable."""
    with translated():
        packed = connection.get(keys.MODEL)
    if not isinstance(packed, bytes):
        raise NotReady("no worker has loaded a model yet")
    return ModelInfo.model_validate(codec.unpack(packed))


def popular(connection: redis.Redis, genre: str | None, limit: int) -> PopularList:
    """Return the `limit` most popular tracks of `genre`, or of all.

    Raises: NotReady; NotFound if the model has no such genre; Unavailable.
    """
    with translated(), connection.pipeline(transaction=True) as pipe:
        pipe.get(keys.MODEL)
        pipe.hget(keys.POPULAR, genre or "")
        packed_info, packed_tracks = pipe.execute()
    if packed_info is None:
        raise NotReady("no worker has loaded a model yet")
    info = ModelInfo.model_validate(codec.unpack(packed_info))
    if packed_tracks is None:
        raise NotFound(f"the model has no genre {genre!r}; GET /v1/model lists those it has")
    return PopularList.model_validate(
        {"model": info.version, "genre": genre, "tracks": codec.unpack(packed_tracks)[:limit], "notice": info.notice}
    )


def worker_alive(connection: redis.Redis, name: str) -> bool:
    """Say that worker `name` is alive, and forget those that have not said so lately.

    → whether Redis still knows the model; if not, it was restarted empty, and the lists are to be published again.
    """
    now = time.time()
    with connection.pipeline(transaction=False) as pipe:
        pipe.zadd(keys.WORKERS, {name: now + keys.WORKER_ALIVE_S})
        pipe.zremrangebyscore(keys.WORKERS, "-inf", now - keys.WORKER_ALIVE_S)
        pipe.exists(keys.MODEL)
        return bool(pipe.execute()[-1])


def worker_gone(connection: redis.Redis, name: str) -> None:
    """Say that worker `name` has left."""
    connection.zrem(keys.WORKERS, name)


def live_workers(connection: redis.Redis) -> int:
    """Return how many workers are alive. Raises: Unavailable."""
    with translated():
        return int(connection.zcount(keys.WORKERS, time.time(), "+inf"))
