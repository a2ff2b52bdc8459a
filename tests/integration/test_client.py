"""The Python client, and the examples that use it, against the service itself: Redis, a worker and the API."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import pytest
import redis

import api.client as segue
import redis_server
import settings
from api import keys
from api.client import AsyncClient, Client, Item, Line
from artifacts.model import Model
from tests import services
from tests.services import running, stop, wait_for, worker


@dataclass(frozen=True)
class Service:
    """A running service."""

    redis_url: str
    models_dir: Path
    address: str


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("service")
    with ExitStack() as stack:
        server = redis_server.start(folder / "redis")
        stack.callback(server.stop)
        port, files = redis_server.free_port(), {"ARTIFACTS_DIR": str(models_dir)}
        up = stack.enter_context(services.api(server.url, port, folder / "api.log", **files))
        stack.enter_context(worker(server.url, models_dir, folder / "worker.log"))
        wait_for(lambda: up.get("/readyz").status == 200, "readiness")
        yield Service(server.url, models_dir, up.address)


@pytest.fixture
def client(service: Service) -> Iterator[Client]:
    with Client(service.address) as client:
        yield client


@pytest.fixture(scope="module")
def songs(demo_model: Model) -> list[dict[str, Any]]:
    """Songs that the service knows, each by a name that no other has."""
    tracks = [demo_model.track(row) for row in range(300)]
    names = [(track["name"], track["artists"][0]) for track in tracks if track["artists"]]
    return [track for track in tracks if track["artists"] and names.count((track["name"], track["artists"][0])) == 1]


def by_id(songs: list[dict[str, Any]], limit: int = 3) -> list[Item]:
    return [
        {"custom_id": f"song {n}", "seeds": {"track_id": s["track_id"]}, "limit": limit} for n, s in enumerate(songs)
    ]


def test_from_a_song_to_its_neighbours(client: Client, songs: list[dict[str, Any]]) -> None:
    seed = songs[0]
    found = client.recommend({"track_id": seed["track_id"]}, limit=5)
    assert (found["strategy"], found["degraded"], len(found["tracks"])) == ("catalogue", False, 5)
    by_name = client.recommend({"name": seed["name"], "artist": seed["artists"][0]}, limit=5)
    assert by_name["tracks"] == found["tracks"]
    filtered = client.recommend([{"track_id": seed["track_id"]}], filters={"year": [1990, 1999]}, explain=True)
    assert all(1990 <= (track["year"] or 0) <= 1999 and track["reasons"] for track in filtered["tracks"])


def test_a_job_step_by_step(client: Client, songs: list[dict[str, Any]]) -> None:
    submitted = client.submit({"track_id": songs[1]["track_id"]}, limit=2, metadata={"user": "42"})
    assert submitted["metadata"] == {"user": "42"}
    over = client.wait(submitted)
    assert over == client.wait(submitted["id"]) == client.job(submitted, wait_s=5) == client.cancel(submitted)
    assert over["status"] == "succeeded"
    assert over["result"] == client.result(submitted)
    packed = msgpack.unpackb(client.result_as(submitted, "application/msgpack"))
    assert packed["tracks"] == client.result(submitted["id"])["tracks"]


def test_what_the_catalogue_holds(client: Client, songs: list[dict[str, Any]]) -> None:
    model = client.model()
    assert model["synthetic"]
    genre = max(client.genres()["genres"], key=lambda g: g["tracks"])
    assert client.count({"genres": [genre["genre"]]}) == genre["tracks"]
    assert client.count({}) == model["tracks"]
    popular = client.popular(genre["genre"], limit=3)["tracks"]
    assert [genre["genre"] in track["genres"] for track in popular] == [True] * 3
    seed = songs[2]
    track = client.track(seed["track_id"])
    assert track["name"] == seed["name"]
    energy, at = track["features"]["energy"], track["at"]
    assert energy is not None
    assert at is not None
    assert 0 < client.count({"energy": [energy, energy]}) < model["tracks"] / 10
    quiet = model["quantiles"]["energy"][20]
    assert client.count({"energy": [0, quiet]}) / model["tracks"] == pytest.approx(0.2, abs=0.03)
    assert track["percentiles"]["energy"] == pytest.approx(at[1], abs=0.02)
    here = client.tracks_on_map([*at, *at], limit=500)
    assert seed["track_id"] in {found["track_id"] for found in here["tracks"]}
    assert here["count"] == len(here["tracks"])
    assert client.tracks_on_map((0.9, 1e-7, 0.1, 1)) == client.tracks_on_map((0.1, 0, 0.9, 1)), "any two corners"
    whole = client.tracks_on_map(limit=500)
    assert (whole["count"], len(whole["tracks"])) == (client.map()["tracks"], 500)
    assert client.map_picture().startswith(b"\x89PNG")
    calm = client.recommend({"track_id": seed["track_id"]}, filters={"energy": [0, quiet]}, limit=5)["tracks"]
    assert [(client.track(one["track_id"])["features"]["energy"] or 1) <= quiet + 0.0005 for one in calm] == [True] * 5
    assert seed["track_id"] in {track["track_id"] for track in client.tracks(seed["name"], limit=50)}


def test_a_submission_may_be_repeated(client: Client, songs: list[dict[str, Any]]) -> None:
    seed: segue.Seed = {"track_id": songs[3]["track_id"]}
    first = client.submit(seed, idempotency_key="test-key-1")
    assert client.submit(seed, idempotency_key="test-key-1")["id"] == first["id"]
    with pytest.raises(segue.InvalidRequest) as caught:
        client.submit(seed, limit=7, idempotency_key="test-key-1")
    assert caught.value.code == "idempotency-key-reused"
    batch = client.batch(by_id(songs[:2]), idempotency_key="test-key-2")
    assert client.batch(by_id(songs[:2]), idempotency_key="test-key-2")["id"] == batch["id"]


def test_errors_say_what_is_wrong(client: Client) -> None:
    with pytest.raises(segue.InvalidRequest) as caught:
        client.recommend("A song", limit=500)
    assert [error["pointer"] for error in caught.value.errors] == ["/limit"]
    assert caught.value.request_id
    for call in (client.job, client.result, client.cancel, client.batch_status):
        with pytest.raises(segue.NotFound):
            call("no-such-id")
    with pytest.raises(segue.NotFound):
        client.track("no-such-track")
    with pytest.raises(segue.NotFound):
        client.popular("no-such-genre")


def test_a_service_that_asks_for_a_key(service: Service, tmp_path: Path) -> None:
    with closing(redis.Redis.from_url(service.redis_url)) as connection:
        key = keys.create(connection, "test", ["read", "submit"])
    port = redis_server.free_port()
    with services.api(
        service.redis_url, port, tmp_path / "api.log", AUTH="on", ARTIFACTS_DIR=str(service.models_dir)
    ) as up:
        with Client(up.address) as stranger, pytest.raises(segue.NotAllowed) as caught:
            stranger.model()
        assert (caught.value.code, caught.value.status) == ("unauthorized", 401)
        with Client(up.address, key) as known:
            assert known.model()["synthetic"]


def check_batch(lines: list[Line], items: list[Item]) -> None:
    assert [line["index"] for line in lines] == list(range(len(items)))
    assert [line["custom_id"] for line in lines] == [item["custom_id"] for item in items]


def test_a_batch_is_answered_in_order_with_errors_inline(client: Client, songs: list[dict[str, Any]]) -> None:
    items = by_id(songs[:200])
    items[5] = {"custom_id": "too many", "seeds": "A song", "limit": 500}
    batch = client.batch(items, metadata={"for": "test"})
    assert batch["metadata"] == {"for": "test"}
    seen = list(client.events(batch))
    assert (seen[-1]["id"], seen[-1]["status"]) == (batch["id"], "succeeded")
    assert {"succeeded": 199, "failed": 1}.items() <= seen[-1]["counts"].items()
    lines = list(client.batch_results(batch))
    check_batch(lines, items)
    assert [line["index"] for line in lines if line["status"] == "failed"] == [5]
    assert lines[5]["error"]["pointer"] == "/limit"
    assert lines[0]["result"]["tracks"] == client.recommend(items[0]["seeds"], limit=3)["tracks"]
    assert [line["index"] for line in client.batch_results(batch, after=197)] == [198, 199]
    assert client.cancel_batch(batch)["status"] == "succeeded"


def test_asyncio_runs_batches_beside_each_other(service: Service, songs: list[dict[str, Any]]) -> None:
    items = by_id(songs[:50])

    async def one(client: AsyncClient) -> None:
        batch = await client.batch(items)
        check_batch([line async for line in client.batch_results(batch)], items)

    async def both() -> segue.Result:
        async with AsyncClient(service.address) as client:
            batches = asyncio.gather(one(client), one(client))
            found = await client.recommend(items[0]["seeds"])
            await batches
            return found

    assert asyncio.run(both())["strategy"] == "catalogue"


def test_a_service_that_is_down_for_a_moment_is_waited_for(
    service: Service, songs: list[dict[str, Any]], tmp_path: Path
) -> None:
    port = redis_server.free_port()
    environment = {"REDIS_URL": service.redis_url, "PORT": str(port), "ARTIFACTS_DIR": str(service.models_dir)}
    command, log = [sys.executable, "-m", "api", "serve"], tmp_path / "api.log"
    items = by_id(songs[:100])
    with Client(f"http://127.0.0.1:{port}") as client, ThreadPoolExecutor(1) as beside:
        found = beside.submit(client.recommend, items[0]["seeds"])  # there is no service yet
        with running(command, log, environment) as process:
            assert found.result(60)["strategy"] == "catalogue"
            lines = client.batch_results(client.batch(items))
            begun = [next(lines)]
            stop(process)
        rest = beside.submit(list, lines)  # nor one now
        with running(command, log, environment):
            begun += rest.result(60)
    check_batch(begun, items)


def example(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"examples.{name}", *arguments]
    return subprocess.run(command, cwd=settings.ROOT, capture_output=True, text=True, timeout=60)


def test_the_example_of_one_song(service: Service, songs: list[dict[str, Any]]) -> None:
    seed = songs[4]
    done = example("one_song", seed["name"], seed["artists"][0], "--limit", "3", "--url", service.address)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line[:5] for line in done.stdout.splitlines()] == ["  1  ", "  2  ", "  3  "]
    failed = example("one_song", "A song", "--limit", "500", "--url", service.address)
    assert (failed.returncode, failed.stdout) == (1, "")
    assert failed.stderr.startswith("InvalidRequest: ")


def test_the_example_of_a_csv_file(service: Service, songs: list[dict[str, Any]], tmp_path: Path) -> None:
    rows = [(song["name"], song["artists"][0]) for song in songs[:20]]
    file = tmp_path / "songs.csv"
    file.write_text("name,artist\n" + "".join(f'"{name}","{artist}"\n' for name, artist in rows), encoding="utf-8")
    done = example("batch_from_csv", str(file), "--limit", "4", "--url", service.address)
    assert (done.returncode, done.stderr) == (0, "20 rows, 0 without a playlist\n")
    lists = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(playlist["name"], playlist["artist"]) for playlist in lists] == rows
    assert {len(playlist["tracks"]) for playlist in lists} == {4}
