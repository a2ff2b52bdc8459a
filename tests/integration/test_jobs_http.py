"""Jobs over HTTP, from their submission to the end: waiting, asking again, results, canceling, sending again."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgpack
import pytest

from artifacts.model import Model
from producer import keys, queue
from producer.queue import Work
from tests import services
from tests.services import Answer, Client, Service, wait_for

SUBMIT = "/v1/recommendations"


@pytest.fixture(scope="module")
def query(demo_model: Model) -> dict[str, Any]:
    return {"seeds": [{"track_id": demo_model.track(3)["track_id"]}], "limit": 5}


def problem(answer: Answer, status: int, code: str) -> dict[str, Any]:
    """Check that an answer is that problem, and return it."""
    assert answer.status == status, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"
    body: dict[str, Any] = answer.json
    assert (body["status"], body["code"]) == (status, code)
    return body


def test_a_job_is_taken_asked_for_and_answered(busy: Service, query: dict[str, Any]) -> None:
    taken = busy.client.post(SUBMIT, query | {"metadata": {"user": "42"}})
    assert taken.status == 202
    assert (taken.json["status"], taken.json["result"], taken.json["warnings"]) == ("queued", None, [])
    assert taken.headers["Location"] == f"/v1/jobs/{taken.json['id']}" == taken.json["links"]["self"]
    assert int(taken.headers["Retry-After"]) >= 1
    over = busy.client.get(taken.headers["Location"] + "?wait=10")
    assert over.status == 200
    assert (over.json["status"], over.json["metadata"]) == ("succeeded", {"user": "42"})
    assert over.json["created_at"] <= over.json["started_at"] <= over.json["finished_at"] < over.json["expires_at"]
    assert len(over.json["result"]["tracks"]) == 5
    assert "Retry-After" not in over.headers


def test_prefer_wait_gives_the_result_in_the_first_answer(busy: Service, query: dict[str, Any]) -> None:
    done = busy.client.post(SUBMIT, query, Prefer="respond-async, wait=10")
    assert (done.status, done.json["status"]) == (200, "succeeded")
    assert done.headers["Preference-Applied"] == "wait=10"
    assert done.headers["Location"] == done.json["links"]["self"]
    assert busy.client.post(SUBMIT, query, Prefer="wait=99").headers["Preference-Applied"] == "wait=20"
    assert busy.client.post(SUBMIT, query, Prefer="wait=x").status == 202


def test_no_wake_up_is_lost(busy: Service, demo_model: Model) -> None:
    began = time.monotonic()
    with busy.worker(), ThreadPoolExecutor(24) as threads:

        def ask(row: int) -> tuple[str, float]:
            started = time.monotonic()
            seed = {"track_id": demo_model.track(row)["track_id"]}
            if row % 2:
                answer = busy.client.post(SUBMIT, {"seeds": [seed], "limit": 1}, Prefer="wait=20")
            else:  # it may be over before anybody waits for it
                job = busy.client.post(SUBMIT, {"seeds": [seed], "limit": 1}).json
                answer = busy.client.get(f"{job['links']['result']}?wait=20")
                return ("succeeded" if answer.status == 200 else str(answer.status)), time.monotonic() - started
            return answer.json["status"], time.monotonic() - started

        answers = list(threads.map(ask, range(600)))
    assert {status for status, _ in answers} == {"succeeded"}
    assert max(seconds for _, seconds in answers) < 10, "somebody was not woken"
    assert time.monotonic() - began < 60


def test_waiting_ends_when_its_time_is_over(idle: Service, query: dict[str, Any]) -> None:
    began = time.monotonic()
    taken = idle.client.post(SUBMIT, query, Prefer="wait=1")
    assert taken.status == 202
    asked = idle.client.get(f"{taken.headers['Location']}?wait=0.5")
    assert (asked.status, asked.json["status"]) == (200, "queued")
    assert asked.headers["Retry-After"]
    assert 1.4 < time.monotonic() - began < 5
    for wrong in ("wait=21", "wait=-1", "wait=nan", "wait=x", "wait=", "wait=1e9", "wait=1&colour=red"):
        problem(idle.client.get(f"{taken.headers['Location']}?{wrong}"), 422, "invalid-request")


def test_redis_restarted_while_callers_wait(idle: Service, query: dict[str, Any]) -> None:
    with ThreadPoolExecutor(8) as threads:
        waiting = [threads.submit(idle.client.post, SUBMIT, query, Prefer="wait=20") for _ in range(8)]
        with idle.connection() as connection:
            wait_for(lambda: queue.waiting(connection) == 8, "their jobs")
        idle.redis.stop()
        restarted = time.monotonic()
        idle.redis.restart()
        with idle.worker():
            answers = [one.result() for one in waiting]
    assert [(answer.status, answer.json["status"]) for answer in answers] == [(200, "succeeded")] * 8
    assert time.monotonic() - restarted < 15


def test_redis_gone_while_callers_wait_gives_them_what_was_known(idle: Service, query: dict[str, Any]) -> None:
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(idle.client.post, SUBMIT, query, Prefer="wait=3")
        with idle.connection() as connection:
            wait_for(lambda: queue.waiting(connection) == 1, "the job")
        idle.redis.stop()
        try:
            answer = waiting.result(10)
        finally:
            idle.redis.restart()
    assert (answer.status, answer.json["status"]) == (202, "queued")


def test_what_has_not_changed_is_304(busy: Service, query: dict[str, Any]) -> None:
    job = busy.client.post(SUBMIT, query, Prefer="wait=10").json
    for path in (job["links"]["self"], job["links"]["result"]):
        first = busy.client.get(path)
        tag = first.headers["ETag"]
        again = busy.client.get(path, If_None_Match=tag)
        assert (again.status, again.body, again.headers["ETag"]) == (304, b"", tag)
        assert busy.client.get(path, If_None_Match='"other"').body == first.body
    head = busy.client.ask("HEAD", job["links"]["self"])
    assert (head.status, head.body) == (200, b"")


def test_the_result_alone_in_the_form_that_is_asked_for(busy: Service, query: dict[str, Any]) -> None:
    job = busy.client.post(SUBMIT, query, Prefer="wait=10").json
    path = job["links"]["result"]
    plain = busy.client.get(path)
    assert (plain.headers["Content-Type"], plain.json) == ("application/json", job["result"])
    assert plain.headers["Vary"] == "Accept"
    packed = busy.client.get(path, Accept="application/json;q=0.5, application/msgpack")
    assert packed.headers["Content-Type"] == "application/msgpack"
    assert msgpack.unpackb(packed.body) == job["result"]
    assert packed.headers["ETag"] != plain.headers["ETag"]
    for accept in ("*/*", "application/*", "text/html, */*;q=0.1"):
        assert busy.client.get(path, Accept=accept).json == job["result"]
    for accept in ("image/png", "application/json;q=0"):
        problem(busy.client.get(path, Accept=accept), 406, "not-acceptable")


def test_a_result_that_is_not_there_yet_is_202(idle: Service, query: dict[str, Any]) -> None:
    job = idle.client.post(SUBMIT, query).json
    answer = idle.client.get(job["links"]["result"])
    assert (answer.status, answer.json["id"], answer.json["status"]) == (202, job["id"], "queued")
    assert answer.headers["Retry-After"]


def test_a_job_that_waits_can_be_canceled(idle: Service, query: dict[str, Any]) -> None:
    job = idle.client.post(SUBMIT, query).json
    for _ in range(2):
        answer = idle.client.ask("DELETE", job["links"]["cancel"])
        assert (answer.status, answer.json["status"], answer.json["result"]) == (200, "canceled", None)
    with idle.connection() as connection:
        assert queue.waiting(connection) == 0
    problem(idle.client.get(job["links"]["result"]), 409, "job-canceled")


def test_who_waits_for_a_job_hears_that_it_was_canceled(idle: Service, query: dict[str, Any]) -> None:
    job = idle.client.post(SUBMIT, query).json
    with ThreadPoolExecutor(1) as threads:
        waiting = threads.submit(idle.client.get, f"{job['links']['self']}?wait=20")
        began = time.monotonic()
        idle.client.ask("DELETE", job["links"]["cancel"])
        assert waiting.result().json["status"] == "canceled"
    assert time.monotonic() - began < 10


def test_a_job_that_is_over_stays_as_it_is(busy: Service, query: dict[str, Any]) -> None:
    job = busy.client.post(SUBMIT, query, Prefer="wait=10").json
    answer = busy.client.ask("DELETE", job["links"]["cancel"])
    assert (answer.status, answer.json) == (200, job)


def test_a_running_job_that_is_canceled_has_no_result(idle: Service) -> None:
    slow = services.worker(idle.redis.url, idle.models_dir, idle.folder / "slow.log", module="tests.slow_worker")
    with slow, idle.connection() as connection:
        wait_for(idle.is_ready, "a worker")
        job_id, _ = queue.submit(connection, Work("tests.slow_worker.nap", {"seconds": 2}), limit=10)
        path = f"/v1/jobs/{job_id}"
        wait_for(lambda: idle.client.get(path).json["status"] == "running", "its start")
        assert idle.client.ask("DELETE", path).json["status"] == "canceled"
        # The worker is done with it when it answers the next one.
        next_id, _ = queue.submit(connection, Work("tests.slow_worker.nap", {"seconds": 0}), limit=10)
        idle.client.finished(next_id)
        assert idle.client.get(path).json["status"] == "canceled"
        assert connection.get(keys.RESULT.format(job_id=job_id)) is None


def test_a_job_that_failed_says_so(busy: Service) -> None:
    with busy.connection() as connection:
        job_id, _ = queue.submit(connection, Work(keys.RECOMMEND, {"limit": 5}), limit=10)
    job = busy.client.finished(job_id)
    assert (job["status"], job["error"]["code"], job["error"]["pointer"]) == ("failed", "invalid-request", "/seeds")
    found = problem(busy.client.get(f"/v1/jobs/{job_id}/result"), 409, "job-failed")
    assert found["detail"] == job["error"]["detail"]


def test_sent_again_under_its_key_it_is_the_same_job(idle: Service, query: dict[str, Any]) -> None:
    first = idle.client.post(SUBMIT, query, Idempotency_Key="order 66")
    assert "Idempotency-Replayed" not in first.headers
    again = idle.client.post(SUBMIT, json.dumps(query, indent=3).encode(), Idempotency_Key="order 66")
    assert (again.status, again.json["id"]) == (202, first.json["id"])
    assert again.headers["Idempotency-Replayed"] == "true"
    other = idle.client.post(SUBMIT, query | {"limit": 6}, Idempotency_Key="order 66")
    problem(other, 422, "idempotency-key-reused")
    with idle.connection() as connection:
        assert queue.waiting(connection) == 1
    with ThreadPoolExecutor(8) as threads:
        many = list(threads.map(lambda _: idle.client.post(SUBMIT, query, Idempotency_Key="at once"), range(16)))
    assert len({answer.json["id"] for answer in many}) == 1
    assert sum("Idempotency-Replayed" not in answer.headers for answer in many) == 1


def test_after_its_answer_was_lost_a_submission_gives_the_result(busy: Service, query: dict[str, Any]) -> None:
    lost = busy.client.post(SUBMIT, query, Idempotency_Key="lost").json["id"]
    busy.client.finished(lost)
    again = busy.client.post(SUBMIT, query, Idempotency_Key="lost")
    assert (again.status, again.json["id"], again.json["status"]) == (200, lost, "succeeded")


@pytest.mark.parametrize("key", ["", "x" * 201, " ", "a\tb"])
def test_a_key_that_is_none_is_refused(idle: Service, query: dict[str, Any], key: str) -> None:
    found = problem(idle.client.post(SUBMIT, query, Idempotency_Key=key), 422, "invalid-request")
    assert found["errors"][0]["pointer"] == "/Idempotency-Key"


def test_what_is_not_a_job_of_the_contract_is_404(busy: Service, query: dict[str, Any]) -> None:
    client = busy.client
    batch = client.post("/v1/batches", {"items": [query]}).json
    wait_for(lambda: client.get(batch["links"]["self"]).json["status"] == "succeeded", "the batch")
    for wrong in (f"{batch['id']}-0", batch["id"], queue.new_id(), "0", "%00", "a%2Fb", "..%2Flivez", "%F0%9F%8E%B5"):
        problem(client.get(f"/v1/jobs/{wrong}"), 404, "not-found")
        problem(client.get(f"/v1/jobs/{wrong}/result"), 404, "not-found")
        if "%2F" not in wrong:
            problem(client.ask("DELETE", f"/v1/jobs/{wrong}"), 404, "not-found")
    problem(client.get("/v1/jobs/0190163d-8694-739b-aea5-966c26f8ad91/result"), 410, "expired")


def test_past_its_deadline_a_job_is_answered_with_what_is_popular(idle: Service, query: dict[str, Any]) -> None:
    """No worker is alive: the API answers, whoever asks, and wakes those who wait."""
    began = time.monotonic()
    taken = idle.client.post(SUBMIT, query | {"deadline_s": 1}, Prefer="wait=20")
    assert time.monotonic() - began < 10
    job = taken.json
    assert (taken.status, job["status"], job["result"]["degraded"]) == (200, "succeeded", True)
    assert (job["result"]["strategy"], len(job["result"]["tracks"])) == ("popular", 5)
    assert "no worker answered within 1 s" in job["result"]["warnings"][0]
    later = idle.client.post(SUBMIT, query | {"deadline_s": 1}).json
    assert "no worker is alive" in later["warnings"][0]
    wait_for(lambda: idle.client.get(later["links"]["self"]).json["status"] == "succeeded", "the fallback", 5)


def test_a_client_that_gives_up_waiting_costs_nothing(idle: Service, query: dict[str, Any]) -> None:
    named = {"Content-Type": "application/json", "Prefer": "wait=20"}
    for _ in range(3):
        with pytest.raises(TimeoutError):
            idle.client.ask("POST", SUBMIT, json.dumps(query).encode(), headers=named, timeout_s=0.3)
    with idle.connection() as connection:
        assert queue.waiting(connection) == 3
    assert Client(idle.client.address).get("/livez").status == 200
    assert "Traceback" not in (idle.folder / "api.log").read_text()
