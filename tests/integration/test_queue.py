"""Submitting jobs and reading what became of them, on a real Redis."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from rq.job import Job as RQJob
from rq.job import JobStatus

import redis_server
from producer import codec, connections, fallback, keys, overdue, queue, results
from producer.errors import Expired, NotFound, NotReady, Unavailable
from producer.jobs import Status
from producer.queue import Work
from producer.schema import Query
from producer.scripts import BEAT
from tests.services import wait_for

QUERY = Query.model_validate({"seeds": [{"name": "A song", "artist": "Somebody"}], "metadata": {"user": "42"}})


def test_a_submitted_job_is_queued_with_all_that_the_worker_needs(connection: redis.Redis) -> None:
    job, new = queue.recommend(connection, QUERY, limit=10)
    assert new
    assert job.status is Status.QUEUED
    stored = RQJob.fetch(job.id, connection=connection, serializer=codec.RQSerializer)
    assert stored.func_name == keys.RECOMMEND
    assert Query.model_validate(stored.args[0]) == QUERY
    assert (stored.retries_left, stored.timeout, stored.failure_ttl) == (3, 5, 24 * 3600)
    assert stored.get_status() == JobStatus.QUEUED
    assert (stored.origin, stored.description) == (keys.INTERACTIVE, keys.RECOMMEND)
    assert connection.smembers("rq:queues") == {b"rq:queue:interactive"}
    found = results.get_job(connection, job.id)
    assert found == job
    assert abs(datetime.fromisoformat(found.created_at) - datetime.now(UTC)) < timedelta(seconds=5)
    again, new = queue.recommend(connection, QUERY, limit=10, idempotency_key="k")
    assert queue.recommend(connection, QUERY, limit=10, idempotency_key="k") == (again, False)
    assert found.metadata == {"user": "42"}


def test_nothing_in_redis_is_a_pickle(connection: redis.Redis) -> None:
    job, _ = queue.recommend(connection, QUERY, limit=10)
    raw = connection.hgetall(RQJob.key_for(job.id))
    restored = RQJob(job.id, connection=connection, serializer=codec.RQSerializer)
    restored.restore(raw)
    assert restored.data[:1] == codec.FORMAT
    assert raw[b"meta"][:1] == codec.FORMAT


def test_ids_are_version_7_and_in_the_order_of_their_making(connection: redis.Redis) -> None:
    ids = []
    for _ in range(3):
        ids.append(queue.new_id())
        time.sleep(0.002)
    assert ids == sorted(ids)
    assert {uuid.UUID(i).version for i in ids} == {7}
    assert {uuid.UUID(i).variant for i in ids} == {uuid.RFC_4122}
    assert abs((uuid.UUID(ids[0]).int >> 80) / 1000 - time.time()) < 5


@pytest.mark.parametrize(
    ("rq_status", "ours"),
    [
        (JobStatus.CREATED, Status.QUEUED),
        (JobStatus.QUEUED, Status.QUEUED),
        (JobStatus.DEFERRED, Status.QUEUED),
        (JobStatus.SCHEDULED, Status.QUEUED),
        (JobStatus.STARTED, Status.RUNNING),
        (JobStatus.FAILED, Status.FAILED),
        (JobStatus.STOPPED, Status.CANCELED),
        (JobStatus.CANCELED, Status.CANCELED),
    ],
)
def test_rqs_words_never_leak(connection: redis.Redis, rq_status: JobStatus, ours: Status) -> None:
    job, _ = queue.recommend(connection, QUERY, limit=10)
    connection.hset(RQJob.key_for(job.id), "status", rq_status.value)
    assert results.get_job(connection, job.id).status is ours


def test_every_status_of_rq_is_mapped(connection: redis.Redis) -> None:
    job, _ = queue.recommend(connection, QUERY, limit=10)
    connection.set(keys.RESULT.format(job_id=job.id), codec.pack({"error": {"code": "x", "detail": "y"}}))
    for status in JobStatus:
        connection.hset(RQJob.key_for(job.id), "status", status.value)
        assert results.get_job(connection, job.id).status in Status


def test_a_failed_job_shows_no_traceback(connection: redis.Redis) -> None:
    job, _ = queue.recommend(connection, QUERY, limit=10)
    connection.hset(
        RQJob.key_for(job.id), mapping={"status": "failed", "exc_info": "Traceback (most recent call last)"}
    )
    found = results.get_job(connection, job.id)
    assert found.error
    assert found.error.code == "job-failed"
    assert "Traceback" not in found.model_dump_json()


def test_an_unknown_id_is_not_found_and_an_old_one_expired(connection: redis.Redis) -> None:
    for unknown in ("", "abc", "x" * 5000, "rq:job:1", str(uuid.uuid4()), queue.new_id()):
        with pytest.raises(NotFound):
            results.get_job(connection, unknown)
    hour_ago = int((time.time() - keys.RESULT_TTL_S - 1) * 1000)
    old = uuid.UUID(int=(hour_ago << 80) | (7 << 76) | (2 << 62) | 12345)
    with pytest.raises(Expired):
        results.get_job(connection, str(old))


def test_popular_lists_are_those_of_the_model_they_name(connection: redis.Redis) -> None:
    with pytest.raises(NotReady):
        fallback.popular(connection, None, 5)
    with pytest.raises(NotReady):
        fallback.model_info(connection)
    with pytest.raises(NotReady):
        fallback.genres(connection)
    with pytest.raises(NotReady):
        fallback.popular_lists(connection, QUERY)
    rock, pop = [{"genre": "rock", "tracks": 7}], [{"genre": "pop", "tracks": 8}]
    fallback.publish(connection, _info("one"), {"": [_track("a"), _track("b")], "rock": [_track("a")]}, rock)
    fallback.publish(connection, _info("two"), {"": [_track("c")]}, pop)
    found = fallback.popular(connection, None, 5)
    assert (found.model, [t.track_id for t in found.tracks]) == ("two", ["c"])
    assert (fallback.genres(connection).model, fallback.genres(connection).genres[0].genre) == ("two", "pop")
    with pytest.raises(NotFound):
        fallback.popular(connection, "rock", 5)


@pytest.mark.parametrize(
    ("filters", "names"),
    [
        ({}, {""}),
        ({"genres": ["rock", "no such", "pop"]}, {"rock", "pop"}),
        ({"genres": ["no such"]}, set()),
        ({"year": [1990, 2000]}, {"", "rock", "pop"}),
        ({"exclude_artists": ["Somebody"]}, {"", "rock", "pop"}),
    ],
)
def test_an_answer_without_a_worker_takes_the_lists_that_it_needs(
    connection: redis.Redis, filters: dict[str, object], names: set[str]
) -> None:
    lists = {"": [_track("a"), _track("b")], "rock": [_track("a")], "pop": [_track("b")]}
    fallback.publish(connection, _info("one"), lists, [])
    query = Query.model_validate({"seeds": [{"name": "x"}], "filters": filters})
    info, found = fallback.popular_lists(connection, query)
    assert (info.version, found) == ("one", {name: lists[name] for name in names})
    assert fallback.answer(query, info, found, "nobody") == fallback.answer(query, info, lists, "nobody")


def test_a_worker_is_alive_until_it_says_nothing(connection: redis.Redis) -> None:
    assert fallback.live_workers(connection) == 0
    for name in ("w1", "w2"):
        assert beat(connection, name, leases=[])[:2] == [0, 0]  # neither RQ's record of it nor a model is there
    assert fallback.live_workers(connection) == 2
    fallback.worker_gone(connection, "w1")
    assert fallback.live_workers(connection) == 1
    connection.zadd(keys.WORKERS, {"w2": time.time() - 1})
    assert fallback.live_workers(connection) == 0
    beat(connection, "w3", leases=[])
    assert connection.zrange(keys.WORKERS, 0, -1) == [b"w3"]  # and is forgotten


def test_a_beat_renews_what_is_there_and_nothing_else(connection: redis.Redis) -> None:
    connection.hset("rq:worker:w", "birth", "today")
    connection.set(keys.MODEL, "a model")
    connection.zadd("rq:wip:interactive", {"job:lease": 5})
    late = [queue.submit(connection, Work("f", {}, deadline_s=0.001), limit=10)[0] for _ in range(2)]
    queue.submit(connection, Work("f", {}), limit=10)
    wait_for(lambda: beat(connection, "w", leases=[])[2] == [i.encode() for i in late], "their deadline")
    assert beat(connection, "w", leases=[["interactive", "job:lease"], ["bulk", "gone:lease"]])[:2] == [1, 1]
    lease_ends = connection.zscore("rq:wip:interactive", "job:lease")
    assert abs((lease_ends or 0) - time.time() - keys.LEASE_S) < 2
    assert connection.zcard("rq:wip:bulk") == 0
    assert 0 < connection.ttl("rq:worker:w") <= 90


def beat(connection: redis.Redis, worker: str, leases: list[list[str]]) -> Any:
    given = {"at": queue.now_text(), "ttl": 90, "alive_s": keys.WORKER_ALIVE_S, "lease_s": keys.LEASE_S}
    return BEAT(connection, worker=worker, leases=leases, **given)


def test_without_redis_every_call_says_so() -> None:
    nobody = connections.quick(f"redis://127.0.0.1:{redis_server.free_port()}/0", timeout_s=0.2)
    for call in (
        lambda: queue.recommend(nobody, QUERY, limit=1),
        lambda: queue.submit(nobody, Work("f", {}), limit=1),
        lambda: queue.cancel(nobody, queue.new_id()),
        lambda: overdue.answer(nobody, ["x"]),
        lambda: results.get_job(nobody, queue.new_id()),
        lambda: fallback.model_info(nobody),
        lambda: fallback.popular(nobody, None, 1),
        lambda: fallback.genres(nobody),
        lambda: fallback.popular_lists(nobody, QUERY),
        lambda: fallback.live_workers(nobody),
    ):
        with pytest.raises(Unavailable):
            call()


def _track(track_id: str) -> dict[str, object]:
    unknown = dict.fromkeys(("year", "popularity", "tempo", "key", "mode", "duration_ms", "spotify_url"))
    return {"track_id": track_id, "name": "n", "artists": [], "genres": [], "cluster": 0, **unknown}


def _info(version: str) -> dict[str, object]:
    return {
        **{"version": version, "created_at": "", "tracks": 1, "songs": 1, "artists": 0, "genres": [], "clusters": 35},
        **{"explained_variance": 0.92, "coverage": {}, "source": {}, "synthetic": False, "notice": None},
    }
