"""How far a job is: noted while it is a worker's, and by nobody else; heard by those who follow it."""

from __future__ import annotations

import asyncio
import time
from threading import Event

import pytest
import redis

import redis_server
from producer import codec, connections, keys, queue, results
from producer.jobs import Status
from producer.playlists.shapes import PlaylistQuery
from producer.scripts import PROGRESS
from tests.bare import Workers, ended, kill, submit
from tests.integration.test_hub import listening, until, waiting
from tests.services import wait_for
from worker import progress

QUERY = PlaylistQuery.model_validate({"seeds": [{"name": "a"}]})


def seen(connection: redis.Redis, job_id: str) -> tuple[str, float] | None:
    found = results.get_job(connection, job_id).progress
    return (found.stage, found.fraction) if found else None


def test_a_job_says_how_far_it_is_and_then_no_more(connection: redis.Redis, either: Workers) -> None:
    either.start()
    job_id = submit(connection, "tells", {"times": 2, "seconds": 0.5})
    for stage in (("stage 0", 0.0), ("stage 1", 0.5)):
        wait_for(lambda stage=stage: seen(connection, job_id) == stage, str(stage))  # type: ignore[misc]
    assert results.get_job(connection, job_id).status is Status.RUNNING
    assert ended(connection, job_id) == ["finished"]
    assert seen(connection, job_id) is None
    assert connection.hget(f"rq:job:{job_id}", "progress") is None


def test_a_job_is_noted_five_times_at_most(connection: redis.Redis, workers: Workers) -> None:
    with connection.pubsub(ignore_subscribe_messages=True) as channel:
        channel.subscribe(keys.PROGRESS)
        assert channel.get_message(timeout=5) is None, "the subscription"
        workers.start()
        job_id = submit(connection, "tells", {"times": 20, "seconds": 0})
        assert ended(connection, job_id) == ["finished"]
        heard = []
        while message := channel.get_message(timeout=1):
            heard.append(message["data"].decode())
    assert heard == [job_id] * 5


@pytest.mark.parametrize("how", ["canceled", "expired"])
def test_what_is_over_is_not_brought_back(connection: redis.Redis, either: Workers, how: str) -> None:
    either.start()
    job_id = submit(connection, "tells", {"times": 4, "seconds": 0.3})
    wait_for(lambda: seen(connection, job_id), "the first stage")
    if how == "canceled":
        assert queue.cancel(connection, job_id)
    else:
        connection.delete(f"rq:job:{job_id}")
    # The worker is done with it when it answers the next one.
    assert ended(connection, submit(connection, "echo")) == ["finished"]
    assert connection.hget(f"rq:job:{job_id}", "progress") is None
    if how == "canceled":
        assert results.get_job(connection, job_id).status is Status.CANCELED


def test_a_job_whose_worker_died_begins_anew(connection: redis.Redis, workers: Workers) -> None:
    (first,) = workers.start(quick=True)
    job_id = submit(connection, "tells", {"times": 2, "seconds": 0.7})
    wait_for(lambda: seen(connection, job_id) == ("stage 1", 0.5), "the second stage")
    kill(first)
    workers.start(quick=True)
    wait_for(lambda: seen(connection, job_id) == ("stage 0", 0.0), "the first stage, once more")
    assert ended(connection, job_id) == ["finished"]


def test_only_the_holder_of_the_lease_is_heeded(connection: redis.Redis) -> None:
    job, _ = queue.playlist(connection, QUERY, limit=10)
    noted = codec.pack({"stage": "x", "fraction": 0.5})

    def note(lease: str = "mine") -> int:
        return int(PROGRESS(connection, id=job.id, lease=lease, progress=noted))

    assert note() == 0, "it waits"
    connection.hset(f"rq:job:{job.id}", mapping={"status": "started", "lease": "mine"})
    assert note() == 0, "nobody has it"
    connection.zadd("rq:wip:interactive", {f"{job.id}:mine": time.time() + 5})
    assert (note("another's"), seen(connection, job.id)) == (0, None)
    assert (note(), seen(connection, job.id)) == (1, ("x", 0.5))
    connection.hset(f"rq:job:{job.id}", "progress", b"\x01\xc0 of another release")
    assert seen(connection, job.id) is None


def test_a_redis_that_is_down_costs_a_job_a_moment_and_nothing_else() -> None:
    stopping = Event()
    dead = connections.hasty(connections.patient(f"redis://127.0.0.1:{redis_server.free_port()}", stopping), 0.2)
    began = time.monotonic()
    with progress.of(dead, "job", "lease"):
        for n in range(100):
            progress.report(f"stage {n}", n / 100)
    assert time.monotonic() - began < 1
    progress.report("nobody listens", 0.5)


def test_who_follows_a_job_is_woken_by_its_stages_and_who_waits_by_its_end(
    redis_url: str, connection: redis.Redis
) -> None:
    async def play() -> None:
        async with listening(redis_url) as hub:
            with hub.watching("job") as news, hub.watching("job") as another, hub.watching("other") as others:
                waiter = waiting(hub, "job")
                await asyncio.sleep(0)
                connection.publish(keys.PROGRESS, "job")
                await until(lambda: news.is_set() and another.is_set())
                assert not waiter.done()
                news.clear()
                connection.publish(keys.DONE, "job")
                await asyncio.wait_for(news.wait(), 5)
                await asyncio.wait_for(waiter, 5)
                assert not others.is_set()
            assert not hub._watching

    asyncio.run(play())
