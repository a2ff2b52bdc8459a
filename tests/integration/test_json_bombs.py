"""Bodies that are made to cost something, sent to the app: refused with 400 or 422, and at once."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import redis
from flask.testing import FlaskClient

import settings
from api.app import create_app
from tests.integration.test_api import problem


@pytest.fixture
def client(redis_url: str, connection: redis.Redis, tmp_path: Path) -> FlaskClient:
    return create_app(settings.Settings(redis_url=redis_url, artifacts_dir=tmp_path)).test_client()


_SEEDS = b'"seeds": [{"name": "x"}]'


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"[" * 1_000_000, 400, "malformed-json"),
        (b'{"seeds": ' + b"[" * 49 + b"]" * 49 + b"}", 422, "invalid-request"),
        (b'{"seeds": ' + b"[" * 50 + b"]" * 50 + b"}", 400, "malformed-json"),
        (b'{"limit": ' + b"1" * 100_000 + b", " + _SEEDS + b"}", 400, "malformed-json"),
        (b'{"limit": ' + b"1" * 90 + b", " + _SEEDS + b"}", 422, "invalid-request"),
        (b'{"seeds": [{"name": "x", "weight": ' + b"1" * 100 + b"}]}", 422, "invalid-request"),
        (b'{"seeds": [{"name": "x", "weight": 1e400}]}', 400, "malformed-json"),
        (b'{"limit": 1, "limit": 2, ' + _SEEDS + b"}", 400, "malformed-json"),
        (b"{" + b"".join(b'"a%d": 1, ' % i for i in range(70_000)) + _SEEDS + b"}", 422, "invalid-request"),
        (b'{"seeds": [' + b"{}," * 300_000 + b"{}]}", 422, "invalid-request"),
        (b'{"seeds": [' + b'"",' * 240_000 + b'""]}', 422, "invalid-request"),
        (b'{"seeds": [{"name": "' + b"\\u0000" * 160_000 + b'"}]}', 422, "invalid-request"),
        (b'{"\\ud800": 1, ' + _SEEDS + b"}", 422, "invalid-request"),
        (b'{"seeds": [{"name": "\\ud800"}]}', 422, "invalid-request"),
        (b'{"metadata": {"\\ud800": "x"}, ' + _SEEDS + b"}", 422, "invalid-request"),
    ],
    ids=lambda given: given[:30] if isinstance(given, bytes) else None,
)
def test_a_bomb_is_refused_at_once(client: FlaskClient, body: bytes, status: int, code: str) -> None:
    started = time.perf_counter()
    problem(client.post("/v1/recommendations", data=body, content_type="application/json"), status, code)
    assert time.perf_counter() - started < 5, "tenths of a second, on a machine that does other things as well"


@pytest.mark.parametrize("content_type", ["application/json; charset=utf-16", "APPLICATION/JSON", "application/json;x"])
def test_json_is_utf_8_whatever_is_said_of_it(client: FlaskClient, content_type: str) -> None:
    body = b"{" + _SEEDS + b"}"
    assert client.post("/v1/recommendations", data=body, content_type=content_type).status_code == 202
    wide = body.decode().encode("utf-16")
    problem(client.post("/v1/recommendations", data=wide, content_type=content_type), 400, "malformed-json")
