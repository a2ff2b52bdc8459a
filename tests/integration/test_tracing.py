"""One id from a request to its answer, its problem and the log; one line in the log for each request."""

from __future__ import annotations

import io
import json
import logging
import re
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from flask import Flask, g
from flask.testing import FlaskClient
from werkzeug.test import EnvironBuilder

import settings
import telemetry
from api.app import create_app
from tests.integration.test_api import QUERY, problem


@pytest.fixture
def client(redis_url: str, connection: redis.Redis, tmp_path: Path) -> FlaskClient:
    return create_app(settings.Settings(redis_url=redis_url, artifacts_dir=tmp_path)).test_client()


def headers_of(app: Flask, environ: dict[str, Any]) -> dict[str, str]:
    """Call the app as a server does, which keeps the environ. → the answer's headers."""
    found: dict[str, str] = {}

    def start(_status: str, headers: list[tuple[str, str]], _error: object = None) -> Callable[[bytes], object]:
        found.update(headers)
        return found.get  # type: ignore[return-value]

    for _ in app(environ, start):
        pass
    return found


class Log:
    """What is logged meanwhile."""

    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    @property
    def lines(self) -> list[str]:
        return self._stream.getvalue().splitlines()

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.lines]


@pytest.fixture
def log(request: pytest.FixtureRequest) -> Iterator[Log]:
    """The log at INFO, as JSON unless the test says `@pytest.mark.parametrize("log", ["text"], indirect=True)`."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    telemetry.configure("INFO", getattr(request, "param", "json"))
    stream = io.StringIO()
    (handler,) = root.handlers
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    yield Log(stream)
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.mark.parametrize("offered", ["a", "trace-1.2_x", "A" * 64])
def test_an_id_that_the_caller_gives_is_kept(client: FlaskClient, log: Log, offered: str) -> None:
    response = client.get("/v1/jobs/x", headers={"X-Request-Id": offered})
    assert response.headers["X-Request-Id"] == offered
    assert problem(response, 404, "not-found")["instance"] == f"urn:segue:request:{offered}"
    assert [event["request_id"] for event in log.events] == [offered]


@pytest.mark.parametrize("offered", [None, "", " ", "A" * 65, "a b", "a,b", "<script>", "é", "a\tb", '"a"', "%0a"])
def test_any_other_id_is_replaced(client: FlaskClient, offered: str | None) -> None:
    response = client.get("/livez", headers={} if offered is None else {"X-Request-Id": offered})
    made = response.headers["X-Request-Id"]
    assert uuid.UUID(made).version == 7
    assert made != client.get("/livez").headers["X-Request-Id"]


def test_every_answer_has_an_id_also_the_refusals(client: FlaskClient) -> None:
    for response in (
        client.get("/"),
        client.get("/nope"),
        client.options("/v1/model"),
        client.post("/v1/recommendations", data=b"{", content_type="application/json"),
        client.post("/v1/recommendations", json={}),
        client.post("/v1/recommendations", data=b"x" * 1_000_001, content_type="application/json"),
    ):
        made = response.headers["X-Request-Id"]
        if response.mimetype == "application/problem+json":
            assert response.get_json(force=True)["instance"] == f"urn:segue:request:{made}"


def test_routes_know_the_id(client: FlaskClient) -> None:
    seen = []
    client.application.before_request(lambda: seen.append(g.request_id))
    client.post("/v1/recommendations", json=QUERY, headers={"X-Request-Id": "into-the-job"})
    assert seen == ["into-the-job"]


def test_a_line_for_each_request_without_secrets(client: FlaskClient, log: Log) -> None:
    secret = "segue_0123456789ab_SECRET"
    client.post(
        "/v1/recommendations?token=SECRET",
        json=QUERY | {"metadata": {"a": "SECRET"}},
        headers={"Authorization": f"Bearer {secret}", "X-Request-Id": "one", "Cookie": "SECRET"},
    )
    client.get("/livez", headers={"X-Request-Id": "two"})
    first, second = log.events
    assert (first["logger"], first["level"], first["request_id"]) == ("segue.access", "info", "one")
    assert (first["method"], first["path"], first["caller"]) == ("POST", "/v1/recommendations", "ip:127.0.0.1")
    assert first["status"] in (202, 422)
    assert 0 < first["ms"] < 5000
    assert (second["method"], second["path"], second["status"], second["request_id"]) == ("GET", "/livez", 200, "two")
    assert "SECRET" not in "".join(log.lines)


@pytest.mark.parametrize("log", ["text"], indirect=True)
def test_the_same_as_text(client: FlaskClient, log: Log) -> None:
    client.get("/v1/jobs/x", headers={"X-Request-Id": "one"})
    logging.getLogger("segue.other").info("no request")
    access, other = log.lines
    assert re.search(r"INFO +segue\.access: \[one\] GET /v1/jobs/x 404 \d+\.\d ms ip:127\.0\.0\.1$", access)
    assert other.endswith("segue.other: no request")


def test_a_path_cannot_forge_a_line(client: FlaskClient, log: Log) -> None:
    client.get("/v1/jobs/x%0A2026-01-01 INFO forged%1b[31m%e2%80%a8\u2028")
    client.get("/" + "a" * 5000)
    first, second = log.events
    assert first["path"] == "/v1/jobs/x%0A2026-01-01%20INFO%20forged%1B%5B31m%E2%80%A8%E2%80%A8"
    assert len(second["path"]) == 200


def test_what_breaks_is_logged_with_the_id(client: FlaskClient, log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> str:
        raise RuntimeError("of no use to a client")

    client.application.view_functions["ops.livez"] = broken
    found = problem(client.get("/livez", headers={"X-Request-Id": "one"}), 500, "internal")
    assert found["instance"] == "urn:segue:request:one"
    error, access = log.events
    assert (error["level"], error["request_id"]) == ("error", "one")
    assert "of no use to a client" in error["error"]
    assert access["status"] == 500
    logging.getLogger("segue.other").info("after the request")
    assert "request_id" not in log.events[-1]


def test_asking_again_for_a_caller_who_waits_keeps_the_id_and_logs_nothing(client: FlaskClient, log: Log) -> None:
    environ = EnvironBuilder("/v1/jobs/x").get_environ()
    first = headers_of(client.application, environ)
    again = headers_of(client.application, dict(environ))
    assert again["X-Request-Id"] == first["X-Request-Id"]
    assert len(log.lines) == 1


def test_a_higher_level_silences_it(client: FlaskClient, log: Log) -> None:
    logging.getLogger().setLevel(logging.WARNING)
    client.get("/livez")
    assert log.lines == []
