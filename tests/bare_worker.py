"""A worker without a model, for tests of the queue: it starts in milliseconds, and its functions misbehave on request.

`tests/bare.py` starts it. The functions are on its allow-list alone, not on that of the worker that is delivered.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from threading import Event
from typing import Any

import redis
from rq import Retry, SimpleWorker

import redis_server
import telemetry
from producer import codec, connections, fallback, keys
from producer.errors import Unavailable
from worker import batching, progress, queue_worker
from worker.batching import BatchWorker
from worker.queue_worker import QueueWorker
from worker.tasks import BATCHES, FUNCTIONS

Payload = dict[str, Any]

INFO: dict[str, Any] = {
    **{"version": "bare", "created_at": "", "tracks": 1, "songs": 1, "artists": 0, "genres": [], "clusters": 35},
    **{"explained_variance": 0.92, "coverage": {}, "source": {}, "synthetic": True, "notice": "invented"},
}
"""What it says of the model that it does not have."""

TRACK: dict[str, Any] = {
    **{"track_id": "popular", "name": "Popular", "artists": ["Somebody"], "genres": [], "cluster": 0},
    **dict.fromkeys(("year", "popularity", "tempo", "key", "mode", "duration_ms", "spotify_url")),
}


def run(url: str, log: Path, one_by_one: bool, quick: bool) -> None:
    """Work until told to leave. quick: with leases of a second, for tests that wait for several to run out."""
    redis_server.die_with_parent()
    with log.open("ab") as output:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(output.fileno(), stream.fileno())
    telemetry.configure("INFO", "text")
    vars(queue_worker).update(_IDLE_LOOK_S=0.1)  # they leave sooner
    vars(batching).update(_LOOK_S=0.1)
    if quick:
        vars(keys).update(LEASE_S=1, BEAT_S=0.2)
    stopping = Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stopping.set())
    connection = connections.patient(url, stopping)
    kind = QueueWorker if one_by_one else BatchWorker
    while not stopping.is_set():
        with suppress(redis.RedisError, Unavailable):
            kind(connection, announce=announce, stopping=stopping).work(logging_level="WARNING")
        if not stopping.is_set():
            time.sleep(0.2)


def run_rqs_own(url: str) -> None:
    """Work off what waits with RQ's own SimpleWorker."""
    with redis.Redis.from_url(url) as connection:
        worker = SimpleWorker(list(keys.QUEUES), connection=connection, serializer=codec.RQSerializer)
        worker.work(burst=True, logging_level="WARNING")


def announce(connection: redis.Redis) -> None:
    """Publish a model's description and one popular track."""
    fallback.publish(connection, INFO, {"": [TRACK]}, [])


def answer(payload: Payload, together: int = 1) -> dict[str, Any]:
    """Answer as a task does, with what was asked, who answered it when, and together with how many others."""
    notice = json.dumps({"asked": payload, "process": os.getpid(), "at": time.time_ns(), "together": together})
    result = {"model": "bare", "strategy": "none", "degraded": False, "scanned": 0.0, "notice": notice}
    return {"ok": result | {name: [] for name in ("attempts", "seeds", "tracks", "warnings")}}


def echo(payload: Payload) -> dict[str, Any]:
    """Answer at once."""
    return answer(payload)


def echo_together(calls: list[tuple[Payload]]) -> list[dict[str, Any]]:
    """Answer many at once."""
    return [answer(payload, len(calls)) for (payload,) in calls]


def count(payload: Payload) -> dict[str, Any]:
    """Note in the file `notes` that it begins with `n`, and answer after 2 ms."""
    return count_together([(payload,)])[0]


def count_together(calls: list[tuple[Payload]]) -> list[dict[str, Any]]:
    """Note that it begins with each, and answer all of them after 2 ms each."""
    notes = os.open(calls[0][0]["notes"], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    os.write(notes, "".join(f"{payload['n']}\n" for (payload,) in calls).encode())
    os.close(notes)
    time.sleep(0.002 * len(calls))
    return echo_together(calls)


def alone(payload: Payload) -> dict[str, Any]:
    """Answer; it has no batch form."""
    return answer(payload)


def nap(payload: Payload) -> dict[str, Any]:
    """Answer after `seconds`."""
    time.sleep(payload["seconds"])
    return answer(payload)


def tells(payload: Payload) -> dict[str, Any]:
    """Answer after saying how far it is, `times` times, with `seconds` between them."""
    for n in range(payload["times"]):
        progress.report(f"stage {n}", n / payload["times"])
        time.sleep(payload["seconds"])
    return answer(payload)


def nap_together(calls: list[tuple[Payload]]) -> list[dict[str, Any]]:
    """Answer many, one after the other."""
    return [nap(payload) | answer(payload, len(calls)) for (payload,) in calls]


def add(first: int, second: int = 0, *, third: int = 0) -> dict[str, Any]:
    """Answer a call with arguments of all kinds."""
    return answer({"sum": first + second + third})


def broken(payload: Payload) -> None:
    """Fail."""
    raise RuntimeError(payload.get("why", "broken on purpose"))


def mends(payload: Payload) -> dict[str, Any]:
    """Fail, but for the third time; the tries are counted in the file `tries`."""
    with Path(payload["tries"]).open("a+") as tries:
        tries.write("x")
        tries.seek(0)
        if len(tries.read()) < 3:
            raise RuntimeError("not yet")
    return answer(payload)


def poison(payload: Payload) -> None:
    """Take the whole process along."""
    os._exit(9)


def hang(payload: Payload) -> None:
    """Never return, in Python code."""
    while True:
        pass


def leave(payload: Payload) -> None:
    """Ask the process to end, as code does that takes itself for a program."""
    raise SystemExit(3)


def unpackable(payload: Payload) -> object:
    """Answer with what msgpack cannot carry."""
    return {"ok": object()}


def later(payload: Payload) -> Retry:
    """Ask RQ for another try, which an answer of ours cannot."""
    return Retry(max=3)


def odd(payload: Payload) -> dict[str, Any]:
    """Answer, unless asked to fail, or to take the process along."""
    if payload.get("fail"):
        raise RuntimeError("this one fails")
    if payload.get("how") == "poison":
        os._exit(9)
    return answer(payload)


def odd_together(calls: list[tuple[Payload]]) -> list[Any]:
    """Misbehave as the first call says: raise, give too few answers, or one that cannot be packed."""
    match calls[0][0].get("how"):
        case "raise":
            raise RuntimeError("the batch form fails")
        case "few":
            return [odd(payload) for (payload,) in calls][1:]
        case "unpackable":
            return [{"ok": object()}, *(answer(payload, len(calls)) for (payload,) in calls[1:])]
        case "leave":
            raise SystemExit(3)
        case "hang":
            hang({})
    return [odd(payload) | answer(payload, len(calls)) for (payload,) in calls]


OURS = (echo, count, alone, nap, tells, add, broken, mends, poison, hang, leave, unpackable, later, odd)
TOGETHER = {"echo": echo_together, "count": count_together, "nap": nap_together, "odd": odd_together}
FUNCTIONS.update({f"{__name__}.{function.__name__}": function for function in OURS})
BATCHES.update({f"{__name__}.{name}": function for name, function in TOGETHER.items()})
