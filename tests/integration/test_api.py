"""The HTTP contract: the app itself, on a real Redis, without a server in front."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

import redis_server
import settings
from api.app import create_app
from artifacts.model import Model
from producer import fallback, keys, queue
from producer.schema import RANGES
from worker.models import Holder

QUERY: dict[str, Any] = {"seeds": [{"name": "A song"}]}


@pytest.fixture(scope="session")
def holder(models_dir: Any) -> Holder:
    holder = Holder()
    holder.load(models_dir)
    return holder


def alive(connection: redis.Redis) -> None:
    """Have a worker be alive, as far as Redis knows."""
    connection.zadd(keys.WORKERS, {"w": time.time() + 60})


def client_of(redis_url: str, models: Path) -> FlaskClient:
    return create_app(settings.Settings(redis_url=redis_url, artifacts_dir=models, queue_limit=3)).test_client()


@pytest.fixture
def client(redis_url: str, connection: redis.Redis, tmp_path: Path) -> FlaskClient:
    return client_of(redis_url, tmp_path / "no-models")


@pytest.fixture
def served(client: FlaskClient, connection: redis.Redis, holder: Holder) -> FlaskClient:
    """As `client`, with a model announced and a worker alive."""
    holder.announce(connection)
    alive(connection)
    return client


def problem(response: TestResponse, status: int, code: str) -> dict[str, Any]:
    """Check that a response is that problem, and return it."""
    assert response.status_code == status, response.text
    assert response.content_type == "application/problem+json"
    body: dict[str, Any] = response.get_json(force=True)
    assert (body["status"], body["code"]) == (status, code)
    assert body["type"] == f"urn:segue:error:{code}"
    assert body["title"]
    assert body["detail"]
    assert "Traceback" not in response.text
    return body


def test_a_request_is_queued_and_its_job_can_be_asked_for(client: FlaskClient) -> None:
    response = client.post("/v1/recommendations", json=QUERY | {"metadata": {"user": "42"}})
    assert response.status_code == 202
    job = response.get_json()
    assert response.headers["Location"] == f"/v1/jobs/{job['id']}" == job["links"]["self"]
    assert int(response.headers["Retry-After"]) >= 1
    assert (job["status"], job["type"], job["metadata"], job["result"]) == (
        "queued",
        "recommendation",
        {"user": "42"},
        None,
    )
    asked = client.get(response.headers["Location"])
    assert asked.status_code == 200
    assert asked.headers["Retry-After"]
    assert asked.get_json() | {"warnings": job["warnings"]} == job
    for shown in (job, asked.get_json()):
        (warning,) = shown["warnings"]
        assert warning.startswith("no worker is alive: this job waits for one")


@pytest.mark.parametrize("body", [b"", b"{", b'{"seeds": [}', b"\xff\xfe", b'{"limit": NaN}', b"[" * 100_000])
def test_malformed_json_is_400(client: FlaskClient, body: bytes) -> None:
    response = client.post("/v1/recommendations", data=body, content_type="application/json")
    problem(response, 400, "malformed-json")


@pytest.mark.parametrize(
    ("body", "pointers"),
    [
        ([], [""]),
        (None, [""]),
        ("text", [""]),
        ({}, ["/seeds"]),
        ({"seeds": []}, ["/seeds"]),
        ({"seeds": "x"}, ["/seeds"]),
        ({"seeds": [{}]}, ["/seeds/0"]),
        ({"seeds": [{"name": ""}]}, ["/seeds/0/name"]),
        ({"seeds": [{"name": "   "}]}, ["/seeds/0/name"]),
        ({"seeds": [{"name": "x" * 201}]}, ["/seeds/0/name"]),
        ({"seeds": [{"name": 5}]}, ["/seeds/0/name"]),
        ({"seeds": [{"artist": "x", "track_id": "y"}]}, ["/seeds/0"]),
        ({"seeds": [{"features": {}}]}, ["/seeds/0/features"]),
        ({"seeds": [{"features": {"energy": 1.5}}]}, ["/seeds/0/features/energy"]),
        ({"seeds": [{"features": {"mood": 1}}]}, ["/seeds/0/features/mood"]),
        ({"seeds": [{"name": "x", "features": {"energy": 0.5}}]}, ["/seeds/0"]),
        ({"seeds": [{"name": "x", "weight": 0}]}, ["/seeds/0"]),
        ({"seeds": [{"name": "x", "weight": 11}]}, ["/seeds/0/weight"]),
        ({"seeds": [{"name": "x", "weight": -1}]}, [""]),
        (QUERY | {"combine": "sum"}, ["/combine"]),
        (QUERY | {"diversity": 1.5}, ["/diversity"]),
        (QUERY | {"explain": 1}, ["/explain"]),
        (QUERY | {"variation": -1}, ["/variation"]),
        (QUERY | {"strategies": []}, ["/strategies"]),
        (QUERY | {"strategies": ["magic"]}, ["/strategies/0"]),
        (QUERY | {"strategies": ["popular", "popular"]}, [""]),
        (QUERY | {"method": "cluster", "explain": True}, [""]),
        (QUERY | {"filters": {"year": [1990]}}, ["/filters/year"]),
        (QUERY | {"filters": {"year": [2000, 1990]}}, ["/filters"]),
        (QUERY | {"filters": {"energy": [0.9, 0.1]}}, ["/filters"]),
        (QUERY | {"filters": {"valence": [0.5]}}, ["/filters/valence"]),
        (QUERY | {"filters": {"key": [12]}}, ["/filters/key/0"]),
        (QUERY | {"filters": {"mode": 2}}, ["/filters/mode"]),
        (QUERY | {"filters": {"mode": False}}, ["/filters/mode"]),
        (QUERY | {"filters": {"colour": "red"}}, ["/filters/colour"]),
        ({"seeds": [{"name": "x", "track_id": "y"}]}, ["/seeds/0"]),
        ({"seeds": [{"track_id": "y", "artist": "x"}]}, ["/seeds/0"]),
        ({"seeds": [{"name": "x"}] * 51}, ["/seeds"]),
        (QUERY | {"limit": 0}, ["/limit"]),
        (QUERY | {"limit": 101}, ["/limit"]),
        (QUERY | {"limit": "5"}, ["/limit"]),
        (QUERY | {"limit": 5.5}, ["/limit"]),
        (QUERY | {"limit": True}, ["/limit"]),
        (QUERY | {"limit": None}, ["/limit"]),
        (QUERY | {"method": "magic"}, ["/method"]),
        (QUERY | {"max_per_artist": 0}, ["/max_per_artist"]),
        (QUERY | {"weights": {"year": 20.5}}, ["/weights/year"]),
        (QUERY | {"weights": {"energy": -1}}, ["/weights/energy"]),
        (QUERY | {"weights": {"popularity": 2.5}}, ["/weights/popularity"]),
        (QUERY | {"weights": {"colour": 1}}, ["/weights/colour"]),
        (QUERY | {"method": "cluster", "weights": {"year": 1}}, [""]),
        (QUERY | {"metadata": {"a": 1}}, ["/metadata/a"]),
        (QUERY | {"metadata": {str(i): "" for i in range(17)}}, ["/metadata"]),
        (QUERY | {"limitt": 5, "a/b~c": 1}, ["/limitt", "/a~1b~0c"]),
    ],
)
def test_wrong_fields_are_422_with_a_pointer_to_each(client: FlaskClient, body: Any, pointers: list[str]) -> None:
    response = client.post("/v1/recommendations", data=json.dumps(body), content_type="application/json")
    found = problem(response, 422, "invalid-request")
    assert [error["pointer"] for error in found["errors"]] == pointers
    assert all(error["detail"] for error in found["errors"])


def test_a_filter_on_what_the_model_lacks_is_422(served: FlaskClient) -> None:
    body = QUERY | {"filters": {"genres": ["pop", "no such genre"], "year": [1990, 2000]}}
    found = problem(served.post("/v1/recommendations", json=body), 422, "invalid-request")
    assert [error["pointer"] for error in found["errors"]] == ["/filters/genres/1"]
    good = served.post("/v1/recommendations", json=QUERY | {"filters": {"genres": ["pop"], "year": [1990, 2000]}})
    assert good.status_code == 202


def test_a_filter_on_a_column_that_no_track_has_is_422(
    client: FlaskClient, connection: redis.Redis, holder: Holder
) -> None:
    info = holder.model.manifest.describe()
    fallback.publish(connection, info | {"coverage": info["coverage"] | {"year": 0.0, "energy": 0.0}}, {"": []}, [])
    found = problem(
        client.post("/v1/recommendations", json=QUERY | {"filters": {"year": [1990, 2000]}}), 422, "invalid-request"
    )
    assert found["errors"] == [{"pointer": "/filters/year", "detail": "this model has no year"}]
    mood = QUERY | {"filters": {"energy": [0.5, 1]}}
    found = problem(client.post("/v1/recommendations", json=mood), 422, "invalid-request")
    assert found["errors"] == [{"pointer": "/filters/energy", "detail": "this model has no energy"}]


def test_another_content_type_is_415(client: FlaskClient) -> None:
    for content_type in ("text/plain", "application/x-www-form-urlencoded", None):
        response = client.post("/v1/recommendations", data=b"{}", content_type=content_type)
        problem(response, 415, "unsupported-media-type")


def test_a_wrong_method_is_405_with_those_allowed(client: FlaskClient) -> None:
    response = client.get("/v1/recommendations")
    problem(response, 405, "method-not-allowed")
    assert "POST" in response.headers["Allow"]
    problem(client.put("/v1/jobs/abc"), 405, "method-not-allowed")


def test_an_unknown_address_or_job_is_404(client: FlaskClient) -> None:
    for path in ("/nope", "/v1", "/v1/jobs/abc", f"/v1/jobs/{queue.new_id()}", "/v1/jobs/%00%ff", "/static/x"):
        problem(client.get(path), 404, "not-found")
    problem(client.get("/v1/jobs/" + "x" * 200), 422, "invalid-request")


def test_an_expired_job_is_410(client: FlaskClient) -> None:
    problem(client.get("/v1/jobs/0190163d-8694-739b-aea5-966c26f8ad91"), 410, "expired")


def test_a_full_queue_is_503_with_retry_after(client: FlaskClient) -> None:
    for _ in range(3):
        assert client.post("/v1/recommendations", json=QUERY).status_code == 202
    response = client.post("/v1/recommendations", json=QUERY)
    problem(response, 503, "queue-full")
    assert int(response.headers["Retry-After"]) >= 1


def test_what_redis_holds_but_nobody_wrote_is_500_without_details(client: FlaskClient, connection: redis.Redis) -> None:
    connection.set(keys.MODEL, b"\x80\x04rubbish")
    problem(client.get("/v1/model"), 500, "bad-message")


def test_an_unforeseen_error_is_500_without_details(client: FlaskClient, connection: redis.Redis) -> None:
    connection.set("rq:queue:interactive", "not a list")
    connection.lpush(keys.MODEL, "not a string")
    for response in (client.get("/v1/model"), client.post("/v1/recommendations", json=QUERY)):
        assert response.status_code in (500, 503)
        assert "Traceback" not in response.text
        assert "WRONGTYPE" not in response.text


def test_readiness_says_what_is_missing(client: FlaskClient, connection: redis.Redis, holder: Holder) -> None:
    assert client.get("/livez").get_json() == {"status": "ok"}
    problem(client.get("/readyz"), 503, "not-ready")
    holder.announce(connection)
    problem(client.get("/readyz"), 503, "no-workers")
    alive(connection)
    ready = client.get("/readyz")
    assert ready.status_code == 200
    assert ready.get_json() == {
        "status": "ok",
        "workers": 1,
        "waiting": 0,
        "model": holder.model.manifest.version,
    }


def test_popular_tracks(served: FlaskClient, demo_model: Model) -> None:
    found = served.get("/v1/popular?limit=7").get_json()
    assert found["model"] == demo_model.manifest.version
    assert "invented" in found["notice"]
    assert len(found["tracks"]) == 7
    popularity = [track["popularity"] for track in found["tracks"]]
    assert popularity == sorted(popularity, reverse=True)
    genre = demo_model.manifest.genres[0]
    of_genre = served.get("/v1/popular", query_string={"genre": genre}).get_json()
    assert of_genre["genre"] == genre
    assert all(genre in track["genres"] for track in of_genre["tracks"])
    problem(served.get("/v1/popular?genre=no-such"), 404, "not-found")
    for wrong in ("limit=0", "limit=51", "limit=x", "genre=", "colour=red"):
        problem(served.get(f"/v1/popular?{wrong}"), 422, "invalid-request")


def test_the_genres_of_the_model(served: FlaskClient, demo_model: Model) -> None:
    found = served.get("/v1/genres").get_json()
    assert found["model"] == demo_model.manifest.version
    assert [genre["genre"] for genre in found["genres"]] == list(demo_model.manifest.genres)
    first = sum(0 in demo_model.genre_codes(row) for row in range(len(demo_model)))
    assert found["genres"][0]["tracks"] == first > 0
    assert "invented" in found["notice"]


PUBLIC = ("/v1/popular?limit=7", "/v1/genres", "/v1/model", "/v1/map")


def test_what_redis_cannot_tell_is_read_from_the_models_files_and_says_so(
    redis_url: str, connection: redis.Redis, models_dir: Path, holder: Holder
) -> None:
    url = f"redis://127.0.0.1:{redis_server.free_port()}/0"
    without, empty = client_of(url, models_dir), client_of(redis_url, models_dir)
    from_files: dict[str, Any] = {}
    for client, reason in ((without, "Redis does not answer (ConnectionError)"), (empty, "no worker has loaded")):
        for path in PUBLIC:
            response = client.get(path)
            assert response.status_code == 200
            assert response.headers["Segue-Source"] == "files"
            found = response.get_json()
            (warning,) = found.pop("warnings")
            assert warning.startswith(
                f"from the files of the model that was published last, not from a worker: {reason}"
            )
            assert from_files.setdefault(path, found) == found
        problem(client.get("/v1/popular?genre=no-such"), 404, "not-found")
        problem(client.get("/v1/popular?limit=0"), 422, "invalid-request")
    holder.announce(connection)
    for path in PUBLIC:
        response = empty.get(path)
        assert response.headers["Segue-Source"] == "redis"
        assert response.get_json() == from_files[path] | {"warnings": []}
    problem(without.get("/readyz"), 503, "redis-unavailable")


def test_without_redis_and_files_the_answer_says_what_is_missing(client: FlaskClient, tmp_path: Path) -> None:
    for path in PUBLIC:
        found = problem(client.get(path), 503, "not-ready")
        assert found["detail"] == "no worker has loaded a model yet; there is no model in ARTIFACTS_DIR"
    (tmp_path / "no-models").mkdir()
    (tmp_path / "no-models" / "CURRENT").write_text("rubbish")
    found = problem(
        client_of("redis://127.0.0.1:1/0", tmp_path / "no-models").get("/v1/model"), 503, "redis-unavailable"
    )
    assert found["detail"].endswith("; the public files of the model in ARTIFACTS_DIR cannot be read")


def test_parameters_that_an_address_does_not_take_are_422(served: FlaskClient) -> None:
    app = served.application
    addresses = {
        re.sub(r"<.*?>", "x", rule.rule)
        for rule in app.url_map.iter_rules()
        if rule.rule.startswith("/v1/") and "GET" in (rule.methods or ())
    }
    assert len(addresses) >= 4
    for address in addresses:
        found = problem(served.get(f"{address}?colour=red&a/b=1"), 422, "invalid-request")
        details = {error["pointer"]: error["detail"] for error in found["errors"]}
        assert details["/colour"] == details["/a~1b"] == "there is no such field", address
    problem(served.post("/v1/recommendations?limit=5", json=QUERY), 422, "invalid-request")
    problem(served.get("/v1/no-such?x=1"), 404, "not-found")
    problem(served.delete("/v1/model?x=1"), 405, "method-not-allowed")
    assert served.get("/livez?x=1").status_code == 200, "what probes and links append is not the contract's"


def test_the_model_in_service(served: FlaskClient, demo_model: Model) -> None:
    found = served.get("/v1/model").get_json()
    assert found["version"] == demo_model.manifest.version
    assert found["tracks"] == len(demo_model)
    assert found["clusters"] == 35
    assert found["explained_variance"] >= 0.9199
    assert found["synthetic"] is True
    assert found["source"] == {"kind": "demo", "rows": 3000, "seed": 1}
    assert found["coverage"]["year"] > 0.9
    assert set(found["quantiles"]) == set(RANGES)
    assert all(len(values) == 101 and values == sorted(values) for values in found["quantiles"].values())


def test_every_answer_has_the_security_headers(client: FlaskClient) -> None:
    for path in ("/livez", "/nope", "/"):
        headers = client.get(path).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
    assert "default-src 'none'" in client.get("/").headers["Content-Security-Policy"]


def test_the_page_is_the_same_whatever_it_is_asked(client: FlaskClient) -> None:
    page = client.get("/").text
    assert "Songs you start from" in page
    assert client.get("/?s=<script>x", headers={"Host": '"><script>x'}).text == page


def test_without_redis_everything_that_needs_it_is_503(tmp_path: Path) -> None:
    client = client_of(f"redis://127.0.0.1:{redis_server.free_port()}/0", tmp_path)
    assert client.get("/livez").status_code == 200
    assert client.get("/openapi.json").status_code == 200
    for response in (
        client.post("/v1/recommendations", json=QUERY),
        *(client.get(path) for path in (*PUBLIC, "/readyz", f"/v1/jobs/{queue.new_id()}")),
    ):
        problem(response, 503, "redis-unavailable")
        assert response.headers["Retry-After"]
