"""Everything at once: workers killed every second, Redis restarted, clients that try again. No job is lost or doubled.

The full form: `./test.sh tests/e2e/test_chaos.py --chaos-jobs 10000 -s`, which also prints what it cost.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import pytest
import redis

import redis_server
from producer import connections, keys, results
from producer.errors import Unavailable
from producer.jobs import Status
from tests.bare import Workers, kill, submit_surely, told
from tests.services import wait_for

CLIENTS = 4
WORKERS = 3
JOBS_A_SECOND = 160
BURST = 20


@dataclass
class Listener:
    """Counts what is announced on `segue:done`, and remembers when Redis was away, so that it heard nothing."""

    url: str
    heard: Counter[str] = field(default_factory=Counter)
    deaf: list[tuple[float, float]] = field(default_factory=list)
    enough: threading.Event = field(default_factory=threading.Event)

    def run(self) -> None:
        """Listen until there is enough."""
        since = time.time()
        while not self.enough.is_set():
            try:
                with redis.Redis.from_url(self.url, retry=None) as client, client.pubsub() as channel:
                    channel.subscribe(keys.DONE)
                    while not self.enough.is_set():
                        message = channel.get_message(timeout=0.1)
                        if message and message["type"] == "subscribe":
                            self.deaf.append((since, time.time()))
                        elif message:
                            self.heard[message["data"].decode()] += 1
                        since = time.time()
            except redis.RedisError:
                time.sleep(0.01)

    def could_hear(self, when: float) -> bool:
        """Whether it was listening then. A moment is allowed for what was under way when Redis went."""
        return not any(start - 0.5 <= when <= end + 0.1 for start, end in self.deaf)


@dataclass
class Client:
    """Submits its share, each job until Redis takes it, and waits for the answers."""

    number: int
    url: str
    notes: Path
    jobs: range
    ids: dict[int, str] = field(default_factory=dict)
    answers: dict[int, int] = field(default_factory=dict)

    def run(self, began: float) -> None:
        """Submit in bursts, then ask for each answer until it is there."""
        connection = connections.quick(self.url, timeout_s=2)
        for count, n in enumerate(self.jobs):
            due = began + (count // BURST) * BURST * CLIENTS / JOBS_A_SECOND
            time.sleep(max(0.0, due - time.monotonic()))
            self.ids[n] = submit_surely(connection, "count", {"n": n, "notes": str(self.notes)}, f"key of {n}")
        for n, job_id in self.ids.items():
            self.answers[n] = wait_for(lambda job_id=job_id: _answer(connection, job_id), f"the answer to {n}", 60)  # type: ignore[misc]
        connection.close()


def _answer(connection: redis.Redis, job_id: str) -> int | None:
    """Return when a job was answered, once it is over; who is not answered by Redis asks again."""
    try:
        job = results.get_job(connection, job_id)
    except Unavailable:
        return None
    if not job.status.is_final:
        return None
    assert job.status is Status.SUCCEEDED, job
    assert job.result
    return int(json.loads(job.result.notice or "")["at"])


@contextmanager
def mayhem(workers: Workers, url: str, deaths: list[float]) -> Iterator[None]:
    """Kill a worker every second, one that has a job in hand if need be waited for, and start another one."""
    enough = threading.Event()
    dice = random.Random(1)

    def run() -> None:
        with redis.Redis.from_url(url) as connection:
            while not enough.wait(1):
                kill(_victim(workers, connection, dice))
                deaths.append(time.monotonic())
                workers.start(wait=False)

    thread = threading.Thread(target=run)
    thread.start()
    yield
    enough.set()
    thread.join()


def _victim(workers: Workers, connection: redis.Redis, dice: random.Random) -> ForkServerProcess:
    """Choose a worker that has a job in hand, or any one if none is seen to have."""
    until = time.monotonic() + 0.7
    while time.monotonic() < until:
        with suppress(redis.RedisError):
            for lease in connection.zrange("rq:wip:interactive", 0, 0):
                name = connection.hget(f"rq:job:{str(lease, 'ascii').split(':')[0]}", "worker_name")  # type: ignore[arg-type]
                pid = connection.hget(f"rq:worker:{str(name, 'ascii')}", "pid")  # type: ignore[arg-type]
                if found := [process for process in workers.alive if str(process.pid).encode() == pid]:
                    return found[0]
        time.sleep(0.001)
    return dice.choice(workers.alive)


def test_no_job_is_lost_and_none_is_answered_twice(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    count = int(request.config.getoption("--chaos-jobs"))
    notes, deaths = tmp_path / "notes", list[float]()
    with ExitStack() as stack:
        server = redis_server.start(tmp_path / "redis")
        stack.callback(server.stop)
        connection = stack.enter_context(redis.Redis.from_url(server.url))
        workers = Workers(server.url, connection, tmp_path / "worker.log")
        stack.callback(workers.stop)
        workers.start(WORKERS)
        listener = Listener(server.url)
        ear = threading.Thread(target=listener.run)
        ear.start()
        wait_for(lambda: listener.deaf, "the listener")

        clients = [Client(n, server.url, notes, range(n, count, CLIENTS)) for n in range(CLIENTS)]
        began = time.monotonic()
        threads = [threading.Thread(target=client.run, args=(began,)) for client in clients]
        for thread in threads:
            thread.start()
        with mayhem(workers, server.url, deaths):
            for share in (3, 3 / 2):
                wait_for(lambda share=share: sum(len(c.ids) for c in clients) > count / share, "jobs", 600)  # type: ignore[misc]
                server.stop()
                server.restart()
            wait_for(lambda: sum(len(c.ids) for c in clients) == count, "all jobs to be submitted", 600)
        for thread in threads:
            thread.join(120)
        took_s = time.monotonic() - began
        listener.enough.set()
        ear.join()

        ids = {n: job_id for client in clients for n, job_id in client.ids.items()}
        answers = {n: at for client in clients for n, at in client.answers.items()}
        assert answers.keys() == ids.keys() == set(range(count))
        assert len(set(ids.values())) == count  # each key led to a job of its own
        for n, job_id in ids.items():
            answer = told(connection, job_id)
            assert (answer["asked"]["n"], answer["at"]) == (n, answers[n])  # the right one, and still the first one
        assert max(listener.heard.values()) == 1
        unheard = ids.values() - listener.heard.keys()
        assert not [job_id for job_id in unheard if listener.could_hear(_ended_at(connection, job_id))]
        assert listener.heard.keys() <= set(ids.values())
        assert connection.zcard("rq:finished:interactive") == count
        assert connection.zcard("rq:wip:interactive") == 0
        assert connection.llen("rq:queue:interactive") == 0
        assert connection.zcard(keys.DEADLINES) == 0
        runs = len(notes.read_text().split())
    print(
        f"{count} jobs in {took_s:.1f} s: {len(deaths)} workers killed, Redis restarted twice, "
        f"{runs - count} jobs run again, {len(unheard)} announced while nobody could listen"
    )


def _ended_at(connection: redis.Redis, job_id: str) -> float:
    found = connection.hget(f"rq:job:{job_id}", "ended_at")
    assert isinstance(found, bytes)
    return datetime.fromisoformat(found.decode()).timestamp()
