"""How often a caller may ask, as the app holds it; jobs are counted by the step that queues them (test_queue.py)."""

from __future__ import annotations

import re
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder, TestResponse

import settings
from api import keys
from api.app import create_app
from api.auth import Caller
from api.limits import rate_of
from producer import queue
from tests.integration.test_api import QUERY, problem
from tests.integration.test_tracing import headers_of


def client_of(redis_url: str, tmp_path: Path, **changed: Any) -> FlaskClient:
    return create_app(settings.Settings(redis_url=redis_url, artifacts_dir=tmp_path, **changed)).test_client()


def remaining(response: TestResponse) -> tuple[str, int, int]:
    found = re.fullmatch(r'"(\w+)";r=(\d+);t=(\d+)', response.headers["RateLimit"])
    assert found
    return found[1], int(found[2]), int(found[3])


def test_nobody_is_limited_unless_told(redis_url: str, connection: redis.Redis, tmp_path: Path) -> None:
    client = client_of(redis_url, tmp_path)
    for _ in range(50):
        response = client.get("/v1/jobs/x")
        assert response.status_code == 404
        assert "RateLimit" not in response.headers
        assert "RateLimit-Policy" not in response.headers


def test_requests_are_counted_at_ten_times_the_rate_of_jobs(
    redis_url: str, connection: redis.Redis, tmp_path: Path
) -> None:
    client = client_of(redis_url, tmp_path, rate_per_s=0.01, rate_burst=2)
    for left in range(19, -1, -1):
        response = client.get("/v1/jobs/x")
        assert response.status_code == 404
        assert response.headers["RateLimit-Policy"] == '"requests";q=20;w=200'
        policy, quota, whole_in_s = remaining(response)
        assert (policy, quota) == ("requests", left)
        assert 10 * (20 - left) - 5 <= whole_in_s <= 10 * (20 - left)
    response = client.get("/v1/jobs/x")
    found = problem(response, 429, "rate-limited")
    assert re.search(r"the next is taken in \d+\.\d s", found["detail"])
    assert 5 <= int(response.headers["Retry-After"]) <= 10
    assert remaining(response)[:2] == ("requests", 0)
    problem(client.post("/v1/recommendations", data=b"{"), 429, "rate-limited")
    assert client.get("/livez").status_code == 200, "probes are never counted"
    assert "RateLimit" not in client.get("/openapi.json").headers


def test_an_answer_to_a_submission_tells_the_rate_of_jobs(
    redis_url: str, connection: redis.Redis, tmp_path: Path
) -> None:
    client = client_of(redis_url, tmp_path, rate_per_s=4, rate_burst=2)
    response = client.post("/v1/recommendations", json=QUERY)
    assert response.headers["RateLimit-Policy"] == '"default";q=4;w=1'
    assert "RateLimit" not in response.headers, "how much is left, the step that queues does not tell"


def test_jobs_are_counted_by_the_step_that_queues_them(redis_url: str, connection: redis.Redis, tmp_path: Path) -> None:
    one, other = (client_of(redis_url, tmp_path, rate_per_s=0.5, rate_burst=2) for _ in range(2))
    for process in (one, other):
        assert process.post("/v1/recommendations", json=QUERY).status_code == 202
    for process in (one, other):
        response = process.post("/v1/recommendations", json=QUERY)
        problem(response, 429, "rate-limited")
        assert response.headers["Retry-After"] in ("1", "2")
        assert response.headers.getlist("RateLimit-Policy") == ['"default";q=2;w=4']
        assert remaining(response) == ("default", 0, 4)
    elsewhere = {"REMOTE_ADDR": "192.0.2.1"}
    assert one.post("/v1/recommendations", json=QUERY, environ_overrides=elsewhere).status_code == 202


def test_when_it_is_over_it_goes_on(redis_url: str, connection: redis.Redis, tmp_path: Path) -> None:
    client = client_of(redis_url, tmp_path, rate_per_s=1, rate_burst=1)
    while client.get("/v1/jobs/x").status_code != 429:
        pass
    time.sleep(0.15)
    assert client.get("/v1/jobs/x").status_code == 404


def test_each_key_has_its_own_limit(redis_url: str, connection: redis.Redis, tmp_path: Path) -> None:
    client = client_of(redis_url, tmp_path, auth="on", rate_per_s=1, rate_burst=1)
    made = {
        "as the settings say": keys.create(connection, "a", ["read"]),
        "its own": keys.create(connection, "b", ["read"], 2.0, 30),
        "a burst of its own": keys.create(connection, "c", ["read"], None, 7),
        "none": keys.create(connection, "d", ["read"], 0.0),
    }
    said = {
        name: client.get("/v1/jobs/x", headers={"Authorization": f"Bearer {key}"}).headers.get("RateLimit-Policy")
        for name, key in made.items()
    }
    assert said == {
        "as the settings say": '"requests";q=10;w=1',
        "its own": '"requests";q=300;w=15',
        "a burst of its own": '"requests";q=70;w=7',
        "none": None,
    }
    assert "RateLimit" not in client.get("/v1/jobs/x").headers, "who is refused has nothing to spend"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.2", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("2001:db8::1", "2001:db8::ffff:1", True),
        ("2001:db8::1", "[2001:db8::2]", True),
        ("2001:db8::1", "2001:db8:0:1::1", False),
        ("", "", True),
        ("fe80::1%eth0", "fe80::2%eth0", True),
    ],
)
def test_without_keys_a_caller_is_an_address(
    redis_url: str, connection: redis.Redis, tmp_path: Path, one: str, other: str, same: bool
) -> None:
    client = client_of(redis_url, tmp_path, rate_per_s=0.01, rate_burst=1)
    first, second = (
        remaining(client.get("/v1/jobs/x", environ_overrides={"REMOTE_ADDR": address}))[1] for address in (one, other)
    )
    assert (first, second) == (9, 8 if same else 9)


def test_asking_again_for_a_caller_who_waits_costs_nothing(
    redis_url: str, connection: redis.Redis, tmp_path: Path
) -> None:
    client = client_of(redis_url, tmp_path, rate_per_s=0.01, rate_burst=1)
    environ = EnvironBuilder("/v1/jobs/x", environ_base={"REMOTE_ADDR": "127.0.0.1"}).get_environ()
    first = headers_of(client.application, environ)
    for _ in range(20):
        assert headers_of(client.application, dict(environ))["RateLimit"] == first["RateLimit"]
    assert remaining(client.get("/v1/jobs/x"))[1] == 8


def test_what_the_queue_is_told_of_a_caller() -> None:
    assert rate_of(Caller("ip:192.0.2.1", frozenset(), 0, 0)) is None
    assert rate_of(Caller("0123456789ab", frozenset("*"), 2.5, 10)) == queue.Rate("0123456789ab", 2.5, 10)
