"""Nobody waits for nothing: Redis down or silent, the queue full, no worker; and what is answered all the same."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from producer import keys
from tests import services
from tests.integration.test_jobs_http import problem
from tests.services import Answer, Service, wait_for

SUBMIT = "/v1/recommendations"
EXPIRED = "/v1/jobs/0190163d-8694-739b-aea5-966c26f8ad91"
QUERY: dict[str, Any] = {"seeds": [{"name": "A song"}], "limit": 5}
PLAIN: dict[str, Any] = {"song_name": "A song", "artist_name": "Somebody"}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[Service]:
    with services.service(tmp_path_factory.mktemp("outage"), models_dir, QUEUE_LIMIT="20") as service:
        yield service


@pytest.fixture
def idle(service: Service) -> Service:
    with service.connection() as connection:
        connection.flushall()
    wait_for(lambda: service.client.get(EXPIRED).status == 410, "the end of the last outage")
    return service


@contextmanager
def stopped(service: Service) -> Iterator[None]:
    """Redis is down: connections are refused."""
    service.redis.stop()
    try:
        yield
    finally:
        service.redis.restart()


@contextmanager
def stunned(service: Service) -> Iterator[None]:
    """Redis takes connections and says nothing."""
    os.kill(service.redis.process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(service.redis.process.pid, signal.SIGCONT)


def timed(ask: Callable[[], Answer]) -> tuple[Answer, float]:
    began = time.monotonic()
    return ask(), time.monotonic() - began


@pytest.mark.parametrize("outage", [stopped, stunned])
def test_without_redis_50_callers_at_once_are_answered_within_a_second(
    idle: Service, outage: Callable[[Service], Any]
) -> None:
    client = idle.client
    with outage(idle), ThreadPoolExecutor(50) as threads:
        for _ in range(2):
            asked = [threads.submit(timed, lambda: client.post(SUBMIT, QUERY)) for _ in range(50)]
            for one in asked:
                answer, seconds = one.result()
                body = problem(answer, 503, "redis-unavailable")
                assert int(answer.headers["Retry-After"]) >= 1
                assert (body["fallback"]["degraded"], len(body["fallback"]["tracks"])) == (True, 5)
                assert seconds < 1.5, "a second, on a machine that does nothing else"


@pytest.mark.parametrize("outage", [stopped, stunned])
def test_without_redis_the_models_files_answer_and_say_so(idle: Service, outage: Callable[[Service], Any]) -> None:
    client = idle.client
    with outage(idle):
        began = time.monotonic()
        for path in ("/v1/popular?limit=3", "/v1/genres", "/v1/model"):
            answer = client.get(path)
            assert (answer.status, answer.headers["Segue-Source"]) == (200, "files")
            assert "Redis does not answer" in answer.json["warnings"][0]
        plain = client.post("/recommend", PLAIN)
        assert (plain.status, plain.json["success"], plain.json["degraded"]) == (200, True, True)
        assert len(plain.json["recommendations"]) == 5
        assert "Redis does not answer" in plain.json["note"]
        assert client.get("/api/popular-examples").json["success"]
        health = client.get("/health").json
        assert (health["status"], health["components_loaded"]["redis"]) == ("degraded", False)
        for path in ("/", "/docs", "/openapi.json", "/livez"):
            assert client.get(path).status == 200
        assert time.monotonic() - began < 8
        for path in ("/readyz", "/v1/tracks?q=a", "/v1/tracks/x", EXPIRED):
            found, seconds = timed(lambda path=path: client.get(path))  # type: ignore[misc]
            problem(found, 503, "redis-unavailable")
            assert found.headers["Retry-After"]
            assert seconds < 1.5
        problem(client.post("/v1/batches", {"items": [QUERY]}), 503, "redis-unavailable")


def test_a_full_queue_says_when_to_try_again_and_what_to_show_meanwhile(idle: Service) -> None:
    client = idle.client
    for _ in range(20):
        assert client.post(SUBMIT, QUERY).status == 202
    full = client.post(SUBMIT, QUERY)
    body = problem(full, 503, "queue-full")
    assert (body["fallback"]["strategy"], len(body["fallback"]["tracks"])) == ("popular", 5)
    assert full.headers["Retry-After"] == "30", "nobody works; it will take a while"
    with idle.connection() as connection:  # ten jobs in the last seconds: two wait for about as long
        connection.set(keys.ENDED.format(tenth=int(time.time() // 10)), 10)
        connection.set(keys.ENDED.format(tenth=int(time.time() // 10) - 1), 10)
        assert 1 <= int(client.post(SUBMIT, QUERY).headers["Retry-After"]) <= 3
    plain = client.post("/recommend", PLAIN).json
    assert (plain["success"], plain["degraded"]) == (True, True)
    with idle.connection() as connection:
        connection.zadd(keys.WORKERS, {"one that is busy": time.time() + 60})
    problem(client.get("/v1/tracks?q=a"), 503, "queue-full")


def test_without_workers_it_is_told_at_once(idle: Service) -> None:
    client = idle.client
    problem(client.get("/readyz"), 503, "not-ready")
    with idle.worker():
        wait_for(idle.is_ready, "a worker")
        assert client.post(SUBMIT, QUERY).json["warnings"] == []
    problem(client.get("/readyz"), 503, "no-workers")
    wait_for(lambda: client.post(SUBMIT, QUERY).json.get("warnings"), "a warning", 5)
    found, seconds = timed(lambda: client.get("/v1/tracks?q=a"))
    problem(found, 503, "no-workers")
    assert seconds < 1.5
    assert client.get("/health").json["status"] == "degraded"


def test_the_plain_endpoint_answers_when_nobody_works(idle: Service) -> None:
    answer, seconds = timed(lambda: idle.client.post("/recommend", PLAIN | {"playlist_size": 3}))
    assert (answer.status, answer.json["degraded"], len(answer.json["recommendations"])) == (200, True, 3)
    assert answer.json["search_query"] == PLAIN | {"song_id": None, "playlist_size": 3}
    assert seconds < 1.5
