"""The map over HTTP: its description, its picture with what caches are told, and the tracks in a window."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
from flask.testing import FlaskClient

import redis_server
from artifacts import store
from artifacts.model import Model
from producer import fallback, keys, results
from tests.integration.test_api import client_of, problem
from tests.jobs import enqueue
from tests.services import wait_for, worker
from worker.models import Holder


@pytest.fixture(scope="session")
def holder(models_dir: Path) -> Holder:
    holder = Holder()
    holder.load(models_dir)
    return holder


@pytest.fixture
def served(redis_url: str, connection: redis.Redis, holder: Holder, tmp_path: Path) -> FlaskClient:
    """A client of an API with a model announced, and no worker alive."""
    holder.announce(connection)
    return client_of(redis_url, tmp_path / "no-models")


def test_the_map_is_what_training_made(served: FlaskClient, demo_model: Model, models_dir: Path) -> None:
    response = served.get("/v1/map")
    version = demo_model.manifest.version
    made = store.read_public(models_dir, version, "map")
    assert response.get_json() == {
        **made,
        **{"model": version, "notice": demo_model.manifest.notice, "warnings": []},
    }
    assert response.headers["Segue-Source"] == "redis"
    assert made["tracks"] == len(demo_model.map)


def test_the_picture_is_asked_for_again_and_sent_once(served: FlaskClient, demo_model: Model, models_dir: Path) -> None:
    first = served.get("/v1/map.png")
    assert (first.status_code, first.content_type) == (200, "image/png")
    assert first.data == store.read_public(models_dir, demo_model.manifest.version, "map.png")
    assert first.headers["Cache-Control"] == "no-cache"
    assert first.headers["Segue-Source"] == "redis"
    etag = first.headers["ETag"]
    for known in (etag, f'"other", {etag}'):
        again = served.get("/v1/map.png", headers={"If-None-Match": known})
        assert (again.status_code, again.data) == (304, b"")
        assert (again.headers["ETag"], again.headers["Cache-Control"]) == (etag, "no-cache")
    other = served.get("/v1/map.png", headers={"If-None-Match": '"other"'})
    assert (other.status_code, other.data) == (200, first.data)


def test_without_redis_the_picture_is_from_the_files_and_the_same(
    served: FlaskClient, models_dir: Path, tmp_path: Path
) -> None:
    without = client_of(f"redis://127.0.0.1:{redis_server.free_port()}/0", models_dir)
    first, expected = without.get("/v1/map.png"), served.get("/v1/map.png")
    assert (first.status_code, first.headers["Segue-Source"]) == (200, "files")
    assert (first.data, first.headers["ETag"]) == (expected.data, expected.headers["ETag"])
    again = without.get("/v1/map.png", headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.headers["Segue-Source"]) == (304, "files")
    neither = client_of(f"redis://127.0.0.1:{redis_server.free_port()}/0", tmp_path)
    problem(neither.get("/v1/map.png"), 503, "redis-unavailable")
    problem(neither.get("/v1/map.png", headers={"If-None-Match": '"x"'}), 503, "redis-unavailable")


def test_the_map_goes_with_its_model(served: FlaskClient, connection: redis.Redis, holder: Holder) -> None:
    info = holder.model.manifest.describe()
    fallback.publish(connection, info | {"version": "20200101T000000-00000000"}, {"": []}, [])
    for path in ("/v1/map", "/v1/map.png"):
        problem(served.get(path), 503, "not-ready")
    holder.announce(connection)
    assert served.get("/v1/map").get_json()["model"] == holder.model.manifest.version
    fallback.forget(connection)
    assert not connection.exists(keys.MAP)


@pytest.mark.parametrize(
    ("query", "pointer"),
    [
        ("box=0,0,1", "/box"),
        ("box=0,0,1,1,1", "/box"),
        ("box=", "/box"),
        ("box=a,b,c,d", "/box"),
        ("box=0,0,nan,1", "/box"),
        ("box=0,0,inf,1", "/box"),
        ("box=0,0,1e999,1", "/box"),
        ("box=0,0, 1,1", "/box"),
        ("box=" + "0," * 150 + "1", "/box"),
        ("limit=0", "/limit"),
        ("limit=501", "/limit"),
        ("limit=x", "/limit"),
        ("colour=red", "/colour"),
    ],
)
def test_a_window_that_is_none_is_422(served: FlaskClient, query: str, pointer: str) -> None:
    found = problem(served.get(f"/v1/map/tracks?{query}"), 422, "invalid-request")
    assert [error["pointer"] for error in found["errors"]] == [pointer]


def test_a_window_takes_a_worker(served: FlaskClient) -> None:
    problem(served.get("/v1/map/tracks"), 503, "no-workers")


def test_workers_look_windows_up(
    redis_url: str, connection: redis.Redis, models_dir: Path, demo_model: Model, tmp_path: Path
) -> None:
    with worker(redis_url, models_dir, tmp_path / "worker.log"):
        wait_for(lambda: fallback.live_workers(connection), "a worker")
        for box, limit in (([0, 0, 1, 1], 500), ([0.2, 0.3, 0.7, 0.9], 20), ([-3, 0.5, 9.5, 0.6], 900)):
            job_id = enqueue(connection, keys.ON_MAP, {"box": box, "limit": limit})
            answer = wait_for(lambda job_id=job_id: results.get_answer(connection, job_id), "an answer")  # type: ignore[misc]
            x0, y0, x1, y1 = box
            shown = [demo_model.track(row) for row in demo_model.most_popular(len(demo_model)).tolist()]
            inside = [
                track for track in shown if (at := track["at"]) and x0 <= at[0] <= x1 and y0 <= at[1] <= y1
            ]  # the best known first
            assert answer["ok"] == {"count": len(inside), "tracks": inside[: min(limit, 500)]}
