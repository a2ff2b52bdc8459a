"""The Python client, blocking and in asyncio, against a server that answers as it is told."""

from __future__ import annotations

import asyncio
from contextlib import aclosing, closing
from email.utils import formatdate
from time import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import api.client as segue
from api.client import AsyncClient, Client
from api.client.asking import FIRST_PAUSE_S, MOST_PAUSE_S, pause_s
from tests.fakes.segue_server import FakeSegue, Reply, batch, job, lines, problem, result, says
from tests.unit.calling import Asker


def test_a_recommendation_is_one_request_when_it_is_done_in_time(ask: Asker, fake: FakeSegue) -> None:
    fake.will(says(job(result=result("Spider"))))
    found = ask("recommend", "A song", limit=3, filters={"year": [1990, 1999]}, client={"api_key": "key-1"})
    assert [track["name"] for track in found["tracks"]] == ["Spider"]
    [asked] = fake.asked
    assert asked.line == "POST /v1/recommendations"
    assert asked.json == {"seeds": [{"name": "A song"}], "limit": 3, "filters": {"year": [1990, 1999]}}
    assert (asked.headers["Prefer"], asked.headers["Authorization"]) == ("wait=10", "Bearer key-1")
    assert len(asked.headers["Idempotency-Key"]) == 36


def test_a_job_that_takes_longer_is_waited_for(ask: Asker, fake: FakeSegue) -> None:
    fake.will(says(job("queued"), 202), Reply(lost=True), says(job("running"), Retry_After="1"), says(job()))
    assert ask("recommend", "A song") == result()
    assert fake.lines == ["POST /v1/recommendations", *["GET /v1/jobs/j1?wait=20"] * 3]


def test_seeds_are_names_addresses_and_dicts(ask: Asker, fake: FakeSegue) -> None:
    fake.will(says(job("queued"), 202))
    address = "https://open.spotify.com/track/4u7EnebtmKWzUH433cf5Qv"
    ask(
        "submit", ["Spider", "spotify:track:4u7EnebtmKWzUH433cf5Qv", address, {"features": {"energy": 1}, "weight": -1}]
    )
    ask("submit", {"track_id": "x"})
    several, one = (asked.json["seeds"] for asked in fake.asked)
    assert several == [
        {"name": "Spider"},
        {"track_id": "spotify:track:4u7EnebtmKWzUH433cf5Qv"},
        {"track_id": address},
        {"features": {"energy": 1}, "weight": -1},
    ]
    assert one == [{"track_id": "x"}]
    assert "Prefer" not in fake.asked[0].headers


def test_a_submit_whose_answer_was_lost_is_sent_again_as_the_same(ask: Asker, fake: FakeSegue) -> None:
    fake.will(Reply(lost=True), Reply(body=b"{" * 99, cut=9), says(job("queued"), 202))
    assert ask("submit", "A song")["id"] == "j1"
    assert len(fake.asked) == 3
    assert len({(asked.headers["Idempotency-Key"], asked.body) for asked in fake.asked}) == 1
    ask("submit", "A song")
    ask("submit", "A song", idempotency_key="mine")
    assert fake.asked[3].headers["Idempotency-Key"] != fake.asked[2].headers["Idempotency-Key"]
    assert fake.asked[4].headers["Idempotency-Key"] == "mine"


CALLS: list[tuple[str, tuple[Any, ...], Any, str]] = [
    ("submit", ("A song",), job(), "POST /v1/recommendations"),
    ("job", ("j/1",), job(), "GET /v1/jobs/j%2F1"),
    ("cancel", (job(),), job("canceled"), "DELETE /v1/jobs/j1"),
    ("result", ("j1",), result(), "GET /v1/jobs/j1/result"),
    ("popular", ("r&b",), {"tracks": []}, "GET /v1/popular?genre=r%26b&limit=20"),
    ("genres", (), {"genres": []}, "GET /v1/genres"),
    ("model", (), {"tracks": 3}, "GET /v1/model"),
    ("track", ("t1",), {"track_id": "t1"}, "GET /v1/tracks/t1"),
    ("map", (), {"labels": []}, "GET /v1/map"),
    ("tracks_on_map", ((0, 0.25, 0.5, 1),), {"count": 0}, "GET /v1/map/tracks?box=0%2C0.25%2C0.5%2C1&limit=200"),
    ("batch_status", ("b1",), batch(), "GET /v1/batches/b1"),
    ("cancel_batch", (batch(),), batch("canceled"), "POST /v1/batches/b1/cancel"),
]


@pytest.mark.parametrize(("name", "args", "answer", "line"), CALLS, ids=[call[0] for call in CALLS])
def test_each_call_asks_for_its_address_and_tries_again(
    ask: Asker, fake: FakeSegue, name: str, args: tuple[Any, ...], answer: Any, line: str
) -> None:
    fake.will(Reply(lost=True), says(answer))
    assert ask(name, *args) == answer
    assert fake.lines == [line] * 2


def test_calls_that_unwrap_their_answer(ask: Asker, fake: FakeSegue) -> None:
    fake.will(says({"tracks": [{"track_id": "t1"}]}))
    assert ask("tracks", "bohém", limit=5) == [{"track_id": "t1"}]
    fake.will(says({"count": 7}))
    assert ask("count", {"genres": ["rock"]}) == 7
    fake.will(Reply(body=b"\x81\xa1a\x01"))
    assert ask("result_as", "j1", "application/msgpack") == b"\x81\xa1a\x01"
    assert ask("map_picture") == b"\x81\xa1a\x01"
    assert fake.lines == [
        "GET /v1/tracks?q=boh%C3%A9m&limit=5",
        "POST /v1/tracks/count",
        "GET /v1/jobs/j1/result",
        "GET /v1/map.png",
    ]
    assert fake.asked[1].json == {"filters": {"genres": ["rock"]}}
    assert fake.asked[2].headers["Accept"] == "application/msgpack"


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_honoured(ask: Asker, fake: FakeSegue, status: int) -> None:
    fake.will(problem(status, "busy", {"Retry-After": "1"}), says(job()))
    ask("job", "j1")
    [gap] = fake.gaps
    assert 1 <= gap < 2


def test_retry_after_may_be_a_date(ask: Asker, fake: FakeSegue) -> None:
    fake.will(problem(503, "busy", {"Retry-After": formatdate(time() + 90, usegmt=True)}))
    with pytest.raises(segue.Unavailable) as caught:
        ask("model")
    assert caught.value.retry_after_s == pytest.approx(90, abs=2)
    assert len(fake.asked) == 1  # later than a client tries


def test_attempts_and_their_time_are_bounded(ask: Asker, fake: FakeSegue) -> None:
    fake.will(Reply(lost=True))
    with pytest.raises(segue.Unavailable) as caught:
        ask("model", client={"attempts": 3})
    assert (caught.value.code, caught.value.status, len(fake.asked)) == ("no-answer", None, 3)
    fake.asked.clear()
    with pytest.raises(segue.Unavailable):
        ask("model", client={"attempts": 1000, "retry_s": 0.7})
    assert 2 <= len(fake.asked) <= 6
    fake.will(Reply(held_s=5))
    with pytest.raises(segue.Unavailable, match="ReadTimeout"):
        ask("model", client={"attempts": 1, "timeout_s": 0.1})
    with pytest.raises(segue.Unavailable, match="ConnectError"):
        ask("model", client={"attempts": 1, "base_url": "http://127.0.0.1:9"})


def test_a_full_queue_leaves_popular_tracks(ask: Asker, fake: FakeSegue) -> None:
    fake.will(problem(503, "queue-full", {"Retry-After": "0"}, fallback=result("Well known") | {"degraded": True}))
    with pytest.raises(segue.QueueFull) as caught:
        ask("recommend", "A song", client={"attempts": 2})
    assert isinstance(caught.value, segue.Unavailable)
    assert caught.value.fallback
    assert caught.value.fallback["tracks"][0]["name"] == "Well known"
    assert len(fake.asked) == 2


ERRORS = [
    (400, "malformed-json", segue.InvalidRequest),
    (401, "unauthorized", segue.NotAllowed),
    (403, "forbidden", segue.NotAllowed),
    (404, "not-found", segue.NotFound),
    (409, "job-failed", segue.JobFailed),
    (409, "job-canceled", segue.JobCanceled),
    (410, "expired", segue.Expired),
    (413, "too-large", segue.InvalidRequest),
    (422, "invalid-request", segue.InvalidRequest),
    (422, "idempotency-key-reused", segue.InvalidRequest),
    (500, "internal", segue.ServiceError),
    (429, "rate-limited", segue.RateLimited),
    (502, "proxy", segue.Unavailable),
    (503, "not-ready", segue.Unavailable),
    (504, "proxy-too-slow", segue.Unavailable),
]


@pytest.mark.parametrize(("status", "code", "kind"), ERRORS, ids=[error[1] for error in ERRORS])
def test_problems_are_typed_errors(
    ask: Asker, fake: FakeSegue, status: int, code: str, kind: type[segue.SegueError]
) -> None:
    fake.will(problem(status, code, errors=[{"pointer": "/limit", "detail": "too many"}]))
    with pytest.raises(kind) as caught:
        ask("result", "j1", client={"attempts": 2 if kind.retryable else 8})
    error = caught.value
    assert type(error) is kind
    assert (error.code, error.status, error.detail, error.request_id) == (code, status, "so it is", "r-1")
    assert len(fake.asked) == (2 if kind.retryable else 1)
    if isinstance(error, segue.InvalidRequest):
        assert error.errors == [{"pointer": "/limit", "detail": "too many"}]
    for part in (code, "so it is", "r-1"):
        assert part in str(error)


def test_answers_of_something_else_are_told_apart(ask: Asker, fake: FakeSegue) -> None:
    html = {"Content-Type": "text/html"}
    fake.will(Reply(502, b"<h1>Bad Gateway</h1>", html))
    with pytest.raises(segue.Unavailable, match="Bad Gateway") as caught:
        ask("model", client={"attempts": 1})
    assert (caught.value.code, caught.value.status) == ("http-502", 502)
    for body in (b"<h1>Log in first</h1>", b"[1]", b"\xff"):
        fake.will(Reply(200, body, html))
        with pytest.raises(segue.ServiceError, match="is it Segue"):
            ask("model")
    fake.will(Reply(308, b"", {"Location": "https://music.example/v1/model"}))
    with pytest.raises(segue.ServiceError, match=r"moved to https://music\.example"):
        ask("model")


def test_waiting_ends_with_the_job_or_with_the_time(ask: Asker, fake: FakeSegue) -> None:
    fake.will(says(job("queued")), says(job("canceled")))
    assert ask("wait", "j1")["status"] == "canceled"
    fake.will(says(job("running"), Retry_After="0"))
    with pytest.raises(segue.NotFinished) as caught:
        ask("wait", job("queued"), timeout_s=1.2)
    assert caught.value.job
    assert (caught.value.code, caught.value.job["status"]) == ("not-finished", "running")
    # A server that has too many callers to hold their answers is asked about once a second, not in a circle.
    assert len(fake.asked) <= 2 + 3


def test_a_job_that_ends_badly_is_an_error_of_recommend(ask: Asker, fake: FakeSegue) -> None:
    fake.will(says(job("queued"), 202), says(job("failed")))
    with pytest.raises(segue.JobFailed, match="three times in vain") as failed:
        ask("recommend", "A song")
    assert failed.value.job
    assert (failed.value.code, failed.value.job["id"]) == ("job-failed", "j1")
    fake.will(says(job("canceled")))
    with pytest.raises(segue.JobCanceled):
        ask("recommend", "A song")


def test_a_result_before_its_time_is_not_finished(ask: Asker, fake: FakeSegue) -> None:
    fake.will(says(job("queued"), 202, Retry_After="3"))
    with pytest.raises(segue.NotFinished) as caught:
        ask("result", "j1")
    assert caught.value.job
    assert (caught.value.job["id"], caught.value.retry_after_s, caught.value.status) == ("j1", 3.0, 202)


def test_a_batch_is_sent_as_one(ask: Asker, fake: FakeSegue) -> None:
    fake.will(Reply(lost=True), says(batch("queued"), 202))
    items = ({"custom_id": str(n), "seeds": f"Song {n}", "limit": 1} for n in range(2))
    assert ask("batch", items, metadata={"for": "test"})["id"] == "b1"
    first, second = fake.asked
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert first.body == second.body
    assert second.json == {
        "items": [{"custom_id": str(n), "seeds": [{"name": f"Song {n}"}], "limit": 1} for n in range(2)],
        "metadata": {"for": "test"},
    }


def test_a_broken_download_goes_on_where_it_was(ask: Asker, fake: FakeSegue) -> None:
    one = len(lines(range(1), True).body)
    fake.will(
        lines(range(5), True, cut=2 * one + 10),
        problem(503, "busy", {"Retry-After": "0"}),
        lines(range(2, 5), True, cut=one),
        lines(range(3, 5), True),
    )
    assert [line["index"] for line in ask("batch_results", "b1")] == [0, 1, 2, 3, 4]
    again = "GET /v1/batches/b1/results?after="
    assert fake.lines == ["GET /v1/batches/b1/results", f"{again}1", f"{again}1", f"{again}2"]


def test_results_come_while_the_batch_runs(ask: Asker, fake: FakeSegue) -> None:
    fake.will(
        lines(range(2), False),
        Reply(body=says(batch("running")).body, held_s=0.6),
        lines(range(2, 2), False),
        Reply(body=says(batch("running")).body, held_s=1.1),
        lines(range(2, 3), False),
        says(batch("succeeded")),
        lines(range(3, 4), True),
    )
    assert [line["index"] for line in ask("batch_results", batch("running"), after=None)] == [0, 1, 2, 3]
    assert [line.partition("?")[2] for line in fake.lines] == [
        "",
        "wait=1",
        "after=1",
        "wait=2",
        "after=1",
        "wait=1",
        "after=2",
    ]


def test_results_end_with_the_batch_if_nobody_says_that_they_are_complete(ask: Asker, fake: FakeSegue) -> None:
    fake.will(lines(range(1), False), says(batch("canceled")), Reply(body=lines(range(1, 2), True).body))
    assert len(ask("batch_results", "b1")) == 2
    assert len(fake.asked) == 3


def test_lines_are_lines_of_bytes(ask: Asker, fake: FakeSegue) -> None:
    name = "one\u2028two\u0085three"  # ends of lines to some, not to JSON
    fake.will(lines(range(2), True, name=name))
    found = ask("batch_results", "b1")
    assert [line["result"]["tracks"][0]["name"] for line in found] == [name] * 2


def test_a_download_that_never_gets_on_is_given_up(ask: Asker, fake: FakeSegue) -> None:
    fake.will(lines(range(3), True, cut=5))
    with pytest.raises(segue.Unavailable):
        ask("batch_results", "b1", client={"attempts": 3})
    assert len(fake.asked) == 3
    fake.will(lines(range(0), False), says(batch("running"), Retry_After="0"), lines(range(0), False))
    with pytest.raises(segue.NotFinished):
        ask("batch_results", "b1", timeout_s=0.5)


def event(kind: str, shown: dict[str, Any]) -> bytes:
    return b": still there\n\nevent: " + kind.encode() + b"\ndata: " + says(shown).body + b"\n\n"


def test_events_are_followed_to_the_end(ask: Asker, fake: FakeSegue) -> None:
    first, second = event("progress", batch("running", succeeded=1)), event("progress", batch("running", succeeded=2))
    last = event("end", batch("succeeded", succeeded=3))
    fake.will(Reply(body=first + second + last, cut=len(first) + 5), Reply(body=first), Reply(body=second + last))
    assert [shown["counts"]["succeeded"] for shown in ask("events", "b1")] == [1, 1, 2, 3]
    assert {asked.headers["Accept"] for asked in fake.asked} == {"text/event-stream"}
    assert len(fake.asked) == 3


def test_a_problem_among_the_events_is_an_error(ask: Asker, fake: FakeSegue) -> None:
    gone, down = problem(410, "expired").body, problem(503, "redis-unavailable").body
    fake.will(
        Reply(body=b"event: end\ndata: " + down + b"\n\n"),
        Reply(body=b"event: end\ndata: " + gone + b"\n\n"),
    )
    with pytest.raises(segue.Expired) as caught:
        ask("events", "b1")
    assert (caught.value.status, len(fake.asked)) == (410, 2)


def test_a_feed_may_be_left(fake: FakeSegue) -> None:
    fake.will(lines(range(3), True))
    with Client(fake.address) as client:
        with closing(client.batch_results("b1")) as feed:
            assert next(feed)["index"] == 0
        assert next(client.batch_results("b1"))["index"] == 0

    async def leave() -> int:
        async with AsyncClient(fake.address) as client, aclosing(client.batch_results("b1")) as feed:
            async for line in feed:
                return line["index"]
        return -1

    assert asyncio.run(leave()) == 0


@given(st.integers(1, 10_000), st.none() | st.floats(0, 1e6))
def test_pauses_are_never_shorter_than_told_and_never_long_untold(tried: int, told_s: float | None) -> None:
    pause = pause_s(tried, told_s)
    if told_s:
        assert told_s <= pause <= 1.25 * told_s
    else:
        assert FIRST_PAUSE_S / 2 <= pause <= MOST_PAUSE_S


def test_the_address_may_have_a_path(ask: Asker, fake: FakeSegue) -> None:
    fake.will(says({}))
    ask("model", client={"base_url": fake.address + "/music"})
    ask("model", client={"base_url": fake.address + "/music/"})
    assert fake.lines == ["GET /music/v1/model"] * 2
