"""The Python client's calls about playlists, blocking and in asyncio, against a server that answers as it is told."""

from __future__ import annotations

from typing import Any

import pytest

import api.client as segue
from tests.fakes.segue_server import FakeSegue, Reply, batch, job, playlist, problem, result, says
from tests.unit.calling import Asker

SPOTIFY = "spotify:track:4u7EnebtmKWzUH433cf5Qv"


def test_a_playlist_is_one_request_when_it_is_done_in_time(ask: Asker, server: FakeSegue) -> None:
    server.will(says(job(type="playlist", result=playlist("Spider"))))
    found = ask("playlist", ["A song", SPOTIFY], length={"minutes": 45}, arc="build", harmonic=True)
    assert (found["flow"], [track["name"] for track in found["tracks"]]) == (0.9, ["Spider"])
    [asked] = server.asked
    assert asked.line == "POST /v1/playlists"
    assert asked.json == {
        "seeds": [{"name": "A song"}, {"track_id": SPOTIFY}],
        "length": {"minutes": 45},
        "arc": "build",
        "harmonic": True,
    }
    assert asked.headers["Prefer"] == "wait=10"
    assert len(asked.headers["Idempotency-Key"]) == 36


def test_a_playlist_may_go_on_from_one_or_along_a_path(ask: Asker, server: FakeSegue) -> None:
    server.will(says(job(result=playlist())))
    ask("playlist", extend=["One", {"name": "Two", "artist": "Somebody"}])
    ask("playlist", waypoints=["From here", SPOTIFY], length={"tracks": 9})
    assert [asked.json for asked in server.asked] == [
        {"extend": [{"name": "One"}, {"name": "Two", "artist": "Somebody"}]},
        {"waypoints": [{"name": "From here"}, {"track_id": SPOTIFY}], "length": {"tracks": 9}},
    ]


def test_a_playlist_that_takes_longer_is_waited_for(ask: Asker, server: FakeSegue) -> None:
    server.will(says(job("queued"), 202), Reply(lost=True), says(job("running")), says(job(result=playlist("End"))))
    assert ask("playlist", "A song")["tracks"] == [{"name": "End"}]
    assert server.lines == ["POST /v1/playlists", *["GET /v1/jobs/j1?wait=20"] * 3]
    server.will(says(job("failed")))
    with pytest.raises(segue.JobFailed):
        ask("playlist", "A song")


def test_a_playlist_is_submitted_without_waiting(ask: Asker, server: FakeSegue) -> None:
    server.will(Reply(lost=True), says(job("queued"), 202))
    hook = {"url": "https://example.com/hook"}
    assert ask("submit_playlist", "A song", webhook=hook, idempotency_key="mine")["id"] == "j1"
    assert {asked.line for asked in server.asked} == {"POST /v1/playlists"}
    assert {asked.headers["Idempotency-Key"] for asked in server.asked} == {"mine"}
    assert server.asked[1].json == {"seeds": [{"name": "A song"}], "webhook": hook}
    assert "Prefer" not in server.asked[0].headers


def test_a_playlist_is_looked_at(ask: Asker, server: FakeSegue) -> None:
    server.will(says(job(type="diagnosis", result={"flow": 0.5})))
    assert ask("diagnose", ["One", "Two"], strategies=["catalogue"]) == {"flow": 0.5}
    [asked] = server.asked
    assert asked.line == "POST /v1/playlists/doctor"
    assert asked.json == {"playlist": [{"name": "One"}, {"name": "Two"}], "strategies": ["catalogue"]}


def test_a_full_queue_leaves_popular_tracks_for_a_playlist(ask: Asker, server: FakeSegue) -> None:
    server.will(problem(503, "queue-full", {"Retry-After": "0"}, fallback=playlist("Well known")))
    with pytest.raises(segue.QueueFull) as caught:
        ask("playlist", "A song", client={"attempts": 1})
    assert caught.value.fallback
    assert caught.value.fallback["tracks"][0]["name"] == "Well known"


def test_a_batch_may_hold_playlists(ask: Asker, server: FakeSegue) -> None:
    server.will(says(batch("queued"), 202))
    items = [
        {"seeds": "One"},
        {"type": "playlist", "extend": ["Two", SPOTIFY], "length": {"tracks": 5}},
        {"type": "playlist", "waypoints": ["Three", "Four"]},
    ]
    ask("batch", items)
    assert server.asked[0].json["items"] == [
        {"seeds": [{"name": "One"}]},
        {"type": "playlist", "extend": [{"name": "Two"}, {"track_id": SPOTIFY}], "length": {"tracks": 5}},
        {"type": "playlist", "waypoints": [{"name": "Three"}, {"name": "Four"}]},
    ]


def event(kind: str, shown: dict[str, Any]) -> bytes:
    return b"event: " + kind.encode() + b"\ndata: " + says(shown).body + b"\n\n"


def test_a_job_is_followed_to_its_end(ask: Asker, server: FakeSegue) -> None:
    first = event("progress", job("queued"))
    second = event("progress", job("running", progress={"stage": "ordering", "fraction": 0.5}))
    last = event("end", job(result=playlist("Spider")))
    server.will(Reply(body=first + second + last, cut=len(first) + 5), Reply(body=second + last))
    seen = ask("job_events", "j1")
    assert [shown["status"] for shown in seen] == ["queued", "running", "succeeded"]
    assert seen[1]["progress"] == {"stage": "ordering", "fraction": 0.5}
    assert seen[2]["result"]["tracks"] == [{"name": "Spider"}]
    assert server.lines == ["GET /v1/jobs/j1/events"] * 2
    server.will(Reply(body=event("end", problem_body())))
    with pytest.raises(segue.Expired):
        ask("job_events", job("running"))


def problem_body() -> dict[str, Any]:
    return {"code": "expired", "detail": "gone", "status": 410}


def test_a_result_as_a_file_may_be_given_a_title(ask: Asker, server: FakeSegue) -> None:
    server.will(Reply(body=b"#EXTM3U\n"))
    assert ask("result_as", job(result=result()), "audio/x-mpegurl", title="Sunday & more") == b"#EXTM3U\n"
    assert server.lines == ["GET /v1/jobs/j1/result?title=Sunday+%26+more"]
    assert server.asked[0].headers["Accept"] == "audio/x-mpegurl"
