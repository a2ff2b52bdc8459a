"""Batches over HTTP: both forms of a body, errors inline, counts, events, results, canceling, and all that breaks."""

from __future__ import annotations

import json
import os
import signal
import socket
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import redis

import redis_server
from artifacts.model import Model
from producer import batches, keys, queue
from tests import services
from tests.integration.test_jobs_http import problem
from tests.services import Answer, Client, Service, answering, wait_for

BATCHES = "/v1/batches"


@pytest.fixture
def idle(service: Service) -> Service:
    """The service without a worker, and nothing in Redis."""
    with service.connection() as connection:
        connection.flushall()
    return service


@pytest.fixture(scope="module")
def ids(demo_model: Model) -> list[str]:
    return [demo_model.track(row)["track_id"] for row in range(len(demo_model))]


def items(ids: Sequence[str], limit: int = 2) -> list[dict[str, Any]]:
    return [{"custom_id": f"c{n}", "seeds": [{"track_id": one}], "limit": limit} for n, one in enumerate(ids)]


def over(client: Client, batch: dict[str, Any], deadline_s: float = 60) -> dict[str, Any]:
    """Wait for a batch's end. → the batch."""

    def look() -> dict[str, Any] | None:
        answer = client.get(f"{batch['links']['self']}?wait=10")
        if answer.status == 503:
            return None
        found: dict[str, Any] = answer.json
        return found if found["status"] not in ("queued", "running") else None

    return wait_for(look, "the batch", deadline_s)


def lines_of(answer: Answer) -> list[dict[str, Any]]:
    assert answer.status == 200, answer.body
    assert answer.headers["Content-Type"] == "application/jsonl"
    return [json.loads(line) for line in answer.body.splitlines()]


def test_a_batch_is_taken_counted_and_answered_in_order(busy: Service, ids: list[str]) -> None:
    client = busy.client
    taken = client.post(BATCHES, {"items": items(ids[:100]), "metadata": {"for": "test"}})
    batch = taken.json
    assert taken.status == 202
    assert taken.headers["Location"] == batch["links"]["self"] == f"/v1/batches/{batch['id']}"
    assert int(taken.headers["Retry-After"]) >= 1
    assert (batch["type"], batch["metadata"], batch["counts"]["total"]) == ("batch", {"for": "test"}, 100)
    end = over(client, batch)
    assert end["counts"] == {"total": 100, "waiting": 0, "succeeded": 100, "failed": 0, "canceled": 0}
    assert end["created_at"] <= end["started_at"] <= end["finished_at"] < end["expires_at"]
    answer = client.get(batch["links"]["results"])
    lines = lines_of(answer)
    assert (answer.headers["Segue-Complete"], answer.headers["Segue-Lines"]) == ("true", "100")
    assert [(line["index"], line["custom_id"]) for line in lines] == [(n, f"c{n}") for n in range(100)]
    assert {len(line["result"]["tracks"]) for line in lines} == {2}
    alone = client.recommend(seeds=[{"track_id": ids[5]}], limit=2)["result"]
    assert lines[5]["result"]["tracks"] == alone["tracks"]
    for after in (-1, 0, 41, 98, 99, 10**6):
        rest = client.get(f"{batch['links']['results']}?after={after}")
        assert lines_of(rest) == lines[after + 1 :]
        assert rest.headers["Segue-Lines"] == str(len(lines[after + 1 :]))
    problem(client.get(f"{batch['links']['results']}?after=-2"), 422, "invalid-request")


def test_what_is_wrong_with_an_item_stands_in_its_line(busy: Service, ids: list[str]) -> None:
    bad: list[Any] = [
        ({"seeds": [{"name": "x"}], "limit": 500}, "/limit"),
        ({"seeds": []}, "/seeds"),
        ({}, "/seeds"),
        ({"seeds": [{"name": "x"}], "index": 7}, "/index"),
        ({"seeds": [{"name": "x"}], "error": {"code": "x"}}, "/error"),
        ({"seeds": [{"name": "x"}], "limit": 2**70}, ""),
        ({"seeds": [{"name": "\ud800"}]}, ""),
        ({"seeds": [{"name": "x" * 900_001}]}, ""),
        (5, ""),
        ("text", ""),
        (None, ""),
        ([], ""),
    ]
    given = [*items(ids[:5]), *(fields for fields, _ in bad), *[{"seeds": [{"track_id": ids[5]}]}]]
    taken = busy.client.post(BATCHES, {"items": given})
    assert taken.status == 202, taken.body
    end = over(busy.client, taken.json)
    assert (end["status"], end["counts"]["succeeded"], end["counts"]["failed"]) == ("succeeded", 6, len(bad))
    lines = lines_of(busy.client.get(end["links"]["results"]))
    for (_, pointer), line in zip(bad, lines[5:-1], strict=True):
        assert (line["status"], line["error"]["code"], line["error"]["pointer"]) == (
            "failed",
            "invalid-request",
            pointer,
        )
        assert line["error"]["detail"]
    assert [line["custom_id"] for line in lines[5:]] == [str(n) for n in range(5, 5 + len(bad) + 1)]


@pytest.mark.parametrize(
    "kind", ["application/jsonl", "application/x-ndjson", "application/x-jsonlines; charset=utf-8"]
)
def test_json_lines_are_taken_and_a_malformed_one_is_its_own_error(busy: Service, ids: list[str], kind: str) -> None:
    good = [json.dumps(item).encode() for item in items(ids[:3])]
    deep = b"[" * 60
    body = b"\r\n".join([good[0], b"", b"{not json", good[1], b'{"seeds": 1, "seeds": 2}', deep, b"\xff\xfe", good[2]])
    taken = busy.client.post(BATCHES, body, Content_Type=kind)
    assert taken.status == 202, taken.body
    lines = lines_of(busy.client.get(over(busy.client, taken.json)["links"]["results"]))
    assert [line["custom_id"] for line in lines] == ["c0", "1", "c1", "3", "4", "5", "c2"]
    assert [line.get("error", {}).get("code") for line in lines] == [
        None,
        "malformed-json",
        None,
        *["malformed-json"] * 3,
        None,
    ]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ([], ""),
        ({}, "/items"),
        ({"items": []}, "/items"),
        ({"items": {}}, "/items"),
        ({"items": [{}] * 10_001}, "/items"),
        ({"items": [{}], "colour": "red"}, ""),
        ({"items": [{}], "metadata": {"a": 1}}, "/metadata"),
        ({"items": [{}], "metadata": {"a": "\ud800"}}, "/metadata"),
        ({"items": [{}], "metadata": {str(n): "" for n in range(17)}}, "/metadata"),
        ({"items": [{"custom_id": ""}]}, "/items/0/custom_id"),
        ({"items": [{}, {"custom_id": 5}]}, "/items/1/custom_id"),
        ({"items": [{"custom_id": "x" * 65}]}, "/items/0/custom_id"),
        ({"items": [{"custom_id": "\ud800"}]}, "/items/0/custom_id"),
        ({"items": [{"custom_id": "a"}, {"custom_id": "a"}]}, "/items/1/custom_id"),
        ({"items": [{"custom_id": "1"}, {}]}, "/items/1/custom_id"),
    ],
)
def test_a_batch_that_is_wrong_as_a_whole_is_refused(idle: Service, body: Any, pointer: str) -> None:
    found = problem(idle.client.post(BATCHES, body), 422, "invalid-request")
    assert [error["pointer"] for error in found["errors"]] == [pointer]


def test_bodies_that_are_no_batch(idle: Service) -> None:
    client, one = idle.client, b'{"seeds": [{"name": "x"}]}'
    for body in (b"", b"{", b"\xff", b"[" * 100):
        problem(client.post(BATCHES, body), 400, "malformed-json")
    for body in (b"", b"\n\n\n", b"{}\n" * 10_001, b"\n" * 3_000_000):
        problem(client.post(BATCHES, body, Content_Type="application/jsonl"), 422, "invalid-request")
    problem(
        client.post(BATCHES, b"[{},{}]" + b",{}" * 4_000_000, Content_Type="application/jsonl"), 400, "malformed-json"
    )
    problem(client.post(BATCHES, one, Content_Type="text/plain"), 415, "unsupported-media-type")
    problem(client.post(BATCHES, one + b" " * 32_000_000, Content_Type="application/jsonl"), 413, "too-large")
    floats = b'{"seeds": [' + b"1e9," * 60_000 + b"1]}\n"  # twice as large as messages in Redis
    problem(client.post(BATCHES, floats * 62, Content_Type="application/jsonl"), 413, "too-large")
    problem(client.post(BATCHES + "?wait=5", {"items": [{}]}), 422, "invalid-request")
    with idle.connection() as connection:
        assert not list(connection.scan_iter("segue:batch:*"))


def test_ten_thousand_items(busy: Service, ids: list[str]) -> None:
    many = [{"seeds": [{"track_id": ids[n % len(ids)]}], "limit": 1} for n in range(10_000)]
    with busy.worker():
        batch = busy.client.post(
            BATCHES, b"\n".join(json.dumps(item).encode() for item in many), Content_Type="application/jsonl"
        ).json
        end = over(busy.client, batch, 90)
        assert end["counts"]["succeeded"] == 10_000
        lines = lines_of(busy.client.get(batch["links"]["results"]))
        assert [line["index"] for line in lines] == list(range(10_000))


def test_counts_and_results_while_it_runs(idle: Service, ids: list[str]) -> None:
    batch = idle.client.post(BATCHES, {"items": items(ids[:64])}).json
    assert (batch["status"], batch["counts"]["waiting"]) == ("queued", 64)
    assert "no worker is alive" in batch["warnings"][0]
    early = idle.client.get(batch["links"]["results"])
    assert (lines_of(early), early.headers["Segue-Complete"]) == ([], "false")
    assert "Segue-Lines" not in early.headers
    with idle.connection() as connection:  # as a worker does that has answered the first part
        first = f"{batch['id']}-0"
        given = [{"index": n, "custom_id": f"c{n}", "status": "failed", "error": {}} for n in range(batches.PART)]
        queue.finish(connection, first, "finished", {"ok": {"items": given}})
    now = idle.client.get(batch["links"]["self"]).json
    assert now["counts"]["waiting"] == 64 - batches.PART
    assert len(lines_of(idle.client.get(batch["links"]["results"]))) == batches.PART


def events_of(answer: Answer) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for block in answer.body.decode().strip().split("\n\n"):
        if not block.startswith(":"):
            name, data = block.split("\n")
            found.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    return found


def test_events_follow_a_batch_to_its_end(idle: Service, ids: list[str]) -> None:
    batch = idle.client.post(BATCHES, {"items": items(ids[:200])}).json
    with ThreadPoolExecutor(1) as threads:
        following = threads.submit(idle.client.get, batch["links"]["events"], Accept="text/event-stream")
        with idle.worker():
            answer = following.result(60)
    assert answer.headers["Content-Type"].startswith("text/event-stream")
    events = events_of(answer)
    assert [name for name, _ in events] == ["progress"] * (len(events) - 1) + ["end"]
    assert (events[0][1]["status"], events[0][1]["counts"]["waiting"]) == ("queued", 200)
    waiting = [batch["counts"]["waiting"] for _, batch in events]
    assert waiting == sorted(waiting, reverse=True)
    assert (events[-1][1]["status"], waiting[-1]) == ("succeeded", 0)
    assert [name for name, _ in events_of(idle.client.get(batch["links"]["events"]))] == ["end"]
    head = idle.client.ask("HEAD", batch["links"]["events"])
    assert (head.status, head.body) == (200, b"")
    problem(idle.client.get(f"/v1/batches/{queue.new_id()}/events"), 404, "not-found")


def test_a_batch_is_canceled_in_the_middle(idle: Service, ids: list[str]) -> None:
    batch = idle.client.post(BATCHES, {"items": items(ids[:800] * 2)[:800]}).json
    with idle.worker():
        wait_for(lambda: idle.client.get(batch["links"]["self"]).json["counts"]["succeeded"], "a part")
        canceled = idle.client.post(batch["links"]["cancel"], b"").json
    end = over(idle.client, canceled)
    assert (canceled["status"], end["status"]) == ("canceled", "canceled")
    counts = end["counts"]
    assert counts["waiting"] == 0
    assert counts["succeeded"] + counts["canceled"] == counts["total"] == 800
    assert counts["canceled"] > 0
    lines = lines_of(idle.client.get(batch["links"]["results"]))
    states = [line["status"] for line in lines]
    assert (states.count("succeeded"), states.count("canceled")) == (counts["succeeded"], counts["canceled"])
    assert idle.client.ask("POST", batch["links"]["cancel"]).json == end, "again, it changes nothing"
    with idle.connection() as connection:
        assert queue.waiting(connection) == 0


def test_sent_again_after_the_api_died_it_is_completed(idle: Service, ids: list[str]) -> None:
    body = {"items": items(ids[:100])}
    with idle.connection() as connection:
        first = idle.client.post(BATCHES, body, Idempotency_Key="night").json
        # As if the API had died between two of its steps: the last parts were never queued.
        connection.hdel(keys.BATCH.format(batch_id=first["id"]), "complete")
        for n in range(5, 100 // batches.PART + 1):
            connection.delete(f"rq:job:{first['id']}-{n}")
            connection.lrem("rq:queue:bulk", 1, f"{first['id']}-{n}")
        assert lines_of(idle.client.get(first["links"]["results"])) == []
        with idle.worker():
            wait_for(lambda: queue.waiting(connection) == 0, "the parts that there are")
            wait_for(
                lambda: idle.client.get(first["links"]["self"]).json["counts"]["succeeded"] == 5 * batches.PART, "them"
            )
            half = idle.client.get(first["links"]["results"])
            assert (len(lines_of(half)), half.headers["Segue-Complete"]) == (5 * batches.PART, "false")
            again = idle.client.post(BATCHES, body, Idempotency_Key="night")
            assert (again.status, again.json["id"], again.headers["Idempotency-Replayed"]) == (202, first["id"], "true")
            end = over(idle.client, first)
    assert end["counts"]["succeeded"] == 100
    problem(
        idle.client.post(BATCHES, {"items": items(ids[:9])}, Idempotency_Key="night"), 422, "idempotency-key-reused"
    )


def test_a_download_that_redis_breaks_off_shows_it(busy: Service, ids: list[str]) -> None:
    batch = busy.client.post(BATCHES, {"items": items(ids[:300])}).json
    over(busy.client, batch)
    with busy.connection() as connection:
        for name in ("rq:job:{}-20", "segue:result:{}-20"):
            connection.delete(name.format(batch["id"]))
    answer = busy.client.get(batch["links"]["results"])
    *whole, rest = answer.body.split(b"\n")
    assert [json.loads(line)["index"] for line in whole] == list(range(20 * batches.PART))
    assert int(answer.headers["Segue-Lines"]) == 300 > len(whole)
    assert json.loads(rest)["code"] == "expired", "no line: it has no end"


def test_a_reader_that_hangs_up_is_no_error(busy: Service, ids: list[str]) -> None:
    batch = busy.client.post(BATCHES, {"items": items(ids[:300], limit=50)}).json
    over(busy.client, batch)
    at = urlsplit(busy.client.address)
    for path in (batch["links"]["results"], batch["links"]["events"]):
        with socket.create_connection((at.hostname, at.port)) as reader:
            reader.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            assert reader.recv(100).startswith(b"HTTP/1.1 200")
    assert len(lines_of(busy.client.get(batch["links"]["results"]))) == 300
    assert "Traceback" not in (busy.folder / "api.log").read_text()


def test_a_batch_outlives_killed_workers_and_a_restart_of_redis(idle: Service, ids: list[str]) -> None:
    batch = idle.client.post(BATCHES, {"items": items(ids[:2000], limit=20)}, Idempotency_Key="x").json

    def done() -> int:
        return int(idle.client.get(batch["links"]["self"]).json.get("counts", {}).get("succeeded", 0))

    with idle.worker() as first, idle.worker():
        for share in (1, 200, 400):
            wait_for(lambda share=share: done() >= share, f"{share} answers")  # type: ignore[misc]
            for process in answering(first):
                os.kill(process.pid, signal.SIGKILL)
        idle.redis.stop()
        idle.redis.restart()
        end = over(idle.client, batch, 90)
    assert end["counts"] == {"total": 2000, "waiting": 0, "succeeded": 2000, "failed": 0, "canceled": 0}
    lines = lines_of(idle.client.get(batch["links"]["results"]))
    assert [line["index"] for line in lines] == list(range(2000))


def test_a_batch_that_would_not_fit_the_queue_is_503(
    tmp_path: Path, redis_url: str, connection: redis.Redis, ids: list[str]
) -> None:
    with services.api(redis_url, redis_server.free_port(), tmp_path / "api.log", QUEUE_LIMIT="3") as client:
        answer = client.post(BATCHES, {"items": items(ids[:100])})
        problem(answer, 503, "queue-full")
        assert int(answer.headers["Retry-After"]) >= 1
        assert client.post(BATCHES, {"items": items(ids[:10])}).status == 202
