"""Playlists and the doctor over HTTP: asked, followed, fetched as files, canceled, sent again, without workers."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any

import msgpack
import pytest

import redis_server
from artifacts.model import Model
from producer import keys, queue
from producer.playlists import reading
from tests import services
from tests.integration.test_batches_http import events_of, lines_of, over
from tests.integration.test_jobs_http import problem
from tests.services import Service, answering, wait_for

PLAYLISTS, DOCTOR, BATCHES = "/v1/playlists", "/v1/playlists/doctor", "/v1/batches"


@pytest.fixture
def slow(idle: Service) -> Iterator[tuple[Service, Any]]:
    """The service with a worker that takes a while for each stage."""
    log = idle.folder / "slow.log"
    with services.worker(idle.redis.url, idle.models_dir, log, module="tests.slow_worker") as process:
        wait_for(idle.is_ready, "a worker")
        yield idle, process


@pytest.fixture(scope="module")
def ids(demo_model: Model) -> list[str]:
    return [demo_model.track(row)["track_id"] for row in range(len(demo_model))]


@pytest.fixture(scope="module")
def query(ids: list[str]) -> dict[str, Any]:
    return {"seeds": [{"track_id": ids[3]}, {"track_id": ids[70]}], "length": {"tracks": 12}}


def songs(ids: list[str], *rows: int) -> list[dict[str, str]]:
    return [{"track_id": ids[row]} for row in rows]


def test_a_playlist_is_taken_asked_for_and_answered(busy: Service, query: dict[str, Any]) -> None:
    taken = busy.client.post(PLAYLISTS, query | {"arc": "build", "harmonic": True, "metadata": {"user": "42"}})
    job = taken.json
    assert (taken.status, job["type"], job["status"], job["result"]) == (202, "playlist", "queued", None)
    assert taken.headers["Location"] == f"/v1/jobs/{job['id']}" == job["links"]["self"]
    assert job["links"]["events"] == f"/v1/jobs/{job['id']}/events"
    end = busy.client.get(f"{job['links']['self']}?wait=10").json
    assert (end["type"], end["status"], end["metadata"], end["progress"]) == (
        "playlist",
        "succeeded",
        {"user": "42"},
        None,
    )
    made = end["result"]
    assert ([t["rank"] for t in made["tracks"]], made["degraded"]) == (list(range(1, 13)), False)
    assert made["tracks"][0]["transition"] is None
    assert all(0 <= track["transition"]["score"] <= 1 for track in made["tracks"][1:])
    assert len(made["arc"]) == 12
    assert 0 <= made["flow"] <= 1
    done = busy.client.post(PLAYLISTS, query, Prefer="wait=10")
    assert (done.status, done.json["status"], done.headers["Preference-Applied"]) == (200, "succeeded", "wait=10")


def test_a_playlist_goes_on_from_another_and_along_a_path(busy: Service, ids: list[str]) -> None:
    def made(**fields: Any) -> list[str]:
        done = busy.client.post(PLAYLISTS, fields, Prefer="wait=15").json
        return [track["track_id"] for track in done["result"]["tracks"]]

    longer = made(extend=songs(ids, 1, 2, 3), length={"tracks": 9})
    assert (longer[:3], len(longer)) == ([ids[1], ids[2], ids[3]], 9)
    path = made(waypoints=songs(ids, 5, 900), length={"tracks": 8})
    assert (path[0], path[-1], len(path)) == (ids[5], ids[900], 8)


def test_a_playlist_is_looked_at(busy: Service, ids: list[str]) -> None:
    taken = busy.client.post(DOCTOR, {"playlist": songs(ids, *range(8))})
    assert (taken.status, taken.json["type"]) == (202, "diagnosis")
    job = busy.client.get(f"{taken.json['links']['self']}?wait=10").json
    assert (job["type"], job["status"]) == ("diagnosis", "succeeded")
    said = job["result"]
    assert sorted(said["order"]) == list(range(1, 9))
    assert said["best_flow"] >= said["flow"]
    result = job["links"]["result"]
    assert busy.client.get(result).json == said
    packed = busy.client.get(result, Accept="text/csv, application/msgpack;q=0.1")
    assert msgpack.unpackb(packed.body) == said
    for wrong in (busy.client.get(f"{result}?format=csv"), busy.client.get(result, Accept="audio/x-mpegurl")):
        assert "application/msgpack" in problem(wrong, 406, "not-acceptable")["detail"]


@pytest.mark.parametrize(
    ("path", "body", "pointer"),
    [
        (PLAYLISTS, {}, ""),
        (PLAYLISTS, {"seeds": [{"name": "a"}], "extend": [{"name": "b"}]}, ""),
        (PLAYLISTS, {"seeds": [{"name": "a"}], "length": {"tracks": 1000}}, "/length/tracks"),
        (PLAYLISTS, {"seeds": [{"name": "a"}], "limit": 5}, "/limit"),
        (PLAYLISTS, {"seeds": [{"name": "a"}], "filters": {"genres": ["no such genre"]}}, "/filters/genres/0"),
        (PLAYLISTS, {"seeds": [{"name": "a"}], "webhook": {"url": "https://x", "events": []}}, "/webhook/events"),
        (DOCTOR, {"playlist": [{"name": "a"}]}, "/playlist"),
        (DOCTOR, {"playlist": [{"name": "a"}, {"name": "b"}], "seeds": []}, "/seeds"),
    ],
)
def test_what_is_wrong_is_named(idle: Service, path: str, body: dict[str, Any], pointer: str) -> None:
    found = problem(idle.client.post(path, body), 422, "invalid-request")
    assert [error["pointer"] for error in found["errors"]] == [pointer]
    problem(idle.client.post(path, b"{"), 400, "malformed-json")
    problem(idle.client.post(f"{path}?wait=3", body), 422, "invalid-request")
    with idle.connection() as connection:
        assert queue.waiting(connection) == 0


FILES = {
    "m3u8": "audio/x-mpegurl",
    "xspf": "application/xspf+xml",
    "jspf": "application/jspf+json",
    "csv": "text/csv",
    "uris": "text/uri-list",
    "jsonl": "application/jsonl",
}


def test_a_result_comes_as_a_file_by_accept_or_by_name(busy: Service, query: dict[str, Any], ids: list[str]) -> None:
    playlist = busy.client.post(PLAYLISTS, query, Prefer="wait=10").json
    recommendation = busy.client.post(
        "/v1/recommendations", {"seeds": query["seeds"], "limit": 4}, Prefer="wait=10"
    ).json
    for job in (playlist, recommendation):
        path, tracks = job["links"]["result"], job["result"]["tracks"]
        tags = {busy.client.get(path).headers["ETag"]}
        for name, kind in FILES.items():
            found = busy.client.get(path, Accept=f"{kind}, application/json;q=0.5")
            assert (found.status, found.headers["Content-Type"].partition(";")[0]) == (200, kind)
            assert found.headers["Vary"] == "Accept"
            assert found.body == busy.client.get(f"{path}?format={name}", Accept="application/json").body
            assert found.headers["Content-Disposition"].startswith('attachment; filename="')
            again = reading.read(found.body.decode(), kind="lines" if name == "uris" else name)
            assert len(again.rows) == len(tracks)
            tags.add(found.headers["ETag"])
            head = busy.client.ask("HEAD", f"{path}?format={name}")
            assert (head.status, head.body, head.headers["ETag"]) == (200, b"", found.headers["ETag"])
            same = busy.client.get(path, Accept=kind, If_None_Match=found.headers["ETag"])
            assert (same.status, same.body) == (304, b"")
        assert len(tags) == 1 + len(FILES)
        problem(busy.client.get(path, Accept="image/png"), 406, "not-acceptable")
        problem(busy.client.get(f"{path}?format=mp3"), 422, "invalid-request")
        browser = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"
        assert busy.client.get(path, Accept=browser).json == job["result"]


@pytest.mark.parametrize(
    ("title", "file"),
    [
        ("Sunday%20morning", "Sunday morning.xspf"),
        ("..%2F..%2Fetc%2Fpasswd", "etc_passwd.xspf"),
        ("a%22b%0D%0AX-Evil%3A%201", "a_b__X-Evil_ 1.xspf"),
        ("%E2%80%AE%E5%A4%9C", "playlist.xspf"),
    ],
)
def test_a_file_has_a_title_and_a_name_that_harms_nobody(
    busy: Service, query: dict[str, Any], title: str, file: str
) -> None:
    job = busy.client.post(PLAYLISTS, query, Prefer="wait=10").json
    found = busy.client.get(f"{job['links']['result']}?format=xspf&title={title}")
    assert found.status == 200
    assert f'filename="{file}"' in found.headers["Content-Disposition"]
    assert "X-Evil" not in found.headers


def test_a_title_is_made_of_the_first_songs(busy: Service, query: dict[str, Any], demo_model: Model) -> None:
    job = busy.client.post(PLAYLISTS, query, Prefer="wait=10").json
    text = busy.client.get(f"{job['links']['result']}?format=m3u8").body.decode()
    assert text.splitlines()[1] == f"#PLAYLIST:{demo_model.name[3]}, {demo_model.name[70]}"
    for wrong in ("title=", f"title={'x' * 201}"):
        problem(busy.client.get(f"{job['links']['result']}?{wrong}"), 422, "invalid-request")


def test_events_follow_a_job_through_its_stages_to_its_end(
    slow: tuple[Service, Any], query: dict[str, Any], ids: list[str]
) -> None:
    service, _ = slow
    first = service.client.post(PLAYLISTS, query).json  # so that the next one waits
    job = service.client.post(PLAYLISTS, query).json
    answer = service.client.get(job["links"]["events"], Accept="text/event-stream")
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    events = events_of(answer)
    assert [name for name, _ in events] == ["progress"] * (len(events) - 1) + ["end"]
    assert (events[0][1]["status"], events[0][1]["progress"]) == ("queued", None)
    noted = [shown["progress"] for _, shown in events if shown["progress"]]
    stages = [progress["stage"] for progress in noted]
    assert stages == list(dict.fromkeys(stages))
    assert {"seeds", "ordering"} <= set(stages)
    assert [progress["fraction"] for progress in noted] == sorted(progress["fraction"] for progress in noted)
    end = events[-1][1]
    assert (end["status"], end["progress"], len(end["result"]["tracks"])) == ("succeeded", None, 12)
    assert [name for name, _ in events_of(service.client.get(first["links"]["events"]))] == ["end"]
    doctor = service.client.post(DOCTOR, {"playlist": songs(ids, *range(5))}).json
    stages = [
        shown["progress"]["stage"]
        for _, shown in events_of(service.client.get(doctor["links"]["events"]))
        if shown["progress"]
    ]
    assert len(stages) >= 3
    head = service.client.ask("HEAD", job["links"]["events"])
    assert (head.status, head.body) == (200, b"")
    problem(service.client.get(f"/v1/jobs/{queue.new_id()}/events"), 404, "not-found")


def test_the_end_of_a_job_is_told_at_once(busy: Service, query: dict[str, Any]) -> None:
    late_s = []
    for _ in range(10):
        job = busy.client.post(PLAYLISTS, query).json
        *_, (name, shown) = events_of(busy.client.get(job["links"]["events"]))
        assert (name, shown["status"]) == ("end", "succeeded")
        late_s.append(time.time() - datetime.fromisoformat(shown["finished_at"]).timestamp())
    assert sorted(late_s)[5] < 0.2, late_s  # the stream looks for itself each half second only


def test_a_running_playlist_that_is_canceled_has_no_result(slow: tuple[Service, Any], query: dict[str, Any]) -> None:
    service, _ = slow
    job = service.client.post(PLAYLISTS, query).json
    with ThreadPoolExecutor(1) as threads:
        following = threads.submit(service.client.get, job["links"]["events"])
        wait_for(lambda: service.client.get(job["links"]["self"]).json["progress"], "the first stage")
        assert service.client.ask("DELETE", job["links"]["cancel"]).json["status"] == "canceled"
        assert events_of(following.result(10))[-1][1]["status"] == "canceled"
    # The worker is done with it when it answers the next one.
    assert service.client.finished(service.client.post(PLAYLISTS, query).json["id"])["status"] == "succeeded"
    now = service.client.get(job["links"]["self"]).json
    assert (now["status"], now["result"], now["progress"]) == ("canceled", None, None)


def test_a_worker_killed_in_the_middle_of_a_playlist_costs_it_nothing(
    slow: tuple[Service, Any], query: dict[str, Any]
) -> None:
    service, process = slow
    job = service.client.post(PLAYLISTS, query).json

    def stage() -> Any:
        return service.client.get(job["links"]["self"]).json["progress"]

    wait_for(lambda: (stage() or {}).get("stage") == "ordering", "the middle")
    service_of_another = service.worker()
    with service_of_another:
        for one in answering(process):
            os.kill(one.pid, signal.SIGKILL)
        os.kill(process.pid, signal.SIGSTOP)  # so that it is the other one that answers
        try:
            end = service.client.finished(job["id"])
        finally:
            os.kill(process.pid, signal.SIGCONT)
    assert (end["status"], len(end["result"]["tracks"]), end["result"]["degraded"]) == ("succeeded", 12, False)


def test_sent_again_under_its_key_it_is_the_same_job(idle: Service, query: dict[str, Any]) -> None:
    first = idle.client.post(PLAYLISTS, query, Idempotency_Key="party")
    again = idle.client.post(PLAYLISTS, json.dumps(query, indent=3).encode(), Idempotency_Key="party")
    assert (again.status, again.json["id"], again.json["type"]) == (202, first.json["id"], "playlist")
    assert again.headers["Idempotency-Replayed"] == "true"
    other = query | {"harmonic": True}
    problem(idle.client.post(PLAYLISTS, other, Idempotency_Key="party"), 422, "idempotency-key-reused")
    doctor = {"playlist": query["seeds"]}
    problem(idle.client.post(DOCTOR, doctor, Idempotency_Key="party"), 422, "idempotency-key-reused")
    with idle.connection() as connection:
        assert queue.waiting(connection) == 1


def test_past_its_deadline_a_playlist_is_popular_tracks_and_a_diagnosis_fails(
    idle: Service, query: dict[str, Any]
) -> None:
    late = {"deadline_s": 1, "length": {"minutes": 30}}
    done = idle.client.post(PLAYLISTS, query | late, Prefer="wait=20")
    made = done.json["result"]
    assert (done.status, made["degraded"], made["strategy"]) == (200, True, "popular")
    assert abs(made["duration_ms"] - 30 * 60_000) < 4 * 60_000
    assert "no worker answered within 1 s" in made["warnings"][0]
    as_file = idle.client.get(f"{done.json['links']['result']}?format=m3u8")
    assert as_file.body.count(b"#EXTINF") == len(made["tracks"])
    job = idle.client.post(DOCTOR, {"playlist": query["seeds"], "deadline_s": 1}, Prefer="wait=20").json
    assert (job["type"], job["status"], job["error"]["code"]) == ("diagnosis", "failed", "deadline-exceeded")
    problem(idle.client.get(job["links"]["result"]), 409, "job-failed")
    waits = idle.client.post(DOCTOR, {"playlist": query["seeds"]}).json
    assert "fails 30 s after submission" in waits["warnings"][0]


def test_a_full_queue_gives_a_playlist_meanwhile(idle: Service, query: dict[str, Any]) -> None:
    port, log = redis_server.free_port(), idle.folder / "full.log"
    with services.api(idle.redis.url, port, log, QUEUE_LIMIT="1") as client:
        assert client.post(PLAYLISTS, query).status == 202
        full = problem(client.post(PLAYLISTS, query), 503, "queue-full")
        assert (len(full["fallback"]["tracks"]), full["fallback"]["flow"]) == (12, None)
        assert full["fallback"]["degraded"]
        assert "fallback" not in problem(client.post(DOCTOR, {"playlist": query["seeds"]}), 503, "queue-full")


def test_with_redis_down_a_playlist_is_from_the_models_files(idle: Service, query: dict[str, Any]) -> None:
    idle.redis.stop()
    try:
        down = problem(idle.client.post(PLAYLISTS, query), 503, "redis-unavailable")
    finally:
        idle.redis.restart()
    assert [track["rank"] for track in down["fallback"]["tracks"]] == list(range(1, 13))


def test_a_batch_of_both_kinds_is_answered_in_order(busy: Service, ids: list[str], query: dict[str, Any]) -> None:
    def item(n: int) -> Any:
        match n % 7:
            case 0:
                return {"type": "playlist", "seeds": songs(ids, n), "length": {"tracks": 5}}
            case 1:
                return {"type": "playlist", "limit": 5}
            case 2:
                return {"type": "party", "seeds": songs(ids, n)}
            case 3:
                return "no request"
            case _:
                return {"type": "recommendation", "seeds": songs(ids, n), "limit": 2}

    batch = busy.client.post(BATCHES, {"items": [item(n) for n in range(70)]}).json
    end = over(busy.client, batch)
    assert end["counts"] == {"total": 70, "waiting": 0, "succeeded": 40, "failed": 30, "canceled": 0}
    lines = lines_of(busy.client.get(batch["links"]["results"]))
    assert [line["index"] for line in lines] == list(range(70))
    for line in lines:
        pointer = line.get("error", {}).get("pointer")
        match line["index"] % 7:
            case 0:
                assert (len(line["result"]["tracks"]), "flow" in line["result"]) == (5, True)
            case 1:
                assert pointer in ("/limit", "")
            case 2:
                assert pointer == "/type"
            case 3:
                assert pointer == ""
            case _:
                assert (len(line["result"]["tracks"]), "flow" in line["result"]) == (2, False)
    for after in (0, 6, 7, 41, 68, 69):
        assert lines_of(busy.client.get(f"{batch['links']['results']}?after={after}")) == lines[after + 1 :]
    alone = busy.client.post(PLAYLISTS, {k: v for k, v in item(7).items() if k != "type"}, Prefer="wait=10").json
    assert lines[7]["result"]["tracks"] == alone["result"]["tracks"]


def test_only_a_batch_with_playlists_has_parts_of_one(idle: Service, ids: list[str], query: dict[str, Any]) -> None:
    recommendation = {"seeds": songs(ids, 1)}
    with idle.connection() as connection:
        for items, parts in (([recommendation] * 9, 3), ([recommendation] * 8 + [query | {"type": "playlist"}], 9)):
            batch = idle.client.post(BATCHES, {"items": items}).json
            assert int(connection.hget(keys.BATCH.format(batch_id=batch["id"]), "parts") or 0) == parts
            idle.client.post(batch["links"]["cancel"], b"")
            lines = lines_of(idle.client.get(f"{batch['links']['results']}?after=5"))
            assert [(line["index"], line["status"]) for line in lines] == [
                (n, "canceled") for n in range(6, len(items))
            ]
