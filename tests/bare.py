"""Start bare workers, each a process of its own, and submit to them."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

import redis

from producer import codec, fallback, keys, queue
from producer.errors import Unavailable
from producer.queue import Work
from tests.services import wait_for

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(["pytest", "tests.bare_worker"])

FUNCTION = "tests.bare_worker.{}"


class Workers:
    """Starts workers on one Redis and, at the end, sees to it that they leave in good order."""

    def __init__(self, url: str, connection: redis.Redis, log: Path, *, one_by_one: bool = False) -> None:
        self._url, self._connection, self.one_by_one, self.log = url, connection, one_by_one, log
        self._all: list[ForkServerProcess] = []

    def start(self, count: int = 1, *, quick: bool = False, wait: bool = True) -> list[ForkServerProcess]:
        """Start some, and wait until they are alive. quick: with leases of a second. → their processes."""
        before = fallback.live_workers(self._connection) if wait else 0
        started = [self._start(quick) for _ in range(count)]
        if wait:
            wait_for(
                lambda: fallback.live_workers(self._connection) >= before + count, f"{count} workers; see {self.log}"
            )
        return started

    def _start(self, quick: bool) -> ForkServerProcess:
        # By its name, so that the child finds the module preloaded, and this process need not load a worker.
        process = _CONTEXT.Process(target=_run, args=(self._url, self.log, self.one_by_one, quick))
        process.start()
        self._all.append(process)
        return process

    @property
    def alive(self) -> list[ForkServerProcess]:
        """Those that run."""
        return [process for process in self._all if process.is_alive()]

    def stop(self) -> None:
        """Have all of them leave; each has to, within its time, and say that all is well."""
        running = self.alive
        for process in running:
            send(process, signal.SIGCONT)
            send(process, signal.SIGTERM)
        for process in running:
            process.join(20)
            if process.exitcode is None:
                process.kill()
        assert [process.exitcode for process in running] == [0] * len(running), self.log.read_text()[-3000:]


def _run(url: str, log: Path, one_by_one: bool, quick: bool) -> None:
    from tests import bare_worker

    bare_worker.run(url, log, one_by_one, quick)


def rqs_own_worker(url: str) -> None:
    """Have RQ's own SimpleWorker work off what waits."""
    process = _CONTEXT.Process(target=_run_rqs_own, args=(url,))
    process.start()
    process.join(30)
    assert process.exitcode == 0


def _run_rqs_own(url: str) -> None:
    from tests import bare_worker

    bare_worker.run_rqs_own(url)


def send(process: ForkServerProcess, what: signal.Signals) -> None:
    """Send a signal to a worker."""
    assert process.pid
    os.kill(process.pid, what)


def kill(process: ForkServerProcess) -> None:
    """End a worker as nothing ends it well: kill -9."""
    process.kill()
    process.join()


def submit(connection: redis.Redis, function: str, payload: dict[str, Any] | None = None, **work: Any) -> str:
    """Submit a job to a function of the bare worker. work: fields of `Work`. → its id."""
    return queue.submit(connection, Work(FUNCTION.format(function), payload or {}, **work), limit=100_000)[0]


def submit_surely(connection: redis.Redis, function: str, payload: dict[str, Any], key: str) -> str:
    """Submit as a client does that wants to be sure: under a key, again and again until Redis answers. → its id."""
    work = Work(FUNCTION.format(function), payload, deadline_s=None)

    def try_it() -> str | None:
        with suppress(Unavailable):
            return queue.submit(connection, work, limit=100_000, idempotency_key=key)[0]
        return None

    return wait_for(try_it, "Redis to take a job")


def status(connection: redis.Redis, job_id: str) -> str | None:
    """Return RQ's word for where a job stands."""
    found = connection.hget(f"rq:job:{job_id}", "status")
    return found.decode() if isinstance(found, bytes) else None


def ended(connection: redis.Redis, *job_ids: str, deadline_s: float = 20.0) -> list[str | None]:
    """Wait until jobs are over. → how each ended, in RQ's words."""

    def look() -> list[str | None] | None:
        found = [status(connection, job_id) for job_id in job_ids]
        return found if all(word in ("finished", "failed", "canceled", None) for word in found) else None

    return wait_for(look, f"the end of {len(job_ids)} jobs", deadline_s)


def started(connection: redis.Redis, *job_ids: str) -> None:
    """Wait until a worker has taken jobs."""
    wait_for(lambda: all(status(connection, job_id) != "queued" for job_id in job_ids), "a worker to take the jobs")


def told(connection: redis.Redis, job_id: str) -> dict[str, Any]:
    """Return what an answered job's function told: `asked`, `process`, `together`."""
    packed = connection.get(keys.RESULT.format(job_id=job_id))
    assert isinstance(packed, bytes), status(connection, job_id)
    found: dict[str, Any] = json.loads(codec.unpack(packed)["ok"]["notice"])
    return found


@contextmanager
def listening(connection: redis.Redis) -> Iterator[Callable[[], Counter[str]]]:
    """Listen to `segue:done`. → a function that tells how often each job was announced until now."""
    channel = connection.pubsub(ignore_subscribe_messages=True)
    channel.subscribe(keys.DONE)
    wait_for(lambda: connection.pubsub_numsub(keys.DONE)[0][1], "the subscription")
    heard: Counter[str] = Counter()

    def until_now() -> Counter[str]:
        mark = f"mark {threading.get_ident()} {sum(heard.values())}"
        connection.publish(keys.DONE, mark)
        while True:
            message = wait_for(lambda: channel.get_message(timeout=0.1), "what was published")
            said = message["data"].decode()
            if said == mark:
                return heard
            heard[said] += 1

    try:
        yield until_now
    finally:
        channel.close()
