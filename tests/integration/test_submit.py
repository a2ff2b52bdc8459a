"""Submitting: one round trip, once under one key, and refused kindly when there is too much of anything."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

from producer import connections, fallback, keys, queue, results
from producer.errors import KeyReused, QueueFull, RateLimited, Unavailable
from producer.jobs import Status
from producer.queue import Rate, Work
from producer.schema import Query
from tests.services import wait_for

WORK = Work("tests.bare_worker.echo", {"n": 1})
OTHER = Work("tests.bare_worker.echo", {"n": 2})
QUERY = Query.model_validate({"seeds": [{"name": "A song"}], "metadata": {"user": "42"}})
QUEUE = "rq:queue:interactive"


def test_submitting_is_one_round_trip(redis_url: str, connection: redis.Redis) -> None:
    client = redis.Redis.from_url(redis_url, single_connection_client=True)
    rate = Rate("somebody", per_s=100, burst=100)
    queue.submit(client, WORK, limit=10)  # Redis knows the script now
    mine = client.client_info()["addr"]
    with connection.monitor() as monitor:
        queue.submit(client, WORK, limit=10)
        queue.submit(client, WORK, limit=10, idempotency_key="k", caller="me", rate=rate)
        queue.recommend(client, QUERY, limit=10, idempotency_key="l", caller="me", rate=rate)
        client.ping()
        asked: list[str] = []
        while "PING" not in asked:
            seen = monitor.next_command()
            if f"{seen['client_address']}:{seen['client_port']}" == mine:
                asked.append(seen["command"].split()[0])
    assert asked == ["EVALSHA", "EVALSHA", "EVALSHA", "PING"]
    client.close()


def test_the_same_request_under_its_key_is_the_same_job(connection: redis.Redis) -> None:
    first, new = queue.submit(connection, WORK, limit=10, idempotency_key="k", caller="me")
    assert new
    assert queue.submit(connection, WORK, limit=10, idempotency_key="k", caller="me") == (first, False)
    assert connection.llen(QUEUE) == 1
    with pytest.raises(KeyReused) as refused:
        queue.submit(connection, OTHER, limit=10, idempotency_key="k", caller="me")
    assert (refused.value.code, refused.value.retryable) == ("idempotency-key-reused", False)
    for other in ({"caller": "me", "idempotency_key": "k2"}, {"caller": "you", "idempotency_key": "k"}, {}):
        again, new = queue.submit(connection, WORK, limit=10, **other)  # type: ignore[arg-type]
        assert new
        assert again != first
    assert connection.llen(QUEUE) == 4


def test_a_key_is_forgotten_after_a_day(connection: redis.Redis) -> None:
    first, _ = queue.submit(connection, WORK, limit=10, idempotency_key="k")
    (key,) = connection.keys("segue:idempotency:*")
    assert 0 < connection.ttl(key) <= keys.IDEMPOTENCY_TTL_S
    connection.pexpire(key, 1)
    wait_for(lambda: not connection.exists(key), "its end")
    second, new = queue.submit(connection, OTHER, limit=10, idempotency_key="k")
    assert new
    assert second != first


def test_a_key_outlives_the_job_that_it_led_to(connection: redis.Redis) -> None:
    first, _ = queue.submit(connection, WORK, limit=10, idempotency_key="k")
    connection.delete(f"rq:job:{first}")
    assert queue.submit(connection, WORK, limit=10, idempotency_key="k") == (first, False)


def test_the_same_key_from_twenty_threads_is_one_job(redis_url: str, connection: redis.Redis) -> None:
    client = connections.quick(redis_url, timeout_s=5)
    ready = threading.Barrier(20)

    def submit(_: int) -> tuple[str, bool]:
        ready.wait()
        return queue.submit(client, WORK, limit=100, idempotency_key="k")

    with ThreadPoolExecutor(20) as threads:
        found = list(threads.map(submit, range(20)))
    assert len({job_id for job_id, _ in found}) == 1
    assert [new for _, new in found].count(True) == 1
    assert connection.llen(QUEUE) == 1
    client.close()


def test_a_recommendation_is_the_same_only_with_all_its_fields(connection: redis.Redis) -> None:
    job, new = queue.recommend(connection, QUERY, limit=10, idempotency_key="k")
    again, other = queue.recommend(connection, QUERY.model_copy(), limit=10, idempotency_key="k")
    assert (job.id, new, again.id, other) == (job.id, True, job.id, False)
    changes: list[dict[str, Any]] = [{"metadata": {}}, {"limit": 3}, {"deadline_s": 5.0}]
    for change in changes:
        with pytest.raises(KeyReused):
            queue.recommend(connection, QUERY.model_copy(update=change), limit=10, idempotency_key="k")


def test_each_queue_has_its_bound(connection: redis.Redis) -> None:
    for _ in range(3):
        queue.submit(connection, WORK, limit=3)
    with pytest.raises(QueueFull, match="3 jobs wait") as refused:
        queue.submit(connection, WORK, limit=3, idempotency_key="k", rate=Rate("me", 1, 1))
    assert refused.value.waiting == 3
    assert connection.llen(QUEUE) == 3
    assert not connection.keys("segue:*:*")  # what is refused leaves no trace
    queue.submit(connection, Work(WORK.function, {}, queue=keys.BULK), limit=3)
    connection.lpop(QUEUE)
    _, new = queue.submit(connection, WORK, limit=3, idempotency_key="k", rate=Rate("me", 1, 1))
    assert new


def test_the_bound_holds_against_twenty_at_once(redis_url: str, connection: redis.Redis) -> None:
    client = connections.quick(redis_url, timeout_s=5)

    def submit(_: int) -> bool:
        try:
            return queue.submit(client, WORK, limit=50)[1]
        except QueueFull:
            return False

    with ThreadPoolExecutor(20) as threads:
        assert sum(threads.map(submit, range(120))) == 50
    assert connection.llen(QUEUE) == 50
    client.close()


def test_who_asks_too_often_is_told_when_to_come_again(connection: redis.Redis) -> None:
    rate = Rate("me", per_s=5, burst=3)
    for _ in range(3):
        queue.submit(connection, WORK, limit=100, rate=rate)
    with pytest.raises(RateLimited) as refused:
        queue.submit(connection, WORK, limit=100, rate=rate)
    wait_s = refused.value.retry_after_s
    assert 0 < wait_s <= 0.2
    assert (refused.value.code, refused.value.retryable) == ("rate-limited", True)
    queue.submit(connection, WORK, limit=100, rate=Rate("you", 5, 3))  # another caller has another bucket
    queue.submit(connection, WORK, limit=100)
    assert connection.llen(QUEUE) == 5
    time.sleep(wait_s)  # what was promised
    queue.submit(connection, WORK, limit=100, rate=rate)
    with pytest.raises(RateLimited):
        queue.submit(connection, WORK, limit=100, rate=rate)
    assert 0 < connection.ttl(keys.RATE.format(caller="me")) <= 2


def test_a_bucket_is_never_fuller_than_its_burst(connection: redis.Redis) -> None:
    rate = Rate("me", per_s=0.001, burst=2)
    key = keys.RATE.format(caller="me")
    queue.submit(connection, WORK, limit=100, rate=rate)
    connection.hset(key, "at", 0)  # half a century ago
    for _ in range(2):
        queue.submit(connection, WORK, limit=100, rate=rate)
    with pytest.raises(RateLimited) as refused:
        queue.submit(connection, WORK, limit=100, rate=rate)
    assert 990 < refused.value.retry_after_s <= 1000
    connection.hset(key, "at", time.time() + 3600)  # somebody set the clock back
    with pytest.raises(RateLimited):
        queue.submit(connection, WORK, limit=100, rate=rate)


def test_a_request_that_comes_again_costs_no_token(connection: redis.Redis) -> None:
    rate = Rate("me", per_s=0.001, burst=1)
    first, _ = queue.submit(connection, WORK, limit=100, idempotency_key="k", rate=rate)
    for _ in range(5):
        assert queue.submit(connection, WORK, limit=100, idempotency_key="k", rate=rate) == (first, False)


def test_a_redis_that_is_nearly_full_takes_no_jobs_but_still_answers(connection: redis.Redis) -> None:
    job_id, _ = queue.submit(connection, WORK, limit=10)
    fallback.publish(connection, {"version": "v"}, {"": []}, [])
    before = connection.config_get("maxmemory")["maxmemory"] or 0
    used = connection.info("memory")["used_memory"]
    try:
        connection.config_set("maxmemory", int(used / 0.85))
        with pytest.raises(QueueFull, match="MB"):
            queue.submit(connection, WORK, limit=10, idempotency_key="k")
        assert results.get_job(connection, job_id).status is Status.QUEUED
        assert queue.cancel(connection, job_id)
        connection.config_set("maxmemory", int(used / 0.7))
        assert queue.submit(connection, WORK, limit=10, idempotency_key="k")[1]
        connection.config_set("maxmemory", 0)  # no bound at all
        assert queue.submit(connection, WORK, limit=10)[1]
    finally:
        connection.config_set("maxmemory", before)


def test_redis_may_forget_the_script(connection: redis.Redis) -> None:
    for _ in range(3):
        connection.script_flush()
        assert queue.submit(connection, WORK, limit=10)[1]


@contextmanager
def losing_replies(redis_url: str, lose: int) -> Iterator[str]:
    """Stand between a client and Redis, and hang up instead of passing on the first `lose` replies to scripts."""
    target = urlsplit(redis_url)
    left = [lose]

    def serve(client: socket.socket) -> None:
        with client, socket.create_connection((target.hostname, target.port)) as server:
            while asked := client.recv(2**20):
                server.sendall(asked)
                answered = server.recv(2**20)
                if b"EVALSHA" in asked and left[0]:
                    left[0] -= 1
                    return
                client.sendall(answered)

    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accept() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(client,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield redis_url.replace(str(target.port), str(listener.getsockname()[1]))
        listener.shutdown(socket.SHUT_RDWR)


def test_a_call_whose_answer_was_lost_queues_one_job(redis_url: str, connection: redis.Redis) -> None:
    queue.submit(connection, WORK, limit=10)  # Redis knows the script now
    connection.delete(QUEUE)
    with losing_replies(redis_url, 1) as url:
        client = connections.quick(url, timeout_s=2)
        rate = Rate("me", per_s=0.001, burst=2)
        job_id, new = queue.submit(client, WORK, limit=10, rate=rate)  # the connection is tried once more
        client.close()
    assert new
    assert connection.lrange(QUEUE, 0, -1) == [job_id.encode()]
    assert connection.hget(keys.RATE.format(caller="me"), "tokens") == b"1"


def test_a_caller_who_was_not_answered_may_ask_again_under_its_key(redis_url: str, connection: redis.Redis) -> None:
    queue.submit(connection, WORK, limit=10)
    connection.delete(QUEUE)
    with losing_replies(redis_url, 2) as url:
        client = connections.quick(url, timeout_s=2)
        with pytest.raises(Unavailable):
            queue.submit(client, WORK, limit=10, idempotency_key="k")
        job_id, new = queue.submit(client, WORK, limit=10, idempotency_key="k")
        client.close()
    assert not new
    assert connection.lrange(QUEUE, 0, -1) == [job_id.encode()]
