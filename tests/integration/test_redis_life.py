"""What becomes of jobs and workers when Redis is stopped, killed, stunned, filled, or turned into a replica.

`docs/explanation/queue.md` says what each of these events costs; here it is held to that.
"""

from __future__ import annotations

import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest
import redis

import redis_server
from producer import fallback, keys
from tests.bare import Workers, ended, listening, status, submit, submit_surely
from tests.services import stop, wait_for


@pytest.fixture
def server(tmp_path: Path) -> Iterator[redis_server.RedisServer]:
    """A Redis of the test's own."""
    started = redis_server.start(tmp_path / "redis")
    yield started
    started.process.send_signal(signal.SIGCONT)
    started.stop()


@pytest.fixture
def client(server: redis_server.RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url, socket_timeout=2) as connected:
        yield connected


@pytest.fixture
def workers(server: redis_server.RedisServer, client: redis.Redis, tmp_path: Path) -> Iterator[Workers]:
    started = Workers(server.url, client, tmp_path / "worker.log")
    yield started
    started.stop()


@pytest.fixture(params=["batches", "one-by-one"])
def either(request: pytest.FixtureRequest, workers: Workers) -> Workers:
    workers.one_by_one = request.param == "one-by-one"
    return workers


def counted(client: redis.Redis, notes: Path, jobs: int) -> list[str]:
    """Submit jobs that note each time they are run."""
    return [submit(client, "count", {"n": n, "notes": str(notes)}, deadline_s=None) for n in range(jobs)]


def runs(notes: Path) -> Counter[str]:
    return Counter(notes.read_text().split()) if notes.exists() else Counter()


def underway(notes: Path, least: int) -> None:
    wait_for(lambda: len(runs(notes)) >= least, f"{least} jobs to be run")


def all_is_well(client: redis.Redis, workers: Workers, ids: list[str], processes: int) -> None:
    """See that all jobs are answered, nothing is left over, and no worker had to be started again."""
    assert set(ended(client, *ids, deadline_s=40)) == {"finished"}
    assert all(client.exists(keys.RESULT.format(job_id=job_id)) for job_id in ids)
    assert client.zcard("rq:wip:interactive") == 0
    assert client.llen("rq:queue:interactive") == 0
    assert len(workers.alive) == processes
    wait_for(lambda: fallback.live_workers(client) == processes, "the workers to say that they live")


def test_a_restart_loses_nothing(
    server: redis_server.RedisServer, client: redis.Redis, either: Workers, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    ids = counted(client, notes, 400)
    either.start(2, quick=True)
    for least in (50, 200):
        underway(notes, least)
        server.stop()
        server.restart()
    all_is_well(client, either, ids, 2)
    assert set(runs(notes)) == {str(n) for n in range(400)}


def test_a_kill_loses_at_most_the_last_second(server: redis_server.RedisServer, client: redis.Redis) -> None:
    taken: list[tuple[float, str]] = []
    done = Event()

    def submit_all_the_time() -> None:
        while not done.is_set():
            try:
                taken.append((time.monotonic(), submit(client, "echo", {"n": len(taken)})))
            except Exception:  # noqa: BLE001 — Redis is dead
                return

    thread = Thread(target=submit_all_the_time)
    thread.start()
    began = time.monotonic()
    wait_for(lambda: time.monotonic() - began > 1.5 and len(taken) > 500, "jobs of more than a second")
    stop(server.process, signal.SIGKILL)
    killed = time.monotonic()
    done.set()
    thread.join()
    server.restart()
    lost = [at for at, job_id in taken if status(client, job_id) is None]
    print(f"lost by kill -9: {len(lost)} of {len(taken)} jobs")
    assert not [at for at in lost if at < killed - 1]
    assert client.llen("rq:queue:interactive") == len(taken) - len(lost)


def test_a_kill_while_workers_work_loses_no_job(
    server: redis_server.RedisServer, client: redis.Redis, workers: Workers, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    ids = counted(client, notes, 300)
    workers.start(2, quick=True)
    underway(notes, 50)
    stop(server.process, signal.SIGKILL)
    server.restart()
    assert all(status(client, job_id) for job_id in ids)
    all_is_well(client, workers, ids, 2)


@contextmanager
def breaking(url: str, pause_s: float) -> Iterator[None]:
    """Break all connections but its own, again and again."""
    enough = Event()
    with redis.Redis.from_url(url) as executioner:

        def run() -> None:
            while not enough.wait(pause_s):
                executioner.client_kill_filter(_type="normal", skipme=True)

        thread = Thread(target=run)
        thread.start()
        try:
            yield
        finally:
            enough.set()
            thread.join()


def test_connections_that_break_cost_nothing(
    server: redis_server.RedisServer, client: redis.Redis, either: Workers, tmp_path: Path
) -> None:
    notes = tmp_path / "notes"
    either.start(2, quick=True)
    with breaking(server.url, 0.15 if either.one_by_one else 0.05):  # one job is 20 round trips there
        ids = [submit_surely(client, "count", {"n": n, "notes": str(notes)}, f"key {n}") for n in range(300)]
        underway(notes, 30)
    assert len(set(ids)) == 300
    all_is_well(client, either, ids, 2)
    assert set(runs(notes)) == {str(n) for n in range(300)}


def test_a_redis_that_hangs_for_longer_than_a_lease_answers_each_once(
    server: redis_server.RedisServer, client: redis.Redis, workers: Workers
) -> None:
    workers.start(2, quick=True)
    with listening(client) as heard:
        ids = [submit(client, "nap", {"seconds": 0.05, "n": n}) for n in range(40)]
        wait_for(lambda: status(client, ids[3]) == "finished", "some to be done")
        server.process.send_signal(signal.SIGSTOP)
        time.sleep(1.7)  # a lease is a second
        server.process.send_signal(signal.SIGCONT)
        all_is_well(client, workers, ids, 2)
        assert heard() == dict.fromkeys(ids, 1)


def test_a_full_redis_stops_no_worker(client: redis.Redis, either: Workers, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    ids = counted(client, notes, 300)
    either.start(2, quick=True)
    underway(notes, 20)
    client.config_set("maxmemory", 100_000)
    began = time.monotonic()
    wait_for(lambda: time.monotonic() - began > 1.2, "some beats")
    with pytest.raises(redis.exceptions.OutOfMemoryError):
        client.set("x", "y")
    if not either.one_by_one:  # RQ's own loop leaves, and comes back when there is room
        assert fallback.live_workers(client) == 2
        assert set(ended(client, *ids)) == {"finished"}
    client.config_set("maxmemory", 0)
    all_is_well(client, either, ids, 2)
    assert set(runs(notes)) == {str(n) for n in range(300)}


def test_a_redis_that_becomes_a_replica_is_waited_for(client: redis.Redis, workers: Workers, tmp_path: Path) -> None:
    notes = tmp_path / "notes"
    ids = counted(client, notes, 400)
    workers.start(2, quick=True)
    underway(notes, 20)
    client.replicaof("127.0.0.1", redis_server.free_port())
    with pytest.raises(redis.exceptions.ReadOnlyError):
        client.set("x", "y")
    before = time.monotonic()
    wait_for(lambda: time.monotonic() - before > 1, "some beats")
    assert len(workers.alive) == 2
    client.replicaof("NO", "ONE")
    all_is_well(client, workers, ids, 2)


def test_workers_that_find_no_redis_wait_for_it(
    server: redis_server.RedisServer, client: redis.Redis, workers: Workers
) -> None:
    job_id = submit(client, "echo")
    server.stop()
    (process,) = workers.start(quick=True, wait=False)
    wait_for(process.is_alive, "the worker")
    server.restart()
    assert ended(client, job_id) == ["finished"]


def test_a_worker_that_cannot_reach_redis_still_leaves(
    server: redis_server.RedisServer, client: redis.Redis, workers: Workers
) -> None:
    (process,) = workers.start(quick=True)
    assert ended(client, submit(client, "echo")) == ["finished"]
    server.stop()
    began = time.monotonic()
    process.terminate()
    process.join(15)
    assert process.exitcode == 0
    assert time.monotonic() - began < 10
    server.restart()
