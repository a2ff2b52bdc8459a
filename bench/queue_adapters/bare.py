"""The floor: BLPOP, msgpack, SET. A job that a killed worker held is lost; nothing retries, expires or times out."""

from __future__ import annotations

from collections.abc import Callable

import msgpack
import redis

from bench import queue_work as work

KINDS: dict[str, Callable[[work.Payload], object]] = {"noop": work.noop, "matvec": work.matvec}


def client() -> Callable[[str, work.Payload], None]:
    connection = redis.Redis.from_url(work.environment(work.URL))

    def submit(kind: str, payload: work.Payload) -> None:
        connection.rpush(work.QUEUE, msgpack.packb([kind, payload]))

    return submit


def main() -> None:
    """Work for ever."""
    connection = redis.Redis.from_url(work.environment(work.URL), socket_timeout=None)
    work.matrix()
    while True:
        popped = connection.blpop([work.QUEUE])
        assert isinstance(popped, list | tuple)
        kind, payload = msgpack.unpackb(popped[1])
        connection.set(f"result:{payload['number']}", msgpack.packb(KINDS[kind](payload)), ex=work.RESULT_TTL_S)


if __name__ == "__main__":
    main()
