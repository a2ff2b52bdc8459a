"""What browsers are told: who may read an answer, what they may do with it, and that nobody stores it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import redis
from flask.testing import FlaskClient
from pydantic import ValidationError

import settings
from api.app import create_app
from tests.integration.test_api import QUERY, problem

PAGE = "https://app.example"
Maker = Callable[..., FlaskClient]


@pytest.fixture
def client(redis_url: str, connection: redis.Redis, tmp_path: Path) -> Maker:
    def make(cors_origins: str = "", auth: str = "auto") -> FlaskClient:
        config = settings.Settings(redis_url=redis_url, artifacts_dir=tmp_path, cors_origins=cors_origins, auth=auth)
        return create_app(config).test_client()

    return make


def cors(headers: object) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("Access-Control")}  # type: ignore[attr-defined]


def test_every_answer_has_the_security_headers(client: Maker) -> None:
    app = client()
    for response in (
        *(app.get(path) for path in ("/livez", "/nope", "/", "/v1/jobs/x", "/openapi.json")),
        app.post("/v1/recommendations", json=QUERY),
        app.post("/v1/recommendations", data=b"{"),
        app.options("/v1/model"),
    ):
        assert response.headers["X-Content-Type-Options"] == "nosniff"
        assert response.headers["Referrer-Policy"] == "no-referrer"
        assert response.headers["Cross-Origin-Resource-Policy"] == "same-origin"
        policy = response.headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert ("script-src" in policy) == (response.mimetype == "text/html")
        assert "unsafe" not in policy


def test_answers_with_a_job_are_not_stored(client: Maker) -> None:
    app = client()
    submitted = app.post("/v1/recommendations", json=QUERY)
    assert submitted.headers["Cache-Control"] == "no-store"
    for path in ("/v1/jobs/x", submitted.headers["Location"]):
        assert app.get(path).headers["Cache-Control"] in ("no-store", "no-cache")


def test_other_origins_read_nothing_unless_told(client: Maker) -> None:
    app = client()
    preflight = {"Origin": PAGE, "Access-Control-Request-Method": "POST"}
    for response in (
        app.get("/v1/jobs/x", headers={"Origin": PAGE}),
        app.options("/v1/recommendations", headers=preflight),
    ):
        assert cors(response.headers) == {}


def test_the_origins_that_are_named_may_read(client: Maker) -> None:
    app = client(f"{PAGE}, http://127.0.0.1:5173")
    for origin in (PAGE, "http://127.0.0.1:5173"):
        response = app.get("/v1/jobs/x", headers={"Origin": origin})
        problem(response, 404, "not-found")
        assert response.headers["Access-Control-Allow-Origin"] == origin
        assert response.vary.as_set() == {"origin"}
        exposed = response.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"Location", "Retry-After", "ETag", "RateLimit", "RateLimit-Policy", "X-Request-Id"} <= set(exposed)
        assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(
    "origin",
    [
        "https://app.example.evil.example",
        "https://evil.app.example",
        "http://app.example",
        "https://app.example:8443",
        "https://APP.example",
        f"{PAGE}/",
        f"{PAGE},http://x",
        "null",
        "",
        "*",
    ],
)
def test_an_origin_must_match_exactly(client: Maker, origin: str) -> None:
    app = client(PAGE)
    headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    for response in (app.get("/v1/jobs/x", headers=headers), app.options("/v1/recommendations", headers=headers)):
        assert cors(response.headers) == {}
        assert "origin" in response.vary.as_set(), "or a cache would hand this answer to the origin that may"


@pytest.mark.parametrize(
    ("path", "methods"), [("/v1/recommendations", "POST"), ("/v1/model", "GET"), ("/v1/jobs/x", "GET")]
)
def test_preflights_are_answered_without_a_key(client: Maker, path: str, methods: str) -> None:
    response = client(PAGE, "on").options(
        path,
        headers={
            "Origin": PAGE,
            "Access-Control-Request-Method": methods,
            "Access-Control-Request-Headers": "authorization,content-type",
        },
    )
    assert response.status_code == 200
    assert response.data == b""
    assert response.headers["Access-Control-Allow-Origin"] == PAGE
    allowed = response.headers["Access-Control-Allow-Methods"].split(", ")
    assert methods in allowed
    assert set(allowed) <= {"GET", "POST", "PUT", "PATCH", "DELETE"}
    accepted = response.headers["Access-Control-Allow-Headers"].split(", ")
    assert {"Authorization", "Content-Type", "Idempotency-Key", "Prefer", "If-None-Match"} <= set(accepted)
    assert int(response.headers["Access-Control-Max-Age"]) > 0
    assert "Access-Control-Allow-Credentials" not in response.headers


def test_what_is_refused_can_be_read_by_the_page_that_asked(client: Maker) -> None:
    app = client(PAGE, "on")
    for response in (
        app.get("/v1/model", headers={"Origin": PAGE}),
        app.options("/nope", headers={"Origin": PAGE, "Access-Control-Request-Method": "GET"}),
    ):
        assert response.status_code in (401, 404)
        assert response.headers["Access-Control-Allow-Origin"] == PAGE
    plain = app.options("/v1/model")
    assert (plain.status_code, cors(plain.headers)) == (200, {}), "OPTIONS that is no preflight tells what is allowed"
    assert "GET" in plain.headers["Allow"]


def test_a_star_is_for_everybody_and_stands_alone(client: Maker) -> None:
    response = client("*").get("/v1/jobs/x", headers={"Origin": "https://any.example"})
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    assert "origin" not in response.vary.as_set()
    assert "Access-Control-Allow-Credentials" not in response.headers


@pytest.mark.parametrize(
    "wrong",
    [
        "*,https://app.example",
        "https://app.example/",
        "app.example",
        "null",
        "https://*.example",
        "https://a b",
        ",",
        "HTTPS://x",
    ],
)
def test_what_is_no_origin_stops_the_start(redis_url: str, wrong: str) -> None:
    with pytest.raises(ValidationError, match="origins as browsers send them"):
        settings.Settings(redis_url=redis_url, cors_origins=wrong)
